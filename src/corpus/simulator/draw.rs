//! Random draws by the stated laws: normal, discrete, Zipf–Mandelbrot. Knows nothing of shops.

use rand::Rng;

/// A standard normal number (Box–Muller, one of the pair).
pub(super) fn normal(rng: &mut impl Rng) -> f64 {
    // 1 - u lies in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// 1 / (1 + e^−x).
pub(super) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A distribution over `0..n`, by its cumulative weights.
pub(super) struct Discrete {
    cumulative: Vec<f64>,
}

impl Discrete {
    /// Probabilities proportional to `weights`, of which at least one is positive.
    pub(super) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let cumulative = weights
            .into_iter()
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// Zipf–Mandelbrot: p(rank) ∝ (rank + 1 + shift)^−exponent for ranks `0..n`.
    pub(super) fn zipf(n: usize, exponent: f64, shift: f64) -> Self {
        Self::new((0..n).map(|rank| zipf_weight(rank, exponent, shift)))
    }

    /// Draws an index.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let point = rng.random::<f64>() * total;
        let index = self.cumulative.partition_point(|&c| c <= point);
        index.min(self.cumulative.len().saturating_sub(1))
    }
}

/// (rank + 1 + shift)^−exponent.
pub(super) fn zipf_weight(rank: usize, exponent: f64, shift: f64) -> f64 {
    (rank as f64 + 1.0 + shift).powf(-exponent)
}

/// A permutation of `0..n`.
pub(super) fn permutation(n: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(&mut order, rng);
    order
}

/// Fisher–Yates, written out so that the order is ours and not that of a library's version.
pub(super) fn shuffle<T>(values: &mut [T], rng: &mut impl Rng) {
    for last in (1..values.len()).rev() {
        values.swap(last, rng.random_range(0..=last));
    }
}

/// A well-mixed 64-bit hash of two numbers (SplitMix64's finalizer), for samples by smallest hash.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn zipf_follows_its_law() {
        let (n, draws) = (50, 200_000);
        let zipf = Discrete::zipf(n, 1.1, 0.0);
        let mut rng = Seed::new(3).rng();
        let mut counts = vec![0_u32; n];
        for _ in 0..draws {
            counts[zipf.draw(&mut rng)] += 1;
        }
        let total: f64 = (1..=n).map(|r| (r as f64).powf(-1.1)).sum();
        for rank in [0, 1, 4, 19, 49] {
            let expected = ((rank + 1) as f64).powf(-1.1) / total * f64::from(draws);
            let error = (f64::from(counts[rank]) - expected).abs();
            assert!(error < 5.0 * expected.sqrt(), "rank {rank}: {} of {expected}", counts[rank]);
        }
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut rng = Seed::new(4).rng();
        let draws: Vec<f64> = (0..100_000).map(|_| normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.015 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }

    #[test]
    fn permutation_holds_everything_once() {
        let mut order = permutation(100, &mut Seed::new(5).rng());
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
