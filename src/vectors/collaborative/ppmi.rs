//! Positive pointwise mutual information of items that stand near each other in what one person chose.
//!
//! `n(i, j) = Σ_h w_h #{two places of h, at most a window apart, that hold i and j}` for `i ≠ j`, `n(i) = Σ_j n(i, j)`,
//! `N = Σ_i n(i)`, and `M_ij = max(0, ln(n(i, j) N / (n(i) n(j))) - ln shift)`: what skip-grams with `shift` negatives
//! factorise (Levy and Goldberg, NIPS 2014). With the singular values of `M = U Σ Vᵀ`, item i has the vector `U_i Σ^{1/2}`.
//! M is symmetric, so that the leading eigenpairs of `M M` are `U` and `Σ²`.

use super::near::Near;
use crate::vectors::settings::PpmiSettings;

/// The matrix M, row by row.
pub(super) struct Ppmi {
    /// Where each item's row begins, and the end of the last.
    starts: Vec<usize>,
    /// Columns, ascending within a row, and what stands there; more than 0.
    entries: Vec<(u32, f64)>,
}

impl Ppmi {
    /// Counts histories, each with its weight.
    pub(super) fn new(
        histories: &[(Vec<u32>, f64)],
        n_items: usize,
        settings: &PpmiSettings,
    ) -> Self {
        let histories = histories.iter().map(|(items, weight)| (items.as_slice(), *weight));
        let Near { counts, own } = Near::count(histories, n_items, settings.window);
        let total: f64 = own.iter().sum();
        let information = |(&(a, b), count): (&(u32, u32), &f64)| {
            let expected = own[a as usize] * own[b as usize] / total;
            let value = (count / expected).ln() - settings.shift.ln();
            (value > 0.0).then_some([(a, b, value), (b, a, value)])
        };
        let mut both: Vec<(u32, u32, f64)> =
            counts.iter().filter_map(information).flatten().collect();
        both.sort_unstable_by_key(|(row, column, _)| (*row, *column));
        let mut starts = vec![0; n_items + 1];
        both.iter().for_each(|(row, ..)| starts[*row as usize + 1] += 1);
        (0..n_items).for_each(|row| starts[row + 1] += starts[row]);
        Self { starts, entries: both.into_iter().map(|(_, column, x)| (column, x)).collect() }
    }

    pub(super) fn n_items(&self) -> usize {
        self.starts.len() - 1
    }

    /// Items with a row that is not of zeros.
    pub(super) fn n_informed(&self) -> usize {
        self.starts.windows(2).filter(|row| row[0] < row[1]).count()
    }

    /// The sum of all squared entries, which is that of all squared singular values.
    pub(super) fn squares(&self) -> f64 {
        self.entries.iter().map(|(_, value)| value * value).sum()
    }

    /// `M M x`, `[items]`.
    pub(super) fn product(&self, x: &[f64]) -> Vec<f64> {
        self.once(&self.once(x))
    }

    fn once(&self, x: &[f64]) -> Vec<f64> {
        let row = |row: &[usize]| {
            let entries = &self.entries[row[0]..row[1]];
            entries.iter().map(|(column, value)| value * x[*column as usize]).sum()
        };
        self.starts.windows(2).map(row).collect()
    }

    /// `U Σ^{1/2}` of eigenpairs of `M M`, row by row; an item that nothing is known of has 0 to the bit.
    pub(super) fn rows(&self, values: &[f64], vectors: &[Vec<f64>]) -> Vec<f32> {
        let mut data = Vec::with_capacity(self.n_items() * values.len());
        for (item, row) in self.starts.windows(2).enumerate() {
            let known = f64::from(u8::from(row[0] < row[1]));
            let pairs = values.iter().zip(vectors);
            data.extend(
                pairs.map(|(value, vector)| (known * value.sqrt().sqrt() * vector[item]) as f32),
            );
        }
        data
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::eigen::{leading, symmetric};
    use super::*;
    use crate::seed::Seed;

    fn dense(matrix: &Ppmi) -> Vec<f64> {
        let n = matrix.n_items();
        let mut all = vec![0.0; n * n];
        for (row, ends) in matrix.starts.windows(2).enumerate() {
            for (column, value) in &matrix.entries[ends[0]..ends[1]] {
                all[row * n + *column as usize] = *value;
            }
        }
        all
    }

    #[test]
    fn information_worked_by_hand() {
        // Window 1: 0-1 twice, 1-2 once, the repeated 2 never with itself. Weights 1 and 2.
        let histories = [(vec![0, 1, 2, 2], 1.0), (vec![1, 0], 2.0), (vec![3], 1.0)];
        let settings = PpmiSettings { window: 1, shift: 1.0 };
        let matrix = Ppmi::new(&histories, 5, &settings);
        // n(0, 1) = 3, n(1, 2) = 1, n = [3, 4, 1], N = 8.
        let (near, far) = ((3.0 * 8.0 / 12.0f64).ln(), (8.0 / 4.0f64).ln());
        let all = dense(&matrix);
        for (at, expected) in [(1, near), (5, near), (7, far), (11, far)] {
            assert!((all[at] - expected).abs() < 1e-12, "{at}: {} {expected}", all[at]);
        }
        assert_eq!(all.iter().filter(|x| **x != 0.0).count(), 4);
        assert_eq!(matrix.n_informed(), 3);
        // A wider window reaches 0-2: n(0, 2) = 2, n = [5, 5, 4], N = 14.
        let wide = PpmiSettings { window: 3, shift: 1.0 };
        let all = dense(&Ppmi::new(&histories, 5, &wide));
        assert!((all[1] - (3.0 * 14.0 / 25.0f64).ln()).abs() < 1e-12);
        assert!((all[2] - (2.0 * 14.0 / 20.0f64).ln()).abs() < 1e-12, "{}", all[2]);
        // What is not `shift` times as frequent as by chance counts nothing.
        let shifted = PpmiSettings { window: 1, shift: 1.9 };
        let all = dense(&Ppmi::new(&histories, 5, &shifted));
        assert!((all[1] - (2.0f64 / 1.9).ln()).abs() < 1e-12);
        let none = Ppmi::new(&histories, 5, &PpmiSettings { window: 1, shift: 2.5 });
        assert_eq!((none.entries.len(), none.squares()), (0, 0.0));
    }

    #[test]
    fn vectors_are_those_of_the_singular_value_decomposition() {
        let histories: Vec<(Vec<u32>, f64)> = (0..60u32)
            .map(|user| {
                ((0..6).map(|place| (user * user + place * (1 + user % 4)) % 17).collect(), 1.0)
            })
            .collect();
        // Item 17 is chosen by nobody.
        let (n, dim) = (18, 5);
        let matrix = Ppmi::new(&histories, n, &PpmiSettings { window: 2, shift: 1.0 });
        let go = || Ok(());
        let found = leading(n, dim, Seed::new(3), |x| matrix.product(x), go).unwrap();
        let rows = matrix.rows(&found.values, &found.vectors);
        let (values, columns) = symmetric(dense(&matrix), n);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()));
        assert!(order[..dim].iter().any(|k| values[*k] < 0.0), "{values:?}");
        for a in 0..n {
            for b in 0..n {
                let parts = order[..dim].iter().map(|k| (values[*k].abs(), k));
                let best: f64 =
                    parts.map(|(size, k)| size * columns[a * n + k] * columns[b * n + k]).sum();
                let (a, b) = (&rows[a * dim..][..dim], &rows[b * dim..][..dim]);
                let inner: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum();
                assert!((inner - best).abs() < 1e-5, "{inner} {best}");
            }
        }
        assert!(rows[17 * dim..].iter().all(|x| *x == 0.0));
        let squares: f64 = values.iter().map(|value| value * value).sum();
        assert!((squares - matrix.squares()).abs() < 1e-9 * squares);
    }
}
