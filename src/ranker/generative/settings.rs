//! Settings of a generative system.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::settings::DecodeSettings;

/// A trained decoder with constrained beam search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerativeSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Name of the `[[train]]` whose result is used.
    #[schemars(extend("x-key" = false))]
    pub train: String,
    /// Which of the identifiers of its model it answers in; by default the model's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub identifier: Option<String>,
    /// How it decodes.
    #[serde(default)]
    pub decode: DecodeSettings,
    /// Orders what the search finds by item vectors beside the decoder's scores; by default it stays as it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingSettings>,
}

/// Ranking of what a decoder finds: `(1 - weight)` times its score and `weight` times the inner product of the vectors of
/// request and item, both scaled to [0, 1] over the items found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RankingSettings {
    /// Name of the `[vectors.NAME]` of the items, which must encode requests too.
    #[schemars(extend("x-key" = false))]
    pub vectors: String,
    /// Weight of the vectors; by default it is chosen on the validation requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub weight: Option<f64>,
    /// Metric that the weight is chosen for, where it is chosen; by default `recall@10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<String>,
}
