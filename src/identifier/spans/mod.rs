//! Spans of texts as identifiers: an item is named by what its title says.
//!
//! A *text* is the title of an item, or another field of it, in the tokens of one model; a *span* is a run of tokens of a
//! text that begins at a word. Spans name the items that hold them, many at once, and an item is found by the spans that
//! vote for it (SEAL, arXiv 2204.10628; arXiv 2407.19829). A *view* is a way to say one: any span of the title, the title
//! from its beginning (MINDER, arXiv 2305.16675), a further field from its beginning. A mode token says which is asked for.
//!
//! `declared` says what spans there are to be, before and after a model's tokens are known; `texts` is what is stored of the texts; their index is `trieval_kernels::index::fm`.

mod declared;
pub mod settings;
mod texts;

pub use declared::{Counts, Declared, SPANS_FILE};
pub use texts::{Piece, SpanTexts, Text, TextsWriter};

/// Name of the first field of an item, and of its view from the beginning.
pub const TITLE: &str = "title";

/// A way to say an item in spans.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// Any span of the title.
    Spans,
    /// The title from its beginning.
    Title,
    /// Another field from its beginning: `category`, or the name of an attribute.
    Field(String),
}

impl View {
    /// Its name in messages and reports.
    pub fn name(&self) -> &str {
        match self {
            Self::Spans => "spans",
            Self::Title => TITLE,
            Self::Field(name) => name,
        }
    }
}
