//! Residual quantisation: every level quantises what the levels before it left over.

mod distance;
mod kmeans;
mod residual;

pub(super) use residual::encode;
pub use residual::fit;
