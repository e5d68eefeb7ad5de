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
}
