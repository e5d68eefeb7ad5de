//! Settings of the systems that count which items are chosen together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Item-based collaborative filtering that knows order: near pairs, forward pairs and short histories count more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemCfSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Factor per further place between the two items of a pair.
    #[serde(default = "default_pair_decay")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pair_decay: f64,
    /// Weight of a pair read backwards, from the later item to the earlier; forwards it is 1.
    #[serde(default = "default_backward")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub backward: f64,
    /// Factor per place from the newest item of a request's history to an older one.
    #[serde(default = "default_recency")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub recency: f64,
    /// Whether a pair of a history of n items counts 1 / ln(1 + n).
    #[serde(default = "default_length_damping")]
    pub length_damping: bool,
    /// Similarity is divided by the product of both items' numbers of histories, to this power; 0.5 is a cosine.
    #[serde(default = "default_popularity_power")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub popularity_power: f64,
}

/// Nearest neighbors of an item by the cosine of who chose them, blind to order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemKnnSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Nearest neighbors that each item keeps.
    #[serde(default = "default_neighbors")]
    #[schemars(range(min = 1, max = 100_000))]
    pub neighbors: u32,
    /// Added to the denominator of the cosine: pairs that few people chose count less.
    #[serde(default = "default_shrinkage")]
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub shrinkage: f64,
}

fn default_pair_decay() -> f64 {
    0.7
}

fn default_backward() -> f64 {
    0.7
}

fn default_recency() -> f64 {
    0.8
}

fn default_length_damping() -> bool {
    true
}

fn default_popularity_power() -> f64 {
    0.5
}

fn default_neighbors() -> u32 {
    100
}

fn default_shrinkage() -> f64 {
    10.0
}
