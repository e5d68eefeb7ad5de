//! The gated half of a feed-forward as one operation: two projections of one input, and SwiGLU.
//!
//! Beside `swiglu(linear(x, gate), linear(x, up))` this saves the sum of the two gradients of `x`, and
//! the backward pass overwrites what the forward pass kept instead of asking for new buffers.

use std::sync::Mutex;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::buffer::new_rows;
use super::cpu::{block_rows, gradients, lock, with_slices};
use super::cuda;
use super::matmul::{MatMut, MatRef, Threads, matmul, matmul_new};
use super::operation::{Passes, operation};
use super::swiglu::{swiglu_backward, swiglu_rows};

const NAME: &str = "gated-linear";

/// `silu(x gateᵀ) ∘ (x upᵀ)` (arXiv:2002.05202, equation 6 without the last projection).
///
/// Shapes: `x [rows, in]`, `gate` and `up [out, in]`, result `[rows, out]`; `f32`. Differentiable in all three.
///
/// # Errors
/// When shapes or types do not fit.
pub fn gated_linear(x: &Tensor, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (_, inner) = x.dims2()?;
    if gate.dims2()?.1 != inner || gate.dims() != up.dims() {
        bail!("{NAME}: x {:?}, gate {:?} and up {:?} do not fit", x.dims(), gate.dims(), up.dims());
    }
    operation(NAME, [x, gate, up], host, cuda::gated_linear)
}

/// Both projections of `x`.
fn project(x: MatRef<'_>, weights: [MatRef<'_>; 2]) -> [Vec<f32>; 2] {
    weights.map(|weight| matmul_new(x, weight.t(), Threads::Pool))
}

fn host(inputs: [&Tensor; 3]) -> Result<Passes<3>> {
    let [x, gate, _] = inputs;
    let ((rows, inner), (outer, _)) = (x.dims2()?, gate.dims2()?);
    let (out, projected) = with_slices(inputs, NAME, |[x, gate, up]| {
        let weights = [gate, up].map(|weight| MatRef::new(weight, outer, inner));
        let [a, b] = project(MatRef::new(x, rows, inner), weights);
        let out = new_rows(a.len(), 1, block_rows(1), |first, out| {
            let range = first..first + out.len();
            swiglu_rows(&a[range.clone()], &b[range], out);
        });
        Ok((out, [a, b]))
    })?;
    let saved = Mutex::new(Some(projected));
    Ok(Passes::new((out, (rows, outer)), move |inputs, g| {
        let [x, gate, up] = inputs;
        let data = with_slices([x, gate, up, g], NAME, |[x, gate, up, g]| {
            let x = MatRef::new(x, rows, inner);
            let (gate, up) = (MatRef::new(gate, outer, inner), MatRef::new(up, outer, inner));
            // A second backward pass over the same graph finds nothing saved: compute again.
            let saved = lock(&saved).take();
            let [mut a, mut b] = saved.unwrap_or_else(|| project(x, [gate, up]));
            let block = block_rows(1);
            let blocks = a.par_chunks_mut(block).zip(b.par_chunks_mut(block));
            blocks.zip(g.par_chunks(block)).for_each(|((a, b), g)| swiglu_backward(a, b, g));
            let (d_gate, d_up) = (MatRef::new(&a, rows, outer), MatRef::new(&b, rows, outer));
            let mut dx = matmul_new(d_gate, gate, Threads::Pool);
            matmul(&mut MatMut::new(&mut dx, rows, inner), 1.0, 1.0, d_up, up, Threads::Pool);
            let [dw_gate, dw_up] = [d_gate, d_up].map(|d| matmul_new(d.t(), x, Threads::Pool));
            Ok([dx, dw_gate, dw_up])
        })?;
        gradients(data, inputs)
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};
    use crate::ops::{linear, swiglu};

    #[test]
    fn value_and_gradients_equal_the_parts() {
        for (rows, inner, outer) in [(1, 1, 1), (31, 33, 7), (300, 16, 129)] {
            let inputs =
                [random(&[rows, inner], 1), random(&[outer, inner], 2), random(&[outer, inner], 3)];
            assert_same_gradients(
                &inputs,
                1e-4,
                |v| gated_linear(&v[0], &v[1], &v[2]),
                |v| swiglu(&linear(&v[0], &v[1])?, &linear(&v[0], &v[2])?),
            );
        }
    }

    #[test]
    fn a_second_backward_pass_gives_the_same() {
        let x = Var::from_tensor(&random(&[4, 8], 1)).unwrap();
        let y = gated_linear(&x, &random(&[5, 8], 2), &random(&[5, 8], 3)).unwrap();
        let loss = y.sum_all().unwrap();
        let gradient = || {
            let gradients = loss.backward().unwrap();
            gradients.get(&x).unwrap().to_vec2::<f32>().unwrap()
        };
        assert_eq!(gradient(), gradient());
    }

    #[test]
    fn misfits_are_named() {
        let x = random(&[2, 3], 1);
        let told = gated_linear(&x, &random(&[4, 3], 2), &random(&[5, 3], 3)).unwrap_err();
        let told = told.to_string();
        assert!(told.contains("gate [4, 3] and up [5, 3] do not fit"), "{told}");
    }
}
