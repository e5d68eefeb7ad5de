//! Small Parquet files in the layouts that other tools write: compressed or not, with a dictionary or not, ids as text or as
//! whole numbers, one row group or several.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::harness::Row;

/// How a file is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    compressed: bool,
    dictionary: bool,
    /// Numbers as 64-bit floats even where they are scores.
    wide: bool,
    /// Rows per row group.
    group: usize,
}

impl Layout {
    pub fn random(rng: &mut ChaCha8Rng) -> Self {
        Self {
            compressed: rng.random_bool(0.5),
            dictionary: rng.random_bool(0.5),
            wide: rng.random_bool(0.5),
            group: rng.random_range(1..4),
        }
    }
}

/// The rows as a file; a text that is no number becomes null.
pub fn bytes(rows: &[Row], is_run: bool, layout: Layout) -> Vec<u8> {
    let texts = |each: fn(&Row) -> &str| -> ArrayRef {
        Arc::new(StringArray::from(rows.iter().map(each).collect::<Vec<&str>>()))
    };
    let numbers = rows.iter().map(|row| row.2.parse::<f64>().ok());
    let numbers: ArrayRef = if is_run && !layout.wide {
        let narrow = numbers.map(|number| number.map(|value| value as f32));
        Arc::new(narrow.collect::<Float32Array>())
    } else {
        Arc::new(numbers.collect::<Float64Array>())
    };
    let name = if is_run { "score" } else { "grade" };
    let columns =
        [("request", texts(|row| &row.0)), ("item", texts(|row| &row.1)), (name, numbers)];
    let compression = match layout.compressed {
        true => Compression::ZSTD(ZstdLevel::default()),
        false => Compression::UNCOMPRESSED,
    };
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(layout.dictionary)
        .set_max_row_group_row_count(Some(layout.group))
        .build();
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.map(|(name, array)| (name, array, name == "score" || name == "grade")),
    );
    // The three columns have one length and different names, and a vector takes every byte.
    let batch = batch.unwrap_or_else(|error| panic!("{error}"));
    let mut out = Vec::new();
    let write = || -> parquet::errors::Result<()> {
        let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    };
    write().unwrap_or_else(|error| panic!("{error}"));
    out
}
