//! Layer normalization (arXiv:1607.06450, equation 4 over one row), with its gradient.

use candle_core::{Result, Tensor, bail};

use super::buffer::{new_blocks, new_rows};
use super::cpu::{block_rows, gradients, with_slices};
use super::operation::{Passes, not_on_a_gpu, operation};
use super::simd::{axpy, sum2};

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
    operation(NAME, [x, weight, bias], |inputs| host(inputs, eps as f32), not_on_a_gpu(NAME))
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

fn host([x, weight, bias]: [&Tensor; 3], eps: f32) -> Result<Passes<3>> {
    let y = with_slices([x, weight, bias], NAME, |[x, weight, bias]| {
        let width = weight.len();
        Ok(new_rows(x.len(), width, block_rows(width), |first, y| {
            layer_norm_rows(&x[first * width..][..y.len()], weight, bias, eps, y);
        }))
    })?;
    Ok(Passes::new((y, x.shape()), move |inputs, g| {
        let [x, weight, _] = inputs;
        let data = with_slices([x, weight, g], NAME, |[x, weight, g]| {
            let width = weight.len();
            let block = (block_rows(width) * width).max(1);
            // Partial sums per block are added in block order, whichever thread made them.
            let ([dx], partial) = new_blocks(x.len(), block, |first, [dx]: [&mut [f32]; 1]| {
                let (mut dw, mut db) = (vec![0f32; width], vec![0f32; width]);
                let range = first..first + dx.len();
                let (x, g) = (&x[range.clone()], &g[range]);
                backward_rows(x, weight, g, eps, dx, &mut dw, &mut db);
                (dw, db)
            });
            let (mut dw, mut db) = (vec![0f32; width], vec![0f32; width]);
            for (part_w, part_b) in &partial {
                axpy(1.0, part_w, &mut dw);
                axpy(1.0, part_b, &mut db);
            }
            Ok([dx, dw, db])
        })?;
        gradients(data, inputs)
    }))
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
