//! A log as patterns: where a pair of query and item was shown how often, and clicked how often.

use std::collections::HashMap;

use crate::corpus::types::{Impression, Request};

/// Most patterns that are looked at; of more, every n-th in their order.
const MOST: usize = 1 << 18;

/// A position of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// 1-based.
    pub(super) position: u16,
    pub(super) shown: u32,
    pub(super) clicks: u32,
}

/// Pairs that were shown and clicked alike.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    /// Ascending by position; two or more.
    pub(super) places: Vec<Place>,
    /// How many pairs.
    pub(super) pairs: f64,
}

impl Pattern {
    pub(super) fn clicks(&self) -> f64 {
        self.places.iter().map(|place| f64::from(place.clicks)).sum()
    }
}

/// The patterns of all pairs that were shown at several positions, in an order of their own: nothing
/// that is summed over them depends on that of the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Patterns {
    pub(super) all: Vec<Pattern>,
    shown_at_all: u64,
    clicks_at_all: u64,
    pairs: u64,
    shown: u64,
    clicks: u64,
}

impl Patterns {
    pub(super) fn of(
        requests: &[Request],
        pages: &[Vec<Impression>],
        counts: impl Fn(&Impression) -> bool,
    ) -> Self {
        let mut queries: HashMap<&str, u32> = HashMap::new();
        // (query, item, position, clicked): a query is a number here, which no order of patterns reads.
        let mut rows: Vec<(u32, u32, u16, bool)> = Vec::new();
        for (request, page) in requests.iter().zip(pages) {
            let Some(query) = &request.ask.query else { continue };
            let next = queries.len() as u32;
            let query = *queries.entry(query.as_str()).or_insert(next);
            let shown = page.iter().filter(|shown| counts(shown));
            rows.extend(shown.map(|one| (query, one.item, one.position, one.level.is_chosen())));
        }
        rows.sort_unstable();
        let clicked = |rows: &[(u32, u32, u16, bool)]| rows.iter().filter(|row| row.3).count();
        let mut found = Self {
            shown_at_all: rows.len() as u64,
            clicks_at_all: clicked(&rows) as u64,
            ..Self::default()
        };
        let mut counted: HashMap<Vec<Place>, u64> = HashMap::new();
        for pair in rows.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            if pair.first().map(|row| row.2) == pair.last().map(|row| row.2) {
                continue;
            }
            let places = pair.chunk_by(|a, b| a.2 == b.2).map(|rows| Place {
                position: rows[0].2.max(1),
                shown: rows.len() as u32,
                clicks: clicked(rows) as u32,
            });
            found.pairs += 1;
            found.shown += pair.len() as u64;
            found.clicks += clicked(pair) as u64;
            *counted.entry(places.collect()).or_default() += 1;
        }
        let mut counted: Vec<(Vec<Place>, u64)> = counted.into_iter().collect();
        counted.sort_unstable();
        let every = counted.len().div_ceil(MOST).max(1);
        let kept = counted.into_iter().step_by(every);
        found.all = kept.map(|(places, n)| Pattern { places, pairs: n as f64 }).collect();
        found
    }

    /// The last position of any pattern.
    pub(super) fn n_positions(&self) -> usize {
        let last = self.all.iter().filter_map(|pattern| pattern.places.last());
        last.map(|place| usize::from(place.position)).max().unwrap_or(0)
    }

    /// Clicks at every position, from the first on.
    pub(super) fn clicks_by_position(&self) -> Vec<f64> {
        let mut clicks = vec![0.0; self.n_positions()];
        for pattern in &self.all {
            for place in &pattern.places {
                clicks[usize::from(place.position) - 1] += pattern.pairs * f64::from(place.clicks);
            }
        }
        clicks
    }

    /// Impressions that count, of pairs shown at one position too.
    pub(super) fn shown_at_all(&self) -> u64 {
        self.shown_at_all
    }

    pub(super) fn clicks_at_all(&self) -> u64 {
        self.clicks_at_all
    }

    pub(super) fn pairs(&self) -> u64 {
        self.pairs
    }

    pub(super) fn shown(&self) -> u64 {
        self.shown
    }

    pub(super) fn clicks(&self) -> u64 {
        self.clicks
    }
}
