//! model.
pub mod settings;
