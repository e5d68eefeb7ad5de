//! Ids in JSON, which may be text or whole numbers, and numbers that may stand as values. Knows no layout.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

/// An id: text, or a whole number as its digits.
pub(super) struct JsonId<'a>(pub(super) Cow<'a, str>);

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = JsonId<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: a string or a whole number")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(JsonId(Cow::Borrowed(text)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(JsonId(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(JsonId(Cow::Owned(text)))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(JsonId(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(JsonId(Cow::Owned(number.to_string())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonId<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

/// A score or grade. Judgments know no infinity, and neither does JSON.
#[derive(Clone, Copy)]
pub(super) struct JsonNumber(pub(super) f64);

impl<'de> Deserialize<'de> for JsonNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        if value.is_finite() {
            Ok(Self(value))
        } else {
            Err(D::Error::custom(format!("expected a finite number, not {value}")))
        }
    }
}

/// What a value of runs (`f32`) or judgments (`f64`) is made of.
pub(super) trait FromNumber: Copy + Send + Sync {
    /// Scores are rounded to `f32`, as trec_eval does.
    fn from_number(number: f64) -> Self;
}

impl FromNumber for f32 {
    fn from_number(number: f64) -> Self {
        number as Self
    }
}

impl FromNumber for f64 {
    fn from_number(number: f64) -> Self {
        number
    }
}

/// The text of an id in JSON, quotes included.
pub(super) fn quoted(id: &str) -> String {
    // A string always has a JSON form.
    serde_json::to_string(id).unwrap_or_default()
}

/// serde_json's message without its place, which is told another way.
pub(super) fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
