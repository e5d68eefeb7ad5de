//! Settings of constrained decoding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a trained decoder answers a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeSettings {
    /// Beams kept per level: also the most items that can be returned.
    #[schemars(range(min = 1, max = 65_536))]
    pub beam: u32,
    /// What a token's probability is normalised over.
    pub normalizer: Normalizer,
}

impl Default for DecodeSettings {
    fn default() -> Self {
        Self { beam: 50, normalizer: Normalizer::Exact }
    }
}

/// What a token's probability is normalised over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalizer {
    /// The full vocabulary: a score is the model's log-probability of the identifier.
    #[default]
    Exact,
    /// The legal continuations only: cheaper on large vocabularies, renormalised at every step.
    Slice,
}

impl Normalizer {
    /// Whether it is what a model has where nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
