//! How runs are judged and what comes of it: figures per system, metric and request, and what was left out of them.

use std::fmt;
use std::sync::Arc;

use crate::metric::{Better, Catalogue, Metric, Pooled};
use crate::settings::{Missing, Ties};

/// How runs are judged.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// An item is relevant from this grade on; grades below it gain nothing in graded metrics.
    pub relevant_grade: f64,
    /// How items of equal score are ordered.
    pub ties: Ties,
    /// What happens to judged requests that a run does not answer.
    pub missing: Missing,
    /// What metrics beyond accuracy need.
    pub catalogue: Option<&'a Catalogue>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { relevant_grade: 1.0, ties: Ties::ItemId, missing: Missing::Zero, catalogue: None }
    }
}

/// Figures of one system.
#[derive(Debug, Clone)]
pub struct SystemScores {
    /// Name of the run.
    pub system: String,
    /// Ids of the evaluated requests, in byte order: those with at least one relevant item, less those skipped.
    pub requests: Vec<String>,
    /// One per metric, in the order asked for.
    pub columns: Vec<Column>,
    /// What was left out or missing.
    pub counts: ScoreCounts,
}

/// One system on one metric.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name of the metric.
    pub metric: String,
    /// Which way it is better.
    pub better: Better,
    /// The mean over the requests, summed in their order, or the pooled figure.
    pub value: f64,
    /// What the figure was made from.
    pub values: Values,
}

/// What a figure was made from.
#[derive(Clone)]
pub enum Values {
    /// `[request]`: the figure is their mean.
    PerRequest(Vec<f64>),
    /// A figure of the whole run.
    Pooled(Arc<dyn Pooled>),
}

/// Requests by how they entered the means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScoreCounts {
    /// Requests in the means.
    pub evaluated: usize,
    /// Requests with a relevant item that the run does not hold, or answers by nothing; they score 0 or are skipped.
    pub unanswered: usize,
    /// Requests with a relevant item left out because a compared run does not answer them.
    pub skipped: usize,
    /// Judged requests left out because no item is relevant.
    pub without_relevant: usize,
    /// Requests of the run left out because they were never judged.
    pub unjudged: usize,
}

impl SystemScores {
    /// The mean, or the pooled figure, of a metric, if it was measured.
    pub fn mean(&self, metric: &Metric) -> Option<f64> {
        let name = metric.to_string();
        self.columns.iter().find(|column| column.metric == name).map(|column| column.value)
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerRequest(values) => f.debug_tuple("PerRequest").field(values).finish(),
            Self::Pooled(_) => f.write_str("Pooled"),
        }
    }
}
