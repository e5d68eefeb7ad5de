//! What a search is, whatever engine does it.

use super::filter::Filter;

/// Finds the best items for a batch of prompts.
///
/// The law, whatever the engine: of the sequences of one level, finished ones of earlier levels
/// included, the best are kept (order: [`super::Candidate`]), until all are finished or dead; a
/// sequence is legal only if an allowed item lies below it; every returned item was reached through
/// the index and none is returned twice; a request is answered as it would be alone.
pub trait Search<P> {
    /// What can go wrong.
    type Error;

    /// Hits per prompt, best first. `filters` has one entry per prompt; prompts beyond its end may
    /// get all items, so that no filter at all is an empty list.
    ///
    /// # Errors
    /// The scorer's error, or a score that is not a number.
    fn search(
        &mut self,
        prompts: &[P],
        filters: &[Filter<'_>],
    ) -> Result<Vec<Vec<Hit>>, Self::Error>;
}

/// A found item.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Item number, as the constraint names it.
    pub item: u32,
    /// Score of the item.
    pub score: f32,
    /// The sequence that led to it, `[tokens]`.
    pub tokens: Vec<u32>,
    /// What the scorer gave each token, `[tokens]`.
    pub token_scores: Vec<f32>,
}

/// Why a search stopped.
#[derive(Debug, thiserror::Error)]
pub enum SearchError<E> {
    /// The scorer failed.
    #[error(transparent)]
    Scorer(E),
    /// The scorer gave, or the rule or the guide made, a score that is not a number.
    #[error(
        "request {request}, level {level}, token {token}: the score is not a number; the model's output is unusable"
    )]
    NotANumber {
        /// Request within the batch.
        request: usize,
        /// Level, from 0.
        level: usize,
        /// The token scored.
        token: u32,
    },
    /// More candidates in one level than a 32-bit offset can count.
    #[error(
        "level {level} of the batch has over 4294967295 candidates; use fewer requests per batch"
    )]
    TooManyCandidates {
        /// Level, from 0.
        level: usize,
    },
}
