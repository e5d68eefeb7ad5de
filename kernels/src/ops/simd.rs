//! Vector primitives on slices: the loops all operations are made of.
//!
//! Written so that the compiler vectorizes them: fixed lanes, no branches in the body. On x86-64 each
//! is compiled a second time for AVX2 and chosen at run time. The lanes are part of the definition
//! and multiply-adds are never contracted, so both versions give the same bits.

/// Lanes of every reduction; two AVX2 registers.
const LANES: usize = 16;

/// Compiles a function for the baseline and for AVX2, and picks at run time.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments)]
                fn wide($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has the feature, as the line above found.
                    return unsafe { wide($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}

/// `e^x` by range reduction and a polynomial of degree 6; relative error below 2e-7 where the result
/// is a normal number, 0 below −87.3, saturated at `e^88.3` above. Not-a-number stays so.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that n * LN2_HIGH is exact for |n| < 2^9.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < -87.3 { -87.3 } else { x };
    let clamped = if clamped > 88.3 { 88.3 } else { clamped };
    let shifted = clamped * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    let value = p * f32::from_bits(exponent);
    if x < -87.3 { 0.0 } else { value }
}

/// Logistic function.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Sum over `map(i, a[i], b[i])` in [`LANES`] interleaved partial sums; the order is fixed.
#[inline(always)]
pub(super) fn sum2(a: &[f32], b: &[f32], map: impl Fn(f32, f32) -> f32) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut lanes = [0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += map(a[lane], b[lane]);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += map(*a, *b);
    }
    fold(lanes)
}

#[inline(always)]
fn fold(lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    let mut lanes = lanes;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

vectorized! {
    /// Scalar product of the common prefix of two slices, in a fixed order of additions.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        sum2(a, b, |a, b| a * b)
    }
}

vectorized! {
    /// Scalar products of the rows of a matrix `[out.len(), dim]` with one vector, each as [`dot`] takes it.
    pub fn dots(rows: &[f32], dim: usize, vector: &[f32], out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(rows.chunks_exact(dim)) {
            *out = sum2(row, vector, |a, b| a * b);
        }
    }
}

vectorized! {
    /// As [`dots`] for four vectors, which a row is read once for: `out` is `[rows][4]`, each
    /// product the bits of [`dot`].
    pub fn dots4(rows: &[f32], dim: usize, vectors: [&[f32]; 4], out: &mut [[f32; 4]]) {
        let vectors = vectors.map(|vector| vector[..dim].as_chunks::<LANES>());
        for (out, row) in out.iter_mut().zip(rows.chunks_exact(dim)) {
            let mut lanes = [[0f32; LANES]; 4];
            let (blocks, rest) = row.as_chunks::<LANES>();
            for (at, block) in blocks.iter().enumerate() {
                for (lanes, vector) in lanes.iter_mut().zip(&vectors) {
                    for lane in 0..LANES {
                        lanes[lane] += block[lane] * vector.0[at][lane];
                    }
                }
            }
            for (lanes, vector) in lanes.iter_mut().zip(&vectors) {
                for ((lane, a), b) in lanes.iter_mut().zip(rest).zip(vector.1) {
                    *lane += a * b;
                }
            }
            *out = lanes.map(fold);
        }
    }
}

vectorized! {
    /// `y += factor * x` over the common prefix.
    pub fn axpy(factor: f32, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) {
            *y += factor * *x;
        }
    }
}

#[inline(always)]
fn max_of(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = if block[lane] > lanes[lane] { block[lane] } else { lanes[lane] };
        }
    }
    for (lane, v) in lanes.iter_mut().zip(rest) {
        *lane = if *v > *lane { *v } else { *lane };
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

vectorized! {
    /// `ln Σ e^x` without overflow; −∞ of an empty slice.
    pub fn log_sum_exp(values: &[f32]) -> f32 {
        let max = max_of(values);
        if max == f32::NEG_INFINITY {
            return max;
        }
        max + sum2(values, values, |v, _| exp(v - max)).ln()
    }
}

vectorized! {
    /// Replaces scores by `softmax(scale * scores)`; an empty row stays empty.
    pub fn softmax_in_place(scores: &mut [f32], scale: f32) {
        let max = max_of(scores);
        for s in scores.iter_mut() {
            *s = exp((*s - max) * scale);
        }
        let factor = 1.0 / sum2(scores, scores, |v, _| v);
        for s in scores.iter_mut() {
            *s *= factor;
        }
    }
}

/// The smallest of some differences, and the one behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Least {
    /// Place of the smallest; of equal ones the first, and 0 where none is a number.
    pub at: u32,
    /// Its value; infinite where there is none.
    pub value: f32,
    /// The smallest of the others; infinite where there is none.
    pub next: f32,
}

impl Least {
    /// What nothing is smaller than yet.
    const NONE: Self = Self { at: 0, value: f32::INFINITY, next: f32::INFINITY };

    #[inline(always)]
    fn offer(&mut self, at: u32, value: f32) {
        let is_less = value < self.value;
        let above = if is_less { self.value } else { value };
        self.next = if above < self.next { above } else { self.next };
        self.value = if is_less { value } else { self.value };
        self.at = if is_less { at } else { self.at };
    }
}

vectorized! {
    /// The least of `costs - products`, which are of one length.
    pub fn least(costs: &[f32], products: &[f32]) -> Least {
        let n = costs.len().min(products.len());
        let (costs, products) = (&costs[..n], &products[..n]);
        let (mut values, mut nexts) = ([f32::INFINITY; LANES], [f32::INFINITY; LANES]);
        let mut blocks = [0u32; LANES];
        let (cost_blocks, cost_rest) = costs.as_chunks::<LANES>();
        let (product_blocks, product_rest) = products.as_chunks::<LANES>();
        for (block, (costs, products)) in (0u32..).zip(cost_blocks.iter().zip(product_blocks)) {
            for lane in 0..LANES {
                let value = costs[lane] - products[lane];
                let is_less = value < values[lane];
                let above = if is_less { values[lane] } else { value };
                nexts[lane] = if above < nexts[lane] { above } else { nexts[lane] };
                values[lane] = if is_less { value } else { values[lane] };
                blocks[lane] = if is_less { block } else { blocks[lane] };
            }
        }
        let mut least = Least::NONE;
        for lane in 0..LANES {
            let at = blocks[lane] * LANES as u32 + lane as u32;
            // Of equal values the first place counts, whatever its lane.
            if values[lane] == least.value && values[lane] < f32::INFINITY {
                least.at = least.at.min(at);
                least.next = least.value;
            } else {
                least.offer(at, values[lane]);
            }
            least.next = if nexts[lane] < least.next { nexts[lane] } else { least.next };
        }
        let first = (cost_blocks.len() * LANES) as u32;
        for (at, (cost, product)) in (first..).zip(cost_rest.iter().zip(product_rest)) {
            least.offer(at, cost - product);
        }
        least
    }
}

vectorized! {
    /// Replaces logits by `factor * e^(logit − normalizer)`.
    pub(super) fn scaled_exp(logits: &mut [f32], normalizer: f32, factor: f32) {
        for l in logits.iter_mut() {
            *l = factor * exp(*l - normalizer);
        }
    }
}

vectorized! {
    /// Softmax gradient in place: `probabilities ← scale * p ∘ (dp − Σ dp ∘ p)`.
    pub(super) fn softmax_backward(probabilities: &mut [f32], gradient: &[f32], scale: f32) {
        let inner = sum2(probabilities, gradient, |p, g| p * g);
        for (p, g) in probabilities.iter_mut().zip(gradient) {
            *p = scale * *p * (*g - inner);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_whole_range() {
        let mut worst = 0f64;
        for i in -870_000..=880_000 {
            let x = i as f32 * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max(((f64::from(exp(x)) - exact) / exact).abs());
        }
        assert!(worst < 2e-7, "relative error {worst}");
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::INFINITY).is_finite());
    }

    #[test]
    fn reductions_agree_with_plain_sums_at_odd_lengths() {
        for n in [0, 1, 15, 16, 17, 31, 33, 100] {
            let a: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let b: Vec<f32> = (0..n).map(|i| (i as f32 * 0.3).cos()).collect();
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&a, &b)) - plain).abs() < 1e-5);
            let sum: f64 = a.iter().map(|a| f64::from(*a).exp()).sum();
            if n > 0 {
                assert!((f64::from(log_sum_exp(&a)) - sum.ln()).abs() < 1e-5);
            } else {
                assert_eq!(log_sum_exp(&a), f32::NEG_INFINITY);
            }
            let mut soft = a.clone();
            softmax_in_place(&mut soft, 2.0);
            let total: f64 = a.iter().map(|a| (2.0 * f64::from(*a)).exp()).sum();
            for (s, a) in soft.iter().zip(&a) {
                assert!((f64::from(*s) - (2.0 * f64::from(*a)).exp() / total).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_least_is_the_first_of_equal_ones_and_the_next_is_behind_it() {
        for n in [0, 1, 2, 15, 16, 17, 31, 33, 100, 1024] {
            for step in [1, 7, 40] {
                // Few values, so that many are equal.
                let products: Vec<f32> = (0..n).map(|i| ((i * 37 + step) % step) as f32).collect();
                let costs: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
                let mut all: Vec<(f32, usize)> =
                    costs.iter().zip(&products).map(|(c, p)| c - p).zip(0..).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let value = |place: usize| all.get(place).map_or(f32::INFINITY, |one| one.0);
                let at = all.first().map_or(0, |one| one.1 as u32);
                let expected = Least { at, value: value(0), next: value(1) };
                assert_eq!(least(&costs, &products), expected, "{n} {step}");
            }
        }
        let none = least(&[f32::NAN; 20], &[0.0; 20]);
        assert_eq!((none.at, none.value, none.next), (0, f32::INFINITY, f32::INFINITY));
    }

    #[test]
    fn log_sum_exp_survives_large_and_masked_values() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - 1000.0 - 2f32.ln()).abs() < 1e-4);
        assert!((log_sum_exp(&[f32::NEG_INFINITY, 3.0]) - 3.0).abs() < 1e-6);
    }
}
