//! Root-mean-square normalization (arXiv:1910.07467, equation 4), with its gradient.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::buffer::{new_blocks, new_rows};
use super::cpu::{block_rows, slice, tensor, with_slices};
use super::simd::sum2;

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
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return super::cuda::rms_norm(x, weight, eps);
    }
    x.contiguous()?.apply_op2(&weight.contiguous()?, RmsNorm { eps: eps as f32 })
}

struct RmsNorm {
    eps: f32,
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

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(x, x_layout, NAME)?, slice(weight, weight_layout, NAME)?);
        let (width, rows) = (weight.len(), block_rows(weight.len()));
        let y = new_rows(x.len(), width, rows, |first, y| {
            rms_norm_rows(&x[first * width..][..y.len()], weight, self.eps, y);
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x_tensor: &Tensor,
        weight_tensor: &Tensor,
        _y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with_slices([x_tensor, weight_tensor, gradient], NAME, |[x, weight, g]| {
            let width = weight.len();
            let block = (block_rows(width) * width).max(1);
            let one = |first: usize, [dx]: [&mut [f32]; 1]| {
                let mut dw = vec![0f32; width];
                let range = first..first + dx.len();
                backward_rows(&x[range.clone()], weight, &g[range], self.eps, dx, &mut dw);
                dw
            };
            // Partial sums per block are added in block order, whichever thread made them.
            let ([dx], partial) = new_blocks(x.len(), block, one);
            let mut dw = vec![0f32; width];
            for part in &partial {
                super::simd::axpy(1.0, part, &mut dw);
            }
            Ok((Some(tensor(dx, x_tensor)?), Some(tensor(dw, weight_tensor)?)))
        })
    }
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
