//! Layer normalization (arXiv:1607.06450, equation 4 over one row), with its gradient.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::buffer::{new_blocks, new_rows};
use super::cpu::{block_rows, slice, tensor, with_slices};
use super::simd::sum2;

const NAME: &str = "layer-norm";

/// `y = weight ∘ (x − mean(x)) / sqrt(var(x) + eps) + bias` over the last axis; `var` divides by `d`.
///
/// Shapes: `x [.., d]`, `weight` and `bias [d]`, result like `x`; `f32`. Differentiable in all three.
///
/// # Errors
/// When shapes or types do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(0);
    if weight.dims() != [width] || bias.dims() != [width] {
        bail!(
            "{NAME}: expected weight and bias of shape [{width}], got {:?} and {:?}",
            weight.dims(),
            bias.dims()
        );
    }
    let op = LayerNorm { eps: eps as f32 };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

struct LayerNorm {
    eps: f32,
}

/// Mean of a row and the inverse of its standard deviation, in two passes: no cancellation.
#[inline(always)]
fn moments(x: &[f32], eps: f32) -> (f32, f32) {
    let mean = sum2(x, x, |a, _| a) / x.len() as f32;
    let variance = sum2(x, x, |a, _| (a - mean) * (a - mean)) / x.len() as f32;
    (mean, 1.0 / (variance + eps).sqrt())
}

vectorized! {
    /// Normalizes rows of `weight.len()` entries from `x` into `y`; the forward pass on plain slices.
    pub fn layer_norm_rows(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32]) {
        let width = weight.len().max(1);
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let (mean, scale) = moments(x, eps);
            for (((y, x), w), b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                *y = (*x - mean) * scale * *w + *b;
            }
        }
    }
}

vectorized! {
    /// One block of rows: `dx` is overwritten, `dw` and `db` added to.
    fn backward_rows(
        x: &[f32], weight: &[f32], g: &[f32], eps: f32, dx: &mut [f32], dw: &mut [f32], db: &mut [f32],
    ) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(g.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
        for ((x, g), dx) in rows {
            let (mean, scale) = moments(x, eps);
            for ((d, w), g) in dx.iter_mut().zip(weight).zip(g) {
                *d = *w * *g;
            }
            let level = sum2(dx, dx, |d, _| d) / width as f32;
            let pull = sum2(dx, x, |d, x| d * (x - mean)) * scale * scale / width as f32;
            for ((((d, dw), db), x), g) in
                dx.iter_mut().zip(dw.iter_mut()).zip(db.iter_mut()).zip(x).zip(g)
            {
                let centered = *x - mean;
                *d = scale * (*d - level - centered * pull);
                *dw += *g * centered * scale;
                *db += *g;
            }
        }
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(x, x_layout, NAME)?, slice(weight, weight_layout, NAME)?);
        let bias = slice(bias, bias_layout, NAME)?;
        let (width, rows) = (weight.len(), block_rows(weight.len()));
        let y = new_rows(x.len(), width, rows, |first, y| {
            layer_norm_rows(&x[first * width..][..y.len()], weight, bias, self.eps, y);
        });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x_tensor: &Tensor,
        weight_tensor: &Tensor,
        bias_tensor: &Tensor,
        _y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        with_slices([x_tensor, weight_tensor, gradient], NAME, |[x, weight, g]| {
            let width = weight.len();
            let block = (block_rows(width) * width).max(1);
            let one = |first: usize, [dx]: [&mut [f32]; 1]| {
                let (mut dw, mut db) = (vec![0f32; width], vec![0f32; width]);
                let range = first..first + dx.len();
                let (x, g) = (&x[range.clone()], &g[range]);
                backward_rows(x, weight, g, self.eps, dx, &mut dw, &mut db);
                (dw, db)
            };
            // Partial sums per block are added in block order, whichever thread made them.
            let ([dx], partial) = new_blocks(x.len(), block, one);
            let (mut dw, mut db) = (vec![0f32; width], vec![0f32; width]);
            for (part_w, part_b) in &partial {
                super::simd::axpy(1.0, part_w, &mut dw);
                super::simd::axpy(1.0, part_b, &mut db);
            }
            Ok((
                Some(tensor(dx, x_tensor)?),
                Some(tensor(dw, weight_tensor)?),
                Some(tensor(db, bias_tensor)?),
            ))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::D;

    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    #[test]
    fn value_and_gradients_equal_the_plain_composition() {
        for (shape, width) in [(vec![3usize, 7, 33], 33), (vec![700, 32], 32), (vec![2, 2], 2)] {
            let inputs = [random(&shape, 1), random(&[width], 2), random(&[width], 3)];
            // With two entries a row's variance may be tiny: a larger eps keeps slopes moderate.
            let eps = if width == 2 { 0.1 } else { 1e-5 };
            assert_same_gradients(
                &inputs,
                5e-5,
                |v| layer_norm(&v[0], &v[1], &v[2], eps),
                |v| {
                    let centered = v[0].broadcast_sub(&v[0].mean_keepdim(D::Minus1)?)?;
                    let variance = centered.sqr()?.mean_keepdim(D::Minus1)?;
                    centered
                        .broadcast_div(&(variance + eps)?.sqrt()?)?
                        .broadcast_mul(&v[1])?
                        .broadcast_add(&v[2])
                },
            );
        }
    }

    #[test]
    fn a_large_offset_does_not_change_what_is_normalized() {
        let x = random(&[4, 16], 1);
        let (weight, bias) = (random(&[16], 2), random(&[16], 3));
        let y = layer_norm(&x, &weight, &bias, 1e-5).unwrap();
        let shifted = layer_norm(&(x + 100.0).unwrap(), &weight, &bias, 1e-5).unwrap();
        let difference = (y - shifted).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-3);
    }

    #[test]
    fn wrong_parameters_are_named() {
        let message = layer_norm(&random(&[2, 4], 1), &random(&[4], 2), &random(&[3], 3), 1e-6)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("expected weight and bias of shape [4], got [4] and [3]"),
            "{message}"
        );
    }
}
