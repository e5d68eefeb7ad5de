//! Settings of a cascade of systems.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Systems one behind the other: one finds candidates, another scores them anew, and the list as a whole may be put into
/// another order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CascadeSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Name of the system that finds candidates; of any kind but cascade.
    #[schemars(extend("x-key" = false))]
    pub retrieve: String,
    /// Candidates that it finds per request.
    #[serde(default = "default_candidates")]
    #[schemars(range(min = 1, max = 100_000))]
    pub candidates: u32,
    /// Name of the system whose scores order the candidates, any that scores given items (`docs/systems.md`). By default the
    /// scores of `retrieve` do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub rank: Option<String>,
    /// What the list as a whole is reordered by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<RerankSettings>,
    /// How the item that is shown first is chosen at random. The list then begins with it, and the step writes `choices.jsonl`:
    /// request, item, and the propensity of the choice. By default the best item is first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActSettings>,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

fn default_candidates() -> u32 {
    200
}

/// How a list is put into another order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RerankSettings {
    /// Maximal marginal relevance (Carbonell and Goldstein, 1998): item by item the one that is relevant and unlike those before.
    Mmr {
        /// Name of the `[vectors.NAME]` whose cosines say how alike items are.
        #[schemars(extend("x-key" = false))]
        vectors: String,
        /// Weight of relevance against novelty: 1 keeps the order.
        #[serde(default = "default_relevance")]
        #[schemars(range(min = 0.0, max = 1.0))]
        relevance: f64,
    },
}

fn default_relevance() -> f64 {
    0.7
}

/// How an item is chosen from the first places of a list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ActSettings {
    /// Mostly the first, at times any of the first places alike.
    EpsilonGreedy {
        /// Share of requests for which any place is taken.
        #[serde(default = "default_epsilon")]
        #[schemars(range(min = 0.0, max = 1.0))]
        epsilon: f64,
        /// First places that are chosen from.
        #[serde(default = "default_places")]
        #[schemars(range(min = 1, max = 10_000))]
        places: u32,
    },
    /// In proportion to the exponential of the score over a temperature.
    Softmax {
        /// Temperature, in units of the scores: small ones take the first, large ones any alike.
        #[serde(default = "default_temperature")]
        #[schemars(range(min = 1e-6, max = 1_000_000.0))]
        temperature: f64,
        /// First places that are chosen from.
        #[serde(default = "default_places")]
        #[schemars(range(min = 1, max = 10_000))]
        places: u32,
    },
}

fn default_epsilon() -> f64 {
    0.1
}

fn default_temperature() -> f64 {
    1.0
}

fn default_places() -> u32 {
    10
}
