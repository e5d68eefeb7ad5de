//! Paired bootstrap over requests (Efron and Tibshirani 1993; Sakai 2006 for retrieval): the requests are drawn anew, with
//! replacement, and every figure of every system is taken over the same draw. Resample b has a random stream of its own, so
//! that the result is the same for any number of threads. Knows no test but its own, and no name of a system.

use std::sync::Arc;

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::sums::Packed;
use crate::metric::Pooled;
use crate::scores::Values;

/// Words that are taken from the generator at a time.
const BLOCK_WORDS: usize = 256;

/// Figures of several columns over many draws of the requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Resamples {
    /// `[column][resample]`; not a number where a pooled figure is undefined.
    figures: Vec<Vec<f64>>,
}

/// Draws `resamples` times as many requests as there are, with replacement, and takes every column's figure over each draw:
/// the mean of values per request, or the pooled figure. `columns` is `[column]`, all over the same `n_requests`; a column is
/// one system on one metric. Costs `resamples × n_requests × columns` multiplications, and memory for
/// `resamples × columns` figures.
pub fn resample(columns: &[&Values], n_requests: usize, resamples: u32, seed: u64) -> Resamples {
    if n_requests == 0 {
        return Resamples { figures: vec![Vec::new(); columns.len()] };
    }
    let mut means: Vec<&[f64]> = Vec::new();
    let mut pooled: Vec<&Arc<dyn Pooled>> = Vec::new();
    for column in columns {
        match column {
            Values::PerRequest(values) => means.push(values),
            Values::Pooled(figure) => pooled.push(figure),
        }
    }
    let n_means = means.len();
    // Without a column of means nothing tells the packed sums how many requests there are.
    let zeros = if means.is_empty() { vec![0.0; n_requests] } else { Vec::new() };
    if means.is_empty() {
        means.push(&zeros);
    }
    let figure = |index: usize, times: &[u32]| pooled[index].value(times).unwrap_or(f64::NAN);
    let mut drawn = Packed::new(&means).draws(
        resamples as usize,
        pooled.len(),
        |draw, times| draw_requests(seed, draw as u64, times),
        figure,
    );
    let mut of_pooled = drawn.split_off(means.len()).into_iter();
    drawn.truncate(n_means);
    for sum in drawn.iter_mut().flatten() {
        *sum /= n_requests as f64;
    }
    let mut of_means = drawn.into_iter();
    let figures = columns
        .iter()
        .filter_map(|column| match column {
            Values::PerRequest(_) => of_means.next(),
            Values::Pooled(_) => of_pooled.next(),
        })
        .collect();
    Resamples { figures }
}

/// How often each request is drawn in one resample.
fn draw_requests(seed: u64, stream: u64, times: &mut [u32]) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    times.fill(0);
    // Requests are numbered by 32 bits.
    draw_below(&mut rng, times.len() as u32, times.len(), |request| times[request as usize] += 1);
}

/// Calls `each` with `count` numbers below `n`: the same as `rng.random_range(0..n)` gives, which takes one word of the
/// generator after the other. Here they are taken by the block, in half the time.
fn draw_below(rng: &mut ChaCha8Rng, n: u32, count: usize, mut each: impl FnMut(u32)) {
    let mut words = [0_u32; BLOCK_WORDS];
    let mut left = count;
    // A number whose last bit the next word decides, with what is left of its product.
    let mut open: Option<(u32, u32)> = None;
    while left > 0 {
        rng.fill(&mut words);
        for &word in &words {
            let product = u64::from(word) * u64::from(n);
            let (whole, rest) = ((product >> 32) as u32, product as u32);
            let number = match open.take() {
                None if rest > n.wrapping_neg() => {
                    open = Some((whole, rest));
                    continue;
                }
                None => whole,
                Some((number, before)) => number + u32::from(before.checked_add(whole).is_none()),
            };
            each(number);
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
}

/// Means over members of a group that are drawn anew in every resample, for systems trained with several seeds: the second
/// level of a two-level bootstrap. `members` is `[seed][resample]`, figures of the first level. Of S seeds S − 1 are drawn with
/// replacement: drawing S would make the variance of a mean of few seeds too small by (S − 1) / S (Rao and Wu 1988). `stream`
/// tells the random streams of groups apart, and is one for groups whose seeds are drawn together; the first level uses none
/// of them.
pub(super) fn resample_seeds(members: &[&[f64]], stream: usize, seed: u64) -> Vec<f64> {
    let n_seeds = members.len();
    let n_resamples = members.iter().map(|one| one.len()).min().unwrap_or(0);
    if n_seeds == 1 {
        return members[0].to_vec();
    }
    (0..n_resamples)
        .into_par_iter()
        .map(|resample| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(((stream as u64 + 1) << 32) | resample as u64);
            let n_drawn = n_seeds - 1;
            let drawn = (0..n_drawn).map(|_| members[rng.random_range(0..n_seeds)][resample]);
            drawn.sum::<f64>() / n_drawn as f64
        })
        .collect()
}

impl Resamples {
    /// `[resample]` figures of a column; not a number where a pooled figure is undefined.
    pub fn figures(&self, column: usize) -> &[f64] {
        &self.figures[column]
    }
}

/// Percentile interval: the central share of the figures; none where no figure is defined.
pub fn interval(figures: &[f64], confidence: f64) -> Option<(f64, f64)> {
    let sorted = sorted(figures);
    let tail = (1.0 - confidence) / 2.0;
    Some((percentile(&sorted, tail)?, percentile(&sorted, 1.0 - tail)?))
}

/// One-sided bounds: the figures lie above the first, and below the second, with that confidence each.
pub(super) fn one_sided_bounds(figures: &[f64], confidence: f64) -> Option<(f64, f64)> {
    let sorted = sorted(figures);
    Some((percentile(&sorted, 1.0 - confidence)?, percentile(&sorted, confidence)?))
}

/// Two-sided p value of a difference that is 0 under the null hypothesis, from its resamples: twice the smaller of the shares
/// that are ≥ 0 and ≤ 0, each with one added to both counts so that it is never 0.
pub fn bootstrap_p_value(differences: &[f64]) -> f64 {
    let n_defined = differences.iter().filter(|one| !one.is_nan()).count();
    let share = |count: usize| (count + 1) as f64 / (n_defined + 1) as f64;
    let below = share(differences.iter().filter(|&&one| one <= 0.0).count());
    let above = share(differences.iter().filter(|&&one| one >= 0.0).count());
    (2.0 * below.min(above)).min(1.0)
}

/// The defined figures, ascending.
fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = figures.iter().copied().filter(|one| !one.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The value below which that share of ascending values lies, with linear interpolation between neighbors.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (lower, upper) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    Some(lower + (upper - lower) * position.fract())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The first value that is drawn at all: undefined where neither of the first two requests is.
    struct First;

    impl Pooled for First {
        fn value(&self, times: &[u32]) -> Option<f64> {
            (0..2).find(|&request| times[request] > 0).map(|request| request as f64)
        }
    }

    fn means(columns: &[&[f64]], resamples: u32, seed: u64) -> Resamples {
        let columns: Vec<Values> = columns.iter().map(|&c| Values::PerRequest(c.into())).collect();
        let n_requests = match columns.first() {
            Some(Values::PerRequest(values)) => values.len(),
            _ => 0,
        };
        resample(&columns.iter().collect::<Vec<_>>(), n_requests, resamples, seed)
    }

    fn difference(resamples: &Resamples, left: usize, right: usize) -> Vec<f64> {
        let pairs = resamples.figures(left).iter().zip(resamples.figures(right));
        pairs.map(|(left, right)| left - right).collect()
    }

    #[test]
    fn percentiles_by_hand() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).chain([f64::NAN]).collect();
        let (low, high) = interval(&values, 0.90).unwrap();
        assert!((low - 5.0).abs() < 1e-9 && (high - 95.0).abs() < 1e-9);
        let (low, high) = one_sided_bounds(&values, 0.90).unwrap();
        assert!((low - 10.0).abs() < 1e-9 && (high - 90.0).abs() < 1e-9);
        assert_eq!(interval(&[2.0], 0.95), Some((2.0, 2.0)));
        assert_eq!(interval(&[f64::NAN], 0.95), None);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let column: Vec<f64> = (0..97).map(|i| f64::from(i * 37 % 101) / 101.0).collect();
        let other: Vec<f64> = (0..97).map(|i| f64::from(i * 53 % 89) / 89.0).collect();
        let run = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let drawn = means(&[&column, &other], 301, seed);
                let seeds = resample_seeds(&[drawn.figures(0), drawn.figures(1)], 0, seed);
                (drawn, seeds)
            })
        };
        assert_eq!(run(1, 5), run(2, 5));
        assert_eq!(run(1, 5), run(3, 5));
        assert_ne!(run(1, 5), run(1, 6));
    }

    #[test]
    fn numbers_are_those_of_the_generator_one_by_one() {
        // Three quarters of the numbers below 3 · 2^30 need a second word.
        for (n, count) in [(1_u32, 1), (2, 2), (700, 700), (100_003, 100_003), (3 << 30, 5_000)] {
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            let expected: Vec<u32> =
                (0..count).map(|_| rng.random_range(0..n as usize) as u32).collect();
            let mut found = Vec::new();
            draw_below(&mut ChaCha8Rng::seed_from_u64(9), n, count, |number| found.push(number));
            assert_eq!(found, expected, "{n}");
        }
    }

    #[test]
    fn pooled_figures_see_the_same_draws_as_means() {
        // The mean of [0, 1, 1, 1] is 1 in just those draws that leave out request 0, where the pooled figure is 1 or undefined.
        let mean = Values::PerRequest(vec![0.0, 1.0, 1.0, 1.0]);
        let pooled = Values::Pooled(Arc::new(First));
        let drawn = resample(&[&pooled, &mean, &pooled], 4, 500, 8);
        assert!(drawn.figures(0).iter().any(|one| one.is_nan()));
        for (pooled, mean) in drawn.figures(0).iter().zip(drawn.figures(1)) {
            assert_eq!(*pooled == 0.0, *mean < 1.0);
        }
        let alone = resample(&[&pooled], 4, 500, 8);
        let bits =
            |r: &Resamples| -> Vec<u64> { r.figures(0).iter().map(|x| x.to_bits()).collect() };
        assert_eq!(bits(&alone), bits(&drawn));
    }

    #[test]
    fn the_interval_has_the_width_of_theory() {
        // Bernoulli(1/2) over 400 requests: standard error 1/40, 95 % within 1.96 of them.
        let column: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let (low, high) = interval(means(&[&column], 4_000, 1).figures(0), 0.95).unwrap();
        assert!((low - (0.5 - 1.96 / 40.0)).abs() < 0.004, "{low}");
        assert!((high - (0.5 + 1.96 / 40.0)).abs() < 0.004, "{high}");
    }

    #[test]
    fn the_variance_over_seeds_is_that_of_their_mean() {
        // Constant members: only the seeds vary. Their sample variance is 10, so that of a mean of 5 is 2.
        let members: Vec<Vec<f64>> = [1.0, 3.0, 5.0, 7.0, 9.0].map(|v| vec![v; 40_000]).into();
        let members: Vec<&[f64]> = members.iter().map(Vec::as_slice).collect();
        let drawn = resample_seeds(&members, 2, 4);
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / drawn.len() as f64;
        assert!((mean - 5.0).abs() < 0.03 && (variance - 2.0).abs() < 0.05, "{mean} {variance}");
        assert_ne!(drawn, resample_seeds(&members, 3, 4));
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
        let resamples = means(&[&base, &shifted, &noisy, &base], 1_000, 3);
        let shift = difference(&resamples, 1, 0);
        let (low, high) = interval(&shift, 0.95).unwrap();
        assert!((low - 0.01).abs() < 1e-9 && (high - 0.01).abs() < 1e-9);
        assert!((bootstrap_p_value(&shift) - 2.0 / 1_001.0).abs() < 1e-12);
        let noise = difference(&resamples, 2, 0);
        let (low, high) = interval(&noise, 0.95).unwrap();
        assert!(low < 0.0 && 0.0 < high && bootstrap_p_value(&noise) > 0.3, "{low} {high}");
        let none = difference(&resamples, 3, 0);
        assert_eq!((interval(&none, 0.95), bootstrap_p_value(&none)), (Some((0.0, 0.0)), 1.0));
    }
}
