//! What a kind wants of a corpus, against what a corpus offers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Key;

/// Something that a corpus has or lacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// Items have text.
    Text,
    /// Requests stand behind items that their user chose before.
    Histories,
    /// Requests have days.
    Days,
    /// Something was chosen: clicks of training requests, or sequences of users.
    Feedback,
    /// Requests ask in words.
    Queries,
    /// Training requests ask something, and can be answered: they are no sequences of users.
    Questions,
    /// Pages of shown items with what happened to them.
    Impressions,
    /// Training requests have graded items.
    Grades,
    /// The truth behind all requests is known.
    Truth,
    /// A table has a column, such as `item.price`.
    Column(String),
    /// Pages of held-out requests, with what happened to them.
    HeldOutImpressions,
    /// Impressions have a signal, such as `click`, or `session.NAME`.
    Signal(String),
    /// Shown items can reach a level of this name.
    Level(String),
    /// Items have a value of some kind.
    Value(ItemValue),
}

/// What of an item puts it into a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemValue {
    /// An attribute of this name.
    Attribute(String),
    /// A level of its category path, 0 the broadest.
    Category(u32),
}

impl fmt::Display for ItemValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => write!(f, "attribute `{name}`"),
            Self::Category(level) => write!(f, "category level {level}"),
        }
    }
}

impl Fact {
    /// Whether what needs it learns from what was chosen, shown, judged or answered for training requests.
    pub fn is_learned_from(&self) -> bool {
        match self {
            Self::Questions
            | Self::Histories
            | Self::Feedback
            | Self::Impressions
            | Self::Grades => true,
            Self::Text
            | Self::Queries
            | Self::Days
            | Self::Truth
            | Self::Column(_)
            | Self::HeldOutImpressions
            | Self::Signal(_)
            | Self::Level(_)
            | Self::Value(_) => false,
        }
    }
}

/// Why a corpus does not offer something, and what would change that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The reason, in a few words.
    pub why: &'static str,
    /// What to do about the corpus; empty where nothing can be done.
    pub help: &'static str,
}

/// What a component wants of a corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// What it wants.
    pub fact: Fact,
    /// The key to blame, from the component's own table.
    pub key: Vec<Key>,
    /// What is said where the corpus lacks it.
    pub message: String,
    /// What stands at the key; by default why the corpus lacks it.
    pub label: Option<&'static str>,
    /// What to do instead of changing the corpus; empty where that says it all.
    pub instead: String,
}

impl Need {
    /// A need that the `kind` key is to blame for.
    pub fn new(fact: Fact, message: String) -> Self {
        Self { fact, key: vec!["kind".into()], message, label: None, instead: String::new() }
    }

    /// The same, blamed on another key.
    #[must_use]
    pub fn at(self, key: Vec<Key>) -> Self {
        Self { key, ..self }
    }

    /// The same with words of its own at the key.
    #[must_use]
    pub fn label(self, label: &'static str) -> Self {
        Self { label: Some(label), ..self }
    }

    /// The same with something else to do.
    #[must_use]
    pub fn instead(self, instead: impl Into<String>) -> Self {
        Self { instead: instead.into(), ..self }
    }

    /// The message about a component, `what` being the word for its family.
    pub fn said_of(&self, what: &str, name: &str) -> String {
        self.message.replace("{what}", what).replace("{name}", name)
    }

    /// What to do about a lack.
    pub fn help(&self, lack: &Lack) -> String {
        match (lack.help, self.instead.as_str()) {
            ("", "") => lack.why.to_owned(),
            ("", instead) => format!("{instead}: {}", lack.why),
            (help, "") => help.to_owned(),
            (help, instead) => format!("{help}, or {instead}"),
        }
    }
}
