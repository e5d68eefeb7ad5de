//! The pairs that an alignment learned from: how many, why, and some to look at.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pairs of a chosen and a rejected item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairsReport {
    /// How many.
    pub pairs: u64,
    /// Examples that they form.
    pub groups: u64,
    /// How many by why the rejected item is one.
    #[serde(default)]
    pub reasons: BTreeMap<String, u64>,
    /// How many by how far the chosen item got.
    #[serde(default)]
    pub levels: BTreeMap<String, u64>,
    /// What a pair counts: the least, the median, the most.
    #[serde(default)]
    pub weights: Option<[f64; 3]>,
    /// Pairs whose click would count more for its position, had that no bound.
    #[serde(default)]
    pub clipped: u64,
    /// Exponent of how often positions are looked at; null where positions do not count.
    #[serde(default)]
    pub exponent: Option<f64>,
    /// How often positions 1, 2, … are looked at, relative to the first.
    #[serde(default)]
    pub examined: Vec<f64>,
    /// The same in sentences.
    #[serde(default)]
    pub sentences: Vec<String>,
    /// Some of them.
    #[serde(default)]
    pub sample: Vec<PairReport>,
}

/// A pair to look at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairReport {
    /// Query text; null for a user's sequence.
    #[serde(default)]
    pub query: Option<String>,
    /// Title of the chosen item.
    pub chosen: String,
    /// Title of the rejected one.
    pub rejected: String,
    /// Why the pair was made.
    pub reason: String,
    /// What it counts.
    pub weight: f64,
}
