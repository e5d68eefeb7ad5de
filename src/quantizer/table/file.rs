//! Files of codes, as published tables have them.
//!
//! ```text
//! {"B00A": ["<a_121>", "<b_202>"], "B00B": [3, 17]}     .json, by item
//! [{"item_id": "B00A", "codes": [121, 202]}]            .json, a list of rows
//! {"item_id": "B00A", "codes": [121, 202]}              .jsonl, a row per line
//! ```

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, Result};
use crate::identifier::Identifiers;

/// An item and its codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) item: String,
    pub(super) codes: Vec<u32>,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Lines,
}

impl Form {
    /// As the name of a file says.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::Lines),
            _ => None,
        }
    }
}

/// A code, as a number or as the token that spells it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Spelt {
    Number(u64),
    Token(String),
    Other(serde_json::Value),
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(deserialize_with = "id")]
    item_id: String,
    codes: Vec<Spelt>,
}

/// An id is text or a whole number.
fn id<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(match Id::deserialize(from)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

/// All entries of a file, in its order; an item that is named twice stays twice.
struct Entries(Vec<Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from items to lists of codes, or a list of rows with item_id and codes")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Entries, M::Error> {
                let mut entries = Vec::new();
                while let Some(item_id) = map.next_key::<String>()? {
                    let codes = map.next_value::<Vec<Spelt>>().map_err(|error| {
                        de::Error::custom(format!(
                            "item {item_id:?}: expected a list of codes: {error}"
                        ))
                    })?;
                    entries.push(Entry { item_id, codes });
                }
                Ok(Entries(entries))
            }

            fn visit_seq<S: SeqAccess<'de>>(
                self,
                mut rows: S,
            ) -> std::result::Result<Entries, S::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = rows.next_element()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_any(Read)
    }
}

/// Reads a file whose items have a code below each of `levels`.
///
/// # Errors
/// [`Error::Data`] naming the item and what is wrong with its codes.
pub(super) fn read(path: &Path, levels: &[u32]) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))?;
    let text = text.trim_start_matches('\u{feff}');
    let at = |line: Option<u64>, message: String| match line {
        Some(line) => Error::data_at(path, line, message),
        None => Error::data(path, message),
    };
    let entries: Vec<(Option<u64>, Entry)> = match Form::of(path) {
        Some(Form::Lines) => {
            let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
            let entry = |(line, text): (u64, &str)| {
                let entry = serde_json::from_str(text);
                let entry =
                    entry.map_err(|e| at(Some(line), format!("not a row of codes: {e}")))?;
                Ok((Some(line), entry))
            };
            lines.map(entry).collect::<Result<_>>()?
        }
        _ => {
            let entries: Entries = serde_json::from_str(text)
                .map_err(|e| at(Some(e.line() as u64), format!("not a table of codes: {e}")))?;
            entries.0.into_iter().map(|entry| (None, entry)).collect()
        }
    };
    if entries.is_empty() {
        return Err(at(None, "no item is in it".into()));
    }
    let mut known = HashSet::with_capacity(entries.len());
    let mut rows = Vec::with_capacity(entries.len());
    for (line, Entry { item_id, codes }) in entries {
        let fault = |message: String| {
            let help =
                "`levels`, `codes` and `codes_of_levels` of the recipe say what the table holds";
            at(line, format!("item {item_id:?}: {message}")).with_help(help)
        };
        if !known.insert(item_id.clone()) {
            return Err(at(line, format!("item {item_id:?} is named twice"))
                .with_help("keep one of its rows"));
        }
        if codes.len() != levels.len() {
            let message = format!("{} codes, expected {}", codes.len(), levels.len());
            return Err(fault(message));
        }
        let codes = codes.iter().zip(levels).enumerate();
        let codes = codes.map(|(level, (spelt, &n))| code(spelt, level, n).map_err(fault));
        let codes = codes.collect::<Result<Vec<u32>>>()?;
        rows.push(Row { item: item_id, codes });
    }
    Ok(rows)
}

/// A code of a level that has so many.
fn code(spelt: &Spelt, level: usize, n_codes: u32) -> Result<u32, String> {
    let (first, last) = (Identifiers::token(level, 0), Identifiers::token(level, n_codes - 1));
    let expected = format!("expected 0 to {}, or {first} to {last}", n_codes - 1);
    let number = match spelt {
        Spelt::Number(number) => u32::try_from(*number).ok(),
        Spelt::Token(token) => {
            let digits = token.trim_matches(|c: char| !c.is_ascii_digit());
            let number = digits.parse().ok();
            number.filter(|&number| *token == Identifiers::token(level, number))
        }
        Spelt::Other(_) => None,
    };
    number.filter(|&number| number < n_codes).ok_or_else(|| {
        let shown = match spelt {
            Spelt::Number(number) => number.to_string(),
            Spelt::Token(token) => format!("{token:?}"),
            Spelt::Other(value) => value.to_string(),
        };
        format!("{shown} is no code of level {}: {expected}", level + 1)
    })
}
