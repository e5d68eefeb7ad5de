//! Columns of the tables read by name, fixed and open ones alike, as cells. Knows no row type.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::cell::{Cell, Entity};
use super::table::damaged;
use crate::error::{Error, Result};

/// Rows decoded at a time.
const READ_ROWS: usize = 8_192;

/// Rows of some columns of one table, streamed.
pub(super) struct Cells {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    /// Place of each wanted column in a batch.
    places: Vec<usize>,
    current: std::vec::IntoIter<Vec<Cell>>,
    failed: bool,
}

impl Cells {
    /// Columns of an entity's table, from row `offset` on, at most `limit` rows.
    ///
    /// # Errors
    /// [`Error::Data`] when the table cannot be read or lacks a column.
    pub(super) fn open(
        folder: &Path,
        of: Entity,
        names: &[&str],
        offset: u64,
        limit: Option<u64>,
    ) -> Result<Self> {
        let path = of.path(folder);
        let builder = builder(&path)?;
        let wanted: Vec<usize> = names
            .iter()
            .map(|name| match builder.schema().index_of(name) {
                Ok(place) => Ok(place),
                Err(_) => Err(Error::data(&path, format!("there is no column `{name}`"))),
            })
            .collect::<Result<_>>()?;
        // A batch holds the columns that are read in the order of the table.
        let mut read = wanted.clone();
        read.sort_unstable();
        read.dedup();
        let places = wanted.iter().map(|place| read.partition_point(|one| one < place)).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), read);
        let mut builder = builder.with_batch_size(READ_ROWS).with_projection(mask);
        builder = builder.with_offset(offset as usize);
        if let Some(limit) = limit {
            builder = builder.with_limit(limit as usize);
        }
        let batches = builder.build().map_err(|e| damaged(&path, &e.to_string()))?;
        Ok(Self { path, batches, places, current: Vec::new().into_iter(), failed: false })
    }
}

impl Iterator for Cells {
    type Item = Result<Vec<Cell>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.current.next() {
                return Some(Ok(row));
            }
            if self.failed {
                return None;
            }
            let rows = match self.batches.next()? {
                Err(e) => Err(e.to_string()),
                Ok(batch) => {
                    let cells = |&place: &usize| cells_of(batch.column(place));
                    let columns = self.places.iter().map(cells).collect::<Result<Vec<_>, _>>();
                    columns.map(|columns| transposed(columns, batch.num_rows()))
                }
            };
            match rows {
                Ok(rows) => self.current = rows.into_iter(),
                Err(message) => {
                    self.failed = true;
                    return Some(Err(damaged(&self.path, &message)));
                }
            }
        }
    }
}

/// `[columns, rows]` as `[rows, columns]`.
fn transposed(columns: Vec<Vec<Cell>>, n_rows: usize) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = (0..n_rows).map(|_| Vec::with_capacity(columns.len())).collect();
    for column in columns {
        rows.iter_mut().zip(column).for_each(|(row, cell)| row.push(cell));
    }
    rows
}

/// Names of the columns of an entity's table, in its order.
///
/// # Errors
/// [`Error::Data`] when the table cannot be read.
pub(super) fn column_names(folder: &Path, of: Entity) -> Result<Vec<String>> {
    let builder = builder(&of.path(folder))?;
    Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
}

impl Entity {
    /// Its table inside a corpus folder.
    fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}s.parquet", self.name()))
    }
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).map_err(|e| Error::unreadable(path, &e))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, &e.to_string()))
}

fn cells_of(column: &ArrayRef) -> std::result::Result<Vec<Cell>, String> {
    let present = |cell: &dyn Fn(usize) -> Cell| -> Vec<Cell> {
        let of = |row| if column.is_null(row) { Cell::Absent } else { cell(row) };
        (0..column.len()).map(of).collect()
    };
    macro_rules! numbers {
        ($type:ty) => {{
            let values = column.as_primitive::<$type>();
            present(&|row| Cell::Number(f64::from(values.value(row))))
        }};
    }
    Ok(match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            present(&|row| Cell::Text(texts.value(row).to_owned()))
        }
        DataType::Boolean => {
            let flags = column.as_boolean();
            present(&|row| Cell::Number(f64::from(u8::from(flags.value(row)))))
        }
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Float32 => numbers!(Float32Type),
        DataType::Float64 => numbers!(Float64Type),
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            // Seconds since the start of a log, exact below 2^53.
            present(&|row| Cell::Number(values.value(row) as f64))
        }
        DataType::List(item) if *item.data_type() == DataType::Utf8 => {
            let lists = column.as_list::<i32>();
            let texts = |row| {
                let list = lists.value(row);
                list.as_string::<i32>().iter().flatten().map(str::to_owned).collect()
            };
            present(&|row| Cell::Texts(texts(row)))
        }
        DataType::List(item) if *item.data_type() == DataType::UInt32 => {
            let lists = column.as_list::<i32>();
            let texts = |row| {
                let list = lists.value(row);
                list.as_primitive::<UInt32Type>().values().iter().map(u32::to_string).collect()
            };
            present(&|row| Cell::Texts(texts(row)))
        }
        other => return Err(format!("a column of {other} cannot be read by name")),
    })
}
