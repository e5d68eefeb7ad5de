//! Who gives items their codes: residual k-means over item vectors, chance, or a file.
//!
//! Makes [`crate::identifier::Identifiers`] and knows nothing of the models that learn to write them. A kind is a folder;
//! `kinds` lists them.

pub mod kinds;
mod naming;
mod random;
mod residual;
pub mod settings;
mod table;

pub use residual::{assign, fit};
