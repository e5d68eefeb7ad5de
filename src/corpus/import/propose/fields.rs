//! The fields of a file, from its first rows: what they hold, how often they are empty, and an example.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::corpus::import::faults::Faults;
use crate::corpus::import::records::{Head, Reading, Value, Wanted, head, matching, read, unread};
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
    /// Whether all values are whole numbers.
    pub(super) whole: bool,
    /// The largest number.
    pub(super) most: f64,
    /// Where nearly all values are numbers: how many are none, and the first of them.
    pub(super) odd: Option<(usize, String)>,
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
    /// The file, or the pattern of several.
    pub path: PathBuf,
    /// The files of the pattern.
    pub(super) files: Vec<PathBuf>,
    /// What should be known of it.
    pub remarks: Vec<String>,
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
        let files = files(path)?;
        let reading = Reading::default();
        let Head { format, delimiter, .. } = head(&files[0], &reading)?;
        let wanted = Wanted { fields: Vec::new(), rest: true };
        let mut rows: Vec<Vec<(String, Value<'static>)>> = Vec::new();
        let mut faults = Faults::default();
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
        faults.end_file(path, 1.0)?;
        let malformed = faults.finish(&mut Vec::new());
        let first = malformed.first.first().map_or("", String::as_str);
        if rows.is_empty() {
            return Err(match malformed.rows {
                0 => Error::data(path, "holds no rows"),
                n_rows => {
                    let message =
                        format!("none of its {n_rows} rows can be read; the first: {first}");
                    Error::data(path, message).with_help("give a file whose rows have fields")
                }
            });
        }
        let mut remarks = Vec::new();
        if malformed.rows > 0 {
            let n_rows = malformed.rows;
            remarks.push(format!("{n_rows} of the first rows are malformed; the first: {first}"));
        }
        if format == Format::Parquet {
            for (name, of) in unread(&files[0])? {
                let path = path.display();
                let message =
                    format!("column `{name}` of {path} is of type {of}, which is not read");
                remarks.push(message);
            }
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
            files,
            remarks,
            format,
            delimiter: (format == Format::Csv).then_some(char::from(delimiter)),
            fields,
            rows: rows.len(),
        })
    }
}

/// The files of a name or a pattern, each of which can be opened.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let files = match path.exists() {
        true => vec![path.to_owned()],
        false => matching(Path::new(""), path).map_err(|e| match e {
            Error::Data { .. } => Error::data(path, "no file matches this pattern")
                .with_help("patterns are relative to the working folder"),
            other => other,
        })?,
    };
    for file in &files {
        let opened = std::fs::File::open(file).map(drop);
        opened.map_err(|e| {
            let help = match std::fs::read_link(file) {
                Ok(to) => format!("it is a link to {}; name the file itself", to.display()),
                Err(_) => "name a file that is there and that you may read".into(),
            };
            Error::unreadable(file, &e).with_help(help)
        })?;
    }
    Ok(files)
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
            let n_entries = entries.len();
            let mut lists: BTreeMap<String, Vec<Value<'static>>> = BTreeMap::new();
            for (place, entry) in entries.into_iter().enumerate() {
                let mut own = Vec::new();
                if let Value::Map(_) = entry {
                    flatten(name, entry, &mut own);
                }
                for (name, value) in own {
                    let list = lists.entry(name).or_insert(vec![Value::Absent; n_entries]);
                    list[place] = value;
                }
            }
            flat.extend(lists.into_iter().map(|(name, list)| (name, Value::List(list))));
        }
        value => flat.push((name.to_owned(), value)),
    }
}

fn field(name: String, rows: &[Vec<(String, Value<'static>)>]) -> Field {
    let (mut values, mut entries) = (Vec::<String>::new(), Vec::new());
    let (mut n_found, mut n_lists, mut n_numbers, mut n_flags, mut n_times) = (0, 0, 0, 0, 0);
    let (mut whole, mut most, mut no_number) = (true, f64::NEG_INFINITY, None);
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
        n_flags += usize::from(is_flag(text));
        match value.number() {
            Ok(number) => {
                let number = number.unwrap_or_default();
                n_numbers += 1;
                whole &= number.fract() == 0.0;
                most = most.max(number);
            }
            Err(_) => {
                whole = false;
                no_number.get_or_insert_with(|| text.to_owned());
            }
        }
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
    let nearly = holds == Holding::Texts && 10 * n_numbers >= 9 * n_found;
    let odd = no_number.filter(|_| nearly).map(|text| (n_found - n_numbers, text));
    let whole = whole && n_numbers > 0;
    Field { name, holds, empty, example, whole, most, odd, values, entries }
}

/// Whether a text is a word or digit of a flag.
fn is_flag(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["0", "1", "true", "false", "yes", "no", "t", "f", "y", "n"].contains(&text.as_str())
}
