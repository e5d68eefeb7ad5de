//! Columns of the tables read by name, fixed and open ones alike, as cells. Knows no row type.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use super::cell::{Cell, Entity};
use super::table::{Decoded, open_parquet};
use crate::error::{Error, Result};

/// Rows of some columns of one table, streamed: `[rows, columns]`.
pub(super) struct Cells(Decoded<Vec<Cell>>);

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
        let builder = open_parquet(&path)?;
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
        let places: Vec<usize> =
            wanted.iter().map(|place| read.partition_point(|one| one < place)).collect();
        let decode = move |batch: &RecordBatch| {
            let cells = |&place: &usize| cells_of(batch.column(place));
            let columns = places.iter().map(cells).collect::<Result<Vec<_>, _>>()?;
            Ok(transposed(columns, batch.num_rows()))
        };
        Decoded::open(path, builder, read, (offset, limit), decode).map(Self)
    }
}

impl Iterator for Cells {
    type Item = Result<Vec<Cell>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
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
    let builder = open_parquet(&of.path(folder))?;
    Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
}

impl Entity {
    /// Its table inside a corpus folder.
    fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{}s.parquet", self.name()))
    }
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
