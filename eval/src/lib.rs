//! Runs, qrels, metrics, significance and reports: every ranker is judged alike, from what it returned and nothing else.
//! No model, no tensor and no corpus is known here.

pub mod error;
pub mod report;
pub mod settings;

pub use error::{Error, Result};
