//! What a corpus hands out: requests, impressions, splits and levels of feedback.
//!
//! Items and requests are named by dense row numbers; string ids live in the tables.

use serde::{Deserialize, Serialize};

use super::cell::{Cell, ColumnName};

/// Row number of an item in the items table and in the catalogue.
pub type ItemIdx = u32;

/// Row number of a request in the requests table.
pub type RequestIdx = u32;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose settings with.
    Validation,
    /// To report figures on.
    Test,
}

impl Split {
    /// All splits in the order in which requests are stored.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name as files and messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The number under which the requests table stores it.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// The split of a stored number.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// What is asked: a query text, a history, or both. All that a system sees.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// Query text as typed.
    pub query: Option<String>,
    /// Items of the user's past, oldest first.
    pub history: Vec<ItemIdx>,
    /// Id of the user who asks.
    pub user: Option<String>,
    /// What else is known of the request, its user and its session, such as `user.style`: each column
    /// once. A short list takes less than a map, and there is one per request.
    pub features: Vec<(ColumnName, Cell)>,
    /// Row number of the request where a corpus asks, for what knows nothing but its requests: the
    /// truth, and lists that were written elsewhere.
    pub row: Option<RequestIdx>,
}

/// The newest items of a history that stand for a request without text, oldest first.
pub fn newest(history: &[ItemIdx], items: u32) -> &[ItemIdx] {
    &history[history.len().saturating_sub(items as usize)..]
}

/// A request of a corpus: where it stands, and what it asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Row number of the request.
    pub idx: RequestIdx,
    /// Its id, unique in the corpus.
    pub id: String,
    /// Day since the start of the log; 0 where the source has no time.
    pub day: i32,
    /// What the request is for.
    pub split: Split,
    /// What it asks.
    pub ask: Ask,
}

impl Ask {
    /// What is known of a column.
    pub fn feature(&self, column: &ColumnName) -> Option<&Cell> {
        self.features.iter().find(|(known, _)| known == column).map(|(_, cell)| cell)
    }

    /// Items that must not be answered, ascending: those of the history, where a corpus `removes` them.
    pub fn excluded(&self, removes: bool) -> Vec<ItemIdx> {
        let mut items = if removes { self.history.clone() } else { Vec::new() };
        items.sort_unstable();
        items.dedup();
        items
    }
}

#[cfg(test)]
impl Request {
    /// A test request of that number, which is its id too, with neither text nor history.
    pub(crate) fn bare(idx: RequestIdx) -> Self {
        Self {
            idx,
            id: idx.to_string(),
            day: 0,
            split: Split::Test,
            ask: Ask { row: Some(idx), ..Ask::default() },
        }
    }
}

/// One item shown for a request, with what the user did. Absent signals were not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Impression {
    /// The item shown.
    pub item: ItemIdx,
    /// 1-based position on the page.
    pub position: u16,
    /// Probability under the logging policy that this item stood at this position.
    pub propensity: Option<f32>,
    /// Clicked.
    pub click: bool,
    /// Put into the cart.
    pub cart: bool,
    /// Ordered.
    pub order: bool,
    /// Liked, where recorded.
    pub like: Option<bool>,
    /// Shared, where recorded.
    pub share: Option<bool>,
    /// Dwell time in seconds, where recorded.
    pub dwell: Option<f32>,
    /// Grade that the source gives to this impression, where it does.
    pub grade: Option<f32>,
    /// How far it got: derived from signals where a corpus is read, never stored.
    pub level: Level,
}

/// How far a shown item got: 0 is shown and no more, `n` the `n`-th level of a corpus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u8);

impl Level {
    /// Whether it got further than being shown.
    pub fn is_chosen(self) -> bool {
        self > Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_items_stand_last() {
        assert_eq!(newest(&[1, 2, 3], 2), [2, 3]);
        assert_eq!(newest(&[1], 5), [1]);
    }

    #[test]
    fn split_codes_return() {
        for split in Split::ALL {
            assert_eq!(Split::from_code(split.code()), Some(split));
        }
        assert_eq!(Split::from_code(3), None);
    }
}
