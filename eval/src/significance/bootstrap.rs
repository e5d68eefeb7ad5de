//! Paired bootstrap over requests (Efron and Tibshirani 1993; Sakai 2006 for retrieval): the requests are drawn anew, with
//! replacement, and every system's mean is taken over the same draw. Resample b has a random stream of its own, so that the
//! result is the same for any number of threads.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Means of several columns over many draws of the requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Resamples {
    /// `[column][resample]`.
    means: Vec<Vec<f64>>,
}

/// Draws `resamples` times as many requests as there are, with replacement, and takes the mean of every column over each
/// draw. `columns` is `[column][request]`, all of one length; a column is one system on one metric.
pub fn resample_means(columns: &[&[f64]], resamples: u32, seed: u64) -> Resamples {
    let n_columns = columns.len();
    let n_requests = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    if n_requests == 0 {
        return Resamples { means: vec![Vec::new(); n_columns] };
    }
    // `[request, column]`: one draw then reads one stretch of memory.
    let mut rows = vec![0.0; n_requests * n_columns];
    for (index, column) in columns.iter().enumerate() {
        for (request, &value) in column[..n_requests].iter().enumerate() {
            rows[request * n_columns + index] = value;
        }
    }
    let draws: Vec<Vec<f64>> = (0..resamples)
        .into_par_iter()
        .map(|resample| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(u64::from(resample));
            let mut sums = vec![0.0; n_columns];
            for _ in 0..n_requests {
                let request = rng.random_range(0..n_requests);
                let row = &rows[request * n_columns..(request + 1) * n_columns];
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            sums.iter().map(|sum| sum / n_requests as f64).collect()
        })
        .collect();
    let column = |index: usize| draws.iter().map(|draw| draw[index]).collect();
    Resamples { means: (0..n_columns).map(column).collect() }
}

impl Resamples {
    /// Percentile interval of a column's mean.
    pub fn interval(&self, column: usize, confidence: f64) -> (f64, f64) {
        percentiles(self.means[column].clone(), confidence)
    }

    /// Percentile interval of `column − other`, over the same draws, and the two-sided p value: twice the smaller of the
    /// shares of draws with a difference ≥ 0 and ≤ 0, each with one added to both counts so that it is never 0.
    pub fn difference(&self, column: usize, other: usize, confidence: f64) -> (f64, f64, f64) {
        let pairs = self.means[column].iter().zip(&self.means[other]);
        let differences: Vec<f64> = pairs.map(|(left, right)| left - right).collect();
        let share = |count: usize| (count + 1) as f64 / (differences.len() + 1) as f64;
        let below = share(differences.iter().filter(|&&one| one <= 0.0).count());
        let above = share(differences.iter().filter(|&&one| one >= 0.0).count());
        let p_value = (2.0 * below.min(above)).min(1.0);
        let (low, high) = percentiles(differences, confidence);
        (low, high, p_value)
    }
}

/// The central share of the values, with linear interpolation between neighbors.
fn percentiles(mut values: Vec<f64>, confidence: f64) -> (f64, f64) {
    if values.is_empty() {
        return (0.0, 0.0);
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let position = share.clamp(0.0, 1.0) * (values.len() - 1) as f64;
        let (lower, upper) = (values[position.floor() as usize], values[position.ceil() as usize]);
        lower + (upper - lower) * position.fract()
    };
    let tail = (1.0 - confidence) / 2.0;
    (at(tail), at(1.0 - tail))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_hand() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let (low, high) = percentiles(values, 0.90);
        assert!((low - 5.0).abs() < 1e-9 && (high - 95.0).abs() < 1e-9);
        assert_eq!(percentiles(vec![2.0], 0.95), (2.0, 2.0));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let column: Vec<f64> = (0..97).map(|i| f64::from(i * 37 % 101) / 101.0).collect();
        let other: Vec<f64> = (0..97).map(|i| f64::from(i * 53 % 89) / 89.0).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| resample_means(&[&column, &other], 300, 5))
        };
        assert_eq!(run(1), run(3));
        assert_ne!(run(1), resample_means(&[&column, &other], 300, 6));
    }

    #[test]
    fn the_interval_has_the_width_of_theory() {
        // Bernoulli(1/2) over 400 requests: standard error 1/40, 95 % within 1.96 of them.
        let column: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let (low, high) = resample_means(&[&column], 4_000, 1).interval(0, 0.95);
        assert!((low - (0.5 - 1.96 / 40.0)).abs() < 0.004, "{low}");
        assert!((high - (0.5 + 1.96 / 40.0)).abs() < 0.004, "{high}");
    }

    #[test]
    fn p_values_tell_shift_from_noise() {
        let base: Vec<f64> = (0..200).map(|i| f64::from(i * 37 % 101) / 101.0).collect();
        let shifted: Vec<f64> = base.iter().map(|value| value + 0.01).collect();
        let noisy: Vec<f64> = base
            .iter()
            .enumerate()
            .map(|(i, v)| if i % 2 == 0 { v + 0.1 } else { v - 0.1 })
            .collect();
        let resamples = resample_means(&[&base, &shifted, &noisy, &base], 1_000, 3);
        let (low, high, p_value) = resamples.difference(1, 0, 0.95);
        assert!((low - 0.01).abs() < 1e-9 && (high - 0.01).abs() < 1e-9);
        assert!((p_value - 2.0 / 1_001.0).abs() < 1e-12);
        let (low, high, p_value) = resamples.difference(2, 0, 0.95);
        assert!(low < 0.0 && 0.0 < high && p_value > 0.3, "{low} {high} {p_value}");
        assert_eq!(resamples.difference(3, 0, 0.95), (0.0, 0.0, 1.0));
    }
}
