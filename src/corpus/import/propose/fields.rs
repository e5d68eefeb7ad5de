//! The fields of a file, from its first rows: what they hold, how often they are empty, and an example.

use std::path::{Path, PathBuf};

use crate::corpus::import::faults::Faults;
use crate::corpus::import::records::{Head, Reading, Value, Wanted, head, read};
use crate::corpus::settings::Format;
use crate::error::{Error, Result};
use crate::progress::Context;

/// Rows that are looked at.
pub(super) const LOOKED_AT: usize = 2_000;

/// Longest example, in characters.
const EXAMPLE: usize = 40;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// True and false, or 0 and 1.
    Flags,
    /// Numbers.
    Numbers,
    /// Times, as text.
    Times,
    /// Text.
    Texts,
    /// Lists.
    Lists,
    /// Nothing in the rows that were looked at.
    Nothing,
}

impl Holding {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flags => "flags",
            Self::Numbers => "numbers",
            Self::Times => "times",
            Self::Texts => "text",
            Self::Lists => "lists",
            Self::Nothing => "nothing",
        }
    }
}

/// A field as it was seen.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name, with points into objects.
    pub name: String,
    /// What it holds.
    pub holds: Holding,
    /// Share of rows without a value.
    pub empty: f64,
    /// A value.
    pub example: String,
    /// Different values, up to a few.
    pub(super) values: Vec<String>,
    /// Values of single cells, or of entries of lists, of the first rows.
    pub(super) entries: Vec<String>,
}

/// Different values that are kept of a field.
const KEPT_VALUES: usize = 24;
/// Entries that are kept of a field.
const KEPT_ENTRIES: usize = 4_000;

/// A file as it was seen.
pub struct Looked {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// What separates the fields of a line, where it has lines of fields.
    pub delimiter: Option<char>,
    /// Its fields in the order of the first row that has them.
    pub fields: Vec<Field>,
    /// Rows that were looked at.
    pub rows: usize,
}

impl Looked {
    /// Looks at the first rows of a file.
    ///
    /// # Errors
    /// [`Error::Data`] when it cannot be read.
    pub fn at(path: &Path, ctx: &Context) -> Result<Self> {
        let reading = Reading::default();
        let Head { format, delimiter, .. } = head(path, &reading)?;
        let wanted = Wanted { fields: Vec::new(), rest: true };
        let mut rows: Vec<Vec<(String, Value<'static>)>> = Vec::new();
        let mut faults = Faults::default();
        let files = [path.to_owned()];
        let outcome = read(&files, &reading, &wanted, (&mut faults, 1.0), ctx, &mut |record| {
            let mut flat = Vec::new();
            for (name, value) in &record.rest {
                flatten(name, value.clone().into_owned(), &mut flat);
            }
            rows.push(flat);
            // Whoever looks has seen enough.
            if rows.len() < LOOKED_AT { Ok(Ok(())) } else { Err(Error::Broken) }
        });
        if rows.len() < LOOKED_AT {
            outcome?;
        }
        if rows.is_empty() {
            return Err(Error::data(path, "holds no rows"));
        }
        let mut names: Vec<String> = Vec::new();
        for name in rows.iter().flatten().map(|(name, _)| name) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let fields = names.into_iter().map(|name| field(name, &rows)).collect();
        Ok(Self {
            path: path.to_owned(),
            format,
            delimiter: (format == Format::Csv).then_some(char::from(delimiter)),
            fields,
            rows: rows.len(),
        })
    }
}

/// The values of a value, with points into objects; of a list of objects, a list for each of their fields.
fn flatten(name: &str, value: Value<'static>, flat: &mut Vec<(String, Value<'static>)>) {
    match value {
        Value::Map(fields) => {
            for (key, value) in fields {
                flatten(&format!("{name}.{key}"), value, flat);
            }
        }
        Value::List(entries) if entries.iter().any(|entry| matches!(entry, Value::Map(_))) => {
            let mut keys: Vec<String> = Vec::new();
            for entry in &entries {
                if let Value::Map(fields) = entry {
                    keys.extend(fields.iter().map(|(key, _)| key.to_string()));
                }
            }
            keys.sort();
            keys.dedup();
            for key in keys {
                let of = |entry: &Value<'static>| match entry {
                    Value::Map(fields) => fields
                        .iter()
                        .find(|(name, _)| *name == key)
                        .map(|(_, value)| value.clone())
                        .unwrap_or_default(),
                    _ => Value::Absent,
                };
                let list = entries.iter().map(of).collect();
                flat.push((format!("{name}.{key}"), Value::List(list)));
            }
        }
        value => flat.push((name.to_owned(), value)),
    }
}

fn field(name: String, rows: &[Vec<(String, Value<'static>)>]) -> Field {
    let (mut values, mut entries) = (Vec::<String>::new(), Vec::new());
    let (mut n_found, mut n_lists, mut n_numbers, mut n_flags, mut n_times) = (0, 0, 0, 0, 0);
    let mut example = String::new();
    for value in rows.iter().flatten().filter(|(other, _)| *other == name).map(|(_, value)| value) {
        if value.is_absent() {
            continue;
        }
        n_found += 1;
        if let Value::List(list) = value {
            n_lists += 1;
            for entry in list {
                if let (Ok(Some(text)), true) = (entry.text(), entries.len() < KEPT_ENTRIES) {
                    entries.push(text.to_owned());
                }
            }
            if example.is_empty() {
                example = entries.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
            }
            continue;
        }
        let Ok(Some(text)) = value.text() else { continue };
        n_flags += usize::from(matches!(text, "0" | "1" | "true" | "false" | "True" | "False"));
        n_numbers += usize::from(value.number().is_ok());
        n_times += usize::from(
            matches!(value, Value::Text(_)) && crate::corpus::import::seconds_of(text).is_some(),
        );
        if example.is_empty() {
            example = text.to_owned();
        }
        if values.len() < KEPT_VALUES && !values.iter().any(|one| one == text) {
            values.push(text.to_owned());
        }
        if entries.len() < KEPT_ENTRIES {
            entries.push(text.to_owned());
        }
    }
    let holds = match n_found {
        0 => Holding::Nothing,
        all if n_lists == all => Holding::Lists,
        all if n_flags == all => Holding::Flags,
        all if n_numbers == all => Holding::Numbers,
        all if n_times == all => Holding::Times,
        _ => Holding::Texts,
    };
    let example = example.chars().filter(|c| !c.is_control()).take(EXAMPLE).collect();
    let empty = 1.0 - n_found as f64 / rows.len().max(1) as f64;
    Field { name, holds, empty, example, values, entries }
}
