//! JSON lines, and JSON that is one list or one object of rows. Numbers keep their digits, and what is
//! not asked for is skipped without being built.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read};
use std::path::Path;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::path::below;
use super::unpacked::Unpacked;
use super::value::Value;
use super::{MAX_ROW, Record, Rows, Wanted};
use crate::error::{Error, Result};

/// Deepest nesting of a value.
const DEEPEST: u32 = 32;

/// The name of the key of each row, where a file is one object of rows.
const KEY: &str = "$key";

/// Reads a file of one JSON object a line; empty lines are skipped.
pub(super) fn read_lines(path: &Path, rows: &mut Rows<'_, '_>) -> Result<()> {
    let mut reader = Unpacked::open(path)?;
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        let limit = MAX_ROW as u64 + 1;
        let n_read = (&mut reader).take(limit).read_until(b'\n', &mut bytes);
        if n_read.map_err(|e| Error::unreadable(path, &e))? == 0 {
            break;
        }
        line += 1;
        if bytes.len() > MAX_ROW {
            let message = format!("a line of more than {} MiB is no row", MAX_ROW >> 20);
            return Err(Error::data_at(path, line, message));
        }
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text.trim_start_matches('\u{feff}').trim(),
            Err(e) => {
                let message = format!("not UTF-8 from byte {}", e.valid_up_to());
                rows.row(line, reader.position(), Err(message))?;
                continue;
            }
        };
        if text.is_empty() {
            continue;
        }
        let record = record(text, line, None, rows.wanted);
        rows.row(line, reader.position(), record)?;
    }
    if line == 0 {
        return Err(Error::data(path, "the file is empty; expected a JSON object a line"));
    }
    Ok(())
}

/// Reads a file that is one list of objects, or one object that maps keys to objects. Faults name the
/// entry (1-based), since JSON has no lines of its own.
pub(super) fn read_whole(path: &Path, rows: &mut Rows<'_, '_>) -> Result<()> {
    let reader = Unpacked::open(path)?;
    let position = reader.watch();
    let mut failure = None;
    let entries = Entries { rows, position: &position, failure: &mut failure };
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let parsed = entries.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (failure, parsed) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(e)) => {
            let message = format!("is no JSON list of objects: {e}");
            Err(Error::data_at(path, e.line() as u64, message)
                .with_help("files with one object a line are called .jsonl, or set `format`"))
        }
    }
}

struct Entries<'e, 'r, 't> {
    rows: &'e mut Rows<'r, 't>,
    position: &'e super::unpacked::Position,
    failure: &'e mut Option<Error>,
}

impl Entries<'_, '_, '_> {
    fn entry<E: serde::de::Error>(
        &mut self,
        number: u64,
        key: Option<&str>,
        raw: &RawValue,
    ) -> std::result::Result<(), E> {
        self.position.row_ends();
        let record = record(raw.get(), number, key, self.rows.wanted);
        let taken = self.rows.row(number, self.position.get(), record);
        taken.map_err(|error| {
            *self.failure = Some(error);
            E::custom("stopped")
        })
    }
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("a list of objects, or an object of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> std::result::Result<(), A::Error> {
        let mut number = 0;
        while let Some(raw) = list.next_element::<Box<RawValue>>()? {
            number += 1;
            self.entry(number, None, &raw)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<(), A::Error> {
        let mut number = 0;
        while let Some((key, raw)) = map.next_entry::<String, Box<RawValue>>()? {
            number += 1;
            self.entry(number, Some(&key), &raw)?;
        }
        Ok(())
    }
}

/// The wanted fields of an object.
fn record<'a>(
    text: &'a str,
    line: u64,
    key: Option<&str>,
    wanted: &Wanted,
) -> std::result::Result<Record<'a>, String> {
    let fields = Fields { key, wanted };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = fields.deserialize(&mut deserializer).and_then(|found| {
        deserializer.end()?;
        Ok(found)
    });
    match parsed {
        Ok((values, rest)) => Ok(Record { line, values, rest }),
        Err(e) => Err(format!("is no JSON object: {}", without_place(&e))),
    }
}

/// What went wrong, without the line and column of a text that is one row of many.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

struct Fields<'w> {
    key: Option<&'w str>,
    wanted: &'w Wanted,
}

/// Wanted values, and the others by name.
type Found<'a> = (Vec<Value<'a>>, Vec<(String, Value<'a>)>);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Found<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Found<'de>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Found<'de>, A::Error> {
        let fields = &self.wanted.fields;
        let mut values = vec![Value::Absent; fields.len()];
        let mut met: u128 = 0;
        let mut rest = Vec::new();
        if let Some(key) = self.key {
            for (place, (path, _)) in fields.iter().enumerate() {
                if path.text() == KEY {
                    values[place] = Value::of_text(Cow::Owned(key.to_owned()));
                }
            }
        }
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let is_met = |path: &super::FieldPath| path.behind(&key).is_some();
            let n_leading = fields.iter().filter(|(path, _)| is_met(path)).count();
            if n_leading == 0 && !self.wanted.rest {
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            }
            let raw: &'de RawValue = map.next_value()?;
            let mut value = Some(parse(raw.get()).map_err(A::Error::custom)?);
            if n_leading == 0 {
                rest.extend(value.map(|value| (key.into_owned(), value)));
                continue;
            }
            let mut left = n_leading;
            for (place, (path, _)) in fields.iter().enumerate() {
                let Some(behind) = path.behind(&key) else { continue };
                let bit = 1 << (place % 128);
                if met & bit != 0 && !values[place].is_absent() {
                    return Err(A::Error::custom(format!("the field `{key}` stands there twice")));
                }
                met |= bit;
                left -= 1;
                let own = if left == 0 { value.take() } else { value.clone() };
                values[place] = below(own.unwrap_or_default(), behind);
            }
        }
        Ok((values, rest))
    }
}

/// A key, borrowed where the text has it without escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Text)
    }
}

/// A JSON value, with numbers in their digits.
pub(in crate::corpus::import) fn parse(text: &str) -> std::result::Result<Value<'_>, String> {
    parse_below(text.trim(), DEEPEST)
}

fn parse_below(text: &str, deepest: u32) -> std::result::Result<Value<'_>, String> {
    let Some(deeper) = deepest.checked_sub(1) else {
        return Err(format!("nested more than {DEEPEST} deep"));
    };
    let failed = |e: &serde_json::Error| without_place(e);
    Ok(match text.as_bytes().first() {
        Some(b'"') if text.len() >= 2 && !text.contains('\\') => {
            Value::of_text(Cow::Borrowed(&text[1..text.len() - 1]))
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(text).map_err(|e| failed(&e))?;
            Value::of_text(Cow::Owned(text))
        }
        Some(b'[') => {
            let entries: Vec<&RawValue> = serde_json::from_str(text).map_err(|e| failed(&e))?;
            let entries = entries.into_iter().map(|entry| parse_below(entry.get(), deeper));
            Value::List(entries.collect::<std::result::Result<_, _>>()?)
        }
        Some(b'{') => {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let fields = deserializer.deserialize_map(Raw).map_err(|e| failed(&e))?;
            deserializer.end().map_err(|e| failed(&e))?;
            let fields = fields.into_iter().map(|(key, raw)| Ok((key, parse_below(raw, deeper)?)));
            Value::Map(fields.collect::<std::result::Result<_, String>>()?)
        }
        Some(b't') if text == "true" => Value::Flag(true),
        Some(b'f') if text == "false" => Value::Flag(false),
        Some(b'n') if text == "null" => Value::Absent,
        Some(b'-' | b'0'..=b'9') => {
            let number: &RawValue = serde_json::from_str(text).map_err(|e| failed(&e))?;
            Value::Number(Cow::Borrowed(number.get()))
        }
        _ => return Err(format!("`{text}` is no JSON value")),
    })
}

impl Value<'_> {
    /// The entries of a list; a text is divided at `separator`, or read as JSON where it begins with
    /// a bracket. A single value is a list of one.
    ///
    /// # Errors
    /// The text of a fault for objects, and for text that looks like JSON and is none.
    pub(in crate::corpus::import) fn list<'v>(
        &'v self,
        separator: &str,
    ) -> Result<Vec<Value<'v>>, String> {
        match self {
            Self::Absent => Ok(Vec::new()),
            Self::List(entries) => Ok(entries.clone()),
            Self::Text(text) if text.starts_with('[') => match parse(text)? {
                Value::List(entries) => Ok(entries),
                _ => Err("a text with a bracket that is no list".into()),
            },
            Self::Text(text) => {
                let entries =
                    text.split(separator).map(str::trim).filter(|entry| !entry.is_empty());
                Ok(entries.map(|entry| Value::Text(Cow::Borrowed(entry))).collect())
            }
            Self::Map(_) => Err("an object; expected a list".into()),
            single => Ok(vec![single.clone()]),
        }
    }
}

/// The fields of an object, unread.
struct Raw;

impl<'de> Visitor<'de> for Raw {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((Key(key), raw)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            fields.push((key, raw.get()));
        }
        Ok(fields)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::of_text(text.into())
    }

    #[test]
    fn lists_are_lists_text_with_separators_or_json() {
        let ids = |value: Value<'_>, separator| -> Vec<String> {
            let list = value.list(separator).unwrap();
            list.iter().map(|one| one.id().unwrap().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(text("a_b__c"), "_"), ["a", "b", "c"]);
        assert_eq!(ids(text("[1, \"x\"]"), "_"), ["1", "x"]);
        assert_eq!(ids(Value::Number("7".into()), ","), ["7"]);
        assert!(text("[1, ").list(",").is_err());
    }
}
