//! decode.
pub mod settings;
