//! Linear layers whose weight is not trained: no gradient of the weight is computed or stored.
//!
//! The weight may be `f32`, `bf16` or `f16`; two-byte weights are widened block by block, so the model
//! is held in 2 bytes per value. Arithmetic and everything around it is `f32`.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};

use super::cpu::{slice, tensor, with_slices};
use super::frozen::{frozen, with_frozen};
use super::linear::{d_residual, output_shape, repeated};
use super::matmul::{MatMut, MatRef, Threads, matmul};

const NAME: &str = "linear-frozen";

/// `x Wᵀ` with a fixed weight.
///
/// Shapes: `x [.., in]`, `f32`; `weight [out, in]`, `f32`, `bf16` or `f16`; result `[.., out]`, `f32`.
/// Differentiable in `x`.
///
/// # Errors
/// When shapes or types do not fit.
pub fn linear_frozen(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    check(x, weight)?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return super::cuda::linear_frozen(x, weight);
    }
    x.contiguous()?.apply_op1(FrozenProduct { weight: frozen(weight, NAME)? })
}

/// `residual + x Wᵀ` with a fixed weight; a `residual` of one row is a bias and added to every row.
///
/// Shapes: `x` and `weight` as in [`linear_frozen`]; `residual [.., out]` or `[out]`, `f32`; result `[.., out]`.
/// Differentiable in `x` and `residual`.
///
/// # Errors
/// When shapes or types do not fit.
pub fn linear_frozen_add(x: &Tensor, weight: &Tensor, residual: &Tensor) -> Result<Tensor> {
    check(x, weight)?;
    let expected = output_shape(x.dims(), weight.dims()[0]);
    if residual.dims() != expected && residual.dims() != &expected[expected.len() - 1..] {
        bail!("{NAME}: expected a residual of shape {expected:?}, got {:?}", residual.dims());
    }
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        let y = super::cuda::linear_frozen(x, weight)?;
        let is_bias = residual.rank() == 1;
        return if is_bias { super::cuda::add_bias(&y, residual) } else { y + residual };
    }
    let op = FrozenProduct { weight: frozen(weight, NAME)? };
    x.contiguous()?.apply_op2(&residual.contiguous()?, op)
}

fn check(x: &Tensor, weight: &Tensor) -> Result<()> {
    match (x.dims().last(), weight.dims()) {
        (Some(width), [_, inner]) if width == inner => Ok(()),
        _ => bail!("{NAME}: x {:?} does not fit a weight of {:?}", x.dims(), weight.dims()),
    }
}

struct FrozenProduct {
    weight: Tensor,
}

impl FrozenProduct {
    /// `out ← keep * out + x Wᵀ`.
    fn forward(&self, x: &[f32], keep: f32, out: &mut [f32]) -> Result<()> {
        with_frozen(&self.weight, NAME, |weight| {
            let (outer, inner) = (weight.rows, weight.cols);
            let rows = out.len() / outer.max(1);
            if rows == 0 {
                return Ok(());
            }
            weight.for_blocks(|first, block| {
                let n = block.rows();
                let mut out = MatMut::strided(&mut out[first..], rows, n, outer);
                let x = MatRef::new(x, rows, inner);
                matmul(&mut out, keep, 1.0, x, block.t(), Threads::Pool);
            });
            Ok(())
        })
    }

    /// `g W`, of the shape of `x`.
    fn backward(&self, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let mut dx = vec![0f32; x.elem_count()];
        with_slices([gradient], NAME, |[g]| {
            with_frozen(&self.weight, NAME, |weight| {
                let (outer, inner) = (weight.rows, weight.cols);
                let rows = g.len() / outer.max(1);
                if rows == 0 {
                    return Ok(());
                }
                weight.for_blocks(|first, block| {
                    let keep = if first == 0 { 0.0 } else { 1.0 };
                    let g = MatRef::strided(&g[first..], rows, block.rows(), outer);
                    let mut dx = MatMut::new(&mut dx, rows, inner);
                    matmul(&mut dx, keep, 1.0, g, block, Threads::Pool);
                });
                Ok(())
            })
        })?;
        tensor(dx, x)
    }
}

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = output_shape(layout.dims(), self.weight.dims()[0]);
        let mut out = vec![0f32; shape.iter().product()];
        self.forward(slice(x, layout, NAME)?, 0.0, &mut out)?;
        Ok((CpuStorage::F32(out), Shape::from(shape)))
    }

    fn bwd(&self, x: &Tensor, _out: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.backward(x, gradient)?))
    }
}

impl CustomOp2 for FrozenProduct {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = output_shape(x_layout.dims(), self.weight.dims()[0]);
        let residual = slice(residual, residual_layout, NAME)?;
        let mut out = repeated(residual, shape.iter().product());
        self.forward(slice(x, x_layout, NAME)?, 1.0, &mut out)?;
        Ok((CpuStorage::F32(out), Shape::from(shape)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        residual: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(self.backward(x, gradient)?), d_residual(residual, gradient)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    #[test]
    fn values_and_gradients_equal_the_plain_product() {
        for (rows, inner, outer) in [(1, 1, 1), (31, 33, 7), (40, 600, 900)] {
            for dtype in [DType::F32, DType::BF16, DType::F16] {
                let weight = random(&[outer, inner], 2).to_dtype(dtype).unwrap();
                let wide = weight.to_dtype(DType::F32).unwrap();
                let inputs = [random(&[rows, inner], 1), random(&[rows, outer], 3)];
                assert_same_gradients(
                    &inputs[..1],
                    2e-4,
                    |v| linear_frozen(&v[0], &weight),
                    |v| v[0].matmul(&wide.t()?),
                );
                assert_same_gradients(
                    &inputs,
                    2e-4,
                    |v| linear_frozen_add(&v[0], &weight, &v[1]),
                    |v| v[0].matmul(&wide.t()?)? + &v[1],
                );
                let inputs = [random(&[rows, inner], 1), random(&[outer], 3)];
                assert_same_gradients(
                    &inputs,
                    2e-4,
                    |v| linear_frozen_add(&v[0], &weight, &v[1]),
                    |v| v[0].matmul(&wide.t()?)?.broadcast_add(&v[1]),
                );
            }
        }
    }

    #[test]
    fn the_weight_gets_no_gradient() {
        let (x, w) = (random(&[3, 4], 1), random(&[5, 4], 2));
        let (x, w) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(&w).unwrap());
        let store = linear_frozen(&x, &w).unwrap().sum_all().unwrap().backward().unwrap();
        assert!(store.get(&x).is_some() && store.get(&w).is_none());
    }

    #[test]
    fn misfits_are_named() {
        let told = |r: Result<Tensor>| r.unwrap_err().to_string();
        let (x, w) = (random(&[2, 3, 5], 1), random(&[4, 5], 2));
        assert_eq!(linear_frozen(&x, &w).unwrap().dims(), [2, 3, 4]);
        let text = told(linear_frozen(&x, &w.t().unwrap()));
        assert!(text.contains("x [2, 3, 5] does not fit a weight of [5, 4]"), "{text}");
        let text = told(linear_frozen_add(&x, &w, &random(&[5], 1)));
        assert!(text.contains("expected a residual of shape [2, 3, 4], got [5]"), "{text}");
    }
}
