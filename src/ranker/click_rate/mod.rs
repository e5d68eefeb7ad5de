//! Items by the share of their training impressions that came to something: one list for all
//! requests. Knows no text and no history.
//!
//! An item that was positive `p` times of `n` has the rate `(p + a m) / (n + a)`, where `m` is the
//! mean rate of all impressions and `a` the prior: without it one lucky click would lead. Rates are
//! probabilities of the signal.

mod counts;
mod kind;
pub mod settings;
#[cfg(test)]
mod tests;

use trieval_kernels::top::top;

use self::counts::Counts;
use super::harness::{Output, Rank, Retrieve, Scored};
use super::slate::Slate;
use crate::corpus::Ask;
use crate::error::Result;

/// The ranker.
pub struct ClickRate {
    /// `[items]`.
    rates: Vec<f32>,
    /// What they are probabilities of.
    signal: String,
}

impl ClickRate {
    /// Rates with so many impressions at the mean rate beside those of every item.
    fn new(counts: &Counts, prior: f64, signal: &str) -> Self {
        Self { rates: counts.rates(prior), signal: signal.to_owned() }
    }
}

impl Retrieve for ClickRate {
    fn retrieve(&self, _: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        Ok(top((0..).zip(self.rates.iter().copied()), depth, exclude))
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        Some(self)
    }
}

impl Rank for ClickRate {
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
        let values = slate.items().iter().map(|&item| self.rates[item as usize]).collect();
        Ok(vec![Output { name: self.signal.clone(), values, variance: None }])
    }
}
