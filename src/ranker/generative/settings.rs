//! Settings of a generative system.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use trieval_eval::fusion::{FusionMethod, Normalization};

use crate::decode::settings::DecodeSettings;
use crate::decode::spans::settings::SpanDecodeSettings;

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
    /// Identifiers of its model, in each of which it answers, its answers fused into one list; in place of `identifier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false), length(min = 2))]
    pub identifiers: Option<Vec<String>>,
    /// How it decodes codes.
    #[serde(default)]
    pub decode: DecodeSettings,
    /// How it decodes spans, and how they vote; `{}` takes the defaults. For a system that answers in spans, and for no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spans: Option<SpanDecodeSettings>,
    /// How answers in several identifiers become one list; by default by their ranks alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<AnswerFusion>,
    /// Orders what the search finds by item vectors beside the decoder's scores; by default it stays as it was found. Of a
    /// system that answers in several identifiers it orders the fused list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingSettings>,
}

/// How a decoder's answers in several identifiers become one list. It asks no other system for them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerFusion {
    /// How scores of one item are put together.
    pub method: FusionMethod,
    /// How scores of different identifiers are made comparable; `rrf` looks at ranks only and needs none.
    pub normalize: Normalization,
    /// Weight of each identifier, in the order of `identifiers`; by default all alike. Not together with `tune`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(range(min = 0.0, max = 1_000.0)))]
    pub weights: Option<Vec<f64>>,
    /// Metric, such as `recall@10`, that weights are tuned for on the validation requests; by default they are not tuned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune: Option<String>,
    /// Constant of `rrf`, the larger, the less the first ranks stand out; by default 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub k: Option<f64>,
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
