//! Metrics, one per file, each a plain function of one judged list. `parse` turns names such as `ndcg@10` into a [`Metric`],
//! `definition` lists all of them, `judged` says what a metric may look at, `catalogue` what metrics beyond accuracy need.
//! No metric knows a run, a file or another request.

mod average_precision;
mod better;
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
mod parameters;
mod parse;
mod pooled;
mod precision;
mod r_precision;
mod rank_biased;
mod recall;
mod reciprocal_rank;
mod reference;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;

pub use better::Better;
pub use catalogue::{Catalogue, Needs};
pub(crate) use definition::Basis;
pub use definition::{Cutoff, DEFINITIONS, Definition, UnderTies};
pub use expression::{Metric, better_of};
pub(crate) use judged::JudgedList;
pub(crate) use parameters::Asked;
pub use parameters::{Gain, OptionKey};
pub use parse::parse_metrics;
pub use pooled::Pooled;
pub use reference::reference;
