//! Who gives items their codes: k-means over item vectors (residual, or of the parts of a rotated vector), a network that
//! learns to write vectors in codes, chance, or a file; spans of texts
//! need none.
//!
//! Makes [`crate::identifier::Identifiers`] and knows nothing of the models that learn to write them. A kind is a folder;
//! `kinds` lists them. `kmeans`, `levels` and `checks` are what they share; `known` is what they are told of items beside their
//! vectors, `cold` gives codes to items that they are not fitted on.

mod checks;
mod cold;
pub mod kinds;
mod kmeans;
pub mod known;
mod levels;
mod naming;
mod product;
mod random;
mod residual;
mod rqvae;
pub mod settings;
mod spans;
mod table;

pub use levels::{LONGEST, assign, assign_from, made};
pub use residual::fit;
