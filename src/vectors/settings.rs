//! Settings of item vectors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::settings::{HiddenPooling, Pooling};
use crate::store::Source;
use crate::train::course::settings::{Course, CourseDefaults};
use crate::train::settings::TeacherSettings;

pub use super::mmse::settings::{MmseLevels, MmseSettings, MmseText, RankingLoss};

/// Defaults of the training of a two-tower encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwoTowerCourse;

impl CourseDefaults for TwoTowerCourse {
    const EPOCHS: f64 = 5.0;
    const BATCH: u32 = 256;
    const CHECKPOINT_STEPS: u32 = 500;
    const LEARNING_RATE: f64 = 3e-3;
    const METRIC: &'static str = "recall@10";
}

/// A two-tower text encoder: contrastive, with in-batch and uniform negatives. The items of the other requests of a step are
/// its in-batch negatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
// `flatten` excludes `deny_unknown_fields`; the schema, by which recipes are read, refuses them all the same.
#[schemars(extend("additionalProperties" = false))]
pub struct TwoTowerSettings {
    /// Width of the vectors.
    #[serde(default = "default_dim")]
    #[schemars(range(min = 2, max = 8_192))]
    pub dim: u32,
    /// Name of a `[[train]]` of this kind whose table this is: no other key is given then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub train: Option<String>,
    /// Name of a `[[train]]` of this kind whose weights this one starts from; its `dim` and vocabulary are taken over. By
    /// default it starts from nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub init: Option<String>,
    /// Entries of the byte-level BPE vocabulary of the encoder.
    #[serde(default = "default_vocabulary")]
    #[schemars(range(min = 300, max = 200_000))]
    pub vocabulary: u32,
    /// How the training runs.
    #[serde(flatten)]
    pub course: Course<TwoTowerCourse>,
    /// Uniformly drawn negatives per step, shared by the batch.
    #[serde(default = "default_uniform_negatives")]
    #[schemars(range(min = 0, max = 65_536))]
    pub uniform_negatives: u32,
    /// Temperature of the softmax over cosines.
    #[serde(default = "default_temperature")]
    #[schemars(range(min = 0.001, max = 10.0))]
    pub temperature: f64,
    /// Share of examples that are random title substrings asking for their item.
    #[serde(default = "default_pseudo_requests")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pseudo_requests: f64,
    /// Items of a history that stand for a request without text, newest last.
    #[serde(default = "default_history_items")]
    #[schemars(range(min = 1, max = 1_000))]
    pub history_items: u32,
    /// A system whose answers are learned beside what was clicked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherSettings>,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

fn default_dim() -> u32 {
    64
}

fn default_vocabulary() -> u32 {
    4_000
}

fn default_uniform_negatives() -> u32 {
    256
}

fn default_temperature() -> f64 {
    0.07
}

fn default_pseudo_requests() -> f64 {
    0.3
}

impl Default for TwoTowerSettings {
    fn default() -> Self {
        Self {
            dim: default_dim(),
            train: None,
            init: None,
            vocabulary: default_vocabulary(),
            course: Course::default(),
            uniform_negatives: default_uniform_negatives(),
            temperature: default_temperature(),
            pseudo_requests: default_pseudo_requests(),
            history_items: default_history_items(),
            teacher: None,
            seed: None,
        }
    }
}

/// A pretrained text encoder: a local folder of sentence-transformers, or of its transformer alone with `tokenizer.json`
/// and `model.safetensors`. BERT, RoBERTa, XLM-RoBERTa, DistilBERT, T5, ModernBERT, Nomic BERT and Jina BERT are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderSettings {
    /// The folder.
    #[schemars(extend("x-key" = false))]
    pub path: Source,
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
    pub path: Source,
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
    pub path: Source,
    /// Column of item ids in a `.parquet` file (text or whole numbers); left out, `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// Column of vectors in a `.parquet` file (lists of f32 or f64); left out, `vector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_column: Option<String>,
}

/// Item vectors from feedback alone: the leading directions of the cosine matrix of who chose which items, blind to
/// order, or of what items near each other say of each other. Items that nobody chose in training have vectors of zeros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CollaborativeSettings {
    /// Width of the vectors; at most the rank of the matrix.
    #[schemars(range(min = 1, max = 1_024))]
    pub dim: u32,
    /// Whether what one person chose counts 1 / ln(1 + n), n being the number of that person's items.
    pub length_damping: bool,
    /// Positive pointwise mutual information of items that stand near each other in what one person chose, in place of
    /// the cosines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ppmi: Option<PpmiSettings>,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl Default for CollaborativeSettings {
    fn default() -> Self {
        Self { dim: 64, length_damping: true, ppmi: None, seed: None }
    }
}

/// What counts as near, and how much more than chance is enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PpmiSettings {
    /// Places between two items that are near each other, at most; 1 is the next.
    #[schemars(range(min = 1, max = 1_000))]
    pub window: u32,
    /// How many times as often as by chance two items must be near each other to count. In word2vec, the number of
    /// negatives.
    #[schemars(range(min = 1.0, max = 1_000.0))]
    pub shift: f64,
}

impl Default for PpmiSettings {
    fn default() -> Self {
        Self { window: 5, shift: 1.0 }
    }
}
