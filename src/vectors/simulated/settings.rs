//! Settings of simulated vectors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Vectors of the simulated shop's items, drawn by a law and not learned: the center of an item's leaf, an offset for each
/// of its attribute values, and noise of a random direction and a log-normal length. Clumped as real vectors are: most items
/// lie near others of their kind, few lie far out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedVectorsSettings {
    /// Width of the vectors.
    #[schemars(range(min = 2, max = 8_192))]
    pub dim: u32,
    /// Length of the center of a leaf.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub leaf: f64,
    /// Length of the offset of an attribute value; the same value has the same offset in every leaf.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub attribute: f64,
    /// Median length of the noise.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub noise: f64,
    /// Standard deviation of the logarithm of the noise's length.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub noise_spread: f64,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl Default for SimulatedVectorsSettings {
    fn default() -> Self {
        Self { dim: 64, leaf: 1.0, attribute: 0.3, noise: 0.2, noise_spread: 1.0, seed: None }
    }
}
