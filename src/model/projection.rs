//! A matrix product of the decoder: weight, perhaps a bias, perhaps a low-rank adapter.
//!
//! Knows which of its parts train: frozen weights cost no gradient, and may be stored in half
//! precision.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use trieval_kernels::ops::{
    dropout, gated_linear, linear, linear_adapted, linear_add, linear_bias, linear_frozen,
    linear_frozen_add, swiglu,
};

/// One key per token of a batch, from which dropout draws; equal keys give equal masks.
pub type TokenKeys = Arc<[u64]>;

/// The keys of rows of tokens, each with a key of its own and its number of tokens: a token's key depends on its row and its
/// place there, not on the batch.
pub fn token_keys(rows: impl IntoIterator<Item = (u64, usize)>) -> TokenKeys {
    let tokens = |(key, n): (u64, usize)| (0..n as u64).map(move |token| key.wrapping_add(token));
    rows.into_iter().flat_map(tokens).collect()
}

/// `y = x Wᵀ + b + scale · drop(x) Aᵀ Bᵀ` (LoRA: arXiv:2106.09685, equation 3).
pub(super) struct Projection {
    pub(super) weight: Weight,
    /// `[out]`.
    pub(super) bias: Option<Tensor>,
    pub(super) adapter: Option<LowRank>,
}

/// A weight `[out, in]`.
pub(super) enum Weight {
    /// Shares its storage with a variable.
    Trained(Tensor),
    /// Gets no gradient.
    Frozen(Tensor),
}

/// The adapter of one projection.
pub(super) struct LowRank {
    /// `[rank, in]`.
    pub(super) a: Tensor,
    /// `[out, rank]`.
    pub(super) b: Tensor,
    pub(super) scale: f64,
    /// Share of the inputs of `a` that a training step drops.
    pub(super) dropout: f64,
    /// Tells this adapter's random stream from the others'.
    pub(super) stream: u64,
}

impl Projection {
    /// Shapes: `x [rows, in]`, result `[rows, out]`. `keys` (one per row) are given where a training step may drop.
    pub(super) fn apply(&self, x: &Tensor, keys: Option<&TokenKeys>) -> Result<Tensor> {
        if let Some(y) = self.adapted(x, keys) {
            return y;
        }
        let y = match (&self.weight, &self.bias) {
            (Weight::Trained(weight), None) => linear(x, weight)?,
            (Weight::Trained(weight), Some(bias)) => linear_bias(x, weight, bias)?,
            (Weight::Frozen(weight), None) => linear_frozen(x, weight)?,
            (Weight::Frozen(weight), Some(bias)) => linear_frozen_add(x, weight, bias)?,
        };
        self.adapt(y, x, keys)
    }

    /// As [`Projection::apply`], added to `residual [rows, out]`.
    pub(super) fn apply_add(
        &self,
        x: &Tensor,
        residual: &Tensor,
        keys: Option<&TokenKeys>,
    ) -> Result<Tensor> {
        if let Some(y) = self.adapted(x, keys) {
            return y? + residual;
        }
        let y = match &self.weight {
            Weight::Trained(weight) => linear_add(x, weight, residual)?,
            Weight::Frozen(weight) => linear_frozen_add(x, weight, residual)?,
        };
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        self.adapt(y, x, keys)
    }

    /// Adds every tensor that has a gradient, and perhaps biases that have none.
    pub(super) fn collect_trained(&self, all: &mut Vec<Tensor>) {
        if let Weight::Trained(weight) = &self.weight {
            all.push(weight.clone());
        }
        all.extend(self.bias.clone());
        if let Some(low) = &self.adapter {
            all.extend([low.a.clone(), low.b.clone()]);
        }
    }

    /// The weight, where it trains and is all there is.
    fn plain(&self) -> Option<&Tensor> {
        match (&self.weight, &self.bias, &self.adapter) {
            (Weight::Trained(weight), None, None) => Some(weight),
            _ => None,
        }
    }

    /// The product as one operation, where there is a frozen weight, an adapter, and nothing else.
    fn adapted(&self, x: &Tensor, keys: Option<&TokenKeys>) -> Option<Result<Tensor>> {
        match (&self.weight, &self.bias, &self.adapter) {
            (Weight::Frozen(weight), None, Some(low)) if keys.is_none() || low.dropout == 0.0 => {
                Some(linear_adapted(x, weight, &low.a, &low.b, low.scale))
            }
            _ => None,
        }
    }

    fn adapt(&self, y: Tensor, x: &Tensor, keys: Option<&TokenKeys>) -> Result<Tensor> {
        let Some(low) = &self.adapter else { return Ok(y) };
        let inner = match keys {
            Some(keys) if low.dropout > 0.0 => {
                linear(&dropout(x, low.dropout, keys, low.stream)?, &low.a)?
            }
            _ => linear(x, &low.a)?,
        };
        linear_add(&(inner * low.scale)?, &low.b, &y)
    }
}

/// `silu(gate(x)) ∘ up(x)`, as one operation where both are plain trained weights.
///
/// Shapes: `x [rows, in]`, result `[rows, out]`; `keys` as in [`Projection::apply`].
pub(super) fn gated(
    gate: &Projection,
    up: &Projection,
    x: &Tensor,
    keys: Option<&TokenKeys>,
) -> Result<Tensor> {
    match (gate.plain(), up.plain()) {
        (Some(gate), Some(up)) => gated_linear(x, gate, up),
        _ => swiglu(&gate.apply(x, keys)?, &up.apply(x, keys)?),
    }
}
