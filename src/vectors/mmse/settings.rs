//! Settings of MMSE: where text vectors and levels come from, and every part of the loss that can be left out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::settings::Pooling;
use crate::store::Source;
use crate::train::course::settings::{Course, CourseDefaults};

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
    /// Which signals say how far a shown item got.
    pub levels: MmseLevels,
    /// Channels that are fused behind the towers: 1 for text, 2 for text and a trained vector per item.
    #[schemars(range(min = 1, max = 2))]
    pub channels: u32,
    /// Most ordered items drawn per request.
    #[schemars(range(min = 0, max = 1_000))]
    pub ordered: u32,
    /// Most clicked items drawn per request.
    #[schemars(range(min = 0, max = 1_000))]
    pub clicked: u32,
    /// Most items drawn per request that were shown and neither clicked nor ordered.
    #[schemars(range(min = 0, max = 1_000))]
    pub shown: u32,
    /// Uniformly drawn items per step, shared by the batch; 0 leaves in-batch negatives alone.
    #[schemars(range(min = 0, max = 65_536))]
    pub uniform: u32,
    /// Treat ordered items as clicked ones.
    pub order_as_click: bool,
    /// Weight of an ordered item in the retrieval loss, whose mean is over the positives of a batch; that of a clicked one is 1.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub ordered_weight: f64,
    /// Weight of the retrieval loss; 0 leaves it out.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub retrieval: f64,
    /// Weight λ of the ranking loss; 0 leaves it out.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub ranking: f64,
    /// Which ranking loss.
    pub ranking_loss: RankingLoss,
    /// Temperature of the retrieval loss.
    #[schemars(range(min = 0.001, max = 10.0))]
    pub temperature: f64,
    /// Temperature of the ranking loss.
    #[schemars(range(min = 0.001, max = 10.0))]
    pub ranking_temperature: f64,
    /// Subtract the logarithm of an item's probability to be in the batch from its score in the retrieval loss.
    pub log_q: bool,
    /// How the training runs.
    #[serde(flatten)]
    pub course: Course<MmseCourse>,
    /// Share of examples that are random title substrings asking for their item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pseudo_requests: f64,
    /// Items of a history whose text stands for a request without text, newest last.
    #[schemars(range(min = 1, max = 1_000))]
    pub history_items: u32,
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
            levels: MmseLevels::Impressions {},
            channels: 1,
            ordered: 1,
            clicked: 2,
            shown: 4,
            uniform: 512,
            order_as_click: false,
            ordered_weight: 2.0,
            retrieval: 1.0,
            ranking: 0.1,
            ranking_loss: RankingLoss::Pairwise,
            temperature: 0.07,
            ranking_temperature: 0.1,
            log_q: true,
            course: Course::default(),
            pseudo_requests: 0.3,
            history_items: 5,
            seed: None,
        }
    }
}

/// Positives drawn per request, at most.
pub(super) struct Places {
    pub(super) ordered: usize,
    pub(super) clicked: usize,
}

impl MmseSettings {
    /// How many are drawn; where orders count as clicks, the places of both are for clicks.
    pub(super) fn places(&self) -> Places {
        let (ordered, clicked) = (self.ordered as usize, self.clicked as usize);
        match self.order_as_click {
            true => Places { ordered: 0, clicked: ordered + clicked },
            false => Places { ordered, clicked },
        }
    }

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

/// Which signals say how far a shown item got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MmseLevels {
    /// Orders and clicks (or what was put into the cart) of impressions.
    Impressions {},
    /// Grades of judged pairs, which stand in for behavior.
    Grades {
        /// Lowest grade that counts as ordered.
        ordered: f64,
        /// Lowest grade that counts as clicked; lower ones count as shown.
        clicked: f64,
    },
}

/// How items of one request are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RankingLoss {
    /// Every pair of items of different levels, by a logistic loss.
    Pairwise,
    /// As pairwise, each pair weighted by what swapping it changes in NDCG (LambdaRank).
    Lambda,
    /// Ordered over all others, clicked and better over all others, shown over random, random items among the others of each
    /// (arXiv 2305.13647).
    Listwise,
}
