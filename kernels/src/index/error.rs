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
