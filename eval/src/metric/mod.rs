//! Metrics, one per file, each a plain function of one judged list. `parse` turns names such as `ndcg@10` into a [`Metric`],
//! `definition` lists all of them, `judged` says what a metric may look at, `catalogue` what metrics beyond accuracy need.
//! No metric knows a run, a file or another request.

mod average_precision;
mod bpref;
mod catalogue;
mod definition;
pub(crate) mod diversity;
mod expected_reciprocal_rank;
pub(crate) mod exposure;
mod expression;
mod f1;
mod hit_rate;
mod interpolated_precision;
pub(crate) mod item_figure;
mod judged;
mod ndcg;
mod nearest;
mod parse;
mod pooled;
mod precision;
mod r_precision;
mod rank_biased;
mod recall;
mod reciprocal_rank;
mod reference;
#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Needs};
pub use definition::{Cutoff, DEFINITIONS, Definition, OptionKey};
pub use expression::{Gain, Metric, MetricKind};
pub(crate) use judged::JudgedList;
pub use parse::parse_metrics;
pub use pooled::Pooled;
pub use reference::reference;
