//! corpus.
pub mod settings;
