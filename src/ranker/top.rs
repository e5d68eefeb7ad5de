//! The best `depth` of many scored items: the pool of `trieval-kernels`, without excluded items.

use trieval_kernels::top::Pool;

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
    use trieval_kernels::top::Ranked;

    use super::top;

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
