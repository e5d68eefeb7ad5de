//! Settings of systems: everything that turns requests into ranked items.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use trieval_eval::fusion::FusionSettings;

use crate::decode::settings::DecodeSettings;

pub use super::bm25::settings::{Bm25Field, Bm25Settings, Bm25Tuning};
pub use super::cascade::settings::{ActSettings, CascadeSettings, RerankSettings};
pub use super::collaborative::settings::{ItemCfSettings, ItemKnnSettings};
pub use super::hnsw::settings::{HnswSettings, IndexSettings};
pub use super::sasrec::settings::SasrecSettings;

/// A system to be evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SystemSettings {
    /// Items by number of training clicks (or occurrences in training sequences).
    Popularity(PopularitySettings),
    /// BM25 over item text.
    Bm25(Bm25Settings),
    /// A self-attentive sequence model over item ids, trained by the system itself.
    Sasrec(SasrecSettings),
    /// Items that were chosen together with those of the history, near and in the same order (ItemCF).
    ItemCf(ItemCfSettings),
    /// Nearest neighbors of the history's items by co-occurrence.
    ItemKnn(ItemKnnSettings),
    /// Nearest items under an encoder of requests and items, by inner product.
    TwoTower {
        /// Name in runs and reports.
        #[schemars(extend("x-key" = false))]
        name: String,
        /// Name of the `[vectors.NAME]` that encodes both: of kind two-tower, mmse, encoder or decoder.
        #[schemars(extend("x-key" = false))]
        vectors: String,
        /// Search an index instead of all items: faster, at the price of some of the nearest. Left out: exact search.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<IndexSettings>,
    },
    /// A trained decoder with constrained beam search.
    Generative {
        /// Name in runs and reports.
        #[schemars(extend("x-key" = false))]
        name: String,
        /// Name of the `[[train]]` whose result is used.
        #[schemars(extend("x-key" = false))]
        train: String,
        /// How it decodes.
        #[serde(default)]
        decode: DecodeSettings,
    },
    /// Several systems asked for every request, their lists fused into one.
    Fusion(FusionSettings),
    /// Systems one behind the other: finding, scoring, reordering, choosing.
    Cascade(CascadeSettings),
    /// Answers that another program wrote into a run file; their time and memory are not known here.
    Run(RunFileSettings),
    /// The truth of the simulated shop: the best any system can do.
    Oracle {
        /// Name in runs and reports.
        #[schemars(extend("x-key" = false))]
        name: String,
    },
}

impl SystemSettings {
    /// Name in runs and reports.
    pub fn name(&self) -> &str {
        match self {
            Self::TwoTower { name, .. } | Self::Generative { name, .. } | Self::Oracle { name } => {
                name
            }
            Self::Popularity(settings) => &settings.name,
            Self::Bm25(settings) => &settings.name,
            Self::Sasrec(settings) => &settings.name,
            Self::ItemCf(settings) => &settings.name,
            Self::ItemKnn(settings) => &settings.name,
            Self::Fusion(settings) => &settings.name,
            Self::Cascade(settings) => &settings.name,
            Self::Run(settings) => &settings.name,
        }
    }

    /// The metric that a system's settings are tuned for on the validation requests, where they are.
    pub fn tuned_for(&self) -> Option<&str> {
        match self {
            Self::Bm25(settings) => settings.tune.as_ref().map(|tune| tune.metric.as_str()),
            Self::Fusion(settings) => settings.tune.as_deref(),
            _ => None,
        }
    }

    /// Names of the systems that a fused one asks; empty for any other.
    pub fn runs(&self) -> &[String] {
        match self {
            Self::Fusion(settings) => &settings.runs,
            _ => &[],
        }
    }

    /// Whether it can be the second stage of a cascade: it scores given items, and is not itself made of others.
    pub fn ranks(&self) -> bool {
        match self {
            Self::Popularity(_)
            | Self::Bm25(_)
            | Self::Sasrec(_)
            | Self::ItemCf(_)
            | Self::ItemKnn(_)
            | Self::TwoTower { .. } => true,
            Self::Generative { .. }
            | Self::Fusion(_)
            | Self::Cascade(_)
            | Self::Run(_)
            | Self::Oracle { .. } => false,
        }
    }

    /// The `kind` as recipes spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Popularity(_) => "popularity",
            Self::Bm25(_) => "bm25",
            Self::Sasrec(_) => "sasrec",
            Self::ItemCf(_) => "item-cf",
            Self::ItemKnn(_) => "item-knn",
            Self::TwoTower { .. } => "two-tower",
            Self::Generative { .. } => "generative",
            Self::Fusion(_) => "fusion",
            Self::Cascade(_) => "cascade",
            Self::Run(_) => "run",
            Self::Oracle { .. } => "oracle",
        }
    }
}

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
    pub path: PathBuf,
}
