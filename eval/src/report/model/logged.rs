//! What a corpus's own log says of the lists: which answers it cannot judge, and what they would have earned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Estimate;

/// What the log of a corpus says of the answers of all systems.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogReport {
    /// Answers of a list that are counted, from its first.
    pub cutoff: u32,
    /// Evaluated requests whose query stands on a page of the log, in any split.
    pub requests: u64,
    /// Shown items with a propensity on pages of the evaluated requests, down to the cutoff.
    pub rows: u64,
    /// Share of these rows that were chosen, as the log itself showed them; null without rows.
    #[serde(default)]
    pub chosen_share: Option<Estimate>,
    /// One entry per system, in the order of the recipe.
    pub systems: Vec<LoggedSystem>,
}

/// What the log says of one system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedSystem {
    /// Name of the system.
    pub system: String,
    /// Answers counted.
    pub answers: u64,
    /// Share of the answers whose item no page of the log showed to anybody, in [0, 1]; null without answers.
    #[serde(default)]
    pub never_shown_share: Option<f64>,
    /// Share of the answers to `requests` that nobody with the same query was shown, in [0, 1]; null without such answers.
    #[serde(default)]
    pub unshown_share: Option<f64>,
    /// Share of shown items that would be chosen if the system's lists were shown, from propensities. Empty
    /// without rows, and where no answer stands in a place in which the log showed it.
    #[serde(default)]
    pub policies: Vec<PolicyReport>,
    /// How often two items that were shown for a request stand in the order of their true utility in its lists; 0.5 is chance.
    /// What a list does not hold stands below all that it does. Null where the truth is not known: in simulated shops it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_order: Option<TrueFigure>,
    /// Clicks that the user of a request is expected to make by the true laws, if the list were shown down to the cutoff. Null
    /// where the truth is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_clicks: Option<TrueFigure>,
}

/// What the truth of a simulated shop says of a system's lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrueFigure {
    /// Mean over requests, with a bootstrap interval over them.
    pub value: Estimate,
    /// Requests that it rests on.
    pub requests: u64,
    /// Difference from the figure of the baseline; null for the baseline itself.
    #[serde(default)]
    pub gain: Option<f64>,
    /// Two-sided p value of that difference, by a paired randomization test over requests.
    #[serde(default)]
    pub p_value: Option<f64>,
}

/// An off-policy estimate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyReport {
    /// `ips` or `snips`.
    pub estimator: String,
    /// The estimate with its bootstrap interval over requests.
    pub value: Estimate,
    /// About how many rows of the system's own lists would say as much.
    pub effective_rows: f64,
    /// Mean weight of a row; far from 1, the log lacks what the system shows.
    pub mean_weight: f64,
}
