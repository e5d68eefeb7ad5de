//! Losses of one chosen answer and all rejected answers of its group.
//!
//! Groups of unequal size are padded: `log_weights` is [`PADDING`] and `weights` is 0 where there is no answer. All work
//! on any float type and are differentiable. Formulas and sources: the table in [`super`].

use candle_core::{D, Result, Tensor};

use super::pairwise::softplus;

/// Logarithm of the weight of an answer that does not exist: `exp` of it is 0 in every float type.
pub const PADDING: f64 = -1e30;

/// `-log s(-log sum_l omega_l exp(r_l - r_w))`, which is `-log [e^{r_w} / (e^{r_w} + sum_l omega_l e^{r_l})]`.
///
/// Shapes: `chosen [comparisons]`, `rejected` and `log_weights [comparisons, k]`; result `[comparisons]`. With one
/// rejected answer of weight 1 it is `dpo`. The gradient of a rejected answer is its share of the softmax.
///
/// # Errors
/// When a tensor operation fails.
pub fn s_dpo(chosen: &Tensor, rejected: &Tensor, log_weights: &Tensor) -> Result<Tensor> {
    let strongest = (rejected + log_weights)?.log_sum_exp(D::Minus1)?;
    softplus(&(strongest - chosen)?)
}

/// `-log s(r_w - sum_l omega_l r_l / sum_l omega_l)`.
///
/// Shapes: as in [`s_dpo`]. With one rejected answer it is `dpo`.
///
/// # Errors
/// When a tensor operation fails.
pub fn dmpo(chosen: &Tensor, rejected: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let mean = ((rejected * weights)?.sum(D::Minus1)? / weights.sum(D::Minus1)?)?;
    softplus(&(mean - chosen)?)
}
