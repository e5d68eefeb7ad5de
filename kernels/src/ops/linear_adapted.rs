//! A product with a frozen weight and a low-rank adapter beside it.

use candle_core::{Result, Tensor};

use super::frozen::frozen;
use super::operation::operation;
use super::{cuda, linear, linear_add, linear_frozen};

const NAME: &str = "linear-adapted";

/// `x Wᵀ + scale · x Aᵀ Bᵀ` with a fixed `W` (LoRA: arXiv:2106.09685, equation 3).
///
/// Shapes: `x [.., in]`, `f32`; `weight [out, in]`, `f32`, `bf16` or `f16`; `a [rank, in]`, `b [out, rank]`, `f32`; result
/// `[.., out]`. Differentiable in `x`, `a` and `b`.
///
/// # Errors
/// When shapes or types do not fit.
pub fn linear_adapted(
    x: &Tensor,
    weight: &Tensor,
    a: &Tensor,
    b: &Tensor,
    scale: f64,
) -> Result<Tensor> {
    if x.device().is_cuda() {
        let weight = &frozen(weight, NAME)?;
        // One operation, and nothing for a CPU to do.
        let cuda = |inputs: [&Tensor; 3]| cuda::linear_adapted(inputs, weight, scale);
        return operation(NAME, [x, a, b], cuda, cuda);
    }
    let y = linear_frozen(x, weight)?;
    linear_add(&(linear(x, a)? * scale)?, b, &y)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    #[test]
    fn value_and_gradients_equal_the_merged_product() {
        let weight = random(&[9, 6], 1);
        let inputs = [random(&[5, 6], 2), random(&[3, 6], 3), random(&[9, 3], 4)];
        assert_same_gradients(
            &inputs,
            1e-5,
            |v| linear_adapted(&v[0], &weight, &v[1], &v[2], 0.5),
            |v| v[0].matmul(&(&weight + (v[2].matmul(&v[1])? * 0.5)?)?.t()?),
        );
    }
}
