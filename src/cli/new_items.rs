//! The file of new items that `trieval ids --assign` reads: JSON lines, each with a vector, or with texts to make one from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use crate::corpus::ItemTextRow;
use crate::error::{Error, Result};
use crate::kind::ItemValue;
use crate::quantizer::LONGEST;

const EXPECTED: &str = "expected a line such as {\"item_id\": \"n1\", \"title\": \"red lamp\", \"text\": \"made of brass\"}, \
                        or with \"vector\": [0.1, -0.2]";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewItem {
    item_id: String,
    title: Option<String>,
    text: Option<String>,
    vector: Option<Vec<f32>>,
    /// Category path, broadest first.
    #[serde(default)]
    category: Vec<String>,
    /// Values by name.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// A line of the file.
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: u64,
    /// The item.
    pub(super) item: ItemTextRow,
    /// Its vector, where it is given.
    pub(super) vector: Option<Vec<f32>>,
    category: Vec<String>,
    attributes: BTreeMap<String, String>,
}

impl Line {
    /// The value that it gives of something.
    pub(super) fn value(&self, of: &ItemValue) -> Option<&str> {
        match of {
            ItemValue::Attribute(name) => self.attributes.get(name).map(String::as_str),
            ItemValue::Category(level) => self.category.get(*level as usize).map(String::as_str),
        }
    }

    /// Whether a text says something of the item.
    pub(super) fn has_text(&self) -> bool {
        !self.item.title.trim().is_empty() || !self.item.text.trim().is_empty()
    }
}

/// Reads the file; vectors have `dim` numbers, and no item may be `known`.
pub(super) fn read(file: &Path, dim: usize, known: &HashSet<&str>) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::unreadable(file, &e))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut lines = Vec::new();
    let mut lines_of: HashMap<String, u64> = HashMap::new();
    for (number, text) in (1u64..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let fault =
            |message: String, help: &str| Error::data_at(file, number, message).with_help(help);
        let item: NewItem = serde_json::from_str(text).map_err(|e| {
            // The parser sees one line, and counts it as the first.
            let told = e.to_string().replace(" at line 1 column ", " at column ");
            fault(format!("not a new item: {told}"), EXPECTED)
        })?;
        let NewItem { item_id: id, title, text, vector, category, attributes } = item;
        if id.is_empty() {
            return Err(fault("an item without an id".into(), "give every item an `item_id`"));
        }
        if known.contains(id.as_str()) {
            let message = format!("item {id:?} has an identifier already");
            return Err(fault(message, "name only items that the run does not know"));
        }
        if let Some(first) = lines_of.insert(id.clone(), number) {
            let message = format!("item {id:?} is named in line {first} too");
            return Err(fault(message, "keep one of the lines"));
        }
        match &vector {
            Some(vector) => check(vector, dim).map_err(|message| {
                let message = format!("item {id:?}: {message}");
                fault(
                    message,
                    "give vectors made as those of the run were, or `title` and `text` alone",
                )
            })?,
            None if title.is_none() => {
                let what =
                    if text.is_some() { "no `title`" } else { "neither `title` nor `vector`" };
                return Err(fault(format!("item {id:?} has {what}"), EXPECTED));
            }
            None => {}
        }
        let (title, text) = (title.unwrap_or_default(), text.unwrap_or_default());
        let line =
            Line { number, item: ItemTextRow { id, title, text }, vector, category, attributes };
        if line.vector.is_none() && !line.has_text() {
            let message = format!("item {:?}: no word in `title` and `text`", line.item.id);
            return Err(fault(message, "say what the item is, or give its `vector`"));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(Error::data(file, "no new item is in it"));
    }
    Ok(lines)
}

/// Refuses a vector that no codes can be chosen by.
fn check(vector: &[f32], dim: usize) -> Result<(), String> {
    if vector.len() != dim {
        let n = vector.len();
        return Err(format!(
            "a vector of {n} numbers, but the codes were made from vectors of {dim}"
        ));
    }
    if vector.iter().any(|x| !x.is_finite()) {
        return Err("a number of the vector is not finite".into());
    }
    if vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() > LONGEST {
        return Err(format!("the vector is longer than {LONGEST:e}"));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Vec<Line>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path, 2, &["known"].into())
    }

    #[test]
    fn lines_have_texts_or_vectors_or_both() {
        let lines = told(
            "\u{feff}{\"item_id\": \"a\", \"title\": \"lamp\"}\r\n\n{\"item_id\": \"b\", \"vector\": [1, -2.5]}\n\
             {\"item_id\": \"c\", \"title\": \"\", \"text\": \"brass\", \"vector\": [0, 0]}",
        )
        .unwrap();
        let rows: Vec<_> = lines
            .iter()
            .map(|line| {
                (line.number, line.item.id.as_str(), line.has_text(), line.vector.as_deref())
            })
            .collect();
        let expected = [
            (1, "a", true, None),
            (3, "b", false, Some(&[1.0, -2.5][..])),
            (4, "c", true, Some(&[0.0, 0.0])),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn what_is_no_new_item_is_told_with_its_line() {
        let first = "{\"item_id\": \"a\", \"title\": \"lamp\"}\n";
        for (line, says) in [
            ("{\"item_id\": b}", "new.jsonl:2: not a new item: expected value at column 13"),
            ("{\"item_id\": \"b\"}", "item \"b\" has neither `title` nor `vector`"),
            ("{\"item_id\": \"b\", \"text\": \"brass\"}", "item \"b\" has no `title`"),
            ("{\"item_id\": \"b\", \"title\": \" \"}", "no word in `title` and `text`"),
            (
                "{\"item_id\": \"b\", \"vector\": [1]}",
                "a vector of 1 numbers, but the codes were made from vectors of 2",
            ),
            ("{\"item_id\": \"b\", \"vector\": [1, NaN]}", "not a new item"),
            ("{\"item_id\": \"b\", \"vector\": [1, null]}", "not a new item"),
            ("{\"item_id\": \"b\", \"vector\": [1, 1e39]}", "number out of range"),
            ("{\"item_id\": \"b\", \"vector\": [1, 1e20]}", "longer than 1e17"),
            ("{\"item_id\": \"known\", \"title\": \"x\"}", "\"known\" has an identifier already"),
            ("{\"item_id\": \"a\", \"title\": \"x\"}", "\"a\" is named in line 1 too"),
            ("{\"item_id\": \"\", \"title\": \"x\"}", "without an id"),
            ("{\"item_id\": \"b\", \"titel\": \"x\"}", "titel"),
            ("{\"item_id\": \"b\", \"title\": \"x\"", "not a new item"),
            ("[1]", "not a new item"),
        ] {
            let error = told(&format!("{first}{line}\n")).err().unwrap();
            let text = error.to_string();
            assert!(text.contains(says) && text.contains("new.jsonl:2"), "{line}: {text}");
            assert_eq!(error.exit_code(), 2);
        }
        assert!(told("\n\n").err().unwrap().to_string().contains("no new item is in it"));
    }
}
