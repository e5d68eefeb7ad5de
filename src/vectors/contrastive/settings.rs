//! Settings of the vectors of a decoder that was trained to encode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Vectors of a decoder that a training with objective contrastive made the dense encoder of requests and items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContrastiveVectorsSettings {
    /// Name of the `[[train]]`, whose objective is contrastive.
    #[schemars(extend("x-key" = false))]
    pub train: String,
}
