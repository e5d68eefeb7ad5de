//! Names of columns, such as `item.price` and `user.style`, and what stands in them: a number, a text
//! or several texts, whatever a table stores them as. Open columns are those that a source declares
//! beside the fixed ones. Knows no file.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use arrow_schema::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a column is a column of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Entity {
    /// Items.
    Item,
    /// Users.
    User,
    /// Sessions.
    Session,
    /// Requests.
    Request,
    /// Shown items.
    Impression,
}

impl Entity {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Item, Self::User, Self::Session, Self::Request, Self::Impression];

    /// The name before the point.
    pub fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::User => "user",
            Self::Session => "session",
            Self::Request => "request",
            Self::Impression => "impression",
        }
    }
}

/// What the cells of an open column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// A number.
    Number,
    /// One of some names, compared as a whole.
    Category,
    /// Text, of words.
    Text,
}

impl Holds {
    /// How a table stores it.
    pub(super) fn field(self, name: &str) -> Field {
        let stored = match self {
            Self::Number => DataType::Float64,
            Self::Category | Self::Text => DataType::Utf8,
        };
        Field::new(name, stored, true)
    }

    /// Cells as a table stores them; what does not fit the column is absent.
    pub(super) fn array(self, cells: &[Cell]) -> ArrayRef {
        match self {
            Self::Number => Arc::new(cells.iter().map(Cell::number).collect::<Float64Array>()),
            Self::Category | Self::Text => {
                let text = |cell: &Cell| match cell {
                    Cell::Text(text) => Some(text.clone()),
                    Cell::Absent | Cell::Number(_) | Cell::Texts(_) => None,
                };
                Arc::new(cells.iter().map(text).collect::<StringArray>())
            }
        }
    }

    /// What a text in a source's file says; none where it is no number and should be one. An empty
    /// text is absent.
    pub fn parse(self, text: &str) -> Option<Cell> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Cell::Absent);
        }
        match self {
            Self::Number => {
                let number: Option<f64> = text.parse().ok();
                number.filter(|number| number.is_finite()).map(Cell::Number)
            }
            Self::Category | Self::Text => Some(Cell::Text(text.to_owned())),
        }
    }
}

/// A column that a source declares beside the fixed ones of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenColumn {
    /// Where it stands.
    #[serde(flatten)]
    pub column: ColumnName,
    /// What its cells hold.
    pub holds: Holds,
    /// Whether it says what happened after a page was shown: a signal, which may be learned and never
    /// be read to predict.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_signal: bool,
}

/// A column by name, as in `item.price`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnName {
    /// Whose it is.
    pub of: Entity,
    /// Its name in the table.
    pub name: String,
}

impl ColumnName {
    /// A column.
    pub fn new(of: Entity, name: impl Into<String>) -> Self {
        Self { of, name: name.into() }
    }
}

impl fmt::Display for ColumnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.of.name(), self.name)
    }
}

impl FromStr for ColumnName {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let known = || {
            let names: Vec<&str> = Entity::ALL.iter().map(|entity| entity.name()).collect();
            format!("write ENTITY.COLUMN, such as item.price; entities are {}", names.join(", "))
        };
        let (of, name) = text.split_once('.').ok_or_else(known)?;
        let of = Entity::ALL.into_iter().find(|entity| entity.name() == of).ok_or_else(known)?;
        if name.is_empty() { Err(known()) } else { Ok(Self::new(of, name)) }
    }
}

/// What stands in a row of a column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Cell {
    /// Nothing is known.
    #[default]
    Absent,
    /// A number; a flag is 0 or 1.
    Number(f64),
    /// A text or a category.
    Text(String),
    /// Several, such as a path of categories.
    Texts(Vec<String>),
}

impl Cell {
    /// The number, where it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Absent | Self::Text(_) | Self::Texts(_) => None,
        }
    }
}
