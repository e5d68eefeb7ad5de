//! Who gives items their codes: residual k-means over item vectors.
//!
//! Every level quantises what the levels before it left over. Makes [`crate::identifier::Identifiers`] and knows nothing of
//! the models that learn to write them.

mod distance;
mod kmeans;
mod residual;
pub mod settings;

pub use residual::{assign, fit};
