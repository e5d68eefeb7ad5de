//! Settings of BM25: constants, fields, and what of them is tuned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// BM25 (Robertson et al.) with settable constants. Words are composed (NFKC) and case folded; of scripts that put no blanks
/// between words (Han, Kana, Thai, Lao, Khmer, Myanmar) single characters and pairs of neighbors are counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bm25Settings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Saturation of term frequency.
    #[serde(default = "default_k1")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub k1: f64,
    /// Strength of length normalisation.
    #[serde(default = "default_b")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub b: f64,
    /// Reduce words to their English stems.
    #[serde(default = "default_stem")]
    pub stem: bool,
    /// Fields of an item that are searched, each with its weight and its own lengths (BM25F); by default title and
    /// further text are one field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Bm25Field>,
    /// Choose `k1` and `b` on the validation requests; by default they are taken as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<Bm25Tuning>,
}

/// A field of an item that is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bm25Field {
    /// `title`, `text` (further text without the title), `category` (the words of the whole path), or the name of
    /// an attribute, such as `brand`: what the corpus was not told to put into the text is an attribute.
    pub field: String,
    /// What an occurrence in this field counts.
    #[serde(default = "default_weight")]
    #[schemars(range(min = 0.0, max = 1_000.0))]
    pub weight: f64,
    /// Strength of length normalization in this field; by default that of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub b: Option<f64>,
}

/// A grid over the constants of BM25.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bm25Tuning {
    /// Metric of lists, such as `recall@10`, that is made best on the validation requests.
    pub metric: String,
    /// Most settings that may be tried; a larger grid is refused. The given `k1` and `b` are measured beside them
    /// and stay where no setting is better.
    #[serde(default = "default_budget")]
    #[schemars(range(min = 1, max = 10_000))]
    pub budget: u32,
    /// Values of `k1` to try, each with every `b`.
    #[serde(default = "default_grid_k1")]
    pub k1: Vec<f64>,
    /// Values of `b` to try; fields with a `b` of their own keep it.
    #[serde(default = "default_grid_b")]
    pub b: Vec<f64>,
}

impl Bm25Settings {
    /// The same with other constants.
    pub fn with(&self, k1: f64, b: f64) -> Self {
        Self { k1, b, ..self.clone() }
    }
}

impl Bm25Tuning {
    /// All pairs of `k1` and `b`, in order.
    pub fn grid(&self) -> Vec<(f64, f64)> {
        self.k1.iter().flat_map(|&k1| self.b.iter().map(move |&b| (k1, b))).collect()
    }
}

fn default_k1() -> f64 {
    0.9
}

fn default_b() -> f64 {
    0.4
}

fn default_stem() -> bool {
    true
}

fn default_weight() -> f64 {
    1.0
}

fn default_budget() -> u32 {
    50
}

fn default_grid_k1() -> Vec<f64> {
    vec![0.3, 0.6, 0.9, 1.2, 1.6, 2.0]
}

fn default_grid_b() -> Vec<f64> {
    vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
}
