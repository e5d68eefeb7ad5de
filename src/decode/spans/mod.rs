//! A decoder that answers in spans of texts: it says what the titles of items hold, and what it says votes for them.
//!
//! `tokens` makes words of texts and queries, `said` is what a search said and how sure the decoder is of it, `weight` what
//! that is worth, `vote` how it adds up to items; `retriever` does all of it for a request.

mod retriever;
mod said;
pub mod settings;
mod tokens;
mod vote;
mod weight;

pub use retriever::{Evidence, SpanRetriever};
pub use said::Said;
pub use tokens::SpanTokenizer;

use trieval_kernels::index::fm::FmIndex;

use crate::identifier::spans::settings::SpanSettings;
use crate::identifier::spans::{Piece, SpanTexts, View};

/// The spans of a model: what is needed to train on them, and to search for them.
pub struct Spans {
    /// How they are made.
    pub settings: SpanSettings,
    /// What can be asked for, each with its mode token where there are several ways to ask the model.
    pub views: Vec<(View, Option<u32>)>,
    /// The texts.
    pub texts: SpanTexts,
    /// All spans of them. A text that a view begins with stands behind the view's mode token.
    pub index: FmIndex,
    /// Whether a word begins with a token, `[alphabet]`.
    pub starts: Vec<bool>,
    /// Makes tokens of queries.
    pub tokenizer: SpanTokenizer,
}

impl Spans {
    /// What an item's text of a field is made of, where it has one. Field 0 is the title.
    pub fn pieces(&self, item: u32, field: u32) -> Option<Vec<Piece>> {
        let text = self.texts.of(item).find(|text| self.texts.field(*text) == field)?;
        Some(self.texts.pieces(text).collect())
    }
}

#[cfg(test)]
mod tests;

/// Spans of a few titles, for tests.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::tests::TITLES;
    use super::{Spans, tests::Shop};

    /// Of at most `tokens` tokens.
    #[allow(clippy::unwrap_used)]
    pub(crate) fn spans(tokens: u32) -> Spans {
        std::sync::Arc::into_inner(Shop::new(tokens).spans).unwrap()
    }
}
