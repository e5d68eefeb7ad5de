//! Which items were chosen near each other, and who is drawn as an item's partner.
//!
//! Item i draws partner j with `P(j | i) = n(i, j) / n(i)`. Of all items that have partners, drawn alike,
//! `Q(j) = Σ_i P(j | i) / N`: how often j is anybody's partner, whoever asks.

use rand::Rng;

use crate::seed::Seed;
use crate::vectors::collaborative::Near;

/// Who was chosen near whom, row by row.
pub(super) struct Partners {
    /// Where each item's row begins, and the end of the last.
    starts: Vec<usize>,
    /// Partners, ascending within a row.
    items: Vec<u32>,
    /// Shares of a row up to and including each partner.
    up_to: Vec<f64>,
    /// `ln Q` of each item; 0 for one that is nobody's partner.
    log_q: Vec<f32>,
}

impl Partners {
    /// Of histories of items below `n_items`.
    pub(super) fn new(histories: &[Vec<u32>], n_items: usize, window: u32) -> Self {
        let histories = histories.iter().map(|history| (history.as_slice(), 1.0));
        let near = Near::count(histories, n_items, window);
        let both = |(&(a, b), &count): (&(u32, u32), &f64)| [(a, b, count), (b, a, count)];
        let mut rows: Vec<(u32, u32, f64)> = near.counts.iter().flat_map(both).collect();
        rows.sort_unstable_by_key(|&(row, column, _)| (row, column));
        let mut starts = vec![0; n_items + 1];
        rows.iter().for_each(|(row, ..)| starts[*row as usize + 1] += 1);
        (0..n_items).for_each(|row| starts[row + 1] += starts[row]);
        let n_asking = starts.windows(2).filter(|row| row[0] < row[1]).count().max(1) as f64;
        let (mut q, mut up_to) = (vec![0.0; n_items], Vec::with_capacity(rows.len()));
        let mut sum = 0.0;
        for (at, (row, column, count)) in rows.iter().enumerate() {
            if starts[*row as usize] == at {
                sum = 0.0;
            }
            sum += count;
            let own = near.own[*row as usize];
            up_to.push(sum / own);
            q[*column as usize] += count / own / n_asking;
        }
        let log_q = q.into_iter().map(|q| if q > 0.0 { q.ln() as f32 } else { 0.0 }).collect();
        let items = rows.into_iter().map(|(_, column, _)| column).collect();
        Self { starts, items, up_to, log_q }
    }

    /// The partners of an item.
    pub(super) fn of(&self, item: u32) -> &[u32] {
        &self.items[self.starts[item as usize]..self.starts[item as usize + 1]]
    }

    /// A partner of an item; none where it was chosen near no other.
    pub(super) fn draw(&self, item: u32, seed: Seed) -> Option<u32> {
        let row = self.starts[item as usize]..self.starts[item as usize + 1];
        let at: f64 = seed.rng().random();
        let up_to = &self.up_to[row.clone()];
        let place = up_to.partition_point(|share| *share <= at).min(row.len().checked_sub(1)?);
        Some(self.items[row.start + place])
    }

    /// `ln Q` of an item.
    pub(super) fn log_q(&self, item: u32) -> f32 {
        self.log_q[item as usize]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_drawn_as_often_as_they_were_chosen_near() {
        // 0-1 three times, 0-2 once, 1-2 once; nobody chose 3 near another, nor 4.
        let histories = [vec![0, 1], vec![1, 0], vec![0, 1, 2], vec![2, 0], vec![3], vec![4, 4]];
        let partners = Partners::new(&histories, 5, 1);
        assert_eq!([0, 1, 2, 3, 4].map(|item| partners.of(item).len()), [2, 2, 2, 0, 0]);
        let drawn: Vec<u32> =
            (0..4_000).filter_map(|n| partners.draw(0, Seed::new(1).index(n))).collect();
        let ones = drawn.iter().filter(|&&item| item == 1).count() as f64;
        assert_eq!(drawn.len(), 4_000);
        assert!((ones / 4_000.0 - 0.75).abs() < 0.03, "{ones}");
        assert_eq!((partners.draw(3, Seed::new(1)), partners.draw(4, Seed::new(1))), (None, None));
        // Q(1) = (P(1 | 0) + P(1 | 2)) / 3 = (3/4 + 1/2) / 3.
        assert!((f64::from(partners.log_q(1)) - (1.25f64 / 3.0).ln()).abs() < 1e-6);
        let all: f64 = (0..3).map(|item| f64::from(partners.log_q(item)).exp()).sum();
        assert!((all - 1.0).abs() < 1e-6, "{all}");
        assert_eq!(partners.log_q(3), 0.0);
    }
}
