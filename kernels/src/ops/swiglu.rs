//! SwiGLU gate (arXiv:2002.05202, equation 6 without the projections), with its gradient.

use candle_core::{Result, Tensor, bail};

use super::buffer::{new_blocks, new_rows};
use super::cpu::{block_rows, gradients, with_slices};
use super::cuda;
use super::operation::{Passes, operation};
use super::simd::sigmoid;

const NAME: &str = "swiglu";

/// `silu(gate) ∘ up`, where `silu(a) = a / (1 + e^−a)`; both of the same shape, `f32`.
///
/// # Errors
/// When shapes or types differ.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.dims() != up.dims() {
        bail!("{NAME}: gate is {:?} but up is {:?}", gate.dims(), up.dims());
    }
    operation(NAME, [gate, up], host, cuda::swiglu)
}

vectorized! {
    /// The forward pass on plain slices of one length.
    pub fn swiglu_rows(gate: &[f32], up: &[f32], out: &mut [f32]) {
        for ((o, a), b) in out.iter_mut().zip(gate).zip(up) {
            *o = *a * sigmoid(*a) * *b;
        }
    }
}

fn host([gate, up]: [&Tensor; 2]) -> Result<Passes<2>> {
    let out = with_slices([gate, up], NAME, |[gate, up]| {
        Ok(new_rows(gate.len(), 1, block_rows(1), |first, out| {
            let n = out.len();
            swiglu_rows(&gate[first..][..n], &up[first..][..n], out);
        }))
    })?;
    Ok(Passes::new((out, gate.shape()), |inputs, g| {
        let [gate, up] = inputs;
        let data = with_slices([gate, up, g], NAME, |[gate, up, g]| {
            let (data, _) =
                new_blocks(g.len(), block_rows(1), |first, [d_gate, d_up]: [&mut [f32]; 2]| {
                    let range = first..first + d_gate.len();
                    d_gate.copy_from_slice(&gate[range.clone()]);
                    d_up.copy_from_slice(&up[range.clone()]);
                    swiglu_backward(d_gate, d_up, &g[range]);
                });
            Ok(data)
        })?;
        gradients(data, inputs)
    }))
}

vectorized! {
    /// The backward pass in place: `gate` and `up` become their gradients.
    pub(super) fn swiglu_backward(gate: &mut [f32], up: &mut [f32], g: &[f32]) {
        for ((a, b), g) in gate.iter_mut().zip(up).zip(g) {
            let s = sigmoid(*a);
            (*a, *b) = (*g * *b * s * (1.0 + *a * (1.0 - s)), *g * *a * s);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    #[test]
    fn value_and_gradients_equal_the_plain_composition() {
        for n in [1, 31, 20_001] {
            let inputs = [(random(&[n], 1) * 4.0).unwrap(), random(&[n], 2)];
            assert_same_gradients(
                &inputs,
                1e-5,
                |v| swiglu(&v[0], &v[1]),
                |v| (v[0].silu()? * &v[1])?.contiguous(),
            );
        }
    }
}
