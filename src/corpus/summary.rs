//! `corpus.json`: what a corpus folder holds, where it came from and what to be wary of.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cell::OpenColumn;
use super::levels::{LevelRule, default_levels};
use super::types::Split;

/// Version of the folder's layout; readers refuse any other.
pub const FORMAT: u32 = 1;

/// A number per split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SplitCounts {
    /// Training.
    pub train: u64,
    /// Validation.
    pub validation: u64,
    /// Test.
    pub test: u64,
}

impl SplitCounts {
    /// The number of one split.
    pub fn of(&self, split: Split) -> u64 {
        match split {
            Split::Train => self.train,
            Split::Validation => self.validation,
            Split::Test => self.test,
        }
    }

    /// Counts one more.
    pub(super) fn add(&mut self, split: Split) {
        *match split {
            Split::Train => &mut self.train,
            Split::Validation => &mut self.validation,
            Split::Test => &mut self.test,
        } += 1;
    }

    /// Sum over the splits.
    pub fn total(&self) -> u64 {
        self.train + self.validation + self.test
    }
}

/// How much of the test split was already seen in training; shares of test requests.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Overlap {
    /// Test requests whose query text (lower case, single spaces) is that of a training request.
    pub queries: Option<f64>,
    /// Test requests whose user has a training request.
    pub users: Option<f64>,
    /// Judged test items (counted per judgement) that occur in training feedback.
    pub items: Option<f64>,
    /// Judged test items (counted per judgement) that stand in the history of their request.
    #[serde(default)]
    pub history: Option<f64>,
}

/// Rows of the source that could not be used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Malformed {
    /// Number of such rows.
    pub rows: u64,
    /// Rows read in all.
    pub of: u64,
    /// The first ones, each with file, line and fault.
    pub first: Vec<String>,
}

/// An input file as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path as the recipe names it.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the content, hexadecimal.
    pub blake3: String,
}

/// A table of the corpus folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFile {
    /// File name.
    pub file: String,
    /// Rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the content, hexadecimal.
    pub blake3: String,
}

/// Content of `corpus.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorpusSummary {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The recipe's `kind`: `simulator`, `judged-pairs`, `sequences` or `log`.
    pub kind: String,
    /// Number of items.
    pub items: u64,
    /// Number of users.
    pub users: u64,
    /// Number of sessions.
    pub sessions: u64,
    /// Requests per split; requests are stored in this order.
    pub requests: SplitCounts,
    /// Judgements per split of their request.
    pub judgements: SplitCounts,
    /// Items shown, over all splits.
    pub impressions: u64,
    /// Clicks among them.
    pub clicks: u64,
    /// Carts among them.
    pub carts: u64,
    /// Orders among them.
    pub orders: u64,
    /// Columns beside the fixed ones, in the order of each table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<OpenColumn>,
    /// What lifts a shown item to which level, the lowest first.
    #[serde(default = "default_levels")]
    pub levels: Vec<LevelRule>,
    /// Whether training requests are users' sequences instead of requests with feedback.
    pub sequences: bool,
    /// Whether systems must not return items of the request's history.
    pub remove_history: bool,
    /// BLAKE3 of the item ids in order (each with its length as u32), hexadecimal.
    pub catalogue: String,
    /// What of the test split was seen in training.
    pub overlap: Overlap,
    /// Rows of the source that could not be used.
    pub malformed: Malformed,
    /// Item texts cut to the stated limit.
    pub truncated_texts: u64,
    /// Requests left out because none of their items is known.
    pub dropped_requests: u64,
    /// The first moment of the log in UTC, from whose midnight days and seconds are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Remarks for the reader of figures, one sentence each.
    pub warnings: Vec<String>,
    /// Input files.
    pub sources: Vec<SourceFile>,
    /// Tables of the folder.
    pub tables: Vec<TableFile>,
}

/// Name of the summary inside a corpus folder.
pub(super) fn summary_path(folder: &Path) -> PathBuf {
    folder.join("corpus.json")
}

/// Sizes known before anything is built; `None` where only reading the files would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SizeEstimate {
    /// Number of items.
    pub items: Option<u64>,
    /// Number of training requests.
    pub train_requests: Option<u64>,
    /// Number of validation requests.
    pub validation_requests: Option<u64>,
    /// Number of test requests.
    pub test_requests: Option<u64>,
    /// Number of impressions.
    pub impressions: Option<u64>,
    /// Number of clicks.
    pub clicks: Option<u64>,
}
