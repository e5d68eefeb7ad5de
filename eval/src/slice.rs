//! Slices: a part of the judgments, judged by itself. A slice keeps some requests, or counts only some items as
//! relevant; it knows neither systems nor why it was cut.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::qrels::Qrels;

/// A part of the judgments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// What divides, such as `query length`.
    pub by: String,
    /// Which part this is, such as `5 or more words`.
    pub value: String,
    /// What the part holds, in words.
    pub meaning: String,
    /// What it keeps.
    pub keep: Keep,
}

/// What a slice keeps of the judgments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// All judgments of these requests.
    Requests(HashSet<String>),
    /// The judgments of these items; a request whose relevant items are all others is left out.
    Items(HashSet<String>),
}

/// A way to divide requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SliceBy {
    /// How much of the training exposure the relevant items hold.
    ItemExposure,
    /// How often training met the query.
    RequestFrequency,
    /// In how many items the query's rarest word occurs.
    RarestTerm,
    /// Words of the query.
    QueryLength,
    /// Items of the user's past.
    HistoryLength,
    /// Day of the request.
    Day,
    /// An attribute of the relevant items; `category` is the broadest level of their category path.
    Attribute(String),
    /// How many items have the code of the relevant items at a level, from 1, of an identifier.
    Code {
        /// Name of the identifier.
        identifier: String,
        /// The level.
        level: u32,
    },
}

impl SliceBy {
    /// Those that need no further name.
    pub const PLAIN: [Self; 6] = [
        Self::ItemExposure,
        Self::RequestFrequency,
        Self::RarestTerm,
        Self::QueryLength,
        Self::HistoryLength,
        Self::Day,
    ];
}

impl fmt::Display for SliceBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ItemExposure => f.write_str("item-exposure"),
            Self::RequestFrequency => f.write_str("request-frequency"),
            Self::RarestTerm => f.write_str("rarest-term"),
            Self::QueryLength => f.write_str("query-length"),
            Self::HistoryLength => f.write_str("history-length"),
            Self::Day => f.write_str("day"),
            Self::Attribute(name) => write!(f, "attribute:{name}"),
            Self::Code { identifier, level } => write!(f, "code:{identifier}.{level}"),
        }
    }
}

impl FromStr for SliceBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix("attribute:").filter(|name| !name.is_empty()) {
            return Ok(Self::Attribute(name.to_owned()));
        }
        let code = text.strip_prefix("code:").and_then(|code| code.rsplit_once('.'));
        if let Some((identifier, level)) = code
            && let Ok(level @ 1..) = level.parse()
            && !identifier.is_empty()
        {
            return Ok(Self::Code { identifier: identifier.to_owned(), level });
        }
        Self::PLAIN.into_iter().find(|by| by.to_string() == text).ok_or_else(|| {
            let plain: Vec<String> = Self::PLAIN.iter().map(|by| format!("`{by}`")).collect();
            Error::Slice {
                text: text.to_owned(),
                what: format!(
                    "requests can be divided by {}, `attribute:NAME`, or `code:IDENTIFIER.LEVEL` with \
                     levels from 1",
                    plain.join(", ")
                ),
            }
        })
    }
}

impl Slice {
    /// The judgments that the slice keeps; may be empty.
    ///
    /// # Errors
    /// None: what was accepted once is accepted again.
    pub fn cut(&self, qrels: &Qrels) -> Result<Qrels> {
        let mut builder = Qrels::builder();
        for judgments in qrels.judgments() {
            let request = judgments.request();
            if matches!(&self.keep, Keep::Requests(requests) if !requests.contains(request)) {
                continue;
            }
            for (item, grade) in judgments.grades() {
                if matches!(&self.keep, Keep::Items(items) if !items.contains(item)) {
                    continue;
                }
                builder.push(request, item, grade)?;
            }
        }
        builder.finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cut(keep: Keep) -> Vec<(String, usize)> {
        let mut builder = Qrels::builder();
        for (request, item, grade) in [("p", "a", 1.0), ("p", "b", 2.0), ("q", "b", 0.5)] {
            builder.push(request, item, grade).unwrap();
        }
        let slice = Slice { by: "x".into(), value: "y".into(), meaning: String::new(), keep };
        let part = slice.cut(&builder.finish().unwrap()).unwrap();
        part.judgments().map(|one| (one.request().to_owned(), one.len())).collect()
    }

    #[test]
    fn names_read_back_and_others_are_answered_with_the_legal_ones() {
        let code = SliceBy::Code { identifier: "a.b".into(), level: 2 };
        let named = [SliceBy::Attribute("brand".into()), code];
        for by in SliceBy::PLAIN.into_iter().chain(named) {
            assert_eq!(by.to_string().parse::<SliceBy>().unwrap(), by);
        }
        for bad in ["attribute:", "query", "", "code:sid", "code:sid.0", "code:.2", "code:sid.x"] {
            let message = bad.parse::<SliceBy>().unwrap_err().to_string();
            assert!(message.contains("`query-length`"), "{message}");
        }
    }

    #[test]
    fn requests_or_items_are_kept() {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(cut(Keep::Requests(set(&["p"]))), [("p".to_owned(), 2)]);
        assert_eq!(cut(Keep::Items(set(&["a", "z"]))), [("p".to_owned(), 1)]);
        assert_eq!(cut(Keep::Items(set(&["b"]))), [("p".to_owned(), 1), ("q".to_owned(), 1)]);
        assert_eq!(cut(Keep::Requests(set(&[]))), []);
    }
}
