//! The value that each item has of an attribute, or of a level of its category path.

use std::collections::BTreeSet;

use super::cell::{Cell, Entity, OpenColumn};
use super::folder::Corpus;
use super::rows::ItemRow;
use crate::error::Result;
use crate::kind::ItemValue;

/// The name of the category path among the fields of an item.
const CATEGORY: &str = "category";

impl Corpus {
    /// The value of each item, `[items]`; an attribute is one of the source, or an open column of the items table.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the items table cannot be read.
    pub fn item_values(&self, of: &ItemValue) -> Result<Vec<Option<String>>> {
        let rows = self.items()?;
        let values: Vec<Option<String>> =
            rows.map(|row| row.map(|row| value_of(row, of))).collect::<Result<_>>()?;
        match of {
            ItemValue::Attribute(name) if values.iter().all(Option::is_none) => {
                match self.item_columns().any(|column| column.column.name == *name) {
                    true => self
                        .cells(Entity::Item, &[name])?
                        .map(|row| Ok(row?.first().and_then(text_of)))
                        .collect(),
                    false => Ok(values),
                }
            }
            _ => Ok(values),
        }
    }

    /// A field of each item as text, `[items]`: `category` (the words of the whole path), or an attribute.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the items table cannot be read.
    pub fn field_texts(&self, name: &str) -> Result<Vec<Option<String>>> {
        if name != CATEGORY {
            return self.item_values(&ItemValue::Attribute(name.to_owned()));
        }
        let path = |row: Result<ItemRow>| {
            let words = row?.category.join(" ");
            Ok(Some(words).filter(|words| !words.is_empty()))
        };
        self.items()?.map(path).collect()
    }

    /// What items have values of, in words.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the items table cannot be read.
    pub fn item_value_names(&self) -> Result<String> {
        let mut names: BTreeSet<String> =
            self.item_columns().map(|column| column.column.name.clone()).collect();
        let mut levels = 0;
        for row in self.items()? {
            let row = row?;
            names.extend(row.attributes.into_iter().map(|(name, _)| name));
            levels = levels.max(row.category.len());
        }
        let names: Vec<String> = names.into_iter().collect();
        let attributes = match names.is_empty() {
            true => "no attribute".to_owned(),
            false => format!("the attributes {}", names.join(", ")),
        };
        Ok(match levels {
            0 => format!("items have {attributes}, and no category"),
            _ => format!("items have {attributes}, and categories of levels 0 to {}", levels - 1),
        })
    }

    fn item_columns(&self) -> impl Iterator<Item = &OpenColumn> {
        self.summary().columns.iter().filter(|column| column.column.of == Entity::Item)
    }
}

fn value_of(row: ItemRow, of: &ItemValue) -> Option<String> {
    let value = match of {
        ItemValue::Attribute(name) => {
            row.attributes.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
        }
        ItemValue::Category(level) => row.category.into_iter().nth(*level as usize),
    };
    value.filter(|value| !value.is_empty())
}

fn text_of(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Text(text) if !text.is_empty() => Some(text.clone()),
        Cell::Texts(texts) => texts.first().cloned(),
        Cell::Number(number) => Some(number.to_string()),
        Cell::Text(_) | Cell::Absent => None,
    }
}
