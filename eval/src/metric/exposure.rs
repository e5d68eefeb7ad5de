//! How the returned lists of a whole run spread over the catalogue: coverage and the Gini coefficient of exposure. No means
//! over requests: a request that counts twice exposes its items twice.

use super::Pooled;

/// What is said about the spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Share of the catalogue's items that some list holds.
    Coverage,
    /// Gini coefficient of how often each item of the catalogue is listed: 0 where all are listed alike, towards 1 where
    /// few take it all. `Σ (2 i − n − 1) x_i / (n Σ x)` over counts x in ascending order.
    Gini,
}

/// Lists of catalogue numbers, cut.
#[derive(Debug)]
pub(crate) struct Exposure {
    spread: Spread,
    n_items: usize,
    /// `[evaluated request]` → start in `listed`; one more than there are requests.
    starts: Vec<usize>,
    listed: Vec<u32>,
}

impl Exposure {
    /// `listed[starts[r]..starts[r + 1]]` are the items of request r, all below `n_items`.
    pub(crate) fn new(
        spread: Spread,
        n_items: usize,
        starts: Vec<usize>,
        listed: Vec<u32>,
    ) -> Self {
        Self { spread, n_items, starts, listed }
    }
}

impl Pooled for Exposure {
    fn value(&self, times: &[u32]) -> Option<f64> {
        let mut counts = vec![0_u64; self.n_items];
        for (range, &times) in self.starts.windows(2).zip(times) {
            for &item in &self.listed[range[0]..range[1]] {
                counts[item as usize] += u64::from(times);
            }
        }
        match self.spread {
            Spread::Coverage => {
                let reached = counts.iter().filter(|&&count| count > 0).count();
                Some(reached as f64 / self.n_items as f64)
            }
            Spread::Gini => Some(gini(counts)),
        }
    }
}

/// 0 where nothing is listed. Summed as integers, so that no order of counts matters.
fn gini(mut counts: Vec<u64>) -> f64 {
    counts.sort_unstable();
    let n = counts.len() as i128;
    let total: i128 = counts.iter().map(|&count| i128::from(count)).sum();
    if total == 0 {
        return 0.0;
    }
    let weighted: i128 = (1..)
        .zip(&counts)
        .map(|(rank, &count): (i128, _)| (2 * rank - n - 1) * i128::from(count))
        .sum();
    weighted as f64 / (n as f64 * total as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spread_by_hand() {
        // Three requests list items 0 1, 0 2 and nothing, of four items.
        let of = |spread| Exposure::new(spread, 4, vec![0, 2, 4, 4], vec![0, 1, 0, 2]);
        assert_eq!(of(Spread::Coverage).value(&[1, 1, 1]), Some(0.75));
        assert_eq!(of(Spread::Coverage).value(&[0, 3, 1]), Some(0.5));
        // Counts 0 1 1 2: (−3·0 − 1·1 + 1·1 + 3·2) / (4 · 4).
        assert_eq!(of(Spread::Gini).value(&[1, 1, 1]), Some(6.0 / 16.0));
        assert_eq!(of(Spread::Gini).value(&[0, 0, 9]), Some(0.0));
    }

    proptest! {
        #[test]
        fn gini_is_half_the_relative_mean_difference(counts in prop::collection::vec(0_u64..9, 1..30)) {
            let n = counts.len() as f64;
            let mean = counts.iter().sum::<u64>() as f64 / n;
            let differences: u64 = counts.iter().flat_map(|&a| counts.iter().map(move |&b| a.abs_diff(b))).sum();
            let expected = if mean == 0.0 { 0.0 } else { differences as f64 / (2.0 * n * n * mean) };
            prop_assert!((gini(counts) - expected).abs() < 1e-12);
        }
    }
}
