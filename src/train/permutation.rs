//! A permutation of `0..n` as a function: the place of one number is known without the others.
//!
//! A Feistel network over the smallest even number of bits that holds `n`, keyed by the seed, walked until it lands
//! below `n` (cycle walking; Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). No memory and any seek,
//! right for every `n` that 64 bits hold.

use crate::seed::Seed;

/// Rounds of the network: four suffice for a pseudo-random permutation, more make up for small domains.
const ROUNDS: usize = 8;

/// A permutation of `0..n`, fixed by a seed.
#[derive(Debug, Clone)]
pub struct Permutation {
    n: u64,
    /// Bits of one half.
    half: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// The permutation of `0..n` that belongs to a seed.
    pub fn new(n: u64, seed: Seed) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let mut keys = [0; ROUNDS];
        for (round, key) in keys.iter_mut().enumerate() {
            *key = seed.index(round as u64).to_u64();
        }
        Self { n, half: bits.div_ceil(2).max(1), keys }
    }

    /// The number at a place; `place` is below `n`.
    pub fn at(&self, place: u64) -> u64 {
        let mut number = place;
        // The network permutes a domain of less than 4 n numbers: on its cycle through `place` one below `n` comes soon.
        loop {
            number = self.network(number);
            if number < self.n {
                return number;
            }
        }
    }

    fn network(&self, number: u64) -> u64 {
        let mask = u64::MAX >> (u64::BITS - self.half);
        let (mut left, mut right) = (number >> self.half & mask, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half | right
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input moves every bit of the output.
fn mix(mut number: u64) -> u64 {
    number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_has_one_place(n in 1u64..3_000, seed in any::<u64>()) {
            let order = Permutation::new(n, Seed::new(seed));
            let mut all: Vec<u64> = (0..n).map(|place| order.at(place)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
        }

        #[test]
        fn far_above_32_bits_neighbors_stay_apart_and_in_range(n in (1u64 << 32)..u64::MAX, place in any::<u64>(), seed in any::<u64>()) {
            let order = Permutation::new(n, Seed::new(seed));
            let first = place % (n - 1);
            let (a, b) = (order.at(first), order.at(first + 1));
            prop_assert!(a < n && b < n && a != b);
        }
    }

    #[test]
    fn all_orders_of_few_numbers_come_about_alike() {
        const DRAWS: usize = 24_000;
        let mut counts = std::collections::HashMap::new();
        for seed in 0..DRAWS {
            let order = Permutation::new(4, Seed::new(seed as u64));
            *counts.entry([0, 1, 2, 3].map(|place| order.at(place))).or_insert(0usize) += 1;
        }
        // The expected count of each of the 24 orders is 1,000; six standard deviations are 186.
        assert_eq!(counts.len(), 24, "{counts:?}");
        assert!(counts.values().all(|&count| count.abs_diff(1_000) < 190), "{counts:?}");
    }

    #[test]
    fn places_and_numbers_are_not_correlated() {
        let n = 10_000u64;
        let order = Permutation::new(n, Seed::new(3));
        let mean = (n - 1) as f64 / 2.0;
        let centered = |x: u64| x as f64 - mean;
        let covariance: f64 = (0..n).map(|x| centered(x) * centered(order.at(x))).sum();
        let variance: f64 = (0..n).map(|x| centered(x).powi(2)).sum();
        assert!((covariance / variance).abs() < 0.04, "{}", covariance / variance);
    }
}
