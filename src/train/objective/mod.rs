//! What a decoder can be trained for: one file or folder per objective.

mod batch;
pub mod preference;
pub mod supervised;

pub use batch::{Row, TargetBatch};
