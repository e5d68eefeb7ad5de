//! Constraint indexes, beam search and fused training operations.

pub mod ops;
