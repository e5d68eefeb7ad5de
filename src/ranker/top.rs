//! The best `depth` of many scored items.

use std::cmp::Ordering;

/// Room beyond twice the depth: how many candidates come between two cuts at least.
const SLACK: usize = 512;

/// Order of results: higher score first, then the smaller item index.
fn better(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Keeps the best `depth` candidates without those in `exclude` (ascending), one candidate after the other.
pub struct Top<'a> {
    depth: usize,
    exclude: &'a [u32],
    /// The best so far, and some that came since the last cut.
    kept: Vec<(u32, f32)>,
    /// The last of the best `depth` at the last cut: what is not better need not be looked at.
    least: Option<(u32, f32)>,
}

impl<'a> Top<'a> {
    /// Nothing kept yet.
    pub fn new(depth: usize, exclude: &'a [u32]) -> Self {
        Self { depth, exclude, kept: Vec::new(), least: None }
    }

    /// Offers a candidate; no item may be offered twice.
    #[inline]
    pub fn offer(&mut self, item: u32, score: f32) {
        let candidate = (item, score);
        if self.least.is_some_and(|least| better(&candidate, &least) != Ordering::Less) {
            return;
        }
        if self.exclude.binary_search(&item).is_ok() {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= self.depth.saturating_mul(2).saturating_add(SLACK) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.depth > 0 && self.kept.len() > self.depth {
            let (_, least, _) = self.kept.select_nth_unstable_by(self.depth - 1, better);
            self.least = Some(*least);
        }
        self.kept.truncate(self.depth);
    }

    /// The best `depth` candidates, best first.
    pub fn finish(mut self) -> Vec<(u32, f32)> {
        self.cut();
        self.kept.sort_unstable_by(better);
        // Lists are kept for all requests: with room for every candidate, popularity took 3 GB on 22,363 of them.
        self.kept.shrink_to_fit();
        self.kept
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
    use super::{better, top};

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
                all.sort_by(better);
                all.truncate(depth);
                assert_eq!(top(scored(), depth, &exclude), all);
            }
        }
    }
}
