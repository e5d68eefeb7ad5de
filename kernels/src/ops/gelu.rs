//! Gaussian error linear unit (arXiv:1606.08415, equation 2, the exact form), with its gradient.

use candle_core::{Result, Tensor};

use super::buffer::new_rows;
use super::cpu::{block_rows, tensor, with_slices};
use super::operation::{Passes, not_on_a_gpu, operation};
use super::simd::exp;

const NAME: &str = "gelu";

/// `x Φ(x)` with the distribution function `Φ` of the standard normal (not its tanh approximation), element by
/// element; `f32`, differentiable.
///
/// # Errors
/// When the type does not fit.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    operation(NAME, [x], host, not_on_a_gpu(NAME))
}

/// `Φ(x)` and `e^(−x²/2)`; absolute error of `Φ` below 1e-7 (Abramowitz and Stegun, 7.1.26). The smaller tail is
/// computed and the other is its complement, so that nothing cancels.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let bell = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let p = 1.061_405_4;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_75;
    let p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, bell)
}

vectorized! {
    /// The forward pass in place.
    pub fn gelu_in_place(x: &mut [f32]) {
        for x in x.iter_mut() {
            *x *= normal(*x).0;
        }
    }
}

vectorized! {
    /// The backward pass in place: `x` becomes its gradient.
    fn backward(x: &mut [f32], g: &[f32]) {
        // 1 / sqrt(2 π)
        const DENSITY: f32 = 0.398_942_3;
        for (x, g) in x.iter_mut().zip(g) {
            let (below, bell) = normal(*x);
            *x = *g * (below + *x * DENSITY * bell);
        }
    }
}

fn host([x]: [&Tensor; 1]) -> Result<Passes<1>> {
    let y = with_slices([x], NAME, |[x]| {
        Ok(new_rows(x.len(), 1, block_rows(1), |first, y| {
            y.copy_from_slice(&x[first..][..y.len()]);
            gelu_in_place(y);
        }))
    })?;
    Ok(Passes::new((y, x.shape()), |[x], g| {
        let dx = with_slices([x, g], NAME, |[x, g]| {
            Ok(new_rows(x.len(), 1, block_rows(1), |first, dx| {
                let range = first..first + dx.len();
                dx.copy_from_slice(&x[range.clone()]);
                backward(dx, &g[range]);
            }))
        })?;
        Ok([Some(tensor(dx, x)?)])
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    #[test]
    fn value_and_gradients_equal_the_plain_composition() {
        for n in [1, 31, 20_001] {
            let inputs = [(random(&[n], 1) * 5.0).unwrap()];
            assert_same_gradients(&inputs, 2e-6, |v| gelu(&v[0]), |v| v[0].gelu_erf());
        }
    }

    #[test]
    fn far_tails_are_exact() {
        let mut x = [-40.0, -6.0, 0.0, 6.0, 40.0];
        gelu_in_place(&mut x);
        // −6 Φ(−6) = −6 · 9.8659e-10
        assert!(x[0].abs() < 1e-30 && x[2] == 0.0 && x[3] == 6.0 && x[4] == 40.0);
        assert!((x[1] + 5.919_5e-9).abs() < 1e-10, "{}", x[1]);
    }
}
