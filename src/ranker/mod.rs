//! ranker.
pub mod settings;
