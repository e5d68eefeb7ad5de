//! Runs, qrels, metrics, significance and reports.

pub mod settings;
