//! What the kernels of dropout on any device agree on.

use std::sync::Arc;

/// Which entries are dropped, and what the others are multiplied by.
#[derive(Clone)]
pub(super) struct Mask {
    /// Of 2^32 draws, those below are dropped.
    pub(super) threshold: u32,
    pub(super) factor: f32,
    pub(super) keys: Arc<[u64]>,
    pub(super) stream: u64,
}
