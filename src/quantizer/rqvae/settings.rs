//! Settings of an RQ-VAE.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::settings::NamingSettings;
use crate::quantizer::settings::{Balanced, FitOn};
use crate::train::course::settings::{Course, CourseDefaults};

/// Defaults of the training of an RQ-VAE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RqVaeCourse;

impl CourseDefaults for RqVaeCourse {
    const EPOCHS: f64 = 200.0;
    const BATCH: u32 = 512;
    const CHECKPOINT_STEPS: u32 = 500;
    const VALIDATION_REQUESTS: u32 = 2_000;
}

/// An RQ-VAE: a network learns to write vectors in codes and to read them again (TIGER, arXiv 2305.05065). Its training sees
/// the items of the catalogue and no request; where it is validated, by `loss`, `requests` items are looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
// `flatten` excludes `deny_unknown_fields`; the schema, by which recipes are read, refuses them all the same.
#[schemars(extend("additionalProperties" = false))]
pub struct RqVaeSettings {
    /// Name of the `[vectors.NAME]` to quantise.
    #[schemars(extend("x-key" = false))]
    pub vectors: String,
    /// Number of levels L; items that still share all codes get a further dedup token.
    #[serde(default = "default_levels")]
    #[schemars(range(min = 1, max = 8))]
    pub levels: u32,
    /// Codes per level K.
    #[serde(default = "default_codes")]
    #[schemars(range(min = 2, max = 65_536))]
    pub codes: u32,
    /// Numbers of a code's vector: the width of the space in which codes are chosen.
    #[serde(default = "default_dim")]
    #[schemars(range(min = 1, max = 4_096))]
    pub dim: u32,
    /// Widths of the layers between a vector and that space, from the vector on; the way back has them in reverse.
    #[serde(default = "default_hidden")]
    #[schemars(length(max = 8), inner(range(min = 1, max = 16_384)))]
    pub hidden: Vec<u32>,
    /// Weight β of the commitment: how much the encoder is drawn to the codes, beside the codes to the encoder.
    #[serde(default = "default_commitment")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub commitment: f64,
    /// Pulls items together that were chosen together in training, beside what their vectors say; by default nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub co_choice: Option<CoChoiceSettings>,
    /// Steps after which codes that no item chooses move to where items are; 0 leaves them where they are.
    #[serde(default = "default_revive")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub revive_steps: u32,
    /// Levels whose codes get about equally many items, by optimal transport (Sinkhorn), in every batch and in the end; by
    /// default every item gets its nearest code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced: Option<Balanced>,
    /// Items that the quantiser is fitted on, by default `all`; others get the codes nearest to their vectors, as items do that
    /// come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitOn>,
    /// How the training runs.
    #[serde(flatten)]
    pub course: Course<RqVaeCourse>,
    /// What is made of the codes before they are identifiers.
    #[serde(flatten)]
    pub naming: NamingSettings,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

/// A loss that pulls items together which one person chose near each other: every item of a batch draws a partner, as often as
/// the two were chosen near each other, and is to tell it from the partners of the other items of the batch by the cosines of
/// their sums of codes. How often items are partners is taken out (logQ).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CoChoiceSettings {
    /// Weight of the loss, beside 1 for the error of the numbers of a vector.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub weight: f64,
    /// Places between two items that are chosen near each other, at most; 1 is the next.
    #[schemars(range(min = 1, max = 1_000))]
    pub window: u32,
    /// What cosines are divided by.
    #[schemars(range(min = 0.001, max = 10.0))]
    pub temperature: f64,
}

impl Default for CoChoiceSettings {
    fn default() -> Self {
        Self { weight: 0.1, window: 5, temperature: 0.1 }
    }
}

impl RqVaeSettings {
    /// Whether the codes of the level at a place get about equally many items.
    pub fn is_balanced(&self, level: usize) -> bool {
        self.balanced.is_some_and(|balanced| balanced.holds(level, self.levels as usize))
    }
}

fn default_levels() -> u32 {
    3
}

fn default_codes() -> u32 {
    256
}

fn default_dim() -> u32 {
    32
}

fn default_hidden() -> Vec<u32> {
    vec![512, 256, 128]
}

fn default_commitment() -> f64 {
    0.25
}

fn default_revive() -> u32 {
    100
}
