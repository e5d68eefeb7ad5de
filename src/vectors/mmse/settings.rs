//! Settings of MMSE: where text vectors and levels come from, and every part of the loss that can be left out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::settings::Pooling;
use crate::store::Source;
use crate::train::course::settings::{Course, CourseDefaults};
use crate::train::objective::contrastive::settings::Contrast;

pub use crate::train::objective::contrastive::settings::{MmseLevels, RankingLoss};

/// Defaults of the training of MMSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MmseCourse;

impl CourseDefaults for MmseCourse {
    const EPOCHS: f64 = 5.0;
    const BATCH: u32 = 256;
    const CHECKPOINT_STEPS: u32 = 500;
    const METRIC: &'static str = "recall@10";
}

/// Two towers trained on ordered, clicked, shown and random items at once: a retrieval loss against all items and a
/// ranking loss within a request (MMSE, arXiv 2303.11009). The positives of the other requests of a step are negatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
// `flatten` excludes `deny_unknown_fields`; the schema, by which recipes are read, refuses them all the same.
#[schemars(extend("additionalProperties" = false))]
pub struct MmseSettings {
    /// Name of a `[[train]]` of this kind whose table this is: no other key is given then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub train: Option<String>,
    /// Name of a `[[train]]` of this kind whose weights this one starts from; its `text` and `channels` are taken over. By
    /// default it starts from what `text` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub init: Option<String>,
    /// What turns a text into a vector.
    pub text: MmseText,
    /// Channels that are fused behind the towers: 1 for text, 2 for text and a trained vector per item.
    #[schemars(range(min = 1, max = 2))]
    pub channels: u32,
    /// What is compared with what.
    #[serde(flatten)]
    pub contrast: Contrast,
    /// How the training runs.
    #[serde(flatten)]
    pub course: Course<MmseCourse>,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl Default for MmseSettings {
    fn default() -> Self {
        Self {
            train: None,
            init: None,
            text: MmseText::Bag {
                dim: default_dim(),
                vocabulary: default_vocabulary(),
                ngrams: default_ngrams(),
                buckets: default_buckets(),
            },
            channels: 1,
            contrast: Contrast::default(),
            course: Course::default(),
            seed: None,
        }
    }
}

impl MmseSettings {
    /// Name of the vectors whose encoder is taken, where one is.
    pub fn base(&self) -> Option<&String> {
        match &self.text {
            MmseText::Vectors { vectors } => Some(vectors),
            MmseText::Bag { .. } | MmseText::Transformer { .. } | MmseText::Pretrained(_) => None,
        }
    }
}

/// What turns a text into a vector; both towers share it and have a feed-forward layer of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MmseText {
    /// The mean of the embeddings of the text's tokens and of sequences of them, from scratch.
    Bag {
        /// Width of the embeddings.
        #[serde(default = "default_dim")]
        #[schemars(range(min = 2, max = 8_192))]
        dim: u32,
        /// Entries of the byte-level BPE vocabulary.
        #[serde(default = "default_vocabulary")]
        #[schemars(range(min = 300, max = 200_000))]
        vocabulary: u32,
        /// Longest sequence of neighboring tokens that has an embedding; 1 means tokens alone.
        #[serde(default = "default_ngrams")]
        #[schemars(range(min = 1, max = 5))]
        ngrams: u32,
        /// Embeddings that sequences of two tokens and more share, by a hash.
        #[serde(default = "default_buckets")]
        #[schemars(range(min = 1, max = 10_000_000))]
        buckets: u32,
    },
    /// A small transformer, from scratch.
    Transformer {
        /// Width.
        #[serde(default = "default_dim")]
        #[schemars(range(min = 2, max = 8_192))]
        dim: u32,
        /// Layers.
        #[serde(default = "default_layers")]
        #[schemars(range(min = 1, max = 64))]
        layers: u32,
        /// Attention heads; divides `dim`.
        #[serde(default = "default_heads")]
        #[schemars(range(min = 1, max = 128))]
        heads: u32,
        /// Entries of the byte-level BPE vocabulary.
        #[serde(default = "default_vocabulary")]
        #[schemars(range(min = 300, max = 200_000))]
        vocabulary: u32,
        /// Longest text in tokens.
        #[serde(default = "default_max_tokens")]
        #[schemars(range(min = 4, max = 4_096))]
        max_tokens: u32,
    },
    /// The encoder of another `[vectors.NAME]` of kind encoder, as it is: its item vectors are there already.
    Vectors {
        /// Its name.
        #[schemars(extend("x-key" = false))]
        vectors: String,
    },
    /// A local folder of sentence-transformers.
    Pretrained(PretrainedText),
}

/// A pretrained text encoder as the beginning of both towers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PretrainedText {
    /// The folder.
    #[schemars(extend("x-key" = false))]
    pub path: Source,
    /// Whether its weights train too, and not only the layers behind it.
    #[serde(default)]
    pub train: bool,
    /// How token vectors become one, for a folder that does not say so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Longest text in tokens. Left out: what the folder says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 32_768))]
    pub max_tokens: Option<u32>,
    /// Put before the text of a request, for models that were trained so.
    #[serde(default)]
    pub query_prefix: String,
    /// Put before the text of an item, for models that were trained so.
    #[serde(default)]
    pub item_prefix: String,
}

fn default_dim() -> u32 {
    128
}

fn default_vocabulary() -> u32 {
    8_000
}

fn default_ngrams() -> u32 {
    1
}

fn default_buckets() -> u32 {
    50_000
}

fn default_layers() -> u32 {
    2
}

fn default_heads() -> u32 {
    4
}

fn default_max_tokens() -> u32 {
    64
}
