//! What a report says, as data: the JSON printed by `trieval report --json` and stored beside the HTML page. It is a
//! contract: fields are added, never renamed, within one format version. It knows nothing of how it is shown, and nothing
//! of how figures were computed.

mod check;
mod comparison;
mod example;
mod identifier;
mod logged;
mod machine;
mod pairs;
mod slice;
mod system;
mod training;
mod trust;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use comparison::{Comparison, Verdict};
pub use example::{ExampleItem, ExampleReport, ExampleSystem, SpanReport};
pub use identifier::{
    CeilingReport, IdentifierReport, LevelReport, OutcomeReport, SpansReport, TargetsReport,
    TogetherReport,
};
pub use logged::{LogReport, LoggedSystem, PolicyReport, TrueFigure};
pub use machine::{Fingerprint, Machine};
pub use pairs::{PairReport, PairsReport};
pub use slice::{SliceReport, SliceSystem};
pub use system::{Estimate, Latency, SystemReport};
pub use training::{Course, Health, TrainingPoint, TrainingReport};
pub use trust::{LeakReport, ReliabilityBin, ReliabilityReport};

use crate::error::{Error, Result};

/// Version of the JSON form; a reader refuses a later one.
pub const REPORT_FORMAT: u32 = 1;

/// Kind of a system that knows the truth: shown as the ceiling, never as the winner.
pub const CEILING_KIND: &str = "oracle";

/// Everything that is known after an evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this form, [`REPORT_FORMAT`].
    pub format: u32,
    /// Name of the recipe or of the evaluation.
    pub name: String,
    /// One sentence about it; may be empty.
    #[serde(default)]
    pub description: String,
    /// Seed from which every random choice came.
    pub seed: u64,
    /// What was evaluated and what was left out.
    pub counts: Counts,
    /// How it was evaluated.
    pub evaluation: EvaluationSummary,
    /// Name of the system that the others are compared with.
    pub baseline: Option<String>,
    /// One entry per system, in the order of the recipe.
    pub systems: Vec<SystemReport>,
    /// One entry per system other than the baseline and metric.
    pub comparisons: Vec<Comparison>,
    /// Further comparisons, of any two systems; each names its `baseline`.
    #[serde(default)]
    pub pairs: Vec<Comparison>,
    /// Figures over parts of the test requests; those with the same `by` belong together.
    #[serde(default)]
    pub slices: Vec<SliceReport>,
    /// Course of every training.
    #[serde(default)]
    pub training: Vec<TrainingReport>,
    /// Diagnostics of every identifier.
    #[serde(default)]
    pub identifiers: Vec<IdentifierReport>,
    /// Bytes of all constraint indexes together.
    #[serde(default)]
    pub index_bytes: Option<u64>,
    /// Requests with what each system returned: the largest wins and losses between systems, and random ones.
    #[serde(default)]
    pub examples: Vec<ExampleReport>,
    /// Overlap of training and test, one entry per kind that was looked for.
    #[serde(default)]
    pub leaks: Vec<LeakReport>,
    /// What the corpus's own log says of the answers; null where it recorded no pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReport>,
    /// Calibration of systems whose scores are predictions.
    #[serde(default)]
    pub reliability: Vec<ReliabilityReport>,
    /// Where the values of single requests are kept, or what is to be known of them; may be empty.
    #[serde(default)]
    pub values_note: String,
    /// What a reader must know before trusting the figures, such as "leave-one-out leaks time".
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Remarks that limit nothing.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where it ran.
    #[serde(default)]
    pub machine: Machine,
    /// What the figures rest on.
    #[serde(default)]
    pub fingerprints: Vec<Fingerprint>,
    /// The resolved recipe, as TOML text; empty when only run files were judged.
    #[serde(default)]
    pub recipe: String,
}

/// Sizes of what was evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Items of the catalog; null when unknown, as with run files.
    pub items: Option<u64>,
    /// Requests of the whole corpus; null when unknown.
    pub requests: Option<u64>,
    /// Requests that the figures are means over.
    pub evaluated: u64,
    /// Test requests left out because no item is relevant to them.
    #[serde(default)]
    pub without_relevant: u64,
    /// Input rows that could not be read.
    #[serde(default)]
    pub malformed_rows: u64,
    /// Further counts by name, such as `users`, `impressions` or `skipped_requests`.
    #[serde(default)]
    pub other: BTreeMap<String, u64>,
}

/// Settings of the evaluation that a reader needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationSummary {
    /// Names of the metrics, in the order of the columns; the first is the one that the summary speaks of.
    pub metrics: Vec<String>,
    /// An item counts as relevant from this grade on.
    pub relevant_grade: f64,
    /// Items that each system ranked per request.
    pub depth: u32,
    /// Resamples of the paired bootstrap.
    pub bootstrap: u32,
    /// Confidence of the intervals and tests, in (0, 1).
    pub confidence: f64,
    /// How test requests were chosen, in words, such as "the last 2 of 30 days".
    #[serde(default)]
    pub split: Option<String>,
    /// How p values were corrected for their number, such as "Holm’s correction"; null means that one.
    #[serde(default)]
    pub correction: Option<String>,
    /// Metrics of which less is better, beside those that docs/metrics.md says it of: values from outside, such as `regret`.
    #[serde(default)]
    pub lower_is_better: Vec<String>,
}

impl Report {
    /// The system of that name.
    pub fn system(&self, name: &str) -> Option<&SystemReport> {
        self.systems.iter().find(|system| system.name == name)
    }

    /// The comparison of that system with the baseline on that metric.
    pub fn comparison(&self, system: &str, metric: &str) -> Option<&Comparison> {
        self.comparisons.iter().find(|one| one.system == system && one.metric == metric)
    }

    /// The comparison of any two systems on a metric, whichever of them was taken as the baseline; its `baseline` is named.
    pub fn between(&self, system: &str, other: &str, metric: &str) -> Option<Comparison> {
        let base = self.baseline.as_deref().unwrap_or_default();
        let named = |one: &Comparison| Comparison {
            baseline: if one.baseline.is_empty() { base.to_owned() } else { one.baseline.clone() },
            ..one.clone()
        };
        let all = || self.comparisons.iter().chain(&self.pairs).filter(|one| one.metric == metric);
        let is = |one: &Comparison, system: &str, other: &str| {
            let against = if one.baseline.is_empty() { base } else { &one.baseline };
            one.system == system && against == other
        };
        all()
            .find(|one| is(one, system, other))
            .map(named)
            .or_else(|| all().find(|one| is(one, other, system)).map(|one| named(one).reversed()))
    }

    /// The report as JSON text, indented, with a final line break. Refused where a figure is not finite: JSON cannot hold it.
    pub fn to_json(&self) -> Result<String> {
        self.check_finite()?;
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::Report { what: source.to_string() })?;
        text.push('\n');
        Ok(text)
    }

    /// Reads the JSON form; refuses other format versions.
    pub fn from_json(text: &str) -> Result<Self> {
        let refuse = |source: serde_json::Error| Error::Report { what: source.to_string() };
        let value: serde_json::Value = serde_json::from_str(text).map_err(refuse)?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(REPORT_FORMAT) => {
                serde_json::from_value(value).map_err(refuse)
            }
            Some(format) => Err(Error::Report {
                what: format!(
                    "it has format version {format} but this version of trieval reads {REPORT_FORMAT}; make the report anew, or use the version that wrote it"
                ),
            }),
            None => Err(Error::Report {
                what: "it has no `format` number, so it is no report of trieval".to_owned(),
            }),
        }
    }
}

/// The value where it is finite: for losses and other figures that may be undefined.
pub fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// JSON Schema of the report, for `docs/`.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn json_round_trips_and_keeps_the_contract() {
        let report = sample::report();
        let text = report.to_json().unwrap();
        let back = serde_json::to_value(Report::from_json(&text).unwrap()).unwrap();
        assert_near(&back, &serde_json::to_value(&report).unwrap());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let first = &value["systems"][0];
        assert!(first["metrics"]["recall@10"]["low"].is_number());
        assert!(value["systems"].as_array().unwrap().iter().any(|s| s["latency_ms"].is_null()));
        assert_eq!(value["comparisons"][0]["verdict"], "worse");
    }

    /// Equal up to the last bit of numbers, which serde_json's fast parser may miss.
    fn assert_near(left: &serde_json::Value, right: &serde_json::Value) {
        use serde_json::Value::{Array, Number, Object};
        match (left, right) {
            (Number(left), Number(right)) => {
                let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
                assert!((left - right).abs() <= 1e-15 * right.abs(), "{left} {right}");
            }
            (Array(left), Array(right)) => {
                assert_eq!(left.len(), right.len());
                left.iter().zip(right).for_each(|(left, right)| assert_near(left, right));
            }
            (Object(left), Object(right)) => {
                assert!(left.keys().eq(right.keys()));
                left.values()
                    .zip(right.values())
                    .for_each(|(left, right)| assert_near(left, right));
            }
            _ => assert_eq!(left, right),
        }
    }

    #[test]
    fn other_formats_and_other_files_are_refused() {
        let later =
            sample::report().to_json().unwrap().replacen("\"format\": 1", "\"format\": 9", 1);
        let message = Report::from_json(&later).unwrap_err().to_string();
        assert!(message.contains("version 9"), "{message}");
        assert!(Report::from_json("{}").is_err());
        assert!(Report::from_json("[").is_err());
    }

    #[test]
    fn figures_that_are_not_finite_are_named() {
        let mut report = sample::report();
        report.comparisons[1].p_value = f64::NAN;
        let message = report.to_json().unwrap_err().to_string();
        assert!(message.contains(&report.comparisons[1].system), "{message}");
    }

    #[test]
    fn the_schema_names_the_contract() {
        let schema = json_schema();
        for field in ["systems", "comparisons", "baseline", "warnings", "format"] {
            assert!(schema["properties"].get(field).is_some(), "{field}");
        }
    }
}
