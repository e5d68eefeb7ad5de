//! Settings of click rates: what is positive, and how much a mean counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::corpus::settings::LabelRule;

/// Items by the share of training impressions that were clicked, drawn towards the mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClickRateSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Impressions at the mean rate that every item has beside its own: the more, the closer are
    /// rarely shown items to the mean.
    #[serde(default = "default_prior")]
    #[schemars(range(min = 0.000001))]
    pub prior: f64,
    /// What is counted.
    #[serde(default)]
    pub label: LabelRule,
}

fn default_prior() -> f64 {
    20.0
}
