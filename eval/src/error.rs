//! The faults this crate can report: what is wrong, where, what was expected and what to do. It knows no exit codes.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A fault in a run, in judgments, in a metric's name or in a report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line of a file cannot be used.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong, what was expected, what to do.
        what: String,
    },
    /// A file without lines cannot be used.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where in it, what is wrong, what was expected, what to do.
        what: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A run or judgments cannot be written.
    #[error("cannot write {what}: {source}")]
    Unwritable {
        /// What was being written.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A run cannot be used.
    #[error("run {run}: {what}")]
    Run {
        /// Name of the run.
        run: String,
        /// What is wrong, what was expected, what to do.
        what: String,
    },
    /// The same item twice for one request.
    #[error(
        "{place}: item {item} appears twice for request {request}; keep one line per request and item"
    )]
    Duplicate {
        /// Which run or judgments.
        place: String,
        /// Id of the request.
        request: String,
        /// Id of the item.
        item: String,
    },
    /// A way to divide requests that does not exist.
    #[error("unknown slice `{text}`: {what}")]
    Slice {
        /// What was asked for.
        text: String,
        /// What is legal.
        what: String,
    },
    /// Judgments cannot be used.
    #[error("qrels: {what}")]
    Qrels {
        /// What is wrong, what was expected, what to do.
        what: String,
    },
    /// A metric's name cannot be understood.
    #[error("unknown metric `{text}`: {what}")]
    Metric {
        /// The text given.
        text: String,
        /// What is wrong and the nearest legal names.
        what: String,
    },
    /// A catalogue of items cannot be used.
    #[error("catalogue: {what}")]
    Catalogue {
        /// What is wrong, what was expected, what to do.
        what: String,
    },
    /// Systems cannot be compared.
    #[error("cannot compare the systems: {what}")]
    Comparison {
        /// What is wrong and what to do.
        what: String,
    },
    /// A report cannot be read, written or shown.
    #[error("the report cannot be used: {what}")]
    Report {
        /// What is wrong and what to do.
        what: String,
    },
}

impl Error {
    /// A fault at a line of a file.
    pub(crate) fn line(path: &Path, line: usize, what: impl Into<String>) -> Self {
        Self::Line { path: path.to_owned(), line, what: what.into() }
    }

    /// A fault in a file that has no lines.
    pub(crate) fn file(path: &Path, what: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), what: what.into() }
    }
}
