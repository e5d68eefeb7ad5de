//! A value as its file spells it: numbers keep their digits.

use std::borrow::Cow;

use crate::corpus::import::text::check_id;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::corpus::import) enum Value<'a> {
    /// Nothing is there: no such field, null, or an empty text.
    #[default]
    Absent,
    /// True or false.
    Flag(bool),
    /// A number, in the digits of the file.
    Number(Cow<'a, str>),
    /// A text, without blanks around it.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Value<'a>>),
    /// An object, in the order of the file.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// A text, or nothing where it is blank.
    pub(super) fn of_text(text: Cow<'a, str>) -> Self {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Self::Absent;
        }
        if trimmed.len() == text.len() {
            return Self::Text(text);
        }
        Self::Text(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        })
    }

    /// Whether nothing is there.
    pub(in crate::corpus::import) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }

    /// Whether nothing is there, or a list of nothing.
    pub(in crate::corpus::import) fn is_hollow(&self) -> bool {
        match self {
            Self::List(entries) => !entries.is_empty() && entries.iter().all(Self::is_hollow),
            other => other.is_absent(),
        }
    }

    /// What it is, for messages.
    pub(in crate::corpus::import) fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }

    /// A text, a number in its digits, or a flag, as text.
    ///
    /// # Errors
    /// The text of a fault for lists and objects.
    pub(in crate::corpus::import) fn text(&self) -> Result<Option<&str>, String> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) | Self::Number(text) => Ok(Some(text)),
            Self::Flag(flag) => Ok(Some(if *flag { "true" } else { "false" })),
            other => Err(format!("{}; expected a text or a number", other.kind())),
        }
    }

    /// An id: text, or a whole number in its digits.
    ///
    /// # Errors
    /// The text of a fault for anything else, and for ids that no list of results could name.
    pub(in crate::corpus::import) fn id(&self) -> Result<Option<&str>, String> {
        let id = match self {
            Self::Absent => return Ok(None),
            Self::Text(id) => id,
            Self::Number(digits) if is_whole(digits) => digits,
            Self::Number(digits) => {
                return Err(format!("`{digits}`; an id is text or a whole number"));
            }
            other => return Err(format!("{}; an id is text or a whole number", other.kind())),
        };
        check_id(id)?;
        Ok(Some(id))
    }

    /// The same of a value that is no longer needed.
    ///
    /// # Errors
    /// As [`Value::id`].
    pub(in crate::corpus::import) fn into_id(self) -> Result<Option<Cow<'a, str>>, String> {
        let _ = self.id()?;
        Ok(match self {
            Self::Text(id) | Self::Number(id) => Some(id),
            _ => None,
        })
    }

    /// A number.
    ///
    /// # Errors
    /// The text of a fault where it is none, or not finite.
    pub(in crate::corpus::import) fn number(&self) -> Result<Option<f64>, String> {
        let text = match self {
            Self::Flag(flag) => return Ok(Some(f64::from(u8::from(*flag)))),
            other => other.text()?,
        };
        let Some(text) = text else { return Ok(None) };
        let number: Option<f64> = text.parse().ok();
        let number = number.filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| format!("`{text}`, which is no number"))
    }

    /// Whether something happened: true and false, yes and no, or a number that is above 0 or not.
    ///
    /// # Errors
    /// The text of a fault where it is neither.
    pub(in crate::corpus::import) fn flag(&self) -> Result<Option<bool>, String> {
        match self {
            Self::Absent => return Ok(None),
            Self::Flag(flag) => return Ok(Some(*flag)),
            Self::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "t" | "y" => return Ok(Some(true)),
                "false" | "no" | "f" | "n" => return Ok(Some(false)),
                _ => {}
            },
            Self::Number(_) | Self::List(_) | Self::Map(_) => {}
        }
        match self.number() {
            Ok(number) => match number {
                Some(number) if number < 0.0 => Err(format!("`{number}`, which is below 0")),
                number => Ok(number.map(|number| number > 0.0)),
            },
            Err(message) => Err(format!("{message}, nor true or false")),
        }
    }

    /// The same value on its own.
    pub(in crate::corpus::import) fn into_owned(self) -> Value<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Absent => Value::Absent,
            Self::Flag(flag) => Value::Flag(flag),
            Self::Number(digits) => Value::Number(own(digits)),
            Self::Text(text) => Value::Text(own(text)),
            Self::List(entries) => Value::List(entries.into_iter().map(Self::into_owned).collect()),
            Self::Map(fields) => Value::Map(
                fields.into_iter().map(|(key, value)| (own(key), value.into_owned())).collect(),
            ),
        }
    }
}

/// Whether digits are those of a whole number, such as `-12`.
fn is_whole(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::of_text(text.into())
    }

    #[test]
    fn ids_are_kept_exactly_or_refused() {
        let long = "184467440737095516161";
        assert_eq!(Value::Number(long.into()).id().unwrap(), Some(long));
        assert_eq!(text(" 007 ").id().unwrap(), Some("007"));
        assert_eq!(text(" ").id().unwrap(), None);
        for wrong in ["1.0", "1e5", "-"] {
            assert!(Value::Number(wrong.into()).id().is_err(), "{wrong}");
        }
        for wrong in ["set 1", "a\tb", "a\u{a0}b", "a\u{1b}[0m"] {
            assert!(text(wrong).id().unwrap_err().contains("no blanks"), "{wrong}");
        }
        assert!(Value::List(Vec::new()).id().is_err() && Value::Flag(true).id().is_err());
    }

    #[test]
    fn flags_are_words_or_numbers() {
        let flag = |value: Value<'_>| value.flag();
        for yes in ["1", "TRUE", "yes", "2.5", "1.0"] {
            assert_eq!(flag(text(yes)), Ok(Some(true)), "{yes}");
        }
        for no in ["0", "false", "N", "0.0"] {
            assert_eq!(flag(text(no)), Ok(Some(false)), "{no}");
        }
        assert_eq!(flag(text("")), Ok(None));
        for wrong in ["maybe", "-1", "NaN", "inf"] {
            assert!(flag(text(wrong)).is_err(), "{wrong}");
        }
    }
}
