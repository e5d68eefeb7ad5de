//! Constraint indexes, beam search and fused training operations.

// Memory maps and hand-written kernels live here, each block with a SAFETY note.
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

pub mod beam;
pub mod gpu;
pub mod index;
pub mod map;
pub mod ops;
pub mod threads;
pub mod top;
