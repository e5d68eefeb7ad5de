//! Identifiers: the code paths that stand for items in the decoder's language.
//!
//! `rq/` quantises vectors, `dedup` tells items on one path apart, `diagnostics` measures the use of
//! codes, `artifact` is what is stored. Reads vectors, never a model.

pub mod artifact;
pub mod dedup;
pub mod diagnostics;
pub mod rq;
pub mod settings;
mod spelling;

pub use artifact::{Centroids, Identifiers};
pub use diagnostics::{Diagnostics, LevelDiagnostics};
