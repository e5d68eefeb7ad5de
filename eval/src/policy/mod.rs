//! What a policy would have earned, from logs of another: inverse propensity scoring, its self-normalized form, and the doubly
//! robust estimate, with bootstrap intervals and the effective sample size that says how much of the log speaks to the
//! question. Knows no ranker and no model; the propensities and model estimates arrive in the log.

mod estimate;
mod log;

pub use estimate::{Estimator, PolicyOptions, PolicyValue, estimate};
pub use log::{LoggedRow, PolicyLog, PolicyLogBuilder, read_log};
