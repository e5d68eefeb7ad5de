//! Losses of one chosen and one rejected answer: element-wise functions of a margin.
//!
//! All work on tensors of any shape and any float type and are differentiable. Formulas and sources: the table in
//! [`super`].

use candle_core::{Result, Tensor};

/// `log(1 + exp(x)) = -log s(-x)`, stable on both sides.
///
/// # Errors
/// When a tensor operation fails.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    Tensor::stack(&[x.zeros_like()?, x.clone()], 0)?.log_sum_exp(0)
}

/// `-log s(margin)`, with `margin = beta D`.
///
/// # Errors
/// When a tensor operation fails.
pub fn dpo(margin: &Tensor) -> Result<Tensor> {
    softplus(&margin.neg()?)
}

/// `-(1 - eps) log s(margin) - eps log s(-margin)`; `dpo` where `label_smoothing` is 0.
///
/// # Errors
/// When a tensor operation fails.
pub fn cdpo(margin: &Tensor, label_smoothing: f64) -> Result<Tensor> {
    if label_smoothing == 0.0 {
        return dpo(margin);
    }
    (dpo(margin)? * (1.0 - label_smoothing))? + (softplus(margin)? * label_smoothing)?
}

/// `[-(1 - eps) log s(margin) + eps log s(-margin)] / (1 - 2 eps)`; `dpo` where `label_smoothing` is 0.
///
/// Unbounded below where labels are surely wrong: its mean over flipped labels is the loss of clean ones.
///
/// # Errors
/// When a tensor operation fails.
pub fn robust(margin: &Tensor, label_smoothing: f64) -> Result<Tensor> {
    if label_smoothing == 0.0 {
        return dpo(margin);
    }
    let clean = (dpo(margin)? * (1.0 - label_smoothing))?;
    (clean - (softplus(margin)? * label_smoothing)?)? / (1.0 - 2.0 * label_smoothing)
}

/// `(d - 1 / (2 tau))²`, with `d` the difference of the log-ratios per token.
///
/// # Errors
/// When a tensor operation fails.
pub fn ipo(per_token: &Tensor, tau: f64) -> Result<Tensor> {
    (per_token - 0.5 / tau)?.sqr()
}

/// `max(0, 1 - margin)`.
///
/// # Errors
/// When a tensor operation fails.
pub fn hinge(margin: &Tensor) -> Result<Tensor> {
    (1.0 - margin)?.relu()
}
