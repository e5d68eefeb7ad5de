//! Items files: CSV with a header, JSON that maps an id to an object, or lines of an id and its text. Keeps ids for
//! look-ups.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io::BufReader;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

use super::super::build::CorpusWriter;
use super::super::cell::{Cell, OpenColumn};
use super::super::rows::ItemRow;
use super::faults::Faults;
use super::records::{Value, open_csv, parse};
use super::text::{MAX_TEXT, check_id, next_line, open, read_utf8, truncate};

/// Row numbers of item ids, with the line (or entry) where each was found.
#[derive(Default)]
pub(super) struct ItemIds {
    rows: HashMap<String, (u32, u64)>,
    /// Open columns, and whether some item has a value in each.
    columns: Vec<(OpenColumn, bool)>,
    /// Titles or texts that were cut.
    pub(super) truncated: u64,
}

impl ItemIds {
    /// None yet, with the open columns of a writer.
    pub(super) fn of(writer: &CorpusWriter) -> Self {
        let columns = writer.item_columns().into_iter().map(|column| (column, false));
        Self { columns: columns.collect(), ..Self::default() }
    }

    /// Row number of an id.
    pub(super) fn get(&self, id: &str) -> Option<u32> {
        self.rows.get(id).map(|&(row, _)| row)
    }

    /// The first ids.
    pub(super) fn first(&self, n: u32) -> Vec<&str> {
        let mut first: Vec<(u32, &str)> = self
            .rows
            .iter()
            .filter(|(_, (row, _))| *row < n)
            .map(|(id, (row, _))| (*row, id.as_str()))
            .collect();
        first.sort_unstable();
        first.into_iter().map(|(_, id)| id).collect()
    }

    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Row number of an id, written as an item without text when it is new.
    pub(super) fn get_or_add(&mut self, id: &str, writer: &mut CorpusWriter) -> Result<u32> {
        if let Some(row) = self.get(id) {
            return Ok(row);
        }
        let absent = vec![Cell::Absent; self.columns.len()];
        let row = writer.item(ItemRow { id: id.to_owned(), ..ItemRow::default() }, absent)?;
        self.rows.insert(id.to_owned(), (row, 0));
        Ok(row)
    }

    /// Writes an item, unless its id is empty or was there before: then the text of a fault.
    pub(super) fn add(
        &mut self,
        mut item: ItemRow,
        line: u64,
        unit: &str,
        writer: &mut CorpusWriter,
    ) -> Result<std::result::Result<(), String>> {
        if item.id.is_empty() {
            return Ok(Err("the item id is empty".into()));
        }
        if let Err(message) = check_id(&item.id) {
            return Ok(Err(format!("the item id is {message}")));
        }
        let cells = match self.cells(&item) {
            Ok(cells) => cells,
            Err(message) => return Ok(Err(message)),
        };
        match self.rows.entry(item.id.clone()) {
            Entry::Occupied(first) => {
                let (id, before) = (first.key(), first.get().1);
                Ok(Err(format!("item id `{id}` again; it was first in {unit} {before}")))
            }
            Entry::Vacant(place) => {
                // Both are cut, so that one long title does not hide a long text.
                let cut = [truncate(&mut item.title), truncate(&mut item.text)];
                self.truncated += u64::from(cut.contains(&true));
                place.insert((writer.item(item, cells)?, line));
                Ok(Ok(()))
            }
        }
    }

    /// What an item has in each open column: the attribute of that name.
    fn cells(&mut self, item: &ItemRow) -> std::result::Result<Vec<Cell>, String> {
        let cell = |(open, is_met): &mut (OpenColumn, bool)| {
            let name = &open.column.name;
            let given = item.attributes.iter().find(|attribute| attribute.0 == *name);
            let Some((_, value)) = given else { return Ok(Cell::Absent) };
            *is_met = true;
            let cell = open.holds.parse(value);
            cell.ok_or_else(|| format!("`{name}` of item `{}` is `{value}`, no number", item.id))
        };
        self.columns.iter_mut().map(cell).collect()
    }

    /// Refuses an open column in which no item has a value.
    pub(super) fn check_columns(&self, path: &Path) -> Result<()> {
        let Some((unmet, _)) = self.columns.iter().find(|(_, is_met)| !is_met) else {
            return Ok(());
        };
        let name = &unmet.column.name;
        Err(Error::data(path, format!("no item has a value of `{name}`")).with_help(
            "correct corpus.item_columns: a column is named like the field that it is read from, \
             which is neither the id nor one of the text",
        ))
    }

    /// A sentence about cut texts, when there are any.
    pub(super) fn remark(&self, warnings: &mut Vec<String>) {
        if self.truncated > 0 {
            warnings.push(format!(
                "{} items had a title or text of more than {MAX_TEXT} bytes, which was cut",
                self.truncated
            ));
        }
    }
}

/// Which columns or fields make an item.
pub(super) struct ItemFields<'a> {
    /// Id column (CSV only) and the recipe key that names it.
    pub(super) id: (&'a str, &'a str),
    /// Text fields, the title first; with the recipe key that names each.
    pub(super) text: Vec<(&'a str, &'a str)>,
}

impl ItemFields<'_> {
    /// Whether a CSV file has these columns; no row is looked at.
    ///
    /// # Errors
    /// [`Error::Data`] for a missing file or column.
    pub(super) fn check_header(&self, path: &Path) -> Result<()> {
        let file = open_csv(path)?;
        let mut all = self.text.iter().chain([&self.id]);
        all.try_for_each(|(name, key)| file.column(name, key).map(drop))
    }
}

/// Reads a CSV file of items into the writer.
///
/// # Errors
/// [`Error::Data`] for a missing file, a missing column or too many malformed rows.
pub(super) fn read_csv(
    path: &Path,
    fields: &ItemFields,
    malformed_share: f64,
    faults: &mut Faults,
    writer: &mut CorpusWriter,
) -> Result<ItemIds> {
    let mut file = open_csv(path)?;
    let id_column = file.column(fields.id.0, fields.id.1)?;
    let text_columns: Vec<usize> =
        fields.text.iter().map(|(name, key)| file.column(name, key)).collect::<Result<_>>()?;
    let others: Vec<(usize, String)> = file
        .header()
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != id_column && !text_columns.contains(place))
        .map(|(place, name)| (place, name.clone()))
        .collect();
    let mut ids = ItemIds::of(writer);
    while let Some(row) = file.next(faults)? {
        let item = (|| {
            let texts: Vec<&str> = text_columns
                .iter()
                .map(|&c| row.field(c))
                .collect::<std::result::Result<_, _>>()?;
            let mut attributes = Vec::new();
            let mut category = Vec::new();
            for (place, name) in &others {
                let value = row.field(*place)?;
                if is_category(name) {
                    category = category_path(value);
                } else if !value.is_empty() {
                    attributes.push((name.clone(), value.to_owned()));
                }
            }
            let (title, text) = title_and_text(texts.into_iter().map(str::to_owned));
            let id = row.field(id_column)?.to_owned();
            Ok(ItemRow { id, title, text, category, attributes, ..ItemRow::default() })
        })();
        let added = match item {
            Ok(item) => ids.add(item, row.line, "line", writer)?,
            Err(message) => Err(message),
        };
        if let Err(message) = added {
            faults.fault(row.line, message);
        }
    }
    faults.end_file(path, malformed_share)?;
    if ids.len() == 0 {
        return Err(Error::data(path, "holds no items"));
    }
    ids.check_columns(path)?;
    Ok(ids)
}

/// Reads a JSON file `{"id": {"field": …}, …}` of items into the writer, in the file's order.
/// Faults name the entry (1-based), since JSON has no lines of its own.
///
/// # Errors
/// [`Error::Data`] for a missing file, text that is not such JSON or too many malformed entries.
pub(super) fn read_json(
    path: &Path,
    text_fields: &[String],
    malformed_share: f64,
    faults: &mut Faults,
    writer: &mut CorpusWriter,
) -> Result<ItemIds> {
    let mut ids = ItemIds::of(writer);
    let mut entry = 0;
    let mut used = vec![false; text_fields.len()];
    for_each_entry(path, &mut |id, value| {
        entry += 1;
        faults.row();
        let item = match value {
            Value::Map(fields) => item_of(&id, &fields, text_fields, &mut used),
            other => Err(format!("item `{id}` is {}; expected an object", other.kind())),
        };
        let added = match item {
            Ok(item) => ids.add(item, entry, "entry", writer)?,
            Err(message) => Err(message),
        };
        if let Err(message) = added {
            faults.fault(entry, message);
        }
        Ok(())
    })?;
    faults.end_file(path, malformed_share)?;
    if ids.len() == 0 {
        return Err(Error::data(path, "holds no items"));
    }
    if let Some(place) = used.iter().position(|used| !used) {
        let field = &text_fields[place];
        return Err(Error::data(path, format!("no item has a field `{field}`"))
            .with_help("correct corpus.text_fields"));
    }
    ids.check_columns(path)?;
    Ok(ids)
}

/// Reads lines `id text …` of items into the writer; the text is the title, in single spaces, and may be missing.
///
/// # Errors
/// [`Error::Data`] for a missing file or too many malformed lines.
pub(super) fn read_lines(
    path: &Path,
    malformed_share: f64,
    faults: &mut Faults,
    writer: &mut CorpusWriter,
) -> Result<ItemIds> {
    let mut reader = BufReader::with_capacity(1 << 18, open(path)?);
    let mut ids = ItemIds::of(writer);
    let (mut bytes, mut line) = (Vec::new(), 0);
    while next_line(&mut reader, &mut bytes, path, &mut line)? {
        let added = match std::str::from_utf8(&bytes) {
            Err(e) => Err(format!("not UTF-8 from byte {}", e.valid_up_to())),
            Ok(text) => {
                let mut words = text.trim_start_matches('\u{feff}').split_whitespace();
                let Some(id) = words.next() else { continue };
                let title = words.collect::<Vec<_>>().join(" ");
                let item = ItemRow { id: id.to_owned(), title, ..ItemRow::default() };
                ids.add(item, line, "line", writer)?
            }
        };
        faults.row();
        if let Err(message) = added {
            faults.fault(line, message);
        }
    }
    faults.end_file(path, malformed_share)?;
    if ids.len() == 0 {
        return Err(Error::data(path, "holds no items"));
    }
    ids.check_columns(path)?;
    Ok(ids)
}

/// Calls `entry` for each key and value of a JSON object, in order, repeated keys included.
pub(super) fn for_each_entry(
    path: &Path,
    entry: &mut dyn FnMut(String, Value<'_>) -> Result<()>,
) -> Result<()> {
    let text = read_utf8(path)?;
    if text.trim().is_empty() {
        return Err(Error::data(path, "the file is empty; expected a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
    let mut failure = None;
    let entries = Entries { entry, failure: &mut failure };
    let parsed = entries.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (failure, parsed) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(e)) => {
            Err(Error::data_at(path, e.line() as u64, format!("is not a JSON object: {e}")))
        }
    }
}

struct Entries<'a> {
    entry: &'a mut dyn FnMut(String, Value<'_>) -> Result<()>,
    failure: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object that maps ids to values")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<(), M::Error> {
        while let Some((key, raw)) = map.next_entry::<String, &RawValue>()? {
            let value = parse(raw.get()).map_err(serde::de::Error::custom)?;
            if let Err(error) = (self.entry)(key, value) {
                *self.failure = Some(error);
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

fn item_of(
    id: &str,
    fields: &[(Cow<'_, str>, Value<'_>)],
    text_fields: &[String],
    used: &mut [bool],
) -> std::result::Result<ItemRow, String> {
    let mut texts = Vec::new();
    for (field, used) in text_fields.iter().zip(used) {
        let Some((_, value)) = fields.iter().find(|(name, _)| name == field) else {
            texts.push(String::new());
            continue;
        };
        *used = true;
        texts.push(text_of(value).ok_or_else(|| {
            format!("field `{field}` of item `{id}` is {}; expected text", value.kind())
        })?);
    }
    let (title, text) = title_and_text(texts);
    let mut category = Vec::new();
    let mut attributes = Vec::new();
    for (name, value) in fields {
        let Some(value) = text_of(value) else { continue };
        if is_category(name) {
            category = category_path(&value);
        } else if !text_fields.iter().any(|field| field == name) && !value.is_empty() {
            attributes.push((name.to_string(), value));
        }
    }
    Ok(ItemRow {
        id: id.trim().to_owned(),
        title,
        text,
        category,
        attributes,
        ..ItemRow::default()
    })
}

/// The first text is the title, the others follow in order, separated by spaces.
fn title_and_text(texts: impl IntoIterator<Item = String>) -> (String, String) {
    let mut texts = texts.into_iter();
    let title = texts.next().unwrap_or_default();
    let rest: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    (title, rest.join(" "))
}

pub(super) fn is_category(name: &str) -> bool {
    ["category", "categories", "category_path"].contains(&name)
}

fn category_path(value: &str) -> Vec<String> {
    let separator = if value.contains('>') { '>' } else { ',' };
    value.split(separator).map(|part| part.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

/// A scalar as text, a list of such separated by commas; nothing for objects.
fn text_of(value: &Value<'_>) -> Option<String> {
    match value {
        Value::List(values) => {
            let texts: Option<Vec<String>> = values.iter().map(text_of).collect();
            texts.map(|texts| texts.join(", "))
        }
        single => Some(single.text().ok()?.unwrap_or_default().to_owned()),
    }
}
