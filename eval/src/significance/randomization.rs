//! Paired randomization test (Fisher; Smucker, Allan and Carterette 2007): under the null hypothesis each request's two
//! values could have come from either system, so the signs of the differences are drawn anew. Where there are few requests
//! all signs are tried instead, and the p value is exact. Knows differences, no system.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::sums::Packed;

/// Share of the sum of absolute differences within which two sums of the same numbers in other signs count as equal.
const SLACK: f64 = 1e-12;

/// Two-sided p value of the difference between two systems' means, from values of the same requests: see
/// [`randomization_p_values`].
pub fn randomization_p_value(left: &[f64], right: &[f64], resamples: u32, seed: u64) -> f64 {
    let differences: Vec<f64> = left.iter().zip(right).map(|(left, right)| left - right).collect();
    randomization_p_values(&[&differences], resamples, seed)[0]
}

/// `[column]` two-sided p values of the hypotheses that differences are as likely of either sign; `columns` is
/// `[column][request]`, all of one length. The share of drawn signs with a sum at least as far from 0, one added to both
/// counts; or, where `2^requests ≤ resamples`, the share of all signs, which is exact. All columns see the same signs. The
/// same for any number of threads.
pub fn randomization_p_values(columns: &[&[f64]], resamples: u32, seed: u64) -> Vec<f64> {
    let n_requests = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    let n_patterns = u32::try_from(n_requests).ok().and_then(|n| 1_u32.checked_shl(n));
    let exact = n_patterns.filter(|&n_patterns| n_patterns <= resamples);
    let fill = |draw: usize, signs: &mut [i8]| match exact {
        Some(_) => {
            for (request, sign) in signs.iter_mut().enumerate() {
                *sign = if draw >> request & 1 == 0 { 1 } else { -1 };
            }
        }
        None => draw_signs(seed, draw as u64, signs),
    };
    let n_draws = exact.unwrap_or(resamples);
    let sums = Packed::new(columns).draws(n_draws as usize, 0, fill, |_, _| 0.0);
    let p_value = |(differences, sums): (&&[f64], Vec<f64>)| {
        let observed = differences.iter().sum::<f64>().abs();
        let slack = SLACK * differences.iter().map(|one| one.abs()).sum::<f64>();
        let n_as_far = sums.iter().filter(|sum| sum.abs() >= observed - slack).count();
        let added = usize::from(exact.is_none());
        (n_as_far + added) as f64 / (n_draws as usize + added) as f64
    };
    columns.iter().zip(sums).map(p_value).collect()
}

/// Signs of one draw, 1 and −1.
fn draw_signs(seed: u64, stream: u64, signs: &mut [i8]) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    for chunk in signs.chunks_mut(64) {
        let mut bits: u64 = rng.random();
        for sign in chunk {
            *sign = if bits & 1 == 0 { 1 } else { -1 };
            bits >>= 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn few_requests_are_tested_exactly() {
        // Differences 1, 2, 3: of 8 sign patterns only +++ and −−− reach 6, so p = 1/4.
        assert_eq!(randomization_p_value(&[1.0, 2.0, 3.0], &[0.0; 3], 8, 9), 0.25);
        // 1, 1, −1: |sum| 1 is reached by every pattern.
        assert_eq!(randomization_p_value(&[1.0, 1.0, 0.0], &[0.0, 0.0, 1.0], 500, 9), 1.0);
    }

    #[test]
    fn draws_come_near_full_enumeration() {
        let left: Vec<f64> = (0..12).map(|i| f64::from(i * 7 % 11) / 11.0 + 0.15).collect();
        let right: Vec<f64> = (0..12).map(|i| f64::from(i * 5 % 11) / 11.0).collect();
        let exact = randomization_p_value(&left, &right, 4_096, 9);
        let drawn = randomization_p_value(&left, &right, 4_095, 9);
        assert!((0.05..0.95).contains(&exact) && exact != drawn);
        assert!((exact - drawn).abs() < 0.03, "{drawn} instead of {exact}");
    }

    #[test]
    fn equal_systems_are_never_different() {
        assert_eq!(randomization_p_value(&[0.1, 0.7], &[0.1, 0.7], 200, 1), 1.0);
        assert_eq!(randomization_p_value(&[0.3; 50], &[0.3; 50], 200, 1), 1.0);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let column: Vec<f64> = (0..97).map(|i| f64::from(i * 37 % 101) / 101.0 - 0.47).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| randomization_p_values(&[&column, &column[..]], 301, 5))
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1)[0], run(1)[1]);
    }
}
