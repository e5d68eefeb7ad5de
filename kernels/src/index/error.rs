//! What can be wrong with the input or the file of a constraint index.

use std::path::PathBuf;

/// Why an index could not be built, written or opened.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// There is nothing to index.
    #[error("an index needs at least one item, got none")]
    Empty,
    /// The level sizes make no sense.
    #[error("an index needs 1 to 64 levels of at least one code each, got {0}")]
    Levels(String),
    /// The codes do not form whole rows.
    #[error("{n_codes} codes do not form rows of {n_levels} levels")]
    Ragged {
        /// Number of codes handed in.
        n_codes: usize,
        /// Codes expected per item.
        n_levels: usize,
    },
    /// More items than a 32-bit item number can name.
    #[error("{0} items, but an index holds at most 4294967295")]
    TooManyItems(usize),
    /// A code is not below the size of its level.
    #[error(
        "item {item}: code {code} at level {level} is not below the {codes} codes of that level"
    )]
    CodeOutOfRange {
        /// Item number.
        item: usize,
        /// Level, from 0.
        level: usize,
        /// The offending code.
        code: u32,
        /// Codes of the level.
        codes: u32,
    },
    /// Two items have the same path.
    #[error(
        "items {first} and {second} have the same codes; give every item its own path, for instance by a dedup level"
    )]
    Duplicate {
        /// The smaller item number.
        first: u32,
        /// The larger item number.
        second: u32,
    },
    /// There is no token to index.
    #[error("an index of spans needs at least one token, got none")]
    NoTokens,
    /// An alphabet without tokens, or a larger one than an index of spans is made for.
    #[error("an index of spans needs an alphabet of 1 to {most} tokens, got {got}")]
    Alphabet {
        /// Tokens of the alphabet.
        got: u32,
        /// Most tokens of an alphabet.
        most: u32,
    },
    /// A token of a text is not in the alphabet.
    #[error("item {item}: token {token} at place {at} of its text is not below {alphabet}")]
    TokenOutOfRange {
        /// Item number.
        item: u32,
        /// Place in the text, from 0.
        at: usize,
        /// The offending token.
        token: u32,
        /// Tokens of the alphabet.
        alphabet: u32,
    },
    /// A text of an item that does not exist.
    #[error("a text of item {item}, but there are {items} items")]
    ItemOutOfRange {
        /// Item number.
        item: u32,
        /// Number of items.
        items: u32,
    },
    /// The token that is to close spans is one of the texts' own.
    #[error("token {0} cannot close spans, as it occurs in the texts")]
    ClosingToken(u32),
    /// The token that spans are to begin behind occurs nowhere.
    #[error("no span begins behind token {0}, as it does not occur in the texts")]
    OpeningToken(u32),
    /// More places than the seam to filters and guides can number.
    #[error("{0} tokens, but filters and guides number at most 4294967295 places")]
    TooManyPlaces(u64),
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Unreadable {
        /// The index file.
        path: PathBuf,
        /// What the system reported.
        source: std::io::Error,
    },
    /// The bytes are not a whole, unchanged index of a known format.
    #[error("{message}; build the index again")]
    Corrupt {
        /// What was expected and what was found.
        message: String,
    },
    /// A file whose content is damaged.
    #[error("{}: {source}", .path.display())]
    File {
        /// The index file.
        path: PathBuf,
        /// What is wrong in it.
        source: Box<IndexError>,
    },
}

impl IndexError {
    pub(super) fn corrupt(message: impl Into<String>) -> Self {
        Self::Corrupt { message: message.into() }
    }
}
