//! The best few of many candidates: a pool with a rising bar, never a full sort.
//!
//! Knows of its candidates only their order.

use std::cmp::Ordering;

/// What competes for a place among the best.
pub trait Ranked: Copy {
    /// `Less` means better. Must be a total order on the candidates of one pool, and only equals
    /// may be interchangeable, else what is kept depends on the order in which candidates come.
    fn order(&self, other: &Self) -> Ordering;
}

/// An item and its score: higher score first, then the smaller item.
impl Ranked for (u32, f32) {
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        other.1.total_cmp(&self.1).then(self.0.cmp(&other.0))
    }
}

/// Room beyond the limit: how many candidates come between two cuts at least.
const SLACK: usize = 256;

/// Keeps the `limit` best of the candidates offered, in memory for a small multiple of them.
#[derive(Debug, Clone)]
pub struct Pool<T> {
    limit: usize,
    /// Candidates that are held before a cut.
    capacity: usize,
    /// The best so far, and some that came since the last cut.
    held: Vec<T>,
    /// The last of the best at the last cut: what is not better need not be looked at.
    least: Option<T>,
}

impl<T: Ranked> Pool<T> {
    /// An empty pool for the `limit` best.
    pub fn new(limit: usize) -> Self {
        let capacity = limit.saturating_mul(2).max(limit.saturating_add(SLACK));
        Self { limit, capacity, held: Vec::new(), least: None }
    }

    /// Forgets all candidates; the memory is kept.
    pub fn clear(&mut self) {
        self.held.clear();
        self.least = None;
    }

    /// The bar: a candidate that is not better cannot be kept any more. It rises with the offers.
    #[inline]
    pub fn least(&self) -> Option<&T> {
        self.least.as_ref()
    }

    /// Whether an offer of this candidate would be looked at.
    #[inline]
    pub fn takes(&self, candidate: &T) -> bool {
        self.least.is_none_or(|least| candidate.order(&least) == Ordering::Less)
    }

    /// Offers a candidate; whether the bar moved.
    #[inline]
    pub fn offer(&mut self, candidate: T) -> bool {
        if !self.takes(&candidate) {
            return false;
        }
        self.held.push(candidate);
        self.held.len() >= self.capacity && self.cut()
    }

    /// Leaves the best; whether that moved the bar.
    fn cut(&mut self) -> bool {
        let is_over = self.held.len() > self.limit;
        if is_over && self.limit > 0 {
            let (_, least, _) = self.held.select_nth_unstable_by(self.limit - 1, T::order);
            self.least = Some(*least);
        }
        self.held.truncate(self.limit);
        is_over && self.limit > 0
    }

    /// The best of what was offered since the last [`Pool::clear`], in any order.
    pub fn unsorted(&mut self) -> &[T] {
        self.cut();
        &self.held
    }

    /// The best of what was offered since the last [`Pool::clear`], best first.
    pub fn best(&mut self) -> &[T] {
        self.cut();
        self.held.sort_unstable_by(T::order);
        &self.held
    }

    /// As [`Pool::best`], for good; the list holds no more memory than it needs.
    pub fn into_best(mut self) -> Vec<T> {
        self.best();
        // Lists are kept for all requests: with room for every candidate, popularity took 3 GB on
        // 22,363 of them.
        self.held.shrink_to_fit();
        self.held
    }
}

/// Keeps the best `depth` candidates without those in `exclude` (ascending): higher score first,
/// then the smaller item.
pub struct Top<'a> {
    exclude: &'a [u32],
    pool: Pool<(u32, f32)>,
}

impl<'a> Top<'a> {
    /// Nothing kept yet.
    pub fn new(depth: usize, exclude: &'a [u32]) -> Self {
        Self { exclude, pool: Pool::new(depth) }
    }

    /// Offers a candidate; no item may be offered twice.
    #[inline]
    pub fn offer(&mut self, item: u32, score: f32) {
        let candidate = (item, score);
        if self.pool.takes(&candidate) && self.exclude.binary_search(&item).is_err() {
            self.pool.offer(candidate);
        }
    }

    /// The best `depth` candidates, best first.
    pub fn finish(self) -> Vec<(u32, f32)> {
        self.pool.into_best()
    }
}

/// The best `depth` candidates, best first, without those in `exclude` (ascending).
pub fn top(
    candidates: impl Iterator<Item = (u32, f32)>,
    depth: usize,
    exclude: &[u32],
) -> Vec<(u32, f32)> {
    let mut top = Top::new(depth, exclude);
    candidates.for_each(|(item, score)| top.offer(item, score));
    top.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_a_full_sort(
            scores in proptest::collection::vec(0u8..40, 0..2000),
            limit in 0usize..60,
        ) {
            // Few distinct scores, so that ties straddle the bar.
            let scores = scores.iter().map(|&score| f32::from(score));
            let all: Vec<(u32, f32)> = (0..).zip(scores).collect();
            let mut sorted = all.clone();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            sorted.truncate(limit);
            let mut pool = Pool::new(limit);
            for round in 0..2 {
                pool.clear();
                for &candidate in &all {
                    let before = pool.least().copied();
                    let moved = pool.offer(candidate);
                    prop_assert_eq!(moved, pool.least().copied() != before);
                }
                let mut unsorted = pool.unsorted().to_vec();
                unsorted.sort_by(Ranked::order);
                prop_assert_eq!(&unsorted, &sorted, "round {}", round);
                prop_assert_eq!(pool.best(), &sorted[..], "round {}", round);
            }
            prop_assert_eq!(pool.into_best(), sorted);
        }
    }

    #[test]
    fn best_first_ties_by_item_excluded_left_out() {
        let scores = [0.5f32, 2.0, 2.0, -1.0, 3.0];
        let candidates = || (0..).zip(scores);
        assert_eq!(top(candidates(), 3, &[4]), [(1, 2.0), (2, 2.0), (0, 0.5)]);
        assert_eq!(top(candidates(), 0, &[]), []);
        assert_eq!(top(candidates(), 9, &[]).len(), 5);
    }

    /// Long enough for many cuts, with ties, rising, falling and mixed.
    #[test]
    fn cuts_on_the_way_change_nothing() {
        let n = 20_000u32;
        let orders: [fn(u32) -> u32; 3] = [|i| i, |i| 19_999 - i, |i| i * 7_919 % 20_000];
        for order in orders {
            let scored = || (0..n).map(|i| (order(i), (order(i) / 3) as f32));
            for depth in [0, 1, 10, 1_000, usize::MAX] {
                let exclude = [0, 5, 19_998];
                let mut all: Vec<_> = scored().filter(|(i, _)| !exclude.contains(i)).collect();
                all.sort_by(Ranked::order);
                all.truncate(depth);
                assert_eq!(top(scored(), depth, &exclude), all);
            }
        }
    }
}
