//! Who gives items their codes: k-means over item vectors (residual, or of the parts of a rotated vector), a network that
//! learns to write vectors in codes, or chance.
//!
//! Makes [`crate::identifier::Identifiers`] and knows nothing of the models that learn to write them. A kind is a folder;
//! `kinds` lists them. `kmeans` and `levels` are what they share.

mod kmeans;
pub mod kinds;
mod levels;
mod product;
mod random;
mod residual;
pub mod settings;

pub use levels::assign;
pub use residual::fit;
