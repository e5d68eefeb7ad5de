//! A slate: items that stand for one request, with what is known of each in named columns. Every stage
//! behind the first reads one and leaves another.

use std::collections::{BTreeMap, HashMap};

use crate::corpus::{Ask, Cell};

/// An item and its score.
pub type Scored = (u32, f32);

/// Items of one request, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Slate<'a> {
    /// What was asked.
    pub ask: &'a Ask,
    /// Distinct items, `[rows]`.
    items: Vec<u32>,
    /// What they are ordered by, `[rows]`.
    scores: Vec<f32>,
    columns: BTreeMap<String, Column>,
}

/// What is known of each item, `[rows]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Outputs of systems, as `SYSTEM.OUTPUT`; NaN where a system said nothing of an item.
    Numbers(Vec<f32>),
    /// Features of showing an item for the request, as `impression.position`.
    Cells(Vec<Cell>),
}

impl<'a> Slate<'a> {
    /// Items of which nothing is known yet, in any order.
    pub fn new(ask: &'a Ask, items: Vec<u32>) -> Self {
        let scores = vec![0.0; items.len()];
        Self { ask, items, scores, columns: BTreeMap::new() }
    }

    /// What a system found, with its scores as a column.
    pub fn found(ask: &'a Ask, system: &str, list: Vec<Scored>) -> Self {
        let (items, scores): (Vec<u32>, Vec<f32>) = list.into_iter().unzip();
        let columns = [(score_of(system), Column::Numbers(scores.clone()))].into();
        Self { ask, items, scores, columns }
    }

    /// What several systems found, each item once in the order of the lists, with a column of scores
    /// per system.
    pub fn joined(ask: &'a Ask, found: Vec<(&str, Vec<Scored>)>) -> Self {
        let mut rows: HashMap<u32, usize> = HashMap::new();
        let mut items = Vec::new();
        for &(item, _) in found.iter().flat_map(|(_, list)| list) {
            rows.entry(item).or_insert_with(|| {
                items.push(item);
                items.len() - 1
            });
        }
        let column = |(system, list): (&str, Vec<Scored>)| {
            let mut scores = vec![f32::NAN; items.len()];
            list.into_iter().for_each(|(item, score)| scores[rows[&item]] = score);
            (score_of(system), Column::Numbers(scores))
        };
        let columns = found.into_iter().map(column).collect();
        Self { columns, ..Self::new(ask, items) }
    }

    /// The items, best first.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// Items and what they are ordered by.
    pub fn list(&self) -> impl Iterator<Item = Scored> + '_ {
        self.items.iter().copied().zip(self.scores.iter().copied())
    }

    /// Items and scores alone.
    pub fn into_list(self) -> Vec<Scored> {
        self.items.into_iter().zip(self.scores).collect()
    }

    /// A column, where there is one of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }

    /// The scores of a system, `[rows]`; none where it was not asked.
    pub fn scores_of(&self, system: &str) -> Option<&[f32]> {
        match self.columns.get(&score_of(system)) {
            Some(Column::Numbers(scores)) => Some(scores),
            Some(Column::Cells(_)) | None => None,
        }
    }

    /// Adds a column, `[rows]`, in place of one of the same name.
    pub fn put(&mut self, name: String, column: Column) {
        self.columns.insert(name, column);
    }

    /// Leaves these items in this order, with new scores; what is known of each stays.
    pub fn reorder(&mut self, list: &[Scored]) {
        let rows: HashMap<u32, usize> = self.items.iter().copied().zip(0..).collect();
        let places: Vec<usize> =
            list.iter().filter_map(|(item, _)| rows.get(item).copied()).collect();
        for column in self.columns.values_mut() {
            match column {
                Column::Numbers(values) => *values = places.iter().map(|&at| values[at]).collect(),
                Column::Cells(cells) => {
                    *cells = places.iter().map(|&at| cells[at].clone()).collect();
                }
            }
        }
        (self.items, self.scores) = list.iter().copied().unzip();
    }
}

/// The name of the column of a system's scores.
fn score_of(system: &str) -> String {
    format!("{system}.score")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_and_what_nobody_said_is_not_a_number() {
        let ask = Ask::default();
        let mut slate =
            Slate::joined(&ask, vec![("a", vec![(7, 2.0), (3, 1.0)]), ("b", vec![(3, 9.0)])]);
        assert_eq!(slate.items(), [7, 3]);
        assert_eq!(slate.scores_of("a"), Some([2.0, 1.0].as_slice()));
        let of_b = slate.scores_of("b").expect("a column");
        assert!(of_b[0].is_nan() && of_b[1] == 9.0);
        assert_eq!(slate.scores_of("c"), None);
        let place = Column::Cells(vec![Cell::Number(1.0), Cell::Absent]);
        slate.put("impression.position".into(), place);
        slate.reorder(&[(3, 0.5)]);
        assert_eq!(slate.list().collect::<Vec<_>>(), [(3, 0.5)]);
        assert_eq!(slate.scores_of("b"), Some([9.0].as_slice()));
        let place = slate.column("impression.position");
        assert_eq!(place, Some(&Column::Cells(vec![Cell::Absent])));
        assert_eq!(slate.into_list(), [(3, 0.5)]);
    }
}
