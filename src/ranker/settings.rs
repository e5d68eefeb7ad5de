//! Settings of systems (everything that turns requests into ranked items) and of item vectors.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use trieval_eval::fusion::FusionSettings;

use crate::decode::settings::DecodeSettings;
use crate::model::settings::{HiddenPooling, Pooling};

pub use super::mmse::settings::{MmseLevels, MmseSettings, MmseText, RankingLoss};

pub use super::bm25::settings::{Bm25Field, Bm25Settings, Bm25Tuning};
pub use super::cascade::settings::{ActSettings, CascadeSettings, RerankSettings};
pub use super::collaborative::settings::{CollaborativeSettings, ItemCfSettings, ItemKnnSettings};
pub use super::hnsw::settings::{HnswSettings, IndexSettings};
pub use super::sasrec::settings::SasrecSettings;

/// One vector per item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum VectorsSettings {
    /// A small two-tower text encoder trained on the training requests.
    TwoTower(TwoTowerSettings),
    /// Two towers that learn from ordered, clicked, shown and random items at once.
    Mmse(MmseSettings),
    /// A pretrained text encoder of the BERT family, used as it is.
    Encoder(EncoderSettings),
    /// Pooled hidden states of a pretrained decoder, used as it is.
    Decoder(HiddenStateSettings),
    /// What the feedback of training says of items, and no text: leading directions of who chose which items together.
    Collaborative(CollaborativeSettings),
    /// Several vectors of an item side by side, for instance of its text and of its feedback.
    Joined(JoinedSettings),
    /// Vectors made elsewhere, from a `.npy`, `.safetensors` or `.parquet` file.
    File(VectorFileSettings),
}

impl VectorsSettings {
    /// The `kind` as recipes spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TwoTower(_) => "two-tower",
            Self::Mmse(_) => "mmse",
            Self::Encoder(_) => "encoder",
            Self::Decoder(_) => "decoder",
            Self::Collaborative(_) => "collaborative",
            Self::Joined(_) => "joined",
            Self::File(_) => "file",
        }
    }

    /// Whether requests can be encoded into the space of the vectors.
    pub fn encodes_requests(&self) -> bool {
        !matches!(self, Self::Collaborative(_) | Self::Joined(_) | Self::File(_))
    }

    /// Names of the vectors that these are made from.
    pub fn parts(&self) -> &[String] {
        match self {
            Self::Joined(settings) => &settings.parts,
            Self::Mmse(settings) => settings.base().map_or(&[], std::slice::from_ref),
            _ => &[],
        }
    }
}

/// A two-tower text encoder: contrastive, with in-batch and uniform negatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TwoTowerSettings {
    /// Width of the vectors.
    #[schemars(range(min = 2, max = 8_192))]
    pub dim: u32,
    /// Entries of the byte-level BPE vocabulary of the encoder.
    #[schemars(range(min = 300, max = 200_000))]
    pub vocabulary: u32,
    /// Passes over the training requests.
    #[schemars(range(min = 0.001, max = 10_000.0))]
    pub epochs: f64,
    /// Requests per step; the other requests' items are the in-batch negatives.
    #[schemars(range(min = 2, max = 65_536))]
    pub batch: u32,
    /// Uniformly drawn negatives per step, shared by the batch.
    #[schemars(range(min = 0, max = 65_536))]
    pub uniform_negatives: u32,
    /// Temperature of the softmax over cosines.
    #[schemars(range(min = 0.001, max = 10.0))]
    pub temperature: f64,
    /// Learning rate.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
    /// Share of examples that are random title substrings asking for their item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pseudo_requests: f64,
    /// Items of a history that stand for a request without text, newest last.
    #[schemars(range(min = 1, max = 1_000))]
    pub history_items: u32,
    /// Steps between checkpoints.
    #[schemars(range(min = 1))]
    #[schemars(extend("x-key" = false))]
    pub checkpoint_steps: u32,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl Default for TwoTowerSettings {
    fn default() -> Self {
        Self {
            dim: 64,
            vocabulary: 4_000,
            epochs: 5.0,
            batch: 256,
            uniform_negatives: 256,
            temperature: 0.07,
            learning_rate: 3e-3,
            pseudo_requests: 0.3,
            history_items: 5,
            checkpoint_steps: 500,
            seed: None,
        }
    }
}

/// A pretrained text encoder: a local folder of sentence-transformers, or of BERT, RoBERTa or XLM-RoBERTa with
/// `tokenizer.json` and `model.safetensors`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderSettings {
    /// The folder.
    #[schemars(extend("x-key" = false))]
    pub path: PathBuf,
    /// How token vectors become one, for a folder that does not say so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Longest text in tokens; longer ones are cut. Left out: what the folder says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 32_768))]
    pub max_tokens: Option<u32>,
    /// Put before the text of a request, for models that were trained so.
    #[serde(default)]
    pub query_prefix: String,
    /// Put before the text of an item, for models that were trained so.
    #[serde(default)]
    pub item_prefix: String,
    /// Items of a history whose mean vector stands for a request without text.
    #[serde(default = "default_history_items")]
    #[schemars(range(min = 1, max = 1_000))]
    pub history_items: u32,
}

fn default_history_items() -> u32 {
    5
}

/// A pretrained decoder as a text encoder: a local folder in the layout of Hugging Face, of Qwen3, Qwen2 or Llama. A
/// text's vector are its final hidden states, pooled and scaled to unit length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HiddenStateSettings {
    /// The folder.
    #[schemars(extend("x-key" = false))]
    pub path: PathBuf,
    /// How the hidden states of a text's tokens become one vector.
    #[serde(default)]
    pub pooling: HiddenPooling,
    /// Longest text in tokens; longer ones are cut. Left out: 512, or the model's positions where they are fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 131_072))]
    pub max_tokens: Option<u32>,
    /// Put before the text of a request, for models that were trained so.
    #[serde(default)]
    pub query_prefix: String,
    /// Put before the text of an item, for models that were trained so.
    #[serde(default)]
    pub item_prefix: String,
    /// Items of a history whose mean vector stands for a request without text.
    #[serde(default = "default_history_items")]
    #[schemars(range(min = 1, max = 1_000))]
    pub history_items: u32,
}

/// Several vectors of each item, every one scaled to unit length and weighted, one behind the other: the inner product
/// of two items is the weighted sum of the parts' cosines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinedSettings {
    /// Names of the `[vectors.NAME]` to be joined, in order; of any kind but joined.
    #[schemars(extend("x-key" = false))]
    pub parts: Vec<String>,
    /// Weight of each part's cosine, in the same order; left out, all are 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
}

/// Vectors made elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorFileSettings {
    /// `.npy` (one f32 matrix) or `.safetensors` file, whose row i belongs to item i of the catalogue; or a `.parquet`
    /// file, whose rows are joined to the catalogue by item id.
    #[schemars(extend("x-key" = false))]
    pub path: PathBuf,
    /// Column of item ids in a `.parquet` file (text or whole numbers); left out, `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// Column of vectors in a `.parquet` file (lists of f32 or f64); left out, `vector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_column: Option<String>,
}

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
