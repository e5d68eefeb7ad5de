//! What lists are judged by: the items themselves, or what one of their columns says (an intent, a brand).

use std::borrow::Cow;
use std::collections::HashMap;

use crate::corpus::{Catalogue, Cell, ColumnName, Corpus};
use crate::error::{Error, Result};
use crate::text::grouped;

/// The answers that lists and judgments name.
pub struct AnswerSpace<'a> {
    /// Ids of the answers, as run files and judgments spell them.
    names: Cow<'a, [String]>,
    /// The answers that an item stands for: `[items]`; none where items are the answers.
    of_items: Option<Vec<Vec<u32>>>,
    /// What is judged, in words, where that is not items.
    told: Option<String>,
}

impl<'a> AnswerSpace<'a> {
    /// The items, or the values of a column of theirs, such as `item.category`.
    ///
    /// # Errors
    /// [`Error::Data`] when the column cannot be read, or no item has a value in it.
    pub fn of(column: Option<&str>, corpus: &Corpus, catalogue: &'a Catalogue) -> Result<Self> {
        let Some(column) = column else {
            return Ok(Self { names: Cow::Borrowed(&catalogue.ids), of_items: None, told: None });
        };
        let ColumnName { of, name } = column.parse().map_err(Error::Usage)?;
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut names = Vec::new();
        let mut of_items = Vec::with_capacity(catalogue.len());
        for row in corpus.cells(of, &[&name])? {
            let values = row?.into_iter().next().map(values).unwrap_or_default();
            let mut own = Vec::with_capacity(values.len());
            for value in values {
                let number = *numbers.entry(value).or_insert_with_key(|value| {
                    names.push(spelled(value));
                    names.len() as u32 - 1
                });
                if !own.contains(&number) {
                    own.push(number);
                }
            }
            of_items.push(own);
        }
        if names.is_empty() {
            let message = format!("no item has a value in `{column}`, so that there is no answer");
            return Err(Error::data(corpus.folder(), message)
                .with_help("name another column in `evaluation.answers`, or leave it out"));
        }
        let mut told =
            format!("lists are judged by the {} values of `{column}`", grouped(names.len() as u64));
        let silent = of_items.iter().filter(|values| values.is_empty()).count() as u64;
        if silent > 0 {
            told += &format!("; {} items have none and say nothing", grouped(silent));
        }
        Ok(Self { names: Cow::Owned(names), of_items: Some(of_items), told: Some(told) })
    }

    /// Ids of the answers, by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What is judged, in words, where that is not items.
    pub fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// The answers that an item stands for.
    pub fn of_item(&self, item: u32) -> Cow<'_, [u32]> {
        match &self.of_items {
            None => Cow::Owned(vec![item]),
            Some(of_items) => Cow::Borrowed(&of_items[item as usize]),
        }
    }

    /// Lists of answers in place of lists of items: each stands where the first item stands that has it, with that item's
    /// score.
    pub fn lists<'l>(&self, lists: &'l [Vec<(u32, f32)>]) -> Cow<'l, [Vec<(u32, f32)>]> {
        if self.of_items.is_none() {
            return Cow::Borrowed(lists);
        }
        let list = |items: &Vec<(u32, f32)>| {
            let mut answers: Vec<(u32, f32)> = Vec::new();
            for &(item, score) in items {
                for &answer in self.of_item(item).iter() {
                    if answers.iter().all(|(known, _)| *known != answer) {
                        answers.push((answer, score));
                    }
                }
            }
            answers
        };
        Cow::Owned(lists.iter().map(list).collect())
    }
}

/// Values of a cell as text.
fn values(cell: Cell) -> Vec<String> {
    match cell {
        Cell::Absent => Vec::new(),
        Cell::Text(text) => vec![text],
        Cell::Texts(texts) => texts,
        // As short as the column's own precision: most are `f32`.
        Cell::Number(number) => match number as f32 {
            short if f64::from(short) == number => vec![short.to_string()],
            _ => vec![number.to_string()],
        },
    }
    .into_iter()
    .filter(|text| !text.is_empty())
    .collect()
}

/// A value as an id of TREC files, which hold no blanks: blanks, controls and `%` as `%` and their bytes in hexadecimal.
fn spelled(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if character.is_whitespace() || character.is_control() || character == '%' {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                text.push_str(&format!("%{byte:02X}"));
            }
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::testing::Shop;

    #[test]
    fn values_stand_where_their_first_item_stands() {
        let space = AnswerSpace {
            names: Cow::Owned(["lamp", "oak", "red"].map(str::to_owned).to_vec()),
            of_items: Some(vec![vec![1], vec![0, 2], vec![], vec![2, 1]]),
            told: None,
        };
        let lists = [vec![(2, 9.0), (1, 8.0), (3, 7.0), (0, 6.0)], vec![]];
        let expected = [vec![(0, 8.0), (2, 8.0), (1, 7.0)], vec![]];
        assert_eq!(space.lists(&lists).as_ref(), expected);
    }

    #[test]
    fn columns_of_items_are_read_and_spelt_without_blanks() {
        let shop = Shop::written();
        let catalogue = shop.corpus.catalogue().unwrap();
        let items = AnswerSpace::of(None, &shop.corpus, &catalogue).unwrap();
        assert_eq!((items.names(), items.of_item(1).as_ref()), (&catalogue.ids[..], &[1][..]));
        let stock = AnswerSpace::of(Some("item.stock"), &shop.corpus, &catalogue).unwrap();
        assert_eq!(stock.names(), ["3.5"]);
        let told =
            "lists are judged by the 1 values of `item.stock`; 1 items have none and say nothing";
        assert_eq!((stock.told(), items.told()), (Some(told), None));
        assert_eq!((stock.of_item(0).as_ref(), stock.of_item(1).len()), (&[0][..], 0));
        let titles = AnswerSpace::of(Some("item.title"), &shop.corpus, &catalogue).unwrap();
        assert_eq!(titles.names()[0], "title%20of%20i0");
        assert!(AnswerSpace::of(Some("item.none"), &shop.corpus, &catalogue).is_err());
    }

    #[test]
    fn numbers_are_as_short_as_their_column() {
        assert_eq!(values(Cell::Number(f64::from(62.57_f32))), ["62.57"]);
        assert_eq!(values(Cell::Number(62.57)), ["62.57"]);
        assert_eq!(values(Cell::Number(1_234_567_891.0)), ["1234567891"]);
        assert!(values(Cell::Text(String::new())).is_empty() && values(Cell::Absent).is_empty());
    }

    #[test]
    fn different_values_are_spelt_differently() {
        let odd = ["a b", "a%20b", "a\u{a0}b", "a\tb", "ab", "ä b"];
        let spelt: std::collections::BTreeSet<String> =
            odd.iter().map(|one| spelled(one)).collect();
        assert_eq!(spelt.len(), odd.len());
        assert!(spelt.iter().all(|one| !one.contains(char::is_whitespace)), "{spelt:?}");
    }
}
