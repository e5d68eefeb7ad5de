//! Lines of fields under a header.

use std::borrow::Cow;
use std::path::Path;

use super::path::{FieldPath, below};
use super::unpacked::{Position, Unpacked};
use super::value::Value;
use super::{Head, Reading, Record, Rows, head, json};
use crate::corpus::import::text::{CsvFile, CsvRow, without_column};
use crate::corpus::settings::Format;
use crate::error::Result;

/// Types that RecBole's atomic files write behind the names of their columns.
const ATOMIC_TYPES: [&str; 4] = [":token", ":token_seq", ":float", ":float_seq"];

/// Reads a file whose first line names its columns. A path that leads below a column reads the field
/// as JSON.
pub(super) fn read(path: &Path, head: &Head, rows: &mut Rows<'_, '_>) -> Result<()> {
    let (mut file, position) = open(path, head)?;
    let names = plain_names(file.header());
    let places = places(path, &names, rows.wanted)?;
    while let Some(row) = file.next(rows.faults)? {
        let record = record(&row, &places, &names, rows.wanted);
        rows.counted(row.line, position.get(), record)?;
    }
    Ok(())
}

/// Whether a file has the fields.
pub(super) fn check_header(path: &Path, head: &Head, wanted: &super::Wanted) -> Result<()> {
    let (file, _) = open(path, head)?;
    places(path, &plain_names(file.header()), wanted).map(drop)
}

/// The columns of the fields.
fn places(path: &Path, names: &[String], wanted: &super::Wanted) -> Result<Vec<usize>> {
    let place = |(field, key): &(FieldPath, String)| {
        let place = names.iter().position(|name| name == field.text());
        let place = place.or_else(|| names.iter().position(|name| field.behind(name).is_some()));
        place.ok_or_else(|| without_column(path, field.text(), key, names))
    };
    wanted.fields.iter().map(place).collect()
}

/// A file with a header, whatever separates its fields, and how far it is read.
fn open(path: &Path, head: &Head) -> Result<(CsvFile, Position)> {
    let reader = Unpacked::open(path)?;
    let position = reader.watch();
    Ok((
        CsvFile::of(path, reader, head.delimiter, head.skips_line, position.since_row())?,
        position,
    ))
}

/// Opens a file with a header; name and first line tell what separates its fields.
///
/// # Errors
/// [`crate::Error::Data`] when it cannot be read, is empty, or is no file of fields.
pub(in crate::corpus::import) fn open_csv(path: &Path) -> Result<CsvFile> {
    let reading = Reading { format: Some(Format::Csv), delimiter: None };
    Ok(open(path, &head(path, &reading)?)?.0)
}

fn record<'r>(
    row: &'r CsvRow,
    places: &[usize],
    names: &[String],
    wanted: &super::Wanted,
) -> std::result::Result<Record<'r>, String> {
    let value = |place: usize| Ok::<_, String>(Value::of_text(Cow::Borrowed(row.field(place)?)));
    let mut values = Vec::with_capacity(places.len());
    for (&place, (field, _)) in places.iter().zip(&wanted.fields) {
        let behind = field.behind(&names[place]).unwrap_or_default();
        let value = value(place)?;
        values.push(match value {
            Value::Text(Cow::Borrowed(text)) if !behind.is_empty() => {
                below(json::parse(text)?, behind)
            }
            value => value,
        });
    }
    let mut rest = Vec::new();
    if wanted.rest {
        for (place, name) in names.iter().enumerate().filter(|(place, _)| !places.contains(place)) {
            rest.push((name.clone(), value(place)?));
        }
    }
    Ok(Record { line: row.line, values, rest })
}

/// Names of columns, without the types of atomic files where all columns have one.
pub(super) fn plain_names(header: &[String]) -> Vec<String> {
    let plain = |name: &String| {
        let ending = ATOMIC_TYPES.iter().find_map(|ending| name.strip_suffix(ending));
        ending.map(str::to_owned)
    };
    let all: Option<Vec<String>> = header.iter().map(plain).collect();
    all.unwrap_or_else(|| header.to_vec())
}
