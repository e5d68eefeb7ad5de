//! Metrics, one per file, each a plain function of one judged list. `expression` turns names such as `ndcg@10` into a
//! [`Metric`]; `judged` says what a metric may look at. No metric knows a run, a file or another request.

mod average_precision;
mod expression;
mod hit_rate;
mod judged;
mod ndcg;
mod nearest;
mod pooled;
mod precision;
mod recall;
mod reciprocal_rank;

pub use expression::{Gain, Metric, MetricKind, parse_metrics};
pub use judged::{Judged, JudgedList};
pub use pooled::Pooled;
