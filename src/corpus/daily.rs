//! What was known of an item before a day: how often training showed it, and how often it was chosen.
//! A model that reads an item's statistics must not find its own label in them.

use super::folder::Corpus;
use super::types::{ItemIdx, Split};
use crate::error::Result;

/// Times shown and chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// Times shown.
    pub shown: u32,
    /// Times chosen: clicked, or whatever lifts an item above the lowest level.
    pub chosen: u32,
}

/// Running counts of every item, by day.
#[derive(Debug, Clone)]
pub struct DailyStatistics {
    /// `[items]`: days on which the item was shown, ascending, with the counts up to their end.
    days: Vec<Vec<(i32, Shown)>>,
}

impl DailyStatistics {
    /// Counts the training impressions of a corpus.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the corpus cannot be read.
    pub fn of(corpus: &Corpus) -> Result<Self> {
        let mut of_request = Vec::new();
        for request in corpus.request_iter(Split::Train)? {
            of_request.push(request?.day);
        }
        let mut events: Vec<Vec<(i32, Shown)>> = vec![Vec::new(); corpus.summary().items as usize];
        for page in corpus.impressions()? {
            let (request, page) = page?;
            // Training requests are numbered from 0.
            let day = of_request[request as usize];
            for shown in &page {
                let chosen = u32::from(shown.level.is_chosen());
                events[shown.item as usize].push((day, Shown { shown: 1, chosen }));
            }
        }
        Ok(Self { days: events.into_iter().map(running).collect() })
    }

    /// What was counted on the days before `day`.
    pub fn before(&self, item: ItemIdx, day: i32) -> Shown {
        let days = &self.days[item as usize];
        let n_before = days.partition_point(|(at, _)| *at < day);
        n_before.checked_sub(1).map_or_else(Shown::default, |last| days[last].1)
    }

    /// What was counted in all of training.
    pub fn in_all(&self, item: ItemIdx) -> Shown {
        self.days[item as usize].last().map_or_else(Shown::default, |last| last.1)
    }
}

/// Sums up to the end of each day.
fn running(mut events: Vec<(i32, Shown)>) -> Vec<(i32, Shown)> {
    events.sort_by_key(|(day, _)| *day);
    let mut days: Vec<(i32, Shown)> = Vec::new();
    let mut sum = Shown::default();
    for (day, one) in events {
        sum = Shown { shown: sum.shown + one.shown, chosen: sum.chosen + one.chosen };
        match days.last_mut() {
            Some(last) if last.0 == day => last.1 = sum,
            _ => days.push((day, sum)),
        }
    }
    days
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::testing::Shop;

    #[test]
    fn a_day_knows_nothing_of_itself_and_held_out_days_are_not_counted() {
        let shop = Shop::written();
        let daily = DailyStatistics::of(&shop.corpus).unwrap();
        let of = |shown, chosen| Shown { shown, chosen };
        // Item 1: shown twice on day 0, once of them clicked, and once on day 1.
        assert_eq!(daily.before(1, 0), of(0, 0));
        assert_eq!(daily.before(1, 1), of(2, 1));
        assert_eq!(daily.before(1, 2), of(3, 1));
        assert_eq!(daily.before(1, 99), daily.in_all(1));
        assert_eq!(daily.before(0, 1), of(1, 0));
        assert_eq!(daily.in_all(0), of(2, 1));
    }

    #[test]
    fn running_counts_equal_counting_anew() {
        for seed in 0..60u32 {
            let mut state = seed.wrapping_mul(2_654_435_761) | 1;
            let mut draw = |n: u32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) % n
            };
            let events: Vec<(i32, Shown)> = (0..draw(20))
                .map(|_| (draw(6) as i32 - 2, Shown { shown: 1, chosen: draw(2) }))
                .collect();
            let daily = DailyStatistics { days: vec![running(events.clone())] };
            for day in -3..6 {
                let before = events.iter().filter(|(at, _)| *at < day).map(|one| one.1);
                let sum = before.fold(Shown::default(), |a, b| Shown {
                    shown: a.shown + b.shown,
                    chosen: a.chosen + b.chosen,
                });
                assert_eq!(daily.before(0, day), sum, "{seed} {day}");
            }
        }
    }
}
