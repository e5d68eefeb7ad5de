//! The operations of this folder on NVIDIA GPUs: same names, same shapes, same meaning, in `f32` or `bf16`.
//!
//! Products are cuBLAS's; what candle would do in many passes over memory is one kernel of `kernels/cuda/`. Activations have
//! one type, `f32` or `bf16`; trained weights are `f32` and are narrowed for a product with `bf16`. Sums are taken in `f32`
//! in a fixed order. All work of a device is on one stream.

mod adamw;
mod attention;
mod dropout;
mod embedding;
mod launch;
mod linear;
mod log_probs;
mod norm;
mod rms_norm;
mod rope;
mod swiglu;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub(super) use adamw::adamw_step;
pub(super) use attention::{Spans, packed_attention};
pub(super) use dropout::dropout;
pub(super) use embedding::{embedding, embedding_rows, select};
pub(super) use launch::take;
pub(super) use linear::{
    gated_linear, linear, linear_adapted, linear_add, linear_frozen, linear_frozen_add,
};
pub(super) use log_probs::token_log_probs;
pub(super) use norm::square_sums;
pub(super) use rms_norm::rms_norm;
pub(super) use rope::rope;
pub(super) use swiglu::swiglu;
