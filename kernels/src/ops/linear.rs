//! Linear layers: products with a `[out, in]` weight, gradients without transposed copies.

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::cpu::{block_rows, tensor, with_slices};
use super::cuda;
use super::matmul::{MatMut, MatRef, Threads, matmul, matmul_new};
use super::operation::{Passes, operation};
use super::simd::axpy;

const NAME: &str = "linear";
const NAME_ADD: &str = "linear-add";
const NAME_BIAS: &str = "linear-bias";

/// `x Wᵀ`.
///
/// Shapes: `x [.., in]`, `weight [out, in]`, result `[.., out]`; `f32`. Differentiable in both.
///
/// # Errors
/// When shapes or types do not fit.
pub fn linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    check(x, weight, NAME)?;
    operation(NAME, [x, weight], host, cuda::linear)
}

/// `residual + x Wᵀ` in one pass.
///
/// Shapes: `x [.., in]`, `weight [out, in]`, `residual` and result `[.., out]`; `f32`. Differentiable in all three.
///
/// # Errors
/// When shapes or types do not fit.
pub fn linear_add(x: &Tensor, weight: &Tensor, residual: &Tensor) -> Result<Tensor> {
    let (_, out) = check(x, weight, NAME_ADD)?;
    let expected = output_shape(x.dims(), out);
    if residual.dims() != expected {
        bail!("{NAME_ADD}: expected a residual of shape {expected:?}, got {:?}", residual.dims());
    }
    operation(NAME_ADD, [x, weight, residual], host_add, cuda::linear_add)
}

/// `x Wᵀ + b`.
///
/// Shapes: `x [.., in]`, `weight [out, in]`, `bias [out]`, result `[.., out]`; `f32`. Differentiable in all three.
///
/// # Errors
/// When shapes or types do not fit.
pub fn linear_bias(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (_, out) = check(x, weight, NAME_BIAS)?;
    if bias.dims() != [out] {
        bail!("{NAME_BIAS}: expected a bias of shape [{out}], got {:?}", bias.dims());
    }
    operation(NAME_BIAS, [x, weight, bias], host_add, cuda::linear_add)
}

/// Sums the rows of `gradient [.., out]`: the gradient of a bias. Partial sums of blocks of rows are
/// added in order.
fn column_sums(gradient: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let width = bias.elem_count();
    with_slices([gradient], NAME_BIAS, |[g]| {
        let block = (block_rows(width) * width).max(1);
        let sum = |rows: &[f32]| {
            let mut sum = vec![0f32; width];
            rows.chunks_exact(width).for_each(|row| axpy(1.0, row, &mut sum));
            sum
        };
        let partial: Vec<Vec<f32>> = g.par_chunks(block).map(sum).collect();
        tensor(sum(&partial.concat()), bias)
    })
}

fn check(x: &Tensor, weight: &Tensor, name: &str) -> Result<(usize, usize)> {
    match (x.dims().last(), weight.dims()) {
        (Some(width), [out, inner]) if width == inner => Ok((*inner, *out)),
        _ => bail!("{name}: x {:?} does not fit a weight of {:?}", x.dims(), weight.dims()),
    }
}

pub(super) fn output_shape(x: &[usize], out: usize) -> Vec<usize> {
    let mut shape = x.to_vec();
    if let Some(last) = shape.last_mut() {
        *last = out;
    }
    shape
}

/// A residual, or one row as often as there are rows.
pub(super) fn repeated(residual: &[f32], entries: usize) -> Vec<f32> {
    if residual.len() == entries {
        return residual.to_vec();
    }
    residual.repeat(entries / residual.len().max(1))
}

/// The gradient of a residual or bias; none where nothing asks for it.
pub(super) fn d_residual(residual: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
    Ok(match residual.track_op() {
        false => None,
        true if residual.dims() == gradient.dims() => Some(gradient.clone()),
        true => Some(column_sums(gradient, residual)?),
    })
}

fn host([x, weight]: [&Tensor; 2]) -> Result<Passes<2>> {
    let (outer, inner) = weight.dims2()?;
    let shape = output_shape(x.dims(), outer);
    let rows = shape.iter().product::<usize>() / outer.max(1);
    let out = with_slices([x, weight], NAME, |[x, weight]| {
        let weight = MatRef::new(weight, outer, inner).t();
        Ok(matmul_new(MatRef::new(x, rows, inner), weight, Threads::Pool))
    })?;
    Ok(Passes::new((out, shape), |[x, weight], g| backward(x, weight, g)))
}

/// The residual is of the shape of the output, or one row that is added to every row.
fn host_add([x, weight, residual]: [&Tensor; 3]) -> Result<Passes<3>> {
    let (outer, inner) = weight.dims2()?;
    let shape = output_shape(x.dims(), outer);
    let out = with_slices([x, weight, residual], NAME_ADD, |[x, weight, residual]| {
        let mut out = repeated(residual, shape.iter().product());
        let rows = out.len() / outer.max(1);
        let (x, weight) = (MatRef::new(x, rows, inner), MatRef::new(weight, outer, inner));
        matmul(&mut MatMut::new(&mut out, rows, outer), 1.0, 1.0, x, weight.t(), Threads::Pool);
        Ok(out)
    })?;
    Ok(Passes::new((out, shape), |[x, weight, residual], g| {
        let [dx, dw] = backward(x, weight, g)?;
        Ok([dx, dw, d_residual(residual, g)?])
    }))
}

/// Gradients of `x` and `weight`; none where nothing asks for it.
fn backward(x: &Tensor, weight: &Tensor, gradient: &Tensor) -> Result<[Option<Tensor>; 2]> {
    let (outer, inner) = weight.dims2()?;
    with_slices([x, weight, gradient], NAME, |[x_data, w_data, g]| {
        let rows = g.len() / outer.max(1);
        let g = MatRef::new(g, rows, outer);
        let dx = x.track_op().then(|| {
            let dx = matmul_new(g, MatRef::new(w_data, outer, inner), Threads::Pool);
            tensor(dx, x)
        });
        let dw = weight.track_op().then(|| {
            let dw = matmul_new(g.t(), MatRef::new(x_data, rows, inner), Threads::Pool);
            tensor(dw, weight)
        });
        Ok([dx.transpose()?, dw.transpose()?])
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    #[test]
    fn values_and_gradients_equal_the_plain_product() {
        for (rows, inner, outer) in [(1, 1, 1), (31, 33, 7), (300, 64, 128)] {
            let inputs =
                [random(&[rows, inner], 1), random(&[outer, inner], 2), random(&[rows, outer], 3)];
            assert_same_gradients(
                &inputs[..2],
                1e-4,
                |v| linear(&v[0], &v[1]),
                |v| v[0].matmul(&v[1].t()?),
            );
            assert_same_gradients(
                &inputs,
                1e-4,
                |v| linear_add(&v[0], &v[1], &v[2]),
                |v| v[0].matmul(&v[1].t()?)? + &v[2],
            );
            let inputs =
                [random(&[rows, inner], 1), random(&[outer, inner], 2), random(&[outer], 3)];
            assert_same_gradients(
                &inputs,
                1e-4,
                |v| linear_bias(&v[0], &v[1], &v[2]),
                |v| v[0].matmul(&v[1].t()?)?.broadcast_add(&v[2]),
            );
        }
    }

    #[test]
    fn leading_axes_are_kept_and_misfits_named() {
        let y = linear(&random(&[2, 3, 5], 1), &random(&[4, 5], 2)).unwrap();
        assert_eq!(y.dims(), [2, 3, 4]);
        let message = linear(&random(&[2, 5], 1), &random(&[5, 4], 2)).unwrap_err().to_string();
        assert!(message.contains("linear: x [2, 5] does not fit a weight of [5, 4]"), "{message}");
    }
}
