//! Impressions as labelled examples: was an item, where it was shown, clicked, watched, saved, or part
//! of a session that came to something?

use std::ops::Range;

use super::cell::{Cell, ColumnName, Entity};
use super::cells::Cells;
use super::folder::Corpus;
use super::levels::{SIGNALS, fixed_signal, signals};
use super::rows::ImpressionRow;
use super::settings::LabelRule;
use super::table::TableReader;
use super::types::{ItemIdx, RequestIdx, Split};
use crate::error::{Error, Result};

/// A shown item with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The item.
    pub item: ItemIdx,
    /// Whether it is positive.
    pub is_positive: bool,
    /// What was known when it was shown: the columns asked for.
    pub cells: Vec<Cell>,
}

/// Labelled items of requests.
pub struct Labels {
    /// `(request, items)` in the order of requests; each item of a page once, positive where any
    /// showing of it was.
    pub pages: Vec<(RequestIdx, Vec<Labelled>)>,
    /// Impressions whose signal was not recorded: they have no label and are left out.
    pub unknown: u64,
}

impl Labels {
    /// Examples in all, and positive ones.
    pub fn counts(&self) -> (u64, u64) {
        let mut counts = (0, 0);
        for one in self.pages.iter().flat_map(|(_, page)| page) {
            counts = (counts.0 + 1, counts.1 + u64::from(one.is_positive));
        }
        counts
    }
}

/// Where the value of a signal stands.
enum Place {
    /// In the fixed columns of an impression.
    Fixed,
    /// Behind the cells asked for.
    Open,
    /// `[requests of the split]`: in the session.
    Session(Vec<Option<f64>>),
}

impl Corpus {
    /// Impressions of a split as labelled examples, with columns of impressions by name.
    ///
    /// # Errors
    /// [`Error::Data`] when the corpus does not record the signal, or a table cannot be read.
    pub fn labels(&self, split: Split, rule: &LabelRule, columns: &[&str]) -> Result<Labels> {
        let range = self.request_range(split);
        let place = self.place(&rule.signal, &range)?;
        let mut names = columns.to_vec();
        if matches!(place, Place::Open) {
            names.push(&rule.signal);
        }
        let mut cells = match names.is_empty() {
            true => None,
            false => Some(Cells::open(self.folder(), Entity::Impression, &names, 0, None)?),
        };
        let mut labels = Labels { pages: Vec::new(), unknown: 0 };
        for row in TableReader::<ImpressionRow>::open(self.folder())? {
            let ImpressionRow { request, impression } = row?;
            let mut cells =
                cells.as_mut().and_then(Iterator::next).transpose()?.unwrap_or_default();
            if request >= range.end {
                break;
            }
            if request < range.start {
                continue;
            }
            let value = match &place {
                Place::Fixed => fixed_signal(&impression, &rule.signal),
                Place::Open => cells.pop().and_then(|cell| cell.number()),
                Place::Session(values) => values[(request - range.start) as usize],
            };
            let Some(value) = value else {
                labels.unknown += 1;
                continue;
            };
            let is_positive = value >= rule.from;
            if labels.pages.last().is_none_or(|last| last.0 != request) {
                labels.pages.push((request, Vec::new()));
            }
            let Some((_, page)) = labels.pages.last_mut() else { continue };
            match page.iter_mut().find(|one| one.item == impression.item) {
                Some(before) => before.is_positive |= is_positive,
                None => page.push(Labelled { item: impression.item, is_positive, cells }),
            }
        }
        Ok(labels)
    }

    /// Whether impressions have values of a signal.
    pub(super) fn records(&self, signal: &str) -> bool {
        let columns = &self.summary().columns;
        match session_column(signal) {
            Some(column) => columns.iter().any(|one| one.is_signal && one.column == column),
            None => signals(columns).contains(&signal),
        }
    }

    fn place(&self, signal: &str, range: &Range<RequestIdx>) -> Result<Place> {
        if !self.records(signal) {
            let recorded = signals(&self.summary().columns).join(", ");
            let message = format!("no signal `{signal}` was recorded");
            return Err(Error::data(self.folder(), message)
                .with_help(format!("signals of impressions are {recorded}")));
        }
        let Some(column) = session_column(signal) else {
            return Ok(if SIGNALS.contains(&signal) { Place::Fixed } else { Place::Open });
        };
        let outcomes = self.cells(Entity::Session, &[&column.name])?;
        let outcomes: Vec<Option<f64>> =
            outcomes.map(|row| Ok(row?.first().and_then(Cell::number))).collect::<Result<_>>()?;
        let (offset, limit) = (u64::from(range.start), u64::from(range.end - range.start));
        let sessions =
            Cells::open(self.folder(), Entity::Request, &["session"], offset, Some(limit))?;
        let of_request = |row: Result<Vec<Cell>>| {
            let session = row?.first().and_then(Cell::number);
            Ok(session.and_then(|session| outcomes.get(session as usize).copied().flatten()))
        };
        Ok(Place::Session(sessions.map(of_request).collect::<Result<_>>()?))
    }
}

/// The column of sessions that a signal names, where it names one.
fn session_column(signal: &str) -> Option<ColumnName> {
    let name = signal.strip_prefix("session.")?;
    Some(ColumnName::new(Entity::Session, name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::testing::Shop;

    fn rule(signal: &str, from: f64) -> LabelRule {
        LabelRule { signal: signal.into(), from }
    }

    fn flags(labels: &Labels) -> Vec<(u32, Vec<(u32, bool)>)> {
        let flag = |one: &Labelled| (one.item, one.is_positive);
        let page =
            |(request, items): &(u32, Vec<Labelled>)| (*request, items.iter().map(flag).collect());
        labels.pages.iter().map(page).collect()
    }

    #[test]
    fn every_shown_item_is_an_example_once() {
        let shop = Shop::written();
        let labels = shop.corpus.labels(Split::Train, &rule("click", 1.0), &["position"]).unwrap();
        // Item 1 was shown twice to request 0, and clicked the second time.
        let expected = vec![(0, vec![(1, true), (0, false)]), (1, vec![(0, true), (1, false)])];
        assert_eq!(flags(&labels), expected);
        assert_eq!(labels.pages[0].1[0].cells, [Cell::Number(1.0)]);
        assert_eq!((labels.counts(), labels.unknown), ((4, 2), 0));
        let test = shop.corpus.labels(Split::Test, &rule("click", 1.0), &[]).unwrap();
        assert_eq!(flags(&test), [(3, vec![(1, false)])]);
    }

    #[test]
    fn open_signals_and_outcomes_of_sessions_are_labels() {
        let shop = Shop::written();
        let saves = shop.corpus.labels(Split::Train, &rule("saves", 2.0), &[]).unwrap();
        // Nobody recorded whether request 1's second item was saved.
        let expected = vec![(0, vec![(1, true), (0, false)]), (1, vec![(0, false)])];
        assert_eq!((flags(&saves), saves.unknown), (expected, 1));
        let bought = shop.corpus.labels(Split::Train, &rule("session.bought", 1.0), &[]).unwrap();
        // Request 0 is in a session in which something was bought, request 1 in none.
        assert_eq!(flags(&bought), [(0, vec![(1, true), (0, true)])]);
        assert_eq!(bought.unknown, 2);
    }

    #[test]
    fn what_was_not_recorded_is_no_label() {
        let shop = Shop::written();
        for signal in ["saved", "position", "session.device", "user.segment"] {
            let labels = shop.corpus.labels(Split::Train, &rule(signal, 1.0), &[]);
            let message = labels.err().unwrap().to_string();
            assert!(message.contains(&format!("no signal `{signal}`")), "{message}");
        }
    }
}
