//! The items of many spans at once.

use super::fm_index::{FmIndex, Rows};

/// The items of the occurrences of some spans, each looked up once: of a span and its extensions, most are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occurrences {
    /// First row of each run of rows and its place in `items`, ascending.
    runs: Vec<(u64, usize)>,
    items: Vec<u32>,
}

impl Occurrences {
    /// Of the spans with these rows.
    pub fn new(index: &FmIndex, spans: impl IntoIterator<Item = Rows>) -> Self {
        let mut spans: Vec<Rows> = spans.into_iter().collect();
        spans.sort_unstable_by_key(|rows| rows.lo);
        let (mut found, mut end) = (Self::default(), 0);
        for rows in spans {
            if rows.lo >= end || found.runs.is_empty() {
                found.runs.push((rows.lo, found.items.len()));
                end = rows.lo;
            }
            if rows.hi > end {
                found.items.extend(index.items(Rows { lo: end, hi: rows.hi }));
                end = rows.hi;
            }
        }
        found
    }

    /// The item of each occurrence of a span, as often as it occurs there.
    ///
    /// # Panics
    /// If the span is not one of those that were asked for.
    pub fn of(&self, span: Rows) -> &[u32] {
        let after = self.runs.partition_point(|(first, _)| *first <= span.lo);
        let (first, place) = self.runs[after - 1];
        let place = place + (span.lo - first) as usize;
        &self.items[place..place + span.count() as usize]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::fm::{Build, FmBuilder};

    proptest! {
        #[test]
        fn each_span_has_the_items_of_its_own_rows(
            texts in proptest::collection::vec(proptest::collection::vec(0u32..3, 1..9), 1..12),
            spans in proptest::collection::vec(proptest::collection::vec(0u32..3, 0..4), 0..20),
            compact: bool,
        ) {
            let mut builder = FmBuilder::new(3, texts.len() as u32).unwrap();
            for (item, text) in (0..).zip(&texts) {
                builder.push(item, text).unwrap();
            }
            let build = if compact { Build::Compact } else { Build::Fast };
            let index = builder.build(build).unwrap();
            let found: Vec<Rows> = spans.iter().filter_map(|span| index.find(span)).collect();
            let all = Occurrences::new(&index, found.iter().copied());
            for rows in &found {
                let own: Vec<u32> = index.items(*rows).collect();
                prop_assert_eq!(all.of(*rows), &own[..]);
            }
            let most: u64 = found.iter().map(|rows| rows.count()).sum();
            prop_assert!(all.items.len() as u64 <= most);
        }
    }
}
