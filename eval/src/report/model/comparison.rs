//! What a test between two systems came to. How it was tested is the business of `significance`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a comparison came to. Higher is better, except on metrics where lower is, such as `log_loss`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Significantly better than the baseline.
    Better,
    /// Significantly worse than the baseline.
    Worse,
    /// No difference was shown; that does not show equality.
    #[default]
    Inconclusive,
}

/// One system against another, most often the baseline, on one metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Name of the system.
    pub system: String,
    /// Name of the metric.
    pub metric: String,
    /// Whether less of the metric is better.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lower_is_better: bool,
    /// Name of the other system; empty in reports that compare with their baseline only.
    #[serde(default)]
    pub baseline: String,
    /// The system's figure minus the other's.
    pub difference: f64,
    /// Lower end of the difference's bootstrap interval.
    pub low: f64,
    /// Upper end of the difference's bootstrap interval.
    pub high: f64,
    /// Two-sided p value of `test`.
    pub p_value: f64,
    /// The same after the correction over all comparisons made together.
    pub p_adjusted: f64,
    /// Whether `p_adjusted` is at most 1 − confidence.
    pub significant: bool,
    /// Direction, where significant.
    pub verdict: Verdict,
    /// Name of the test, such as `paired bootstrap`; empty where it was not noted.
    #[serde(default)]
    pub test: String,
    /// Cohen's d of the paired differences: their mean over their standard deviation; null where that is 0 or for figures
    /// that are no means over requests.
    #[serde(default)]
    pub effect_size: Option<f64>,
    /// Requests on which the system was better; 0 for figures that are no means over requests, as are ties and losses.
    #[serde(default)]
    pub wins: u64,
    /// Requests on which both were equal.
    #[serde(default)]
    pub ties: u64,
    /// Requests on which the system was worse.
    #[serde(default)]
    pub losses: u64,
    /// Largest loss that was declared acceptable, on the metric's scale; null where non-inferiority was not asked about.
    #[serde(default)]
    pub margin: Option<f64>,
    /// Whether the system was shown to lose less than `margin` (true) or more (false); null where neither was shown.
    #[serde(default)]
    pub non_inferior: Option<bool>,
}

impl Comparison {
    /// The same comparison seen from the baseline, which must be named. Non-inferiority
    /// has no reverse and is dropped.
    pub fn reversed(&self) -> Self {
        Self {
            system: self.baseline.clone(),
            baseline: self.system.clone(),
            difference: -self.difference,
            low: -self.high,
            high: -self.low,
            verdict: match self.verdict {
                Verdict::Better => Verdict::Worse,
                Verdict::Worse => Verdict::Better,
                Verdict::Inconclusive => Verdict::Inconclusive,
            },
            effect_size: self.effect_size.map(|size| -size),
            wins: self.losses,
            losses: self.wins,
            margin: None,
            non_inferior: None,
            ..self.clone()
        }
    }
}
