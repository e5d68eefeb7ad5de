//! Labelled impressions with their features, held by side: what belongs to an item or a question is kept
//! once.

use super::asked::Asked;
use super::layout::{Entry, Gathering, Layout};
use super::sides::{Places, Side};
use super::value::Value;
use crate::corpus::{DailyStatistics, Labels, Request, Shown};
use crate::error::Result;
use crate::ranker::slate::Slate;

/// Labelled impressions.
pub(super) struct Examples<'a> {
    places: &'a Places,
    /// `[items]`
    items: &'a [Side],
    /// `[questions]`
    asks: Vec<Side>,
    rows: Vec<Row>,
    /// `[rows]`, where the past is read.
    past: Vec<Side>,
    /// `[rows]`, where the showing is read.
    showings: Vec<Side>,
    /// `[rows]`, where systems are asked.
    scored: Vec<Side>,
    nothing: Side,
}

struct Row {
    item: u32,
    ask: u32,
    is_positive: bool,
}

/// What is known of items.
pub(super) struct Known<'a> {
    /// `[items]`: features but for the past.
    pub(super) items: &'a [Side],
    /// What training knew, by day.
    pub(super) daily: Option<&'a DailyStatistics>,
    /// Mean share of showings on which an item is chosen.
    pub(super) rate: f32,
}

impl<'a> Examples<'a> {
    /// Joins labels with the features of their requests and items; `requests` hold those of the labels,
    /// in their order.
    ///
    /// # Errors
    /// When a system that is asked fails.
    pub(super) fn new(
        places: &'a Places,
        known: &Known<'a>,
        requests: &[Request],
        labels: &Labels,
        asked: &Asked,
    ) -> Result<Self> {
        let nothing = vec![Value::Absent; places.0.len()];
        let has_showing = !places.of_showing().is_empty();
        let (mut asks, mut rows) = (Vec::new(), Vec::new());
        let (mut past, mut showings, mut scored) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = requests.iter();
        for (request, page) in &labels.pages {
            let Some(request) = rest.find(|one| one.idx == *request) else { continue };
            let ask = asks.len() as u32;
            asks.push(places.ask(&request.ask));
            if !asked.is_empty() {
                let items = page.iter().map(|one| one.item).collect();
                let scores = asked.scores(&Slate::new(&request.ask, items))?;
                scored.extend(scores.iter().map(|scores| places.scored(scores)));
            }
            for one in page {
                rows.push(Row { item: one.item, ask, is_positive: one.is_positive });
                if let Some(daily) = known.daily {
                    past.push(places.past(daily.before(one.item, request.day), known.rate));
                }
                if has_showing {
                    showings.push(places.showing(&one.cells));
                }
            }
        }
        Ok(Self { places, items: known.items, asks, rows, past, showings, scored, nothing })
    }

    /// Number of examples.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The label of an example.
    pub(super) fn is_positive(&self, number: usize) -> bool {
        self.rows[number].is_positive
    }

    fn value(&self, number: usize, feature: usize) -> &Value {
        let row = &self.rows[number];
        let past = self.past.get(number).unwrap_or(&self.nothing);
        let showing = self.showings.get(number).unwrap_or(&self.nothing);
        let scored = self.scored.get(number).unwrap_or(&self.nothing);
        let (item, ask) = (&self.items[row.item as usize], &self.asks[row.ask as usize]);
        self.places.pick(feature, [item, past, ask, showing, scored])
    }

    /// The weights that an example reads.
    pub(super) fn encode(&self, number: usize, layout: &Layout, out: &mut Vec<Entry>) {
        layout.encode(|feature| self.value(number, feature), out);
    }

    /// Meets all examples.
    pub(super) fn gather(&self, gathering: &mut Gathering) {
        for number in 0..self.rows.len() {
            gathering.meet(|feature| self.value(number, feature));
        }
    }
}

/// The mean share of showings on which something was chosen.
pub(super) fn mean_rate(daily: &DailyStatistics, n_items: usize) -> f32 {
    let all = (0..n_items as u32).map(|item| daily.in_all(item));
    let sum = all.fold((0u64, 0u64), |sum, Shown { shown, chosen }| {
        (sum.0 + u64::from(shown), sum.1 + u64::from(chosen))
    });
    sum.1 as f32 / sum.0.max(1) as f32
}
