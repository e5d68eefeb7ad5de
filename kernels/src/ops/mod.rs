//! Fused training operations with hand-written gradients.
//!
//! Each operation is one node of candle's graph: one output, a forward and a backward written as
//! plain loops and matrix products (`operation` says how). They replace chains of element-wise
//! operations (and candle's own fused operations, which silently give no gradient). On the CPU
//! all work on `f32`, and sums are taken in a fixed order that does not depend on the number of
//! threads; this is what the operations mean. With the feature `cuda` they do the same on an
//! NVIDIA GPU, in `f32` or `bf16` (`cuda/`; without it `cuda_dummy` stands there, so that no
//! operation asks which build it is in).
//!
//! Packed batches: sequences and trees lie behind one another in one `[tokens, …]` tensor, and
//! [`Packing`] says which tokens see each other; a padded `[batch, seq]` batch is the special case of
//! sequences of equal length.

#[macro_use]
mod simd;
mod adamw;
mod attention;
mod buffer;
mod candidates;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "cuda_dummy.rs"]
mod cuda;
mod dropout;
mod embedding;
mod frozen;
mod gated;
mod gelu;
mod layer_norm;
mod linear;
mod linear_adapted;
mod linear_frozen;
mod log_probs;
mod mask;
mod matmul;
mod node;
mod norm;
mod once;
mod operation;
mod packing;
mod rms_norm;
mod rope;
mod swiglu;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
mod tree;

pub use adamw::{AdamW, Moments, adamw_rows_step, adamw_step};
pub use attention::packed_attention;
pub use candidates::{Candidates, candidate_cross_entropy};
pub use dropout::dropout;
pub use embedding::{embedding, embedding_rows};
pub use gated::gated_linear;
pub use gelu::{gelu, gelu_in_place};
pub use layer_norm::{layer_norm, layer_norm_rows};
pub use linear::{linear, linear_add, linear_bias};
pub use linear_adapted::linear_adapted;
pub use linear_frozen::{linear_frozen, linear_frozen_add};
pub use log_probs::{token_log_probs_at, token_log_probs_extended};
pub use matmul::{MatMut, MatRef, Threads, alone, matmul, matmul_new};
pub use node::node;
pub use norm::square_sum;
pub use packing::{Packing, Positions};
pub use rms_norm::{rms_norm, rms_norm_rows};
pub use rope::{RopeTable, rope, rotate_head};
pub use simd::{Least, axpy, dot, dots, dots4, least, log_sum_exp, softmax_in_place};
pub use swiglu::{swiglu, swiglu_rows};
pub use tree::Tree;
