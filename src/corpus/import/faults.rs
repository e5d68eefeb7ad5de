//! Malformed rows: counted, the first ones kept, refused above a stated share.

use std::path::Path;

use crate::error::{Error, Result};

use super::super::summary::Malformed;

/// Faults kept with their text.
const KEPT: usize = 5;

/// Faults of all files of a source; shares are per file.
#[derive(Default)]
pub(super) struct Faults {
    all: Malformed,
    /// Of the file being read.
    rows: u64,
    of: u64,
    first: Vec<(u64, String)>,
}

impl Faults {
    /// Counts a row, good or bad.
    pub(super) fn row(&mut self) {
        self.of += 1;
    }

    /// Counts a fault of the row at a 1-based line (or entry).
    pub(super) fn fault(&mut self, line: u64, message: impl Into<String>) {
        self.rows += 1;
        if self.first.len() < KEPT {
            self.first.push((line, message.into()));
        }
    }

    /// Ends a file: an error when more than `share` of its rows are malformed.
    pub(super) fn end_file(&mut self, path: &Path, share: f64) -> Result<()> {
        let (rows, of) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.of));
        let first = std::mem::take(&mut self.first);
        let shown =
            |(line, message): &(u64, String)| format!("{}:{line}: {message}", path.display());
        if rows > 0 && rows as f64 > share * of as f64 {
            let (line, message) = &first[0]; // the first fault of `rows > 0` was kept
            let mut help = format!(
                "{rows} of {of} rows are malformed; repair them, or accept a share with \
                 corpus.malformed_share = {:.4}",
                (rows as f64 / of.max(1) as f64 * 10_000.0).ceil() / 10_000.0
            );
            for other in &first[1..] {
                help.push_str("\n  also ");
                help.push_str(&shown(other));
            }
            return Err(Error::data_at(path, *line, message).with_help(help));
        }
        self.all.rows += rows;
        self.all.of += of;
        let room = KEPT.saturating_sub(self.all.first.len());
        self.all.first.extend(first.iter().take(room).map(shown));
        Ok(())
    }

    /// What was found in all files, and a sentence about it when anything was.
    pub(super) fn finish(self, warnings: &mut Vec<String>) -> Malformed {
        if self.all.rows > 0 {
            warnings.push(format!(
                "{} of {} rows are malformed and were left out; the first: {}",
                self.all.rows,
                self.all.of,
                self.all.first.first().map_or("", String::as_str)
            ));
        }
        self.all
    }
}
