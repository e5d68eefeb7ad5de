//! What a report says, as data: the JSON printed by `trieval report --json` and stored beside the HTML page. It is a
//! contract: fields are added, never renamed, within one format version. It knows nothing of how it is shown, and nothing
//! of how figures were computed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Course of every training.
    #[serde(default)]
    pub training: Vec<TrainingReport>,
    /// Diagnostics of every identifier.
    #[serde(default)]
    pub identifiers: Vec<IdentifierReport>,
    /// Bytes of all constraint indexes together.
    #[serde(default)]
    pub index_bytes: Option<u64>,
    /// A few requests with what each system returned.
    #[serde(default)]
    pub examples: Vec<ExampleReport>,
    /// What a reader must know before trusting the figures, such as "leave-one-out leaks time".
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Remarks that limit nothing.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where it ran.
    #[serde(default)]
    pub machine: Machine,
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
}

/// One system's figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemReport {
    /// Name in the recipe, or tag of the run file.
    pub name: String,
    /// Kind of system, such as `bm25` or `generative`; `run-file` for a run handed in, `oracle` for a ceiling.
    pub kind: String,
    /// Figures by metric name, such as `recall@10`.
    pub metrics: BTreeMap<String, Estimate>,
    /// Time per request; null when it was not measured, as with run files.
    #[serde(default)]
    pub latency_ms: Option<Latency>,
    /// Most memory that answering took, in bytes; null when it was not measured.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
    /// Evaluated requests for which the system returned nothing; they score 0.
    #[serde(default)]
    pub unanswered: u64,
}

/// A mean over requests with its bootstrap interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Time from request to ranked list, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

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

/// Course of one training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingReport {
    /// Name in the recipe.
    pub name: String,
    /// Objective, such as `supervised` or `preference`.
    #[serde(default)]
    pub objective: String,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Wall time, in seconds.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Parameters that were trained.
    #[serde(default)]
    pub parameters: Option<u64>,
    /// Whether it stopped because the loss was no longer finite.
    #[serde(default)]
    pub diverged: bool,
    /// Logged points, by step.
    pub points: Vec<TrainingPoint>,
}

/// One logged point of a training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingPoint {
    /// Optimizer step, from 1.
    pub step: u64,
    /// Training loss; null where it was not finite or not logged.
    pub loss: Option<f64>,
    /// Learning rate of the step.
    #[serde(default)]
    pub learning_rate: Option<f64>,
    /// Further figures by name, such as `validation_loss`, `accuracy` or `margin`. Those named `…loss` are drawn with the loss.
    #[serde(default)]
    pub extra: BTreeMap<String, f64>,
}

/// Diagnostics of one identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdentifierReport {
    /// Name in the recipe.
    pub name: String,
    /// Kind, such as `residual-k-means` or `spans`.
    pub kind: String,
    /// Items that have an identifier.
    pub items: u64,
    /// Different identifiers before any remedy for collisions.
    pub distinct: u64,
    /// Share of items whose identifier is also another item's, before any remedy; in [0, 1].
    pub collision_rate: f64,
    /// Most items under one identifier.
    #[serde(default)]
    pub largest_group: Option<u64>,
    /// Bytes of its constraint index.
    #[serde(default)]
    pub index_bytes: Option<u64>,
    /// Mean squared distance between a vector and its reconstruction.
    #[serde(default)]
    pub distortion: Option<f64>,
    /// One entry per level, first level first; empty for identifiers without levels.
    #[serde(default)]
    pub levels: Vec<LevelReport>,
    /// What the diagnostics show, such as "hourglass: level 2 uses 14 of 64 codes".
    #[serde(default)]
    pub findings: Vec<String>,
}

/// Use of the codes of one level.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LevelReport {
    /// Codes that the level has.
    pub codes: u64,
    /// Codes that at least one item uses.
    pub used: u64,
    /// Entropy of the code distribution, in bits.
    pub entropy_bits: f64,
    /// The same divided by log2 of `codes`; 1 is even use.
    pub normalized_entropy: f64,
    /// Gini coefficient of the counts; 0 is even use.
    pub gini: f64,
    /// Share of items whose prefix up to and including this level is also another item's; in [0, 1].
    #[serde(default)]
    pub collision_rate: Option<f64>,
    /// Items per code, any order, unused codes included or not.
    #[serde(default)]
    pub usage: Vec<u64>,
}

/// One request with what every system returned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExampleReport {
    /// Id of the request.
    pub request: String,
    /// Query text; empty where the request is only a history.
    #[serde(default)]
    pub text: String,
    /// Titles of the last items that the user met, oldest first.
    #[serde(default)]
    pub history: Vec<String>,
    /// Relevant items, best grade first; may be cut.
    pub relevant: Vec<ExampleItem>,
    /// Number of relevant items in all.
    pub relevant_total: u64,
    /// Top of every system's list, in the order of `systems`.
    pub systems: Vec<ExampleSystem>,
}

/// The top of one system's list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExampleSystem {
    /// Name of the system.
    pub system: String,
    /// Best first.
    pub items: Vec<ExampleItem>,
}

/// One item of an example.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExampleItem {
    /// Id of the item.
    pub item: String,
    /// Its title; may be empty.
    #[serde(default)]
    pub title: String,
    /// Its grade for the request; null when it was not judged.
    #[serde(default)]
    pub grade: Option<f64>,
    /// The system's score; null among the relevant items.
    #[serde(default)]
    pub score: Option<f64>,
}

/// Where the figures were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Operating system and architecture.
    pub os: String,
    /// Model of the processor.
    pub cpu: String,
    /// Threads used.
    pub threads: u32,
    /// Model of the GPU, where one was used.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Memory of the machine, in bytes.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Version of the tool.
    #[serde(default)]
    pub version: String,
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

    /// Refuses figures that are not finite, naming the first.
    pub fn check_finite(&self) -> Result<()> {
        let refuse =
            |place: String| Err(Error::Report { what: format!("{place} is not a finite number") });
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        if !finite(&[self.evaluation.relevant_grade, self.evaluation.confidence]) {
            return refuse("a setting of the evaluation".to_owned());
        }
        for system in &self.systems {
            for (metric, one) in &system.metrics {
                if !finite(&[one.value, one.low, one.high]) {
                    return refuse(format!("{metric} of {}", system.name));
                }
            }
            if system.latency_ms.is_some_and(|latency| !finite(&[latency.p50, latency.p99])) {
                return refuse(format!("the latency of {}", system.name));
            }
        }
        for one in &self.comparisons {
            if !finite(&[one.difference, one.low, one.high, one.p_value, one.p_adjusted]) {
                return refuse(format!("the comparison of {} on {}", one.system, one.metric));
            }
        }
        for training in &self.training {
            let mut all = training.points.iter().flat_map(|point| {
                point.extra.values().copied().chain(point.loss).chain(point.learning_rate)
            });
            if all.any(|value| !value.is_finite()) || !finite(&[training.seconds.unwrap_or(0.0)]) {
                return refuse(format!("a figure of the training {}", training.name));
            }
        }
        for identifier in &self.identifiers {
            let levels_finite = identifier.levels.iter().all(|level| {
                finite(&[level.entropy_bits, level.normalized_entropy, level.gini])
                    && finite(&[level.collision_rate.unwrap_or(0.0)])
            });
            let own = [identifier.collision_rate, identifier.distortion.unwrap_or(0.0)];
            if !levels_finite || !finite(&own) {
                return refuse(format!("a diagnostic of the identifier {}", identifier.name));
            }
        }
        for example in &self.examples {
            let lists = example.systems.iter().flat_map(|system| &system.items);
            let mut figures =
                lists.chain(&example.relevant).flat_map(|item| [item.grade, item.score]);
            if figures.any(|value| value.is_some_and(|value| !value.is_finite())) {
                return refuse(format!("a score of the example request {}", example.request));
            }
        }
        Ok(())
    }
}

impl SystemReport {
    /// Whether the system knows the truth and so shows the ceiling, not a result.
    pub fn is_ceiling(&self) -> bool {
        self.kind == CEILING_KIND
    }
}

impl Latency {
    /// Median and 99th percentile (nearest rank) of times in milliseconds; none without a finite time.
    pub fn from_milliseconds(times: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = times.iter().copied().filter(|time| time.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied()
        };
        Some(Self { p50: at(0.50)?, p99: at(0.99)? })
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

    #[test]
    fn percentiles_are_nearest_rank() {
        let times: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(Latency::from_milliseconds(&times), Some(Latency { p50: 100.0, p99: 198.0 }));
        assert_eq!(Latency::from_milliseconds(&[3.0]), Some(Latency { p50: 3.0, p99: 3.0 }));
        assert_eq!(Latency::from_milliseconds(&[f64::NAN]), None);
    }
}
