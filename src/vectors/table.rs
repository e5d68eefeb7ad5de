//! Vectors by id: a Parquet file with a column of ids and a column of lists of numbers, in any order of rows.
//!
//! Rows are joined to given ids, one row for each and none beside. Knows nothing of where the ids come from.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::file::Vectors;
use crate::error::{Error, Result};
use crate::store::guarded;

/// How the names of such files end.
pub const TABLE_EXTENSION: &str = "parquet";
/// Rows decoded at a time.
const BATCH_ROWS: usize = 1_024;
/// Columns that a message names.
const NAMED_COLUMNS: usize = 12;

/// Names of the two columns that are read; others may stand beside them.
#[derive(Debug, Clone, Copy)]
pub struct TableColumns<'a> {
    /// Ids: text or whole numbers, which stand for their digits.
    pub id: &'a str,
    /// Lists, or lists of fixed size, of `f32` or `f64`.
    pub vector: &'a str,
}

impl Default for TableColumns<'_> {
    fn default() -> Self {
        Self { id: "item", vector: "vector" }
    }
}

/// Reads a file whose rows are joined to `ids`: row i of the result is the vector of `ids[i]`.
///
/// # Errors
/// [`Error::Data`] when the file is missing or damaged, lacks a column or has it in another type; when a vector is null,
/// empty, of another width than the others or holds what is not a finite number (rows count from 0); when an id is
/// null, unknown, given twice or has no vector.
pub fn read_table(path: &Path, columns: &TableColumns<'_>, ids: &[String]) -> Result<Vectors> {
    let file = File::open(path).map_err(|e| Error::unreadable(path, &e))?;
    let damaged = |error: &dyn std::fmt::Display| {
        Error::data(path, format!("the Parquet file cannot be read: {error}"))
            .with_help("write it again, uncompressed or with snappy, gzip or zstd")
    };
    // What pandas or polars remember of their own types does not matter here: with it, one file could bring fixed-size
    // lists, dictionaries and views for what is stored alike.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = guarded(path, || {
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(|e| damaged(&e))
    })?;
    let schema = builder.schema().clone();
    let id_at = column(path, &schema, columns.id, "id_column", |found| {
        let is_text = matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        (!is_text && !found.is_integer()).then_some("text or whole numbers")
    })?;
    let vector_at = column(path, &schema, columns.vector, "vector_column", |found| {
        let is_list = matches!(list_element(found), Some(DataType::Float32 | DataType::Float64));
        (!is_list).then_some("lists of f32 or f64 numbers")
    })?;
    if id_at == vector_at {
        return Err(Error::data(path, "ids and vectors cannot be one column"));
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), [id_at, vector_at]);
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
    let mut rows = Rows::new(path, ids);
    let mut batches = guarded(path, || reader.build().map_err(|e| damaged(&e)))?;
    while let Some(batch) = guarded(path, || batches.next().transpose().map_err(|e| damaged(&e)))? {
        // The projection keeps the order of the file.
        let (id, vector) = if id_at < vector_at { (0, 1) } else { (1, 0) };
        rows.take(batch.column(id), batch.column(vector))?;
    }
    rows.finish()
}

/// Where a column stands; `unlike` says what was expected where the type is another.
fn column(
    path: &Path,
    schema: &Schema,
    name: &str,
    key: &str,
    unlike: impl Fn(&DataType) -> Option<&'static str>,
) -> Result<usize> {
    let fields = schema.fields();
    let Some(at) = fields.iter().position(|field| field.name() == name) else {
        let mut present: Vec<&str> =
            fields.iter().take(NAMED_COLUMNS).map(|field| field.name().as_str()).collect();
        if fields.len() > present.len() {
            present.push("…");
        }
        let message =
            format!("no column is called `{name}`; the columns are {}", present.join(", "));
        return Err(Error::data(path, message)
            .with_help(format!("rename the column, or name it with `{key}`")));
    };
    let found = fields[at].data_type();
    match unlike(found) {
        None => Ok(at),
        Some(expected) => {
            let shown = list_element(found)
                .map_or_else(|| found.to_string(), |element| format!("lists of {element}"));
            Err(Error::data(path, format!("column `{name}`: expected {expected}, found {shown}"))
                .with_help(format!("convert the column, or name another with `{key}`")))
        }
    }
}

fn list_element(found: &DataType) -> Option<&DataType> {
    match found {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}

/// The table as far as it was read.
struct Rows<'a> {
    path: &'a Path,
    ids: &'a [String],
    item_of: HashMap<&'a str, usize>,
    /// Row that brought each id's vector.
    row_of: Vec<Option<usize>>,
    /// 0 until the first row says how wide vectors are.
    dim: usize,
    /// `[ids, dim]`.
    data: Vec<f32>,
    /// Rows before the batch.
    before: usize,
    n_unknown: usize,
    /// Row and id of the first one that is not known.
    unknown: Option<(usize, String)>,
}

impl<'a> Rows<'a> {
    fn new(path: &'a Path, ids: &'a [String]) -> Self {
        Self {
            path,
            ids,
            item_of: ids.iter().enumerate().map(|(item, id)| (id.as_str(), item)).collect(),
            row_of: vec![None; ids.len()],
            dim: 0,
            data: Vec::new(),
            before: 0,
            n_unknown: 0,
            unknown: None,
        }
    }

    fn take(&mut self, ids: &ArrayRef, vectors: &ArrayRef) -> Result<()> {
        for at in 0..ids.len() {
            let row = self.before + at;
            let fault =
                |message: String| Error::data(self.path, format!("row {row} (from 0): {message}"));
            let id = id_at(ids, at).ok_or_else(|| fault("the id is null".into()))?;
            let values = vector_at(vectors, at)
                .ok_or_else(|| fault(format!("the vector of item `{id}` is null")))?;
            let Some(&item) = self.item_of.get(id.as_str()) else {
                self.n_unknown += 1;
                self.unknown.get_or_insert((row, id));
                continue;
            };
            if let Some(first) = self.row_of[item] {
                let message = format!("item `{id}` has a vector already, in row {first}");
                return Err(fault(message).with_help("give each item one row"));
            }
            if self.dim == 0 {
                self.dim = values.len();
                self.data = vec![0.0; self.ids.len() * self.dim];
            }
            if values.is_empty() || values.len() != self.dim {
                let (found, dim) = (values.len(), self.dim);
                let message = format!(
                    "the vector of item `{id}` has {found} numbers, expected {}",
                    if dim == 0 { "at least 1".to_owned() } else { format!("{dim} as before") }
                );
                return Err(fault(message));
            }
            let slots = &mut self.data[item * self.dim..][..self.dim];
            for (place, (slot, value)) in slots.iter_mut().zip(&values).enumerate() {
                *slot = match value {
                    Some(value) if (*value as f32).is_finite() => *value as f32,
                    other => {
                        let found = other.map_or("null".into(), |value| value.to_string());
                        let message = format!(
                            "number {place} (from 0) of the vector of item `{id}` is {found}, \
                             not a number to compute with in 32 bits"
                        );
                        return Err(fault(message));
                    }
                };
            }
            self.row_of[item] = Some(row);
        }
        self.before += ids.len();
        Ok(())
    }

    fn finish(self) -> Result<Vectors> {
        if let Some((row, id)) = self.unknown {
            let message = format!(
                "{} of {} rows are of items that the corpus does not have; the first is row {row} (from 0), item `{id}`",
                self.n_unknown, self.before
            );
            return Err(Error::data(self.path, message)
                .with_help("ids must be those of the corpus: remove other rows"));
        }
        let missing: Vec<&String> = self
            .ids
            .iter()
            .zip(&self.row_of)
            .filter(|(_, row)| row.is_none())
            .map(|(id, _)| id)
            .collect();
        if let Some(first) = missing.first() {
            let message = format!(
                "{} of {} items have no vector; the first is `{first}`",
                missing.len(),
                self.ids.len()
            );
            return Err(Error::data(self.path, message)
                .with_help("give every item a row, of zeros where nothing is known"));
        }
        Vectors::new(self.dim, self.data, self.path)
    }
}

/// An id as text; none where it is null.
fn id_at(array: &ArrayRef, at: usize) -> Option<String> {
    if array.is_null(at) {
        return None;
    }
    macro_rules! digits {
        ($type:ty) => {
            Some(array.as_primitive::<$type>().value(at).to_string())
        };
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(at).to_owned()),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(at).to_owned()),
        DataType::Utf8View => Some(array.as_string_view().value(at).to_owned()),
        DataType::Int8 => digits!(Int8Type),
        DataType::Int16 => digits!(Int16Type),
        DataType::Int32 => digits!(Int32Type),
        DataType::Int64 => digits!(Int64Type),
        DataType::UInt8 => digits!(UInt8Type),
        DataType::UInt16 => digits!(UInt16Type),
        DataType::UInt32 => digits!(UInt32Type),
        DataType::UInt64 => digits!(UInt64Type),
        _ => None,
    }
}

/// The numbers of a row's list, none among them where one is null; none where the list is.
fn vector_at(array: &ArrayRef, at: usize) -> Option<Vec<Option<f64>>> {
    if array.is_null(at) {
        return None;
    }
    let list = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(at),
        DataType::LargeList(_) => array.as_list::<i64>().value(at),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(at),
        _ => return None,
    };
    match list.data_type() {
        DataType::Float32 => {
            let values = list.as_primitive::<Float32Type>().iter();
            Some(values.map(|value| value.map(f64::from)).collect())
        }
        DataType::Float64 => Some(list.as_primitive::<Float64Type>().iter().collect()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{FixedSizeListBuilder, Float32Builder};
    use arrow_array::{Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )
        .unwrap();
        let file = File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn texts(ids: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(ids.to_vec()))
    }

    type Row<'a> = Option<&'a [Option<f32>]>;

    fn lists(rows: &[Row<'_>]) -> ArrayRef {
        let rows = rows.iter().map(|row| row.map(<[Option<f32>]>::to_vec));
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
    }

    fn ids() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    const A: &[Option<f32>] = &[Some(1.0), Some(2.0)];
    const B: &[Option<f32>] = &[Some(3.0), Some(4.0)];
    const C: &[Option<f32>] = &[Some(5.0), Some(-6.0)];

    /// What is said about a table of these columns.
    fn told(columns: Vec<(&str, ArrayRef)>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        write(&path, columns);
        read_table(&path, &TableColumns::default(), &ids()).unwrap_err().to_string()
    }

    #[test]
    fn rows_are_joined_by_id_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let noise: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 0.5, 0.5]));
        let vectors = lists(&[Some(C), Some(A), Some(B)]);
        write(&path, vec![("vector", vectors), ("more", noise), ("item", texts(&["c", "a", "b"]))]);
        let read = read_table(&path, &TableColumns::default(), &ids()).unwrap();
        assert_eq!((read.dim, read.data.to_vec()), (2, vec![1.0, 2.0, 3.0, 4.0, 5.0, -6.0]));
    }

    #[test]
    fn lists_of_fixed_size_doubles_and_numbered_items_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let mut fixed = FixedSizeListBuilder::new(Float32Builder::new(), 2);
        for row in [B, A] {
            row.iter().for_each(|value| fixed.values().append_option(*value));
            fixed.append(true);
        }
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![70, 7]));
        write(&path, vec![("sku", numbers.clone()), ("emb", Arc::new(fixed.finish()))]);
        let columns = TableColumns { id: "sku", vector: "emb" };
        let ids = ["7", "70"].map(str::to_owned);
        assert_eq!(read_table(&path, &columns, &ids).unwrap().data, [1.0, 2.0, 3.0, 4.0]);

        let doubles = [vec![Some(0.25)], vec![Some(-1e-3)]].map(Some);
        let doubles = ListArray::from_iter_primitive::<Float64Type, _, _>(doubles);
        write(&path, vec![("sku", numbers), ("emb", Arc::new(doubles))]);
        assert_eq!(read_table(&path, &columns, &ids).unwrap().data, [-1e-3, 0.25]);
    }

    #[test]
    fn columns_must_be_there_in_the_right_type() {
        let abc = || texts(&["a", "b", "c"]);
        let fine = || lists(&[Some(A), Some(B), Some(C)]);
        let text = told(vec![("id", abc()), ("vector", fine())]);
        assert!(text.contains("no column is called `item`; the columns are id, vector"), "{text}");
        assert!(text.contains("`id_column`"), "{text}");
        let text = told(vec![("item", abc()), ("emb", fine())]);
        assert!(text.contains("no column is called `vector`") && text.contains("`vector_column`"));
        let text = told(vec![("item", fine()), ("vector", fine())]);
        assert!(text.contains("column `item`: expected text or whole numbers, found lists of"));
        let text = told(vec![("item", abc()), ("vector", abc())]);
        assert!(text.contains("`vector`: expected lists of f32 or f64 numbers, found"), "{text}");
        let whole = [vec![Some(1)], vec![Some(2)], vec![Some(3)]].map(Some);
        let whole: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(whole));
        let text = told(vec![("item", abc()), ("vector", whole)]);
        assert!(text.contains("found lists of Int64"), "{text}");
    }

    #[test]
    fn every_bad_row_is_named() {
        let with = |ids: &[&str], rows: &[Row<'_>]| {
            told(vec![("item", texts(ids)), ("vector", lists(rows))])
        };
        let abc = &["a", "b", "c"];
        let text = with(abc, &[Some(A), Some(&[Some(1.0)]), Some(C)]);
        assert!(text.contains("row 1 (from 0): the vector of item `b` has 1 numbers, expected 2"));
        assert!(with(abc, &[Some(&[]), Some(A), Some(C)]).contains("expected at least 1"));
        let text = with(abc, &[Some(A), None, Some(C)]);
        assert!(text.contains("row 1 (from 0): the vector of item `b` is null"), "{text}");
        let text = with(abc, &[Some(A), Some(B), Some(&[Some(1.0), None])]);
        assert!(text.contains("row 2 (from 0): number 1 (from 0)") && text.contains("is null"));
        let text = with(abc, &[Some(&[Some(f32::NAN), None]), Some(B), Some(C)]);
        assert!(text.contains("row 0 (from 0): number 0") && text.contains("is NaN"), "{text}");
        let text = with(&["a", "b", "a"], &[Some(A), Some(B), Some(C)]);
        assert!(text.contains("row 2 (from 0): item `a` has a vector already, in row 0"), "{text}");
        let text = with(&["a", "x", "y"], &[Some(A), Some(B), Some(C)]);
        assert!(text.contains("2 of 3 rows are of items that the corpus does not have"), "{text}");
        assert!(text.contains("row 1 (from 0), item `x`"), "{text}");
        let text = with(&["a"], &[Some(A)]);
        assert!(text.contains("2 of 3 items have no vector; the first is `b`"), "{text}");
        assert!(with(&[], &[]).contains("3 of 3 items have no vector"));
        let null: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let text = told(vec![("item", null), ("vector", lists(&[Some(A), Some(B)]))]);
        assert!(text.contains("row 1 (from 0): the id is null"), "{text}");
        let huge = [Some(vec![Some(1e300)])];
        let huge: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(huge));
        let text = told(vec![("item", texts(&["a"])), ("vector", huge)]);
        assert!(text.contains("not a number to compute with in 32 bits"), "{text}");
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let say = || read_table(&path, &TableColumns::default(), &ids()).unwrap_err().to_string();
        assert!(say().contains("cannot be read"));
        let vectors = lists(&[Some(A), Some(B), Some(C)]);
        write(&path, vec![("item", texts(&["a", "b", "c"])), ("vector", vectors)]);
        let whole = std::fs::read(&path).unwrap();
        for end in [0, 4, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..end]).unwrap();
            assert!(say().contains("Parquet file"), "{}", say());
        }
    }
}
