//! Typed Parquet tables: streamed writing, streamed reading, whole files or none.
//!
//! A [`Row`] knows its fixed columns, behind which open ones may stand; [`TableWriter`] buffers rows
//! into row groups under a temporary name and renames at the end; [`TableReader`] iterates over typed
//! rows in bounded memory. Knows nothing of what the tables mean or of how they refer to one another.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tempfile::{NamedTempFile, TempPath};

use super::cell::{Cell, Holds};
use crate::error::{Error, Result};
use crate::store::{create_dir, guarded};

/// Rows per row group and per buffer of a writer: bounds the memory of a writer to a few megabytes.
const GROUP_ROWS: usize = 32_768;

/// Rows decoded at a time by a reader.
const READ_ROWS: usize = 8_192;

/// A row of one of the corpus tables.
pub trait Row: Sized {
    /// Name of the table; its file is `NAME.parquet`.
    const NAME: &'static str;

    /// Columns in order.
    fn schema() -> Schema;

    /// Columns of many rows, in the order of [`Row::schema`].
    fn columns(rows: &[Self]) -> Vec<Arc<dyn Array>>;

    /// Rows of a batch whose schema was checked against [`Row::schema`].
    ///
    /// # Errors
    /// A text that says which column cannot be read.
    fn rows(batch: &RecordBatch) -> Result<Vec<Self>, String>;
}

/// File of a table inside a corpus folder.
pub(super) fn table_path<R: Row>(folder: &Path) -> PathBuf {
    folder.join(format!("{}.parquet", R::NAME))
}

/// Streams rows into a table; the file appears only when [`TableWriter::finish`] succeeds.
pub struct TableWriter<R: Row> {
    path: PathBuf,
    schema: SchemaRef,
    temporary: TempPath,
    writer: ArrowWriter<File>,
    buffer: Vec<R>,
    open: Vec<OpenBuffer>,
    written: u64,
}

/// Cells of an open column that are not written yet.
struct OpenBuffer {
    holds: Holds,
    cells: Vec<Cell>,
}

impl<R: Row> TableWriter<R> {
    /// Starts a table in `folder` without open columns.
    ///
    /// # Errors
    /// [`Error::Environment`] when the folder cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        Self::create_open(folder, &[])
    }

    /// Starts a table in `folder` with open columns behind the fixed ones; every row then has a cell
    /// for each.
    ///
    /// # Errors
    /// [`Error::Environment`] when the folder cannot be written.
    pub fn create_open(folder: &Path, columns: &[(&str, Holds)]) -> Result<Self> {
        create_dir(folder)?;
        let path = table_path::<R>(folder);
        let temporary: NamedTempFile = tempfile::Builder::new()
            .prefix(".partial-")
            .tempfile_in(folder)
            .map_err(|e| Error::unwritable(&path, &e))?;
        let (file, temporary) = temporary.into_parts();
        let mut fields: Vec<FieldRef> = R::schema().fields().iter().cloned().collect();
        fields.extend(columns.iter().map(|(name, holds)| Arc::new(holds.field(name))));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by(format!("trieval {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|e| refused(&path, &e))?;
        let open = columns.iter().map(|&(_, holds)| OpenBuffer { holds, cells: Vec::new() });
        let open = open.collect();
        Ok(Self { path, schema, temporary, writer, buffer: Vec::new(), open, written: 0 })
    }

    /// Rows pushed so far; the index that the next row will have.
    pub fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Whether no row was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a row whose open cells are absent.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn push(&mut self, row: R) -> Result<()> {
        self.push_open(row, vec![Cell::Absent; self.open.len()])
    }

    /// Appends a row with its open cells, in the order of the columns.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses, [`Error::Failed`] where there are more or fewer
    /// cells than columns.
    pub fn push_open(&mut self, row: R, cells: Vec<Cell>) -> Result<()> {
        if cells.len() != self.open.len() {
            let (n_cells, n_columns) = (cells.len(), self.open.len());
            let table = R::NAME;
            return Err(Error::Failed(format!(
                "{n_cells} cells for {n_columns} columns of {table}"
            )));
        }
        for (open, cell) in self.open.iter_mut().zip(cells) {
            open.cells.push(cell);
        }
        self.buffer.push(row);
        if self.buffer.len() == GROUP_ROWS { self.flush() } else { Ok(()) }
    }

    /// Writes what is left, syncs and renames the file into place; returns the number of rows.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn finish(mut self) -> Result<u64> {
        self.flush()?;
        let Self { path, temporary, writer, written, .. } = self;
        let file = writer.into_inner().map_err(|e| refused(&path, &e))?;
        file.sync_all().map_err(|e| Error::unwritable(&path, &e))?;
        temporary.persist(&path).map_err(|e| Error::unwritable(&path, &e.error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::unwritable(folder, &e))?;
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut columns = R::columns(&self.buffer);
        columns.extend(self.open.iter_mut().map(|open| open.holds.array(&open.cells)));
        self.open.iter_mut().for_each(|open| open.cells.clear());
        let batch =
            RecordBatch::try_new(self.schema.clone(), columns).map_err(|e| Error::Environment {
                path: self.path.clone(),
                message: format!("columns do not fit the schema of the table: {e}"),
                help: String::new(),
            })?;
        self.writer.write(&batch).map_err(|e| refused(&self.path, &e))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// What turns a batch into rows.
type Decode<T> = Box<dyn Fn(&RecordBatch) -> Result<Vec<T>, String> + Send + Sync>;

/// Rows of a table in order, decoded a batch at a time.
pub(super) struct Decoded<T> {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    decode: Decode<T>,
    current: std::vec::IntoIter<T>,
    failed: bool,
}

impl<T> Decoded<T> {
    /// The columns at these places of a table (in its order), from row `offset` on, at most `limit`
    /// rows.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is damaged.
    pub(super) fn open(
        path: PathBuf,
        builder: ParquetRecordBatchReaderBuilder<File>,
        columns: impl IntoIterator<Item = usize>,
        (offset, limit): (u64, Option<u64>),
        decode: impl Fn(&RecordBatch) -> Result<Vec<T>, String> + Send + Sync + 'static,
    ) -> Result<Self> {
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
        // Offsets and limits beyond the file are clamped by the reader; usize is 64 bits wide here.
        let mut builder = builder.with_batch_size(READ_ROWS).with_projection(mask);
        builder = builder.with_offset(offset as usize);
        if let Some(limit) = limit {
            builder = builder.with_limit(limit as usize);
        }
        let batches =
            guarded(&path, || builder.build().map_err(|e| damaged(&path, &e.to_string())))?;
        let (current, decode) = (Vec::new().into_iter(), Box::new(decode));
        Ok(Self { path, batches, decode, current, failed: false })
    }
}

impl<T> Iterator for Decoded<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        loop {
            if let Some(row) = self.current.next() {
                return Some(Ok(row));
            }
            if self.failed {
                return None;
            }
            let (path, batches) = (&self.path, &mut self.batches);
            let fault = |e: &str| damaged(path, e);
            let batch =
                guarded(path, || batches.next().transpose().map_err(|e| fault(&e.to_string())));
            let rows = match batch {
                Ok(None) => return None,
                Ok(Some(batch)) => (self.decode)(&batch).map_err(|message| fault(&message)),
                Err(e) => Err(e),
            };
            match rows {
                Ok(rows) => self.current = rows.into_iter(),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Iterates over the typed rows of a table in order.
pub struct TableReader<R: Row>(Decoded<R>);

impl<R: Row + 'static> TableReader<R> {
    /// Opens a table of `folder`, all rows.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, damaged or has other columns.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::open_range(folder, 0, None)
    }

    /// Opens a table of `folder` from row `offset` on, at most `limit` rows.
    ///
    /// # Errors
    /// As [`TableReader::open`].
    pub fn open_range(folder: &Path, offset: u64, limit: Option<u64>) -> Result<Self> {
        let path = table_path::<R>(folder);
        let builder = builder::<R>(&path)?;
        let columns = 0..R::schema().fields().len();
        Decoded::open(path, builder, columns, (offset, limit), R::rows).map(Self)
    }

    /// Opens the rows of these numbers, ascending and each once, of a table of `folder`; pages
    /// without any are passed over, and numbers beyond the table give nothing.
    ///
    /// # Errors
    /// As [`TableReader::open`].
    pub fn open_rows(folder: &Path, rows: &[u32]) -> Result<Self> {
        let path = table_path::<R>(folder);
        let builder = builder::<R>(&path)?;
        let n_rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let rows = rows.iter().map(|row| *row as usize).filter(|row| *row < n_rows);
        let rows = RowSelection::from_consecutive_ranges(rows.map(|row| row..row + 1), n_rows);
        let columns = 0..R::schema().fields().len();
        let builder = builder.with_row_selection(rows);
        Decoded::open(path, builder, columns, (0, None), R::rows).map(Self)
    }
}

impl<R: Row> Iterator for TableReader<R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        self.0.next()
    }
}

/// Number of rows of a table, from its footer; checks the columns.
///
/// # Errors
/// [`Error::Data`] when the file is missing, damaged or has other columns.
pub(super) fn count_rows<R: Row>(folder: &Path) -> Result<u64> {
    let path = table_path::<R>(folder);
    let rows = builder::<R>(&path)?.metadata().file_metadata().num_rows();
    u64::try_from(rows).map_err(|_| damaged(&path, "negative number of rows"))
}

/// Opens a Parquet file, of whatever columns.
///
/// # Errors
/// [`Error::Data`] when it is missing or damaged.
pub(super) fn open_parquet(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|e| Error::unreadable(path, &e))?;
    guarded(path, || {
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, &e.to_string()))
    })
}

fn builder<R: Row>(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let builder = open_parquet(path)?;
    let expected = R::schema();
    let found = builder.schema();
    // Open columns stand behind the fixed ones; what is there of them is for `cell`.
    let same = found.fields().len() >= expected.fields().len()
        && found
            .fields()
            .iter()
            .zip(expected.fields())
            .all(|(f, e)| f.name() == e.name() && f.data_type().equals_datatype(e.data_type()));
    if !same {
        let names = |s: &Schema| {
            let names: Vec<_> =
                s.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
            names.join(", ")
        };
        return Err(damaged(
            path,
            &format!("expected the columns {}; found {}", names(&expected), names(found)),
        ));
    }
    Ok(builder)
}

fn damaged(path: &Path, message: &str) -> Error {
    Error::data(path, format!("is not a readable corpus table: {message}"))
        .with_help("build the corpus again; the file is damaged or of another version")
}

fn refused(path: &Path, error: &parquet::errors::ParquetError) -> Error {
    Error::Environment {
        path: path.to_owned(),
        message: format!("cannot be written: {error}"),
        help: "check the free space of the disk".into(),
    }
}
