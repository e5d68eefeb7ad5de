//! Root-mean-square normalization (arXiv:1910.07467, equation 4), with its gradient.

use candle_core::{Result, Tensor, bail};

use super::buffer::{new_blocks, new_rows};
use super::cpu::{block_rows, gradients, with_slices};
use super::cuda;
use super::operation::{Passes, operation};
use super::simd::{axpy, sum2};

const NAME: &str = "rms-norm";

/// `y = weight ∘ x / sqrt(mean(x²) + eps)` over the last axis.
///
/// Shapes: `x [.., d]`, `weight [d]`, result like `x`; `f32`. Differentiable in both.
///
/// # Errors
/// When shapes or types do not fit.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(0);
    if weight.dims() != [width] {
        bail!("{NAME}: expected a weight of shape [{width}], got {:?}", weight.dims());
    }
    operation(
        NAME,
        [x, weight],
        |inputs| host(inputs, eps as f32),
        |inputs| cuda::rms_norm(inputs, eps as f32),
    )
}

vectorized! {
    /// Normalizes rows of `weight.len()` entries from `x` into `y`; the forward pass on plain slices.
    pub fn rms_norm_rows(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
        let width = weight.len().max(1);
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let scale = inverse_rms(x, eps);
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                *y = *x * scale * *w;
            }
        }
    }
}

#[inline(always)]
fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    1.0 / (sum2(x, x, |a, b| a * b) / x.len() as f32 + eps).sqrt()
}

vectorized! {
    /// One block of rows: `dx` is overwritten, `dw` added to.
    fn backward_rows(x: &[f32], weight: &[f32], g: &[f32], eps: f32, dx: &mut [f32], dw: &mut [f32]) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(g.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
        for ((x, g), dx) in rows {
            let scale = inverse_rms(x, eps);
            for ((d, w), g) in dx.iter_mut().zip(weight).zip(g) {
                *d = *w * *g;
            }
            let inner = sum2(dx, x, |d, x| d * x);
            let pull = inner * scale * scale * scale / width as f32;
            for (((d, dw), x), g) in dx.iter_mut().zip(dw.iter_mut()).zip(x).zip(g) {
                *d = *d * scale - *x * pull;
                *dw += *g * *x * scale;
            }
        }
    }
}

fn host([x, weight]: [&Tensor; 2], eps: f32) -> Result<Passes<2>> {
    let y = with_slices([x, weight], NAME, |[x, weight]| {
        let width = weight.len();
        Ok(new_rows(x.len(), width, block_rows(width), |first, y| {
            rms_norm_rows(&x[first * width..][..y.len()], weight, eps, y);
        }))
    })?;
    Ok(Passes::new((y, x.shape()), move |inputs, g| {
        let [x, weight] = inputs;
        let data = with_slices([x, weight, g], NAME, |[x, weight, g]| {
            let width = weight.len();
            let block = (block_rows(width) * width).max(1);
            // Partial sums per block are added in block order, whichever thread made them.
            let ([dx], partial) = new_blocks(x.len(), block, |first, [dx]: [&mut [f32]; 1]| {
                let mut dw = vec![0f32; width];
                let range = first..first + dx.len();
                backward_rows(&x[range.clone()], weight, &g[range], eps, dx, &mut dw);
                dw
            });
            let mut dw = vec![0f32; width];
            partial.iter().for_each(|part| axpy(1.0, part, &mut dw));
            Ok([dx, dw])
        })?;
        gradients(data, inputs)
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    #[test]
    fn value_and_gradients_equal_the_plain_composition() {
        for (shape, width) in [(vec![3usize, 7, 33], 33), (vec![700, 32], 32), (vec![1, 1], 1)] {
            let inputs = [random(&shape, 1), random(&[width], 2)];
            assert_same_gradients(
                &inputs,
                2e-5,
                |v| rms_norm(&v[0], &v[1], 1e-6),
                |v| {
                    let mean = v[0].sqr()?.mean_keepdim(candle_core::D::Minus1)?;
                    v[0].broadcast_div(&(mean + 1e-6)?.sqrt()?)?.broadcast_mul(&v[1])
                },
            );
        }
    }

    #[test]
    fn a_wrong_weight_is_named() {
        let message =
            rms_norm(&random(&[2, 4], 1), &random(&[3], 2), 1e-6).unwrap_err().to_string();
        assert!(message.contains("rms-norm: expected a weight of shape [4], got [3]"), "{message}");
    }
}
