//! What can be chosen about the tests. Knows no value and no system.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Settings of the tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignificanceOptions {
    /// Draws of the bootstrap and of the randomization test.
    pub resamples: u32,
    /// Confidence of intervals and tests, in (0, 1).
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// Where p values come from.
    pub test: Test,
    /// How p values are corrected for the number of comparisons.
    pub correction: Correction,
    /// Largest loss that is acceptable, on the scale of every metric; asks for a verdict of non-inferiority. Must be > 0.
    pub margin: Option<f64>,
}

/// Where p values come from. Intervals are the bootstrap's in every case. Figures that are no means over requests, and
/// systems given with several seeds, are tested by the bootstrap whatever is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Requests are drawn anew; holds for every figure.
    #[default]
    Bootstrap,
    /// Fisher's randomization: the signs of the requests' differences are drawn anew, or all tried where they are few.
    Randomization,
    /// Student's paired t test.
    T,
    /// Wilcoxon's signed-rank test, of the median difference.
    Wilcoxon,
}

/// How p values are corrected for the number of comparisons made together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Correction {
    /// Bounds the chance of any false claim, under any dependence (Holm 1979).
    #[default]
    Holm,
    /// Bounds the expected share of false claims among the claims, under positive dependence (Benjamini and Hochberg 1995).
    BenjaminiHochberg,
    /// P values as they are; right for a single comparison that was planned.
    None,
}

impl Default for SignificanceOptions {
    fn default() -> Self {
        Self {
            resamples: 2_000,
            confidence: 0.95,
            seed: 0,
            test: Test::default(),
            correction: Correction::default(),
            margin: None,
        }
    }
}

impl SignificanceOptions {
    /// Refuses values that no test can work with.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Comparison { what });
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return refuse(format!(
                "the confidence must be between 0 and 1, not {}",
                self.confidence
            ));
        }
        if self.resamples == 0 {
            return refuse("the bootstrap needs at least one resample".to_owned());
        }
        if let Some(margin) = self.margin
            && !(margin > 0.0 && margin.is_finite())
        {
            return refuse(format!(
                "the margin of non-inferiority must be a positive number on the metric's scale, not {margin}"
            ));
        }
        Ok(())
    }
}

impl Test {
    /// The name shown beside a p value.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Bootstrap => "paired bootstrap",
            Self::Randomization => "paired randomization",
            Self::T => "paired t",
            Self::Wilcoxon => "Wilcoxon signed-rank",
        }
    }
}

impl Correction {
    /// What was done to the p values, as reports say it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Holm => "Holm’s correction",
            Self::BenjaminiHochberg => "Benjamini and Hochberg’s correction",
            Self::None => "no correction",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_refused() {
        let good = SignificanceOptions::default();
        assert!(good.check().is_ok());
        for (bad, part) in [
            (SignificanceOptions { confidence: 1.0, ..good }, "between 0 and 1"),
            (SignificanceOptions { confidence: f64::NAN, ..good }, "between 0 and 1"),
            (SignificanceOptions { resamples: 0, ..good }, "at least one"),
            (SignificanceOptions { margin: Some(0.0), ..good }, "not 0"),
            (SignificanceOptions { margin: Some(f64::INFINITY), ..good }, "not inf"),
        ] {
            let message = bad.check().unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn names_in_a_recipe_are_words_with_dashes() {
        let name = |value| serde_json::to_string(&value).unwrap();
        assert_eq!(name(Correction::BenjaminiHochberg), "\"benjamini-hochberg\"");
        assert_eq!(serde_json::from_str::<Test>("\"t\"").unwrap(), Test::T);
    }
}
