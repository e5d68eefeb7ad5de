//! Linear layers whose weight is not trained: no gradient of the weight is computed or stored.
//!
//! The weight may be `f32`, `bf16` or `f16`; two-byte weights are widened block by block, so the model
//! is held in 2 bytes per value. Arithmetic and everything around it is `f32`.

use candle_core::{Result, Tensor, bail};

use super::cpu::{tensor, with_slices};
use super::cuda;
use super::frozen::{frozen, with_frozen};
use super::linear::{d_residual, output_shape, repeated};
use super::matmul::{MatMut, MatRef, Threads, matmul};
use super::operation::{Passes, operation};

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
    let weight = &frozen(weight, NAME)?;
    operation(NAME, [x], |[x]| host(x, weight), |[x]| cuda::linear_frozen(x, weight))
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
    let weight = &frozen(weight, NAME)?;
    operation(
        NAME,
        [x, residual],
        |inputs| host_add(inputs, weight),
        |inputs| cuda::linear_frozen_add(inputs, weight),
    )
}

fn check(x: &Tensor, weight: &Tensor) -> Result<()> {
    match (x.dims().last(), weight.dims()) {
        (Some(width), [_, inner]) if width == inner => Ok(()),
        _ => bail!("{NAME}: x {:?} does not fit a weight of {:?}", x.dims(), weight.dims()),
    }
}

fn host(x: &Tensor, weight: &Tensor) -> Result<Passes<1>> {
    let shape = output_shape(x.dims(), weight.dims()[0]);
    let mut out = vec![0f32; shape.iter().product()];
    with_slices([x], NAME, |[x]| forward(weight, x, 0.0, &mut out))?;
    let weight = weight.clone();
    Ok(Passes::new((out, shape), move |[x], g| Ok([Some(backward(&weight, x, g)?)])))
}

fn host_add([x, residual]: [&Tensor; 2], weight: &Tensor) -> Result<Passes<2>> {
    let shape = output_shape(x.dims(), weight.dims()[0]);
    let out = with_slices([x, residual], NAME, |[x, residual]| {
        let mut out = repeated(residual, shape.iter().product());
        forward(weight, x, 1.0, &mut out)?;
        Ok(out)
    })?;
    let weight = weight.clone();
    Ok(Passes::new((out, shape), move |[x, residual], g| {
        Ok([Some(backward(&weight, x, g)?), d_residual(residual, g)?])
    }))
}

/// `out ← keep * out + x Wᵀ`.
fn forward(weight: &Tensor, x: &[f32], keep: f32, out: &mut [f32]) -> Result<()> {
    with_frozen(weight, NAME, |weight| {
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
fn backward(weight: &Tensor, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let mut dx = vec![0f32; x.elem_count()];
    with_slices([gradient], NAME, |[g]| {
        with_frozen(weight, NAME, |weight| {
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
