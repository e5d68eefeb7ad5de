//! Settings of systems: everything that turns requests into ranked items.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::Source;

pub use super::bm25::settings::{Bm25Field, Bm25Settings, Bm25Tuning};
pub use super::cascade::settings::{ActSettings, CascadeSettings, RerankSettings};
pub use super::collaborative::settings::{ItemCfSettings, ItemKnnSettings};
pub use super::generative::settings::GenerativeSettings;
pub use super::nearest::hnsw::settings::{HnswSettings, IndexSettings};
pub use super::nearest::settings::NearestSettings;
pub use super::sasrec::settings::SasrecSettings;

/// Items by number of training clicks (or occurrences in training sequences).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PopularitySettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Count only the last so many days of training; by default all. Needs a corpus with days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub days: Option<u32>,
    /// Days after which a click counts half; by default all count alike. Needs a corpus with days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 1_000_000.0))]
    pub half_life: Option<f64>,
    /// Newest items of a request's history whose categories lead: items with the same whole category path as one
    /// of them come first, then all others, each group by count. By default categories are not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub category_items: Option<u32>,
}

/// Answers that another program wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunFileSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Run file with the corpus's ids of requests and items: `.json`, `.jsonl` or `.parquet`, any other name is
    /// taken for TREC; text also as `.gz` and `.zst`. Items of a history that must not be returned are left out.
    #[schemars(extend("x-key" = false))]
    pub path: Source,
}

/// The truth of the simulated shop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OracleSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
}
