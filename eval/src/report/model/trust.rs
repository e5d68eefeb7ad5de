//! What decides whether figures can be trusted: overlap of training and test, and whether scores are calibrated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Overlap of the training and the test data of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeakReport {
    /// What overlaps, such as "test requests whose query text occurs in training".
    pub what: String,
    /// How many.
    pub count: u64,
    /// Their share of the test data, in [0, 1].
    pub share: f64,
    /// A few of them.
    #[serde(default)]
    pub examples: Vec<String>,
}

/// How often predictions of one system came true.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReliabilityReport {
    /// Name of the system.
    pub system: String,
    /// Bins by prediction, lowest first.
    pub bins: Vec<ReliabilityBin>,
}

/// Predictions of one bin against what came true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReliabilityBin {
    /// Least prediction of the bin.
    pub low: f64,
    /// Greatest prediction of the bin.
    pub high: f64,
    /// Mean prediction.
    pub mean_prediction: f64,
    /// Share of positive labels.
    pub share_positive: f64,
    /// Predictions in the bin.
    pub count: u64,
}
