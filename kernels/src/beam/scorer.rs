//! How good a continuation is: the seam to the models, and what passes through it.

use std::ops::Range;

/// Scores continuations, once per level for all beams of all requests of the batch.
///
/// `P` is what a request gives the scorer to start from; a scorer that brings its own requests,
/// such as a node network over its own users, takes `()`.
pub trait Scorer<P> {
    /// What can go wrong.
    type Error;

    /// Begins a batch, one request per prompt; whatever was kept of an earlier batch is dropped.
    ///
    /// # Errors
    /// Whatever the scorer meets; the search stops with it.
    fn start(&mut self, prompts: &[P]) -> Result<(), Self::Error>;

    /// Writes one score per child, in the order of [`Frontier::tokens`]. Negative infinity is legal
    /// and excludes the child; a score left unwritten or not a number is an error of the search.
    ///
    /// # Errors
    /// Whatever the scorer meets; the search stops with it.
    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<(), Self::Error>;

    /// Scores in a whole row of a level: one for every token from 0. `None`: this scorer gives no
    /// rows.
    fn width(&self, _level: usize) -> Option<usize> {
        None
    }

    /// Writes whole rows, `[beams, width]`; the frontier has no tokens then. As
    /// [`Scorer::score`] otherwise, and a token must get the same score from both.
    ///
    /// # Errors
    /// Whatever the scorer meets; the search stops with it.
    fn rows(&mut self, _frontier: &Frontier, _rows: &mut [f32]) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The live beams of all requests at one level, and their legal continuations in CSR form.
///
/// Beams are ordered by request, then by rank. A beam's place in this list is its slot; finished
/// and dead beams have none.
#[derive(Debug, Default)]
pub struct Frontier {
    pub(super) level: usize,
    pub(super) beams: Vec<FrontierBeam>,
    pub(super) offsets: Vec<u32>,
    pub(super) tokens: Vec<u32>,
}

/// A live beam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontierBeam {
    /// Request within the batch.
    pub request: u32,
    /// Slot of the beam it continues in the frontier of the previous level; at level 0, where every
    /// request has one empty beam, the request.
    pub parent: u32,
    /// The token that led here; meaningless at level 0.
    pub token: u32,
}

impl Frontier {
    /// Level of the search: the number of tokens that every live beam has.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Live beams, `[beams]`.
    pub fn beams(&self) -> &[FrontierBeam] {
        &self.beams
    }

    /// Legal tokens of all beams, one after another, `[candidates]`; empty where rows are asked
    /// for.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Where the children of the beam in a slot lie in [`Frontier::tokens`]; empty past the end.
    pub fn children(&self, slot: usize) -> Range<usize> {
        match self.offsets.get(slot..slot + 2) {
            Some(bounds) => bounds[0] as usize..bounds[1] as usize,
            None => 0..0,
        }
    }

    pub(super) fn clear(&mut self, level: usize) {
        self.level = level;
        self.beams.clear();
        self.offsets.clear();
        self.offsets.push(0);
        self.tokens.clear();
    }
}
