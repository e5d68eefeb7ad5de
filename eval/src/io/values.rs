//! Values per request as a Parquet table: column `request`, then one column of numbers per metric that is a mean over requests.
//! The name of the system and the version of the layout are notes of the file.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::columns::{IdColumn, NumberColumn, Table, properties, unwritable};
use super::source;
use crate::error::{Error, Result};
use crate::scores::{SystemScores, Values};

const FORMAT_NOTE: &str = "trieval.values";
const SYSTEM_NOTE: &str = "trieval.system";
/// Version of the layout.
const FORMAT: u32 = 1;
const REQUEST: &str = "request";

/// What such a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestValues {
    /// Name of the system.
    pub system: String,
    /// Names of the metrics.
    pub metrics: Vec<String>,
    /// Ids of the requests.
    pub requests: Vec<String>,
    /// `[metric][request]`.
    pub values: Vec<Vec<f64>>,
}

impl RequestValues {
    /// The values of a system; metrics that are no means over requests are left out.
    pub fn of(scores: &SystemScores) -> Self {
        let mut metrics = Vec::new();
        let mut values = Vec::new();
        for column in &scores.columns {
            if let Values::PerRequest(column_values) = &column.values {
                metrics.push(column.metric.clone());
                values.push(column_values.clone());
            }
        }
        Self { system: scores.system.clone(), metrics, requests: scores.requests.clone(), values }
    }
}

/// Writes the values of a system per request.
pub fn write_values(values: &RequestValues, writer: &mut (impl Write + Send)) -> Result<()> {
    let what = format!("values of {}", values.system);
    let failed = |error| unwritable(&what, error);
    let mut fields = vec![Field::new(REQUEST, DataType::Utf8, false)];
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from_iter_values(values.requests.iter()))];
    for (metric, numbers) in values.metrics.iter().zip(&values.values) {
        fields.push(Field::new(metric, DataType::Float64, false));
        columns.push(Arc::new(Float64Array::from(numbers.clone())));
    }
    let schema = Arc::new(Schema::new(fields));
    let notes = vec![(FORMAT_NOTE, FORMAT.to_string()), (SYSTEM_NOTE, values.system.clone())];
    let mut table = ArrowWriter::try_new(writer, Arc::clone(&schema), Some(properties(notes)))
        .map_err(failed)?;
    let batch = RecordBatch::try_new(schema, columns);
    table.write(&batch.map_err(|error| failed(error.into()))?).map_err(failed)?;
    table.close().map_err(failed)?;
    Ok(())
}

/// Reads values per request back; any table with a column `request` and columns of numbers will do.
pub fn read_values(path: &Path) -> Result<RequestValues> {
    let table = Table::open(path)?;
    let format = table.note(FORMAT_NOTE).unwrap_or("1");
    if format != FORMAT.to_string() {
        let what = format!(
            "the values have format {format}, but this program reads {FORMAT}; evaluate again"
        );
        return Err(Error::file(path, what));
    }
    let names: Vec<String> = table.names().map(str::to_owned).collect();
    let request = names.iter().position(|name| name == REQUEST).ok_or_else(|| {
        Error::file(
            path,
            format!("no column is called `{REQUEST}`; the columns are {}", names.join(", ")),
        )
    })?;
    let others: Vec<usize> = (0..names.len()).filter(|&column| column != request).collect();
    let columns: Vec<usize> = std::iter::once(request).chain(others.iter().copied()).collect();
    let mut read = RequestValues {
        system: table.note(SYSTEM_NOTE).map_or_else(|| source::run_name(path), str::to_owned),
        metrics: others.iter().map(|&column| names[column].clone()).collect(),
        requests: Vec::new(),
        values: vec![Vec::new(); others.len()],
    };
    for group in table.groups() {
        table.read(group, &columns, |arrays, before| {
            let [requests, numbers @ ..] = arrays else { return Ok(()) };
            let mut ids = IdColumn::new(requests)
                .map_err(|what| table.fault(before, &format!("column `{REQUEST}` {what}")))?;
            for row in 0..requests.len() {
                let id = ids.get(row).map_err(|what| table.fault(before + row, what))?;
                read.requests.push(id.to_owned());
            }
            for ((array, metric), values) in numbers.iter().zip(&read.metrics).zip(&mut read.values)
            {
                let column = NumberColumn::new(array)
                    .map_err(|what| table.fault(before, &format!("column `{metric}` {what}")))?;
                for row in 0..array.len() {
                    let value = column.get(row).ok_or_else(|| {
                        table.fault(before + row, &format!("`{metric}` is null; evaluate again"))
                    })?;
                    values.push(value);
                }
            }
            Ok(())
        })?;
    }
    Ok(read)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_equal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let values = RequestValues {
            system: "bm25 é".to_owned(),
            metrics: vec!["ndcg@10".to_owned(), "iprec(rel=2)@0.5".to_owned()],
            requests: vec!["1".to_owned(), "b c".to_owned()],
            values: vec![vec![0.1, 1.0 / 3.0], vec![0.0, 1.0]],
        };
        let mut out = Vec::new();
        write_values(&values, &mut out).unwrap();
        std::fs::write(&path, &out).unwrap();
        assert_eq!(read_values(&path).unwrap(), values);
        let none =
            RequestValues { requests: Vec::new(), values: vec![Vec::new(); 2], ..values.clone() };
        let mut out = Vec::new();
        write_values(&none, &mut out).unwrap();
        std::fs::write(&path, &out).unwrap();
        assert_eq!(read_values(&path).unwrap(), none);
        std::fs::write(&path, b"PAR1 no").unwrap();
        let message = read_values(&path).unwrap_err().to_string();
        assert!(message.contains("a.parquet: the Parquet file cannot be read"), "{message}");
    }
}
