//! Rows of files as people have them: CSV and TSV, JSON and JSON lines, Parquet, packed or not, one
//! file or many, streamed. A row is the values of the fields that a recipe names. Knows nothing of
//! items, requests or clicks.

mod delimited;
mod files;
mod head;
mod json;
mod parquet;
mod path;
mod unpacked;
mod value;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::path::{Path, PathBuf};

pub(super) use delimited::open_csv;
pub(super) use files::matching;
pub(super) use head::{Head, head};
pub(super) use json::parse;
pub(super) use parquet::unread;
pub(super) use path::FieldPath;
pub(super) use value::Value;

use crate::corpus::settings::Format;
use crate::error::Result;
use crate::progress::Context;

use super::faults::Faults;

/// Longest line, entry or row that is read, in bytes: what is longer is no row of a log.
pub(super) const MAX_ROW: usize = 16 << 20;

/// Rows between two looks at whether the user wants to stop.
const ROWS_PER_LOOK: u64 = 4_096;

/// A row: what stands in the fields asked for.
pub(super) struct Record<'a> {
    /// 1-based line, entry or row.
    pub(super) line: u64,
    /// In the order in which fields were asked for.
    pub(super) values: Vec<Value<'a>>,
    /// The other fields with their names, where they were asked for.
    pub(super) rest: Vec<(String, Value<'a>)>,
}

/// What is asked of a file.
pub(super) struct Wanted {
    /// Fields, with the recipe key that names each.
    pub(super) fields: Vec<(FieldPath, String)>,
    /// Whether the other fields are asked for, too.
    pub(super) rest: bool,
}

/// Takes a row; the text of a fault where it is malformed.
pub(super) type Take<'t> = dyn FnMut(&Record<'_>) -> Result<std::result::Result<(), String>> + 't;

/// How a file is to be read, where its name and head do not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// Format, by default as name and head say.
    pub(super) format: Option<Format>,
    /// What separates the fields of a line, by default what its header shows.
    pub(super) delimiter: Option<u8>,
}

/// Reads files one after the other.
///
/// # Errors
/// [`crate::Error::Data`] for what cannot be read and where more than a share of the rows of a file
/// is malformed; what `take` fails with; [`crate::Error::Interrupted`].
pub(super) fn read(
    files: &[PathBuf],
    reading: &Reading,
    wanted: &Wanted,
    (faults, share): (&mut Faults, f64),
    ctx: &Context,
    take: &mut Take<'_>,
) -> Result<()> {
    let total = files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    let mut bar = ctx.bar("read", total, "byte");
    for file in files {
        let head = head(file, reading)?;
        let mut rows = Rows { faults, wanted, take, ctx, seen: 0, read: 0, bar: &mut bar };
        match head.format {
            Format::Csv => delimited::read(file, &head, &mut rows)?,
            Format::JsonLines => json::read_lines(file, &mut rows)?,
            Format::Json => json::read_whole(file, &mut rows)?,
            Format::Parquet => parquet::read(file, &mut rows)?,
        }
        let done = rows.read;
        bar.advance(file.metadata().map_or(0, |data| data.len()).saturating_sub(done));
        faults.end_file(file, share)?;
    }
    Ok(())
}

/// Whether a file has the fields, as far as its header tells; rows of JSON have no header.
///
/// # Errors
/// [`crate::Error::Data`] when it cannot be read, is empty or lacks a field.
pub(super) fn check_header(path: &Path, reading: &Reading, wanted: &Wanted) -> Result<()> {
    let head = head(path, reading)?;
    match head.format {
        Format::Csv => delimited::check_header(path, &head, wanted),
        Format::Parquet => parquet::check_header(path, wanted),
        Format::Json | Format::JsonLines => Ok(()),
    }
}

/// One file being read.
struct Rows<'r, 't> {
    faults: &'r mut Faults,
    wanted: &'r Wanted,
    take: &'r mut Take<'t>,
    ctx: &'r Context,
    seen: u64,
    /// Bytes of the file, as it lies on disk, that were shown as read.
    read: u64,
    bar: &'r mut crate::progress::Bar,
}

impl Rows<'_, '_> {
    /// Hands a row on, or counts it as malformed; `read` is how far into the file the reader is.
    fn row(
        &mut self,
        line: u64,
        read: u64,
        record: std::result::Result<Record<'_>, String>,
    ) -> Result<()> {
        self.faults.row();
        self.counted(line, read, record)
    }

    /// The same with a row that is counted already.
    fn counted(
        &mut self,
        line: u64,
        read: u64,
        record: std::result::Result<Record<'_>, String>,
    ) -> Result<()> {
        self.seen += 1;
        if self.seen.is_multiple_of(ROWS_PER_LOOK) {
            self.ctx.check_interrupt()?;
            self.bar.advance(read.saturating_sub(self.read));
            self.read = self.read.max(read);
        }
        let taken = match record {
            Ok(record) => (self.take)(&record)?,
            Err(message) => Err(message),
        };
        if let Err(message) = taken {
            self.faults.fault(line, message);
        }
        Ok(())
    }
}
