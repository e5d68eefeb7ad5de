//! Runs and judgments as Parquet tables: columns `request`, `item` and `score` or `grade`, one row per pair; ids are text or
//! whole numbers. Read by row group in parallel; requests with an empty list have no row.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::columns::{IdColumn, NumberColumn, Table, Wanted, properties, unwritable};
use super::json_id::FromNumber;
use super::lines::Joiner;
use super::source;
use crate::error::{Error, Result};
use crate::pairs::Pairs;
use crate::qrels::{Qrels, QrelsBuilder};
use crate::run::{Run, RunBuilder};

const REQUEST: Wanted = Wanted { names: &["request", "q_id", "query_id", "qid"] };
const ITEM: Wanted = Wanted { names: &["item", "doc_id", "item_id", "docno"] };
const SCORE: Wanted = Wanted { names: &["score", "scores"] };
const GRADE: Wanted = Wanted { names: &["grade", "relevance", "rel", "score"] };
/// Notes in the files that are written here.
const FORMAT_NOTE: &str = "trieval.format";
const RUN_NOTE: &str = "trieval.run";
/// Version of the layout.
const FORMAT: u32 = 1;
/// Rows handed to the writer at a time.
const BATCH_ROWS: usize = 1 << 16;

/// Reads a run. Its name is the one it was written with here, or else the file's.
pub fn read_parquet_run(path: &Path) -> Result<Run> {
    let table = Table::open(path)?;
    let name = table.note(RUN_NOTE).map_or_else(|| source::run_name(path), str::to_owned);
    let legal = |number: f64| (!number.is_nan()).then_some(number);
    let rows = rows(&table, SCORE, "the score must be a number", legal)?;
    RunBuilder::from_rows(name, rows).finish().map_err(|error| at(error, path))
}

/// Reads judgments.
pub fn read_parquet_qrels(path: &Path) -> Result<Qrels> {
    let table = Table::open(path)?;
    let legal = |number: f64| number.is_finite().then_some(number);
    let rows = rows(&table, GRADE, "the grade must be a finite number", legal)?;
    QrelsBuilder::from_rows(rows).finish().map_err(|error| at(error, path))
}

/// Writes a run in evaluated order, with its name. Requests with an empty list leave no row.
pub fn write_parquet_run(run: &Run, writer: &mut (impl Write + Send)) -> Result<()> {
    let what = format!("run {}", run.name());
    let notes = vec![(FORMAT_NOTE, FORMAT.to_string()), (RUN_NOTE, run.name().to_owned())];
    let rows = run
        .rankings()
        .flat_map(|one| one.items().map(move |(item, score)| (one.request(), item, score)));
    write_rows(rows, "score", DataType::Float32, &what, notes, writer, |scores| {
        Arc::new(Float32Array::from(scores))
    })
}

/// Writes judgments, requests and items in byte order of their ids.
pub fn write_parquet_qrels(qrels: &Qrels, writer: &mut (impl Write + Send)) -> Result<()> {
    let notes = vec![(FORMAT_NOTE, FORMAT.to_string())];
    let rows = qrels.judgments().flat_map(|one| {
        let mut grades: Vec<(&str, f64)> = one.grades().collect();
        grades.sort_unstable_by_key(|&(item, _)| item);
        grades.into_iter().map(move |(item, grade)| (one.request(), item, grade))
    });
    write_rows(rows, "grade", DataType::Float64, "qrels", notes, writer, |grades| {
        Arc::new(Float64Array::from(grades))
    })
}

fn rows<V: FromNumber>(
    table: &Table<'_>,
    number: Wanted,
    fault: &str,
    legal: impl Fn(f64) -> Option<f64> + Sync,
) -> Result<Pairs<V>> {
    let columns = table.find([REQUEST, ITEM, number])?;
    let mut joiner = Joiner::new();
    joiner.expect(table.n_rows());
    for groups in table.groups().chunks(joiner.width()) {
        let results = joiner.fill(groups.to_vec(), |group, rows| {
            table.read(group, &columns, |arrays, before| {
                let [requests, items, numbers] = arrays else { return Ok(()) };
                let typed = |at: usize, what: String| {
                    let name = table.names().nth(columns[at]).unwrap_or_default();
                    table.fault(before, &format!("column `{name}` {what}"))
                };
                let mut request_ids = IdColumn::new(requests).map_err(|what| typed(0, what))?;
                let mut item_ids = IdColumn::new(items).map_err(|what| typed(1, what))?;
                let values = NumberColumn::new(numbers).map_err(|what| typed(2, what))?;
                for row in 0..requests.len() {
                    let request =
                        request_ids.get(row).map_err(|what| table.fault(before + row, what))?;
                    let item = item_ids.get(row).map_err(|what| table.fault(before + row, what))?;
                    let value = values.get(row).and_then(&legal);
                    let value = value.ok_or_else(|| {
                        let what = format!("{fault} (request {request}, item {item})");
                        table.fault(before + row, &what)
                    })?;
                    rows.push(request, item, V::from_number(value));
                }
                Ok(())
            })
        });
        results.into_iter().collect::<Result<Vec<()>>>()?;
    }
    Ok(joiner.finish())
}

/// A pair that comes twice, told with the file.
fn at(error: Error, path: &Path) -> Error {
    match error {
        Error::Duplicate { request, item, .. } => {
            Error::Duplicate { place: path.display().to_string(), request, item }
        }
        other => other,
    }
}

fn write_rows<'a, V>(
    mut rows: impl Iterator<Item = (&'a str, &'a str, V)>,
    number: &str,
    kind: DataType,
    what: &str,
    notes: Vec<(&str, String)>,
    writer: &mut (impl Write + Send),
    array: impl Fn(Vec<V>) -> ArrayRef,
) -> Result<()> {
    let failed = |error| unwritable(what, error);
    let schema = Arc::new(Schema::new(vec![
        Field::new("request", DataType::Utf8, false),
        Field::new("item", DataType::Utf8, false),
        Field::new(number, kind, false),
    ]));
    let mut table = ArrowWriter::try_new(writer, Arc::clone(&schema), Some(properties(notes)))
        .map_err(failed)?;
    loop {
        let (mut requests, mut items, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for (request, item, number) in rows.by_ref().take(BATCH_ROWS) {
            requests.push(request);
            items.push(item);
            numbers.push(number);
        }
        if requests.is_empty() {
            break;
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(requests)),
            Arc::new(StringArray::from(items)),
            array(numbers),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        let batch = batch.map_err(|error| failed(error.into()))?;
        table.write(&batch).map_err(failed)?;
    }
    table.close().map_err(failed)?;
    Ok(())
}
