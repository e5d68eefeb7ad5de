//! Settings of the evaluation and of the report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::significance::{Correction, Test};
use crate::slice::SliceBy;

/// What is measured, and how differences are tested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationSettings {
    /// Metrics, for instance `recall@10`, `ndcg@10`, `p(rel=2)@5`; `docs/metrics.md` lists all.
    pub metrics: Vec<String>,
    /// Name of the system that the others are compared with; by default the first.
    pub baseline: Option<String>,
    /// Items that each system ranks per request.
    #[schemars(range(min = 1, max = 10_000))]
    pub depth: u32,
    /// An item counts as relevant from this grade on.
    #[schemars(range(min = 0.0))]
    pub relevant_grade: f64,
    /// How items of equal score are ordered.
    pub ties: Ties,
    /// What happens to judged requests that a system does not answer.
    pub missing: Missing,
    /// A column of items whose values are the answers that lists are judged by, such as `item.category`: each value stands
    /// where the first item stands that has it, and is as relevant as the most relevant item that has it. By default the
    /// items are the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// Where the labels of `auc`, `log_loss` and their like come from; metrics of lists are always judged by judgments.
    pub labels: LabelSource,
    /// How requests are divided for a closer look, as far as the corpus allows: `item-exposure`, `request-frequency`,
    /// `rarest-term`, `query-length`, `history-length`, `day`, `attribute:NAME` (of the relevant items; `category` is the
    /// broadest level of their category path), or `code:IDENTIFIER.LEVEL` (how many items share the relevant items' code at
    /// that level, from 1, of an identifier).
    pub slices: Vec<String>,
    /// Where p values come from; intervals are always the bootstrap's.
    pub test: Test,
    /// How p values are corrected for the number of comparisons.
    pub correction: Correction,
    /// Largest loss against the baseline that is acceptable, on the scale of every metric; asks for a verdict of
    /// non-inferiority.
    #[schemars(range(min = 0.0))]
    pub margin: Option<f64>,
    /// Resamples of the paired bootstrap.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub bootstrap: u32,
    /// Confidence of intervals and tests.
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub confidence: f64,
    /// Which requests are answered and judged; tune on validation, report on test.
    pub split: EvaluatedSplit,
    /// Evaluate at most this many requests, chosen by the seed; by default all.
    pub requests: Option<u32>,
    /// Seed of this choice and of the resampling; by default the recipe's.
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl Default for EvaluationSettings {
    fn default() -> Self {
        Self {
            metrics: ["recall@10", "ndcg@10", "mrr@10", "hit_rate@10"].map(str::to_owned).to_vec(),
            baseline: None,
            depth: 100,
            relevant_grade: 1.0,
            ties: Ties::default(),
            missing: Missing::default(),
            answers: None,
            labels: LabelSource::default(),
            slices: SliceBy::PLAIN.iter().map(ToString::to_string).collect(),
            test: Test::default(),
            correction: Correction::default(),
            margin: None,
            bootstrap: 2_000,
            confidence: 0.95,
            split: EvaluatedSplit::Test,
            requests: None,
            seed: None,
        }
    }
}

impl EvaluationSettings {
    /// Names of the identifiers by whose codes requests are divided, each once.
    pub fn slicing_identifiers(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for by in self.slices.iter().filter_map(|text| text.parse().ok()) {
            if let SliceBy::Code { identifier, .. } = by
                && !names.contains(&identifier)
            {
                names.push(identifier);
            }
        }
        names
    }
}

/// How items of equal score are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ties {
    /// By item id, descending, as trec_eval does.
    #[default]
    ItemId,
    /// In uniformly random order: every figure is its exact expectation, so that a system that scores all items alike
    /// scores what chance does. Metrics without a closed form are refused.
    Expected,
}

/// What happens to judged requests that a system does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// They score 0.
    #[default]
    Zero,
    /// They are left out of the figures of all systems compared.
    Skip,
    /// The evaluation is refused.
    Error,
}

/// Where the labels of single items come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LabelSource {
    /// The judged items of a request: relevant ones are positive.
    #[default]
    Judgments,
    /// The items that were shown for a request: those on which something happened are positive.
    Impressions {
        /// What happened: `click`, another signal of the corpus, or `session.NAME`.
        #[serde(default = "click")]
        signal: String,
        /// Positive from this value of the signal on; a flag that is set is 1.
        #[serde(default = "set")]
        from: f64,
    },
}

fn click() -> String {
    "click".into()
}

fn set() -> f64 {
    1.0
}

/// Which requests are answered and judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvaluatedSplit {
    /// Held back for choosing settings.
    Validation,
    /// Held back for reported figures.
    Test,
}

/// What the report shows beside the figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReportSettings {
    /// Requests drawn at random and shown with what each system returned, beside the largest wins and losses.
    #[schemars(range(min = 0, max = 1_000))]
    pub examples: u32,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { examples: 12 }
    }
}
