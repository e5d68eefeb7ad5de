//! Constraint indexes, beam search and fused training operations.

pub mod beam;
pub mod gpu;
pub mod index;
pub mod map;
pub mod ops;
pub mod threads;
pub mod top;
