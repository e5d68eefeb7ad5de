//! Settings of a self-attentive sequence model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::train::course::settings::{Course, CourseDefaults};

/// Defaults of the training of SASRec: the best weights of the validation are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SasrecCourse;

impl CourseDefaults for SasrecCourse {
    const EPOCHS: f64 = 100.0;
    const BATCH: u32 = 128;
    const CHECKPOINT_STEPS: u32 = 500;
    const VALIDATES: bool = true;
    const EVERY_EPOCHS: Option<f64> = Some(1.0);
    const VALIDATION_REQUESTS: u32 = 20_000;
    const METRIC: &'static str = "ndcg@10";
    const PATIENCE: Option<u32> = Some(10);
}

/// SASRec (arXiv:1808.09781): a causal transformer over item ids that predicts the next item of a user's sequence.
/// Learns from the training sequences and needs no text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
// `flatten` excludes `deny_unknown_fields`; the schema, by which recipes are read, refuses them all the same.
#[schemars(extend("additionalProperties" = false))]
pub struct SasrecSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Name of a `[[train]]` of this kind whose table this is: no other key is given then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub train: Option<String>,
    /// Name of a `[[train]]` of this kind whose weights this one starts from; the shape of its network is taken over. By
    /// default it starts from nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub init: Option<String>,
    /// Width of the item vectors, which are input and output alike.
    #[serde(default = "default_dim")]
    #[schemars(range(min = 2, max = 4_096))]
    pub dim: u32,
    /// Transformer blocks.
    #[serde(default = "default_layers")]
    #[schemars(range(min = 1, max = 64))]
    pub layers: u32,
    /// Attention heads; must divide `dim`.
    #[serde(default = "default_heads")]
    #[schemars(range(min = 1, max = 256))]
    pub heads: u32,
    /// Width of the feed-forward layers.
    #[serde(default = "default_feed_forward")]
    #[schemars(range(min = 1, max = 65_536))]
    pub feed_forward: u32,
    /// Newest items of a sequence that are read.
    #[serde(default = "default_length")]
    #[schemars(range(min = 1, max = 10_000))]
    pub length: u32,
    /// Share of the entries of the embeddings, and of what every layer adds to them, that is dropped in training.
    #[serde(default = "default_dropout")]
    #[schemars(range(min = 0.0, max = 0.95))]
    pub dropout: f64,
    /// What is minimized.
    #[serde(default)]
    pub loss: SasrecLoss,
    /// How the training runs; validation may end it before the last epoch.
    #[serde(flatten)]
    pub course: Course<SasrecCourse>,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl SasrecSettings {
    /// The same with the shape of another network.
    pub(super) fn shaped_as(&self, other: &Self) -> Self {
        let &Self { dim, layers, heads, feed_forward, length, .. } = other;
        Self { dim, layers, heads, feed_forward, length, ..self.clone() }
    }
}

fn default_dim() -> u32 {
    64
}

fn default_layers() -> u32 {
    2
}

fn default_heads() -> u32 {
    2
}

fn default_feed_forward() -> u32 {
    256
}

fn default_length() -> u32 {
    50
}

fn default_dropout() -> f64 {
    0.5
}

/// What is minimized at every position of a sequence. `s` is the score of an item, `N` the number of items.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SasrecLoss {
    /// Cross-entropy over all items: the strongest, at a cost of `N` scores per position.
    #[default]
    FullSoftmax,
    /// Cross-entropy over the next item and items drawn uniformly once per step, whose scores are corrected for the
    /// probability of being drawn, so that it estimates the cross-entropy over all items.
    SampledSoftmax {
        /// Items drawn per step.
        #[serde(default = "default_negatives")]
        #[schemars(range(min = 1, max = 1_000_000))]
        negatives: u32,
    },
    /// Generalized binary cross-entropy of gSASRec (arXiv:2308.07192) against items drawn uniformly once per step.
    Gbce {
        /// Items drawn per step, `k`.
        #[serde(default = "default_negatives")]
        #[schemars(range(min = 1, max = 1_000_000))]
        negatives: u32,
        /// Calibration `t`: 0 is plain binary cross-entropy, 1 makes up in full for the share of items that is drawn.
        #[serde(default = "default_calibration")]
        #[schemars(range(min = 0.0, max = 1.0))]
        calibration: f64,
    },
}

fn default_negatives() -> u32 {
    256
}

fn default_calibration() -> f64 {
    0.75
}

impl SasrecLoss {
    /// Items drawn per step.
    pub fn negatives(self) -> u32 {
        match self {
            Self::FullSoftmax => 0,
            Self::SampledSoftmax { negatives } | Self::Gbce { negatives, .. } => negatives,
        }
    }
}
