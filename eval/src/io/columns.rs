//! Columns of a Parquet file by name, their values as ids or numbers. Knows neither runs nor judgments.
//!
//! The reader of a damaged file may panic inside the Parquet library: [`guarded`] turns that into a fault of the file.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 32_768;
/// Rows of a written row group: what one thread reads.
const GROUP_ROWS: usize = 1 << 18;

/// A file whose footer has been read.
pub(super) struct Table<'a> {
    path: &'a Path,
    metadata: ArrowReaderMetadata,
}

/// A column that was looked for.
pub(super) struct Wanted {
    /// Names that it may have, ours first.
    pub(super) names: &'static [&'static str],
}

impl<'a> Table<'a> {
    /// Opens a file.
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let metadata = guarded(path, || {
            // What pandas or polars remember of their own types does not matter here.
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            ArrowReaderMetadata::load(&file, options).map_err(|error| damaged(path, &error))
        })?;
        Ok(Self { path, metadata })
    }

    /// The text that the writer left under a key.
    pub(super) fn note(&self, key: &str) -> Option<&str> {
        let notes = self.metadata.metadata().file_metadata().key_value_metadata()?;
        notes.iter().find(|note| note.key == key)?.value.as_deref()
    }

    /// Names of all columns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.metadata.schema().fields().iter().map(|field| field.name().as_str())
    }

    /// Where the columns stand in the file; the first of its names that a column has counts.
    pub(super) fn find<const N: usize>(&self, wanted: [Wanted; N]) -> Result<[usize; N]> {
        let mut found = [0; N];
        for (slot, Wanted { names }) in found.iter_mut().zip(wanted) {
            let at = names.iter().find_map(|name| self.names().position(|one| one == *name));
            *slot = at.ok_or_else(|| {
                let present: Vec<&str> = self.names().take(12).collect();
                let what = format!(
                    "no column is called `{}` (or {}); the columns are {}",
                    names[0],
                    names[1..]
                        .iter()
                        .map(|name| format!("`{name}`"))
                        .collect::<Vec<_>>()
                        .join(", "),
                    present.join(", ")
                );
                Error::file(self.path, what)
            })?;
        }
        Ok(found)
    }

    /// Number of rows, as the footer says.
    pub(super) fn n_rows(&self) -> usize {
        usize::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Row groups with the number of rows before each.
    pub(super) fn groups(&self) -> Vec<(usize, usize)> {
        let mut before = 0;
        let groups = self.metadata.metadata().row_groups().iter().enumerate();
        groups
            .map(|(group, metadata)| {
                let start = before;
                before += usize::try_from(metadata.num_rows()).unwrap_or(0);
                (group, start)
            })
            .collect()
    }

    /// Calls `each` with every batch of a row group and the number of rows before it. Columns come in the order asked for.
    pub(super) fn read(
        &self,
        (group, mut before): (usize, usize),
        columns: &[usize],
        mut each: impl FnMut(&[ArrayRef], usize) -> Result<()>,
    ) -> Result<()> {
        let path = self.path;
        guarded(path, || {
            let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
            // Not a clone of one handle: clones share their position, and threads would read each other's bytes.
            let file = File::open(path).map_err(unreadable)?;
            let mask =
                ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
            let reader =
                ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                    .with_row_groups(vec![group])
                    .with_projection(mask)
                    .with_batch_size(BATCH_ROWS)
                    .build()
                    .map_err(|error| damaged(path, &error))?;
            // The projection keeps the order of the file.
            let mut order: Vec<usize> = columns.to_vec();
            order.sort_unstable();
            order.dedup();
            for batch in reader {
                let batch: RecordBatch = batch.map_err(|error| damaged(path, &error))?;
                let arrays: Vec<ArrayRef> = columns
                    .iter()
                    .filter_map(|column| order.binary_search(column).ok())
                    .filter_map(|at| batch.columns().get(at).map(Arc::clone))
                    .collect();
                if arrays.len() != columns.len() {
                    return Err(Error::file(path, "the file is damaged: a column is missing"));
                }
                each(&arrays, before)?;
                before += batch.num_rows();
            }
            Ok(())
        })
    }

    /// A fault in a row, counted from 0.
    pub(super) fn fault(&self, row: usize, what: &str) -> Error {
        Error::file(self.path, format!("row {}: {what}", row + 1))
    }
}

/// Ids of a column.
pub(super) struct IdColumn<'a> {
    array: &'a ArrayRef,
    digits: String,
}

impl<'a> IdColumn<'a> {
    /// Refuses columns that are neither text nor whole numbers, with their type.
    pub(super) fn new(array: &'a ArrayRef) -> std::result::Result<Self, String> {
        match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => {}
            other if other.is_integer() => {}
            other => return Err(format!("holds {other}; ids are text or whole numbers")),
        }
        Ok(Self { array, digits: String::new() })
    }

    /// The id in a row.
    pub(super) fn get(&mut self, row: usize) -> std::result::Result<&str, &'static str> {
        use std::fmt::Write;
        if self.array.is_null(row) {
            return Err("the id is null; give one");
        }
        macro_rules! digits {
            ($type:ty) => {{
                self.digits.clear();
                // Writing to a string cannot fail.
                let _ = write!(self.digits, "{}", self.array.as_primitive::<$type>().value(row));
                Ok(self.digits.as_str())
            }};
        }
        match self.array.data_type() {
            DataType::Utf8 => Ok(self.array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => Ok(self.array.as_string::<i64>().value(row)),
            DataType::Utf8View => Ok(self.array.as_string_view().value(row)),
            DataType::Binary => std::str::from_utf8(self.array.as_binary::<i32>().value(row))
                .map_err(|_| "the id is not UTF-8; convert the file"),
            DataType::Int8 => digits!(Int8Type),
            DataType::Int16 => digits!(Int16Type),
            DataType::Int32 => digits!(Int32Type),
            DataType::Int64 => digits!(Int64Type),
            DataType::UInt8 => digits!(UInt8Type),
            DataType::UInt16 => digits!(UInt16Type),
            DataType::UInt32 => digits!(UInt32Type),
            DataType::UInt64 => digits!(UInt64Type),
            _ => Err("ids are text or whole numbers"),
        }
    }
}

/// Numbers of a column as `f64`.
pub(super) struct NumberColumn<'a> {
    array: &'a ArrayRef,
}

impl<'a> NumberColumn<'a> {
    /// Refuses columns that are no numbers, with their type.
    pub(super) fn new(array: &'a ArrayRef) -> std::result::Result<Self, String> {
        match array.data_type() {
            DataType::Float32 | DataType::Float64 => {}
            other if other.is_integer() => {}
            other => return Err(format!("holds {other}; numbers are expected")),
        }
        Ok(Self { array })
    }

    /// The number in a row; none where it is null.
    pub(super) fn get(&self, row: usize) -> Option<f64> {
        if self.array.is_null(row) {
            return None;
        }
        macro_rules! number {
            ($type:ty) => {
                self.array.as_primitive::<$type>().value(row) as f64
            };
        }
        Some(match self.array.data_type() {
            DataType::Float32 => number!(Float32Type),
            DataType::Float64 => number!(Float64Type),
            DataType::Int8 => number!(Int8Type),
            DataType::Int16 => number!(Int16Type),
            DataType::Int32 => number!(Int32Type),
            DataType::Int64 => number!(Int64Type),
            DataType::UInt8 => number!(UInt8Type),
            DataType::UInt16 => number!(UInt16Type),
            DataType::UInt32 => number!(UInt32Type),
            DataType::UInt64 => number!(UInt64Type),
            _ => return None,
        })
    }
}

/// How files are written: zstd, row groups that threads can share, and notes.
pub(super) fn properties(notes: Vec<(&str, String)>) -> WriterProperties {
    let notes = notes.into_iter().map(|(key, text)| KeyValue::new(key.to_owned(), text)).collect();
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_key_value_metadata(Some(notes))
        .build()
}

/// A failed write.
pub(super) fn unwritable(what: &str, error: parquet::errors::ParquetError) -> Error {
    let source = match error {
        parquet::errors::ParquetError::External(inner) => {
            match inner.downcast::<std::io::Error>() {
                Ok(io) => *io,
                Err(other) => std::io::Error::other(other.to_string()),
            }
        }
        other => std::io::Error::other(other.to_string()),
    };
    Error::Unwritable { what: what.to_owned(), source }
}

/// Runs the library's reader; its panics over damaged bytes become a fault of the file.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::file(path, "the Parquet file is damaged; copy or write it again"))
    })
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::file(
        path,
        format!("the Parquet file cannot be read: {error}; write it again, with zstd or snappy"),
    )
}
