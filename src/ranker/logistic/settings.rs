//! Settings of a ranker of features.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::corpus::settings::LabelRule;
use crate::train::course::settings::{Course, CourseDefaults, LOSS};

/// Defaults of the training: the weights of the smallest loss on validation impressions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogisticCourse;

impl CourseDefaults for LogisticCourse {
    const EPOCHS: f64 = 20.0;
    const BATCH: u32 = 1_024;
    const CHECKPOINT_STEPS: u32 = 500;
    const LEARNING_RATE: f64 = 0.02;
    const VALIDATES: bool = true;
    const EVERY_EPOCHS: Option<f64> = Some(1.0);
    const VALIDATION_REQUESTS: u32 = 20_000;
    const METRIC: &'static str = LOSS;
    const PATIENCE: Option<u32> = Some(2);
}

/// Logistic regression over features of the request, the item and the page, trained on impressions: the probability that
/// something happens to an item that is shown. Stands behind any retriever in a cascade; alone it scores all items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
// `flatten` excludes `deny_unknown_fields`; the schema, by which recipes are read, refuses them all the same.
#[schemars(extend("additionalProperties" = false))]
pub struct LogisticSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Name of a `[[train]]` of this kind whose table this is: no other key is given then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub train: Option<String>,
    /// Name of a `[[train]]` of this kind whose weights this one starts from: those of features and values that both
    /// have. By default all begin at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub init: Option<String>,
    /// What is predicted.
    #[serde(default)]
    pub label: LabelRule,
    /// What it is predicted from.
    #[schemars(length(min = 1))]
    pub features: Vec<FeatureSettings>,
    /// Combinations: one weight for every combination of values, hashed.
    #[serde(default)]
    pub crosses: Vec<CrossSettings>,
    /// Pairs of features that are words: the share of the words of the first that the second holds.
    #[serde(default)]
    pub overlaps: Vec<[String; 2]>,
    /// Systems that score given items and learned nothing from the training requests: the score of each is a feature. A
    /// cascade hands on the scores that it has; others are asked for.
    #[serde(default)]
    #[schemars(extend("x-key" = false))]
    pub scores: Vec<String>,
    /// How the training runs; validation may end it before the last epoch.
    #[serde(flatten)]
    pub course: Course<LogisticCourse>,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl LogisticSettings {
    /// Weights that share by hash: the least that a model has.
    pub(super) fn shared_weights(&self) -> u64 {
        let features = self.features.iter().filter_map(|feature| feature.buckets);
        let crosses = self.crosses.iter().map(|cross| cross.buckets);
        features.chain(crosses).map(u64::from).sum()
    }

    /// The features, and behind them the scores of systems.
    pub(super) fn all_features(&self) -> Vec<FeatureSettings> {
        let score = |system: &String| FeatureSettings {
            column: format!("{system}.score"),
            reads: Reads::Number,
            buckets: None,
        };
        self.features.iter().cloned().chain(self.scores.iter().map(score)).collect()
    }
}

/// A feature: a column and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureSettings {
    /// The column, as in `item.price`, `user.style`, `request.query`, `impression.position`; or what training knew of an
    /// item before the day of the request: `item.past_shown`, `item.past_chosen`, `item.past_rate`.
    pub column: String,
    /// How it is read.
    #[serde(rename = "as")]
    pub reads: Reads,
    /// So many weights, which values share by their hash; by default every value that training has gets a weight of its
    /// own. For categories and words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1_073_741_824))]
    pub buckets: Option<u32>,
}

/// How a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// A number, standardized to mean 0 and deviation 1 over the training impressions.
    Number,
    /// The logarithm of one plus a number, standardized: for counts and prices.
    Log,
    /// A category, or several, each compared as a whole.
    Category,
    /// Text, as the set of its words in lower case.
    Words,
}

impl Reads {
    /// Whether it gives numbers, not tokens.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Log)
    }
}

/// Features whose values are combined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossSettings {
    /// Columns of two or three features that are categories or words.
    #[schemars(length(min = 2, max = 3))]
    pub of: Vec<String>,
    /// So many weights, which combinations share by their hash.
    #[serde(default = "default_buckets")]
    #[schemars(range(min = 2, max = 1_073_741_824))]
    pub buckets: u32,
}

fn default_buckets() -> u32 {
    1 << 18
}
