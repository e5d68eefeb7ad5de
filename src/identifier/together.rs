//! How often items that were chosen together share codes: what codes know of choices, before any decoder is trained.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Shares of pairs of items whose first codes are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// Pairs that were looked at: of different items that one person chose near each other in training.
    pub pairs: usize,
    /// Share of these whose codes are the same up to and including each level that is spelled, without the one that only tells
    /// items apart.
    pub shared: Vec<f64>,
    /// The same of pairs of the same items, put together by chance.
    pub by_chance: Vec<f64>,
}

impl Together {
    /// Of pairs of items that were chosen together; none without any. `codes` are `[items, n_levels]`, the first `n_own` of
    /// which say something of an item.
    pub fn measure(
        codes: &[u32],
        (n_levels, n_own): (usize, usize),
        pairs: &[(u32, u32)],
    ) -> Option<Self> {
        if pairs.is_empty() {
            return None;
        }
        let codes_of = |item: u32| &codes[item as usize * n_levels..][..n_own];
        // The first item of a pair with the second of one that is far from it.
        let half = pairs.len() / 2;
        let others = pairs.iter().cycle().skip(half).map(|pair| pair.1);
        let chance: Vec<(u32, u32)> = pairs
            .iter()
            .zip(others)
            .map(|(pair, other)| (pair.0, other))
            .filter(|(a, b)| a != b)
            .collect();
        let shared = shares(codes_of, pairs, n_own);
        let by_chance = shares(codes_of, &chance, n_own);
        Some(Self { pairs: pairs.len(), shared, by_chance })
    }
}

fn shares<'c>(codes: impl Fn(u32) -> &'c [u32], pairs: &[(u32, u32)], n_own: usize) -> Vec<f64> {
    let mut counts = vec![0_u64; n_own];
    for &(a, b) in pairs {
        let same = codes(a).iter().zip(codes(b)).take_while(|(a, b)| a == b).count();
        counts[..same].iter_mut().for_each(|count| *count += 1);
    }
    counts.into_iter().map(|count| count as f64 / pairs.len().max(1) as f64).collect()
}

impl fmt::Display for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pairs of items chosen together share their codes", self.pairs)?;
        for (level, (shared, chance)) in (1..).zip(self.shared.iter().zip(&self.by_chance)) {
            let [shared, chance] = [shared, chance].map(|share| 100.0 * share);
            let comma = if level > 1 { "," } else { "" };
            write!(f, "{comma} to level {level} in {shared:.1} % (by chance {chance:.1} %)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_worked_by_hand() {
        // The last of three codes only tells items apart.
        let codes = [0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1];
        let pairs = [(0, 1), (0, 2), (3, 4), (2, 3)];
        let together = Together::measure(&codes, (3, 2), &pairs).unwrap();
        assert_eq!((together.pairs, &together.shared[..]), (4, &[0.75, 0.5][..]));
        // 0-4, 0-3, 3-1 and 2-2, which is no pair.
        assert_eq!(together.by_chance, [0.0, 0.0]);
        let told = together.to_string();
        assert!(
            told.contains("4 pairs")
                && told.contains("to level 1 in 75.0 % (by chance 0.0 %), to level 2 in 50.0 %"),
            "{told}"
        );
        assert_eq!(Together::measure(&codes, (3, 2), &[]), None);
    }
}
