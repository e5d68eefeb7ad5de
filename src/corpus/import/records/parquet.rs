//! Parquet files, read a batch at a time. Numbers become their digits, times ISO 8601.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef, temporal_conversions};
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::RowGroupMetaData;

use super::path::below;
use super::unpacked::{TOO_MUCH_UNPACKED, most_unpacked};
use super::value::Value;
use super::{Record, Rows, Wanted};
use crate::corpus::import::text::{open, without_column};
use crate::error::{Error, Result};
use crate::store::guarded;

/// Rows decoded at a time.
const BATCH: usize = 4_096;

/// Reads a Parquet file.
pub(super) fn read(path: &Path, rows: &mut Rows<'_, '_>) -> Result<()> {
    let damaged = |e: &dyn std::fmt::Display| damaged(path, e);
    let (builder, size) = opened(path)?;
    let n_rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let Columns { names, places, others, taken } = columns(path, builder.schema(), rows.wanted)?;
    let column = |place: usize| taken.iter().position(|one| *one == place).unwrap_or(0);
    let mask = ProjectionMask::roots(builder.parquet_schema(), taken.iter().copied());
    let builder = builder.with_batch_size(BATCH).with_projection(mask);
    let mut batches = guarded(path, || builder.build().map_err(|e| damaged(&e)))?;
    let mut line = 0;
    while let Some(batch) = guarded(path, || batches.next().transpose().map_err(|e| damaged(&e)))? {
        for row in 0..batch.num_rows() {
            line += 1;
            let wanted = &rows.wanted.fields;
            let values = places.iter().zip(wanted).map(|(&place, (field, _))| {
                let behind = field.behind(&names[place]).unwrap_or_default();
                below(value(batch.column(column(place)), row), behind)
            });
            let values = values.collect();
            let rest = others
                .iter()
                .map(|&place| (names[place].clone(), value(batch.column(column(place)), row)));
            let record = Record { line, values, rest: rest.collect() };
            let read = (size as u128 * u128::from(line) / u128::from(n_rows.max(1))) as u64;
            rows.row(line, read, Ok(record))?;
        }
    }
    Ok(())
}

/// Whether a file has the fields, of types that can be read.
pub(super) fn check_header(path: &Path, wanted: &Wanted) -> Result<()> {
    columns(path, opened(path)?.0.schema(), wanted).map(drop)
}

/// Columns of types that are not read, each with its type.
///
/// # Errors
/// [`Error::Data`] when the file cannot be read.
pub(in crate::corpus::import) fn unread(path: &Path) -> Result<Vec<(String, String)>> {
    let (file, _) = opened(path)?;
    let unread = file.schema().fields().iter().filter(|field| !is_readable(field.data_type()));
    Ok(unread.map(|field| (field.name().clone(), field.data_type().to_string())).collect())
}

fn damaged(path: &Path, e: &dyn std::fmt::Display) -> Error {
    Error::data(path, format!("cannot be read as Parquet: {e}"))
}

/// A file whose footer was read, and its size.
fn opened(path: &Path) -> Result<(ParquetRecordBatchReaderBuilder<File>, u64)> {
    let file: File = open(path)?;
    let size = file.metadata().map_or(0, |data| data.len());
    let builder = guarded(path, || {
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(path, &e))
    })?;
    let groups = builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let sizes = groups.map(|column| u64::try_from(column.uncompressed_size()).unwrap_or(u64::MAX));
    if sizes.fold(0, u64::saturating_add) > most_unpacked(size) {
        return Err(Error::data(path, TOO_MUCH_UNPACKED));
    }
    Ok((builder, size))
}

/// What of a file is read.
struct Columns {
    /// Of all columns.
    names: Vec<String>,
    /// The columns of the fields.
    places: Vec<usize>,
    /// The others, where they are asked for.
    others: Vec<usize>,
    /// All of these, ascending.
    taken: Vec<usize>,
}

fn columns(path: &Path, schema: &Schema, wanted: &Wanted) -> Result<Columns> {
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut places = Vec::new();
    for (field, key) in &wanted.fields {
        let place = names.iter().position(|name| field.behind(name).is_some());
        places.push(place.ok_or_else(|| without_column(path, field.text(), key, &names))?);
    }
    // What nobody names is passed over where it cannot be read.
    let rest = |place: &usize| {
        let is_readable = || is_readable(schema.field(*place).data_type());
        wanted.rest && !places.contains(place) && is_readable()
    };
    let others: Vec<usize> = (0..names.len()).filter(rest).collect();
    let mut taken: Vec<usize> = places.iter().chain(&others).copied().collect();
    taken.sort_unstable();
    taken.dedup();
    for &place in &taken {
        let field = schema.field(place);
        if !is_readable(field.data_type()) {
            let message = format!(
                "column `{}` is of type {}, which is not read",
                field.name(),
                field.data_type()
            );
            return Err(Error::data(path, message)
                .with_help("write it as text, numbers, times, lists or structures of these"));
        }
    }
    Ok(Columns { names, places, others, taken })
}

/// Whether values of a type can be read.
fn is_readable(of: &DataType) -> bool {
    match of {
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => true,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) | DataType::Float16 => true,
        DataType::List(entry) | DataType::LargeList(entry) | DataType::FixedSizeList(entry, _) => {
            is_readable(entry.data_type())
        }
        DataType::Struct(fields) => fields.iter().all(|field| is_readable(field.data_type())),
        DataType::Dictionary(key, value) => {
            matches!(**key, DataType::Int8 | DataType::Int16 | DataType::Int32)
                && is_readable(value)
        }
        other => other.is_integer() || other.is_floating() || other.is_decimal(),
    }
}

/// The value of a row of a column of a readable type.
fn value(column: &ArrayRef, row: usize) -> Value<'_> {
    if column.is_null(row) {
        return Value::Absent;
    }
    macro_rules! digits {
        ($of:ty) => {
            Value::Number(Cow::Owned(column.as_primitive::<$of>().value(row).to_string()))
        };
    }
    // A whole number is told from a float by its point.
    macro_rules! float {
        ($of:ty) => {{
            let number = column.as_primitive::<$of>().value(row);
            Value::Number(Cow::Owned(format!("{number:?}")))
        }};
    }
    // Decimals have their digits exactly.
    macro_rules! exact {
        ($of:ty) => {
            Value::Number(Cow::Owned(column.as_primitive::<$of>().value_as_string(row)))
        };
    }
    let list = |entries: &ArrayRef| {
        Value::List((0..entries.len()).map(|place| value(entries, place).into_owned()).collect())
    };
    match column.data_type() {
        DataType::Boolean => Value::Flag(column.as_boolean().value(row)),
        DataType::Utf8 => Value::of_text(Cow::Borrowed(column.as_string::<i32>().value(row))),
        DataType::LargeUtf8 => Value::of_text(Cow::Borrowed(column.as_string::<i64>().value(row))),
        DataType::Utf8View => Value::of_text(Cow::Borrowed(column.as_string_view().value(row))),
        DataType::Int8 => digits!(Int8Type),
        DataType::Int16 => digits!(Int16Type),
        DataType::Int32 => digits!(Int32Type),
        DataType::Int64 => digits!(Int64Type),
        DataType::UInt8 => digits!(UInt8Type),
        DataType::UInt16 => digits!(UInt16Type),
        DataType::UInt32 => digits!(UInt32Type),
        DataType::UInt64 => digits!(UInt64Type),
        DataType::Float16 => float!(Float16Type),
        DataType::Float32 => float!(Float32Type),
        DataType::Float64 => float!(Float64Type),
        DataType::Decimal32(_, _) => exact!(Decimal32Type),
        DataType::Decimal64(_, _) => exact!(Decimal64Type),
        DataType::Decimal128(_, _) => exact!(Decimal128Type),
        DataType::Decimal256(_, _) => exact!(Decimal256Type),
        DataType::List(_) => list(&column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => list(&column.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let fields = fields.iter().zip(columns);
            Value::Map(
                fields
                    .map(|(field, one)| (Cow::Borrowed(field.name().as_str()), value(one, row)))
                    .collect(),
            )
        }
        DataType::Dictionary(key, _) => {
            let (place, values) = match **key {
                DataType::Int8 => keyed::<Int8Type>(column, row),
                DataType::Int16 => keyed::<Int16Type>(column, row),
                _ => keyed::<Int32Type>(column, row),
            };
            value(values, place)
        }
        time => moment(column, time, row),
    }
}

/// The place of a row's value in a dictionary, and the dictionary.
fn keyed<K: arrow_array::types::ArrowDictionaryKeyType>(
    column: &ArrayRef,
    row: usize,
) -> (usize, &ArrayRef) {
    let dictionary = column.as_dictionary::<K>();
    (dictionary.key(row).unwrap_or(0), dictionary.values())
}

/// A day or a time, in ISO 8601; times without a zone are UTC.
fn moment<'a>(column: &ArrayRef, of: &DataType, row: usize) -> Value<'a> {
    use arrow_array::types::{
        Date32Type, Date64Type, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType,
    };
    let time = match of {
        DataType::Date32 => {
            temporal_conversions::date32_to_datetime(column.as_primitive::<Date32Type>().value(row))
        }
        DataType::Date64 => {
            temporal_conversions::date64_to_datetime(column.as_primitive::<Date64Type>().value(row))
        }
        DataType::Timestamp(TimeUnit::Second, _) => temporal_conversions::timestamp_s_to_datetime(
            column.as_primitive::<TimestampSecondType>().value(row),
        ),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            temporal_conversions::timestamp_ms_to_datetime(
                column.as_primitive::<TimestampMillisecondType>().value(row),
            )
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            temporal_conversions::timestamp_us_to_datetime(
                column.as_primitive::<TimestampMicrosecondType>().value(row),
            )
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            temporal_conversions::timestamp_ns_to_datetime(
                column.as_primitive::<TimestampNanosecondType>().value(row),
            )
        }
        _ => None,
    };
    time.map_or(Value::Absent, |time| {
        Value::Text(Cow::Owned(format!("{}Z", time.format("%Y-%m-%dT%H:%M:%S%.f"))))
    })
}
