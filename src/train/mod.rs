//! train.
pub mod settings;
