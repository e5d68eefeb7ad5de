//! Settings of product quantization.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::settings::NamingSettings;
use crate::quantizer::settings::FitOn;

/// Product quantization: the parts of a vector are quantised side by side, none waits for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
// `flatten` excludes `deny_unknown_fields`; the schema, by which recipes are read, refuses them all the same.
#[schemars(extend("additionalProperties" = false))]
pub struct ProductSettings {
    /// Name of the `[vectors.NAME]` to quantise.
    #[schemars(extend("x-key" = false))]
    pub vectors: String,
    /// Parts of a vector, each of which is a level; the first is the one that separates items most. No more than the vectors
    /// have numbers. Items that still share all codes get a further dedup token.
    #[serde(default = "default_parts")]
    #[schemars(range(min = 1, max = 24))]
    pub parts: u32,
    /// Codes per part K.
    #[serde(default = "default_codes")]
    #[schemars(range(min = 2, max = 65_536))]
    pub codes: u32,
    /// Most iterations of Lloyd's algorithm per part; with a rotation, as many rounds of learning it come before.
    #[serde(default = "default_iterations")]
    #[schemars(range(min = 1, max = 1_000))]
    pub iterations: u32,
    /// Whether vectors are rotated before they are cut into parts, so that the codes leave as little over as a rotation can
    /// make them (OPQ); otherwise numbers that stand side by side form a part.
    #[serde(default = "default_rotation")]
    pub rotation: bool,
    /// Items that the quantiser is fitted on, by default `all`; others get the codes nearest to their vectors, as items do that
    /// come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitOn>,
    /// What is made of the codes before they are identifiers.
    #[serde(flatten)]
    pub naming: NamingSettings,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

fn default_parts() -> u32 {
    8
}

fn default_codes() -> u32 {
    256
}

fn default_iterations() -> u32 {
    30
}

fn default_rotation() -> bool {
    true
}
