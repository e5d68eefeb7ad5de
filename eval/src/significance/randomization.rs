//! Paired randomization test (Fisher; Smucker, Allan and Carterette 2007): under the null hypothesis each request's two
//! values could have come from either system, so the signs of the differences are drawn anew.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Two-sided p value of the difference between two systems' means, from values of the same requests. The share of draws
/// with a sum at least as far from 0, one added to both counts. The same for any number of threads.
pub fn randomization_p_value(left: &[f64], right: &[f64], resamples: u32, seed: u64) -> f64 {
    let differences: Vec<f64> = left.iter().zip(right).map(|(left, right)| left - right).collect();
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in other signs may differ in the last bits from the observed one.
    let slack = 1e-12 * differences.iter().map(|one| one.abs()).sum::<f64>();
    let n_as_far = (0..resamples)
        .into_par_iter()
        .filter(|&resample| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(u64::from(resample));
            let mut sum = 0.0;
            for chunk in differences.chunks(64) {
                let mut signs: u64 = rng.random();
                for difference in chunk {
                    sum += if signs & 1 == 0 { *difference } else { -difference };
                    signs >>= 1;
                }
            }
            sum.abs() >= observed - slack
        })
        .count();
    (n_as_far + 1) as f64 / f64::from(resamples.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_equal_full_enumeration() {
        // Differences 1, 2, 3: of 8 sign patterns only +++ and −−− reach 6, so p = 1/4.
        let p_value = randomization_p_value(&[1.0, 2.0, 3.0], &[0.0; 3], 40_000, 9);
        assert!((p_value - 0.25).abs() < 0.01, "{p_value}");
        // 1, 1, −1: |sum| 1 is reached by every pattern.
        assert_eq!(randomization_p_value(&[1.0, 1.0, 0.0], &[0.0, 0.0, 1.0], 500, 9), 1.0);
    }

    #[test]
    fn equal_systems_are_never_different() {
        assert_eq!(randomization_p_value(&[0.1, 0.7], &[0.1, 0.7], 200, 1), 1.0);
    }
}
