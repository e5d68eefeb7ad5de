//! identifier.
pub mod settings;
