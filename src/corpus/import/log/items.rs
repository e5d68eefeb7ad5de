//! Items of a log: their files into the items table.

use std::path::{Path, PathBuf};

use super::settings::ItemFiles;
use crate::corpus::build::CorpusWriter;
use crate::corpus::import::faults::Faults;
use crate::corpus::import::items::ItemIds;
use crate::corpus::import::records::{FieldPath, Record, Value, Wanted, matching, read};
use crate::corpus::import::text::plain;
use crate::corpus::rows::ItemRow;
use crate::error::{Error, Result};
use crate::progress::Context;

/// Where the parts of an item stand in a row.
struct Slots {
    id: usize,
    title: Option<usize>,
    text: Vec<usize>,
    category: Vec<usize>,
    /// Price, day of launch, day of the counts; shown, clicked, ordered.
    numbers: [Option<usize>; 6],
    attributes: Vec<(usize, String)>,
}

/// Reads the items files into the writer; returns their ids, and the files.
///
/// # Errors
/// [`Error::Data`] for what cannot be read and too many malformed rows.
pub(super) fn read_items(
    settings: &ItemFiles,
    folder: &Path,
    (faults, share): (&mut Faults, f64),
    writer: &mut CorpusWriter,
    ctx: &Context,
) -> Result<(ItemIds, Vec<PathBuf>)> {
    let files = matching(folder, &settings.file)?;
    let (slots, wanted) = slots(settings);
    let mut ids = ItemIds::of(writer);
    let reading = super::reading(settings.format, settings.delimiter);
    read(&files, &reading, &wanted, (faults, share), ctx, &mut |record| match item(
        settings, &slots, record,
    ) {
        Ok(item) => ids.add(item, record.line, "row", writer),
        Err(message) => Ok(Err(message)),
    })?;
    let first = files.first().map_or(folder, PathBuf::as_path);
    if ids.len() == 0 {
        return Err(Error::data(first, "holds no items"));
    }
    ids.check_columns(first)?;
    Ok((ids, files))
}

/// Ends the name of an object whose fields all become attributes.
const SPREAD: &str = ".*";

/// Fields that hold numbers, with their keys.
fn numbers(settings: &ItemFiles) -> [(Option<&String>, &'static str); 6] {
    [
        (settings.price.as_ref(), "price"),
        (settings.launch_day.as_ref(), "launch_day"),
        (settings.statistics_day.as_ref(), "statistics_day"),
        (settings.shown.as_ref(), "shown"),
        (settings.clicks.as_ref(), "clicks"),
        (settings.orders.as_ref(), "orders"),
    ]
}

/// The fields that are read.
pub(super) fn wanted(settings: &ItemFiles) -> Wanted {
    slots(settings).1
}

fn slots(settings: &ItemFiles) -> (Slots, Wanted) {
    let mut fields = Vec::new();
    let mut slot = |name: &str, key: &str| {
        fields.push((FieldPath::new(name), format!("corpus.items.{key}")));
        fields.len() - 1
    };
    let mut slots = Slots {
        id: slot(&settings.id, "id"),
        title: settings.title.as_ref().map(|name| slot(name, "title")),
        text: settings.text.iter().map(|name| slot(name, "text")).collect(),
        category: settings.category.iter().map(|name| slot(name, "category")).collect(),
        numbers: numbers(settings).map(|(name, key)| name.map(|name| slot(name, key))),
        attributes: Vec::new(),
    };
    if let Some(attributes) = &settings.attributes {
        let columns = settings.columns.iter().map(|column| &column.name);
        let more = columns.filter(|name| !attributes.contains(name));
        slots.attributes = attributes
            .iter()
            .chain(more)
            .map(|name| {
                (slot(name.strip_suffix(SPREAD).unwrap_or(name), "attributes"), name.clone())
            })
            .collect();
    }
    (slots, Wanted { fields, rest: settings.attributes.is_none() })
}

fn item(
    settings: &ItemFiles,
    slots: &Slots,
    record: &Record<'_>,
) -> std::result::Result<ItemRow, String> {
    let value = |slot: usize| &record.values[slot];
    let of = |name: &str, message: String| format!("`{name}` holds {message}");
    let id = value(slots.id).id().map_err(|message| of(&settings.id, message))?;
    let text = |slot: usize| -> String {
        let mut words = Vec::new();
        texts_of(value(slot), &mut words);
        plain(words.join(" "))
    };
    let further = slots.text.iter().map(|&slot| text(slot)).filter(|text| !text.is_empty());
    let mut category = Vec::new();
    for &slot in &slots.category {
        match value(slot) {
            Value::Text(path) if slots.category.len() == 1 => {
                let levels = path.split(settings.category_separator.as_str()).map(plain);
                category.extend(levels.filter(|level| !level.is_empty()));
            }
            value => texts_of(value, &mut category),
        }
    }
    let mut found = [None; 6];
    for ((found, slot), (name, key)) in found.iter_mut().zip(slots.numbers).zip(numbers(settings)) {
        let (Some(slot), Some(name)) = (slot, name) else { continue };
        *found = value(slot).number().map_err(|message| of(name, message))?;
        if let Some(number) = found.filter(|number| key != "price" && !is_small_whole(*number)) {
            return Err(of(name, format!("{number}; expected a whole number")));
        }
    }
    let [price, launch_day, statistics_day, shown, clicks, orders] = found;
    let day = |number: Option<f64>| number.map(|day| day as i32);
    let count = |number: Option<f64>| number.map(|count| count as u32);
    let mut attributes = Vec::new();
    for (slot, name) in &slots.attributes {
        attributes_of(name, value(*slot), &mut attributes);
    }
    for (name, value) in &record.rest {
        attributes_of(name, value, &mut attributes);
    }
    Ok(ItemRow {
        id: id.unwrap_or_default().to_owned(),
        title: slots.title.map(text).unwrap_or_default(),
        text: further.collect::<Vec<_>>().join(" "),
        category,
        attributes,
        price: price.map(|price| price as f32),
        launch_day: day(launch_day),
        statistics_day: day(statistics_day),
        shown: count(shown),
        clicks: count(clicks),
        orders: count(orders),
    })
}

/// Whether a number is whole and fits the tables.
fn is_small_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX)
}

/// The texts in a value, in order.
fn texts_of(value: &Value<'_>, texts: &mut Vec<String>) {
    match value {
        Value::List(entries) => entries.iter().for_each(|entry| texts_of(entry, texts)),
        Value::Map(fields) => fields.iter().for_each(|(_, value)| texts_of(value, texts)),
        single => texts.extend(single.text().ok().flatten().map(plain)),
    }
}

/// What a value gives as attributes: each entry of a list, and each field of an object under a name of its own.
fn attributes_of(name: &str, value: &Value<'_>, attributes: &mut Vec<(String, String)>) {
    match value {
        Value::List(entries) => {
            entries.iter().for_each(|entry| attributes_of(name, entry, attributes));
        }
        Value::Map(fields) => {
            for (key, value) in fields {
                let name = match name.strip_suffix(SPREAD) {
                    Some(_) => key.to_string(),
                    None => format!("{name}.{key}"),
                };
                attributes_of(&name, value, attributes);
            }
        }
        single => {
            let text = single.text().ok().flatten();
            attributes.extend(text.map(|text| (name.to_owned(), plain(text))));
        }
    }
}
