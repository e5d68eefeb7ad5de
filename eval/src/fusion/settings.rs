//! Settings of a fused system, as a recipe writes them. Knows no run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Several systems fused into one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FusionSettings {
    /// Name of the fused system.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Names of the systems that are fused; at least two.
    #[schemars(extend("x-key" = false))]
    pub runs: Vec<String>,
    /// How scores of one item are put together.
    #[serde(default)]
    pub method: FusionMethod,
    /// How scores of different systems are made comparable; `rrf` looks at ranks only and needs none.
    #[serde(default)]
    pub normalize: Normalization,
    /// Weight of each system, in the order of `runs`, none negative; by default all alike. Not together with `tune`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// Metric, such as `ndcg@10`, that weights are tuned for on the validation requests; by default they are not tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<String>,
    /// Constant of `rrf`: the larger, the less the first ranks stand out.
    #[serde(default = "default_k")]
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub k: f64,
}

/// How scores of one item are put together, over the systems that return it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FusionMethod {
    /// Reciprocal rank fusion: the sum of `weight / (k + rank)`, ranks from 1 (Cormack, Clarke and Büttcher 2009).
    #[default]
    Rrf,
    /// The sum of weighted normalized scores (Fox and Shaw 1994).
    CombSum,
    /// The same, times the number of systems of weight above 0 that return the item (Fox and Shaw 1994).
    CombMnz,
}

/// How one system's scores for one request are made comparable with another's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// The lowest score becomes 0 and the highest 1; equal scores all become 1, as they all are the highest.
    #[default]
    MinMax,
    /// Mean 0 and variance 1; equal scores all become 0. An item that a system does not return gets 0 from it, the mean.
    ZScore,
}

fn default_k() -> f64 {
    60.0
}

impl FusionMethod {
    /// The name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rrf => "rrf",
            Self::CombSum => "comb-sum",
            Self::CombMnz => "comb-mnz",
        }
    }
}

impl Normalization {
    /// The name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinMax => "min-max",
            Self::ZScore => "z-score",
        }
    }
}

impl FusionSettings {
    /// Everything that is wrong with the settings by themselves: pairs of a key and what is wrong with it. Whether `runs` and
    /// `tune` name something is for the caller to say.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.runs.len() < 2 {
            faults.push((
                "runs",
                format!("a fusion needs two systems or more, not {}", self.runs.len()),
            ));
        }
        if let Some(twice) =
            self.runs.iter().enumerate().find(|(at, run)| self.runs[..*at].contains(run))
        {
            faults.push((
                "runs",
                format!("`{}` is listed twice; remove one, or set `weights`", twice.1),
            ));
        }
        if !self.weights.is_empty() {
            if self.weights.len() != self.runs.len() {
                faults.push((
                    "weights",
                    format!(
                        "{} weights for {} systems; give one for each",
                        self.weights.len(),
                        self.runs.len()
                    ),
                ));
            }
            if let Some(what) = weight_fault(&self.weights) {
                faults.push(("weights", what));
            }
            if self.tune.is_some() {
                faults.push((
                    "tune",
                    "`weights` are given, so there is nothing to tune; remove one of the two"
                        .to_owned(),
                ));
            }
        }
        if !(0.0..=100_000.0).contains(&self.k) {
            faults.push(("k", format!("must be from 0 to 100000, not {}", self.k)));
        }
        faults
    }
}

/// What is wrong with weights, if anything.
pub(super) fn weight_fault(weights: &[f64]) -> Option<String> {
    if let Some(bad) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        return Some(format!("a weight must be a number from 0 on, not {bad}"));
    }
    (weights.iter().sum::<f64>() <= 0.0).then(|| "one weight at least must be above 0".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(json: &str) -> serde_json::Result<FusionSettings> {
        serde_json::from_str(json)
    }

    #[test]
    fn defaults_are_plain_rrf() {
        let found = settings(r#"{"name": "both", "runs": ["a", "b"]}"#).unwrap();
        assert_eq!((found.method, found.k, found.faults()), (FusionMethod::Rrf, 60.0, vec![]));
        let found = settings(
            r#"{"name": "x", "runs": ["a", "b"], "method": "comb-mnz", "normalize": "z-score", "weights": [1, 0]}"#,
        )
        .unwrap();
        assert_eq!((found.method.name(), found.normalize.name()), ("comb-mnz", "z-score"));
        assert!(settings(r#"{"name": "x", "runs": [], "wieghts": []}"#).is_err());
    }

    #[test]
    fn all_faults_are_said_with_their_key() {
        let found = settings(
            r#"{"name": "x", "runs": ["a", "a", "b"], "weights": [-1, 1], "tune": "mrr", "k": -1}"#,
        )
        .unwrap();
        let keys: Vec<&str> = found.faults().iter().map(|fault| fault.0).collect();
        assert_eq!(keys, ["runs", "weights", "weights", "tune", "k"]);
        let found = settings(r#"{"name": "x", "runs": ["a"], "weights": [0]}"#).unwrap();
        let keys: Vec<&str> = found.faults().iter().map(|fault| fault.0).collect();
        assert_eq!(keys, ["runs", "weights"]);
    }
}
