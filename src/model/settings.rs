//! Settings of decoders.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::Source;

/// A decoder language model whose tokenizer is extended with an identifier's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelSettings {
    /// A Qwen3-architecture decoder from scratch, with a byte-level BPE trained on the corpus.
    Scratch(ScratchSettings),
    /// A Qwen3, Qwen2 or Llama decoder in a local folder of Hugging Face's layout.
    Pretrained(PretrainedSettings),
}

impl ModelSettings {
    /// Names of the identifiers that the model generates, in the order of its tokens.
    pub fn identifiers(&self) -> Vec<&str> {
        let (one, several) = match self {
            Self::Scratch(settings) => (&settings.identifier, &settings.identifiers),
            Self::Pretrained(settings) => (&settings.identifier, &settings.identifiers),
        };
        one.iter().chain(several.iter().flatten()).map(String::as_str).collect()
    }

    /// What the rows of new tokens begin with.
    pub fn rows(&self) -> NewRows {
        match self {
            Self::Scratch(settings) => NewRows::of(settings.init.as_deref(), settings.rows),
            Self::Pretrained(settings) => NewRows::of(settings.init.as_deref(), settings.rows),
        }
    }

    /// Longest query in tokens.
    pub fn prompt_tokens(&self) -> u32 {
        match self {
            Self::Scratch(settings) => settings.prompt_tokens,
            Self::Pretrained(settings) => settings.prompt_tokens,
        }
    }

    /// Items of a history that enter the prompt.
    pub fn history_items(&self) -> u32 {
        match self {
            Self::Scratch(settings) => settings.history_items,
            Self::Pretrained(settings) => settings.history_items,
        }
    }
}

/// Type in which weights are stored; all arithmetic on a CPU is done in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightType {
    /// Four bytes per value.
    F32,
    /// Two bytes: the exponent of `f32`, eight bits of precision.
    Bf16,
    /// Two bytes: eleven bits of precision, largest value 65,504.
    F16,
}

/// A decoder in a local folder: `config.json`, weights as safetensors (one file or shards), and
/// `tokenizer.json` or `vocab.json` with `merges.txt`. Sampling settings of the folder
/// (`generation_config.json`) are not used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PretrainedSettings {
    /// The folder.
    #[schemars(extend("x-key" = false))]
    pub path: Source,
    /// Name of the `[identifier.NAME]` whose tokens are added to the vocabulary; either this or
    /// `identifiers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub identifier: Option<String>,
    /// Names of several `[identifier.NAME]`, in each of which the model learns to answer; `[]` for a model that only
    /// encodes, which a training with objective contrastive trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub identifiers: Option<Vec<String>>,
    /// Name of a `[[train]]` with objective contrastive, of a model from the same `path`, whose weights this one starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub init: Option<String>,
    /// What the rows of the identifier's tokens begin with. Left out: `centroids` beside `init`, else `mean`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<NewRows>,
    /// Folder of a LoRA adapter in PEFT's format that is merged into the weights first.
    #[serde(default)]
    #[schemars(extend("x-key" = false))]
    pub adapter: Option<Source>,
    /// Type in which weights are stored from here on; by default that of the folder.
    #[serde(default)]
    pub dtype: Option<WeightType>,
    /// How a request becomes a prompt.
    #[serde(default)]
    pub prompt: PromptKind,
    /// System message of a chat; none by default.
    #[serde(default)]
    pub system: Option<String>,
    /// What is asked, as a template in Jinja's syntax with `query` (text, or none) and `history` (a list of
    /// identifiers, oldest first, may be empty). The text of a query never becomes a special token.
    #[serde(default = "default_ask")]
    pub ask: String,
    /// Longest query in tokens; longer ones are cut and counted.
    #[serde(default = "default_prompt")]
    #[schemars(range(min = 4, max = 32_768))]
    pub prompt_tokens: u32,
    /// Items of a history that enter the prompt, newest last.
    #[serde(default = "default_history")]
    #[schemars(range(min = 1, max = 1_000))]
    pub history_items: u32,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

/// What the rows of an identifier's tokens begin with, of the embedding and of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NewRows {
    /// The mean of the other rows, with a little noise.
    Mean,
    /// The centroids of their codes, so that the head's logits are inner products of a request with them. The head is then a
    /// table of its own.
    Centroids,
}

impl NewRows {
    /// What is given, or what suits where the weights come from.
    pub fn of(init: Option<&str>, given: Option<Self>) -> Self {
        given.unwrap_or(if init.is_some() { Self::Centroids } else { Self::Mean })
    }
}

/// How the vectors of a text's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first: that of the token that stands before every text.
    Cls,
    /// The largest number of each place.
    Max,
    /// Their sum, divided by the square root of their number.
    MeanSqrtLen,
    /// Their mean, the n-th of them counting n times.
    WeightedMean,
    /// The last.
    Last,
}

/// How the final hidden states of a decoder over a text become one vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenPooling {
    /// Their mean.
    #[default]
    Mean,
    /// The last: the only one that has seen the whole text.
    Last,
}

/// How a request becomes a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptKind {
    /// `ask` as the user's turn of the folder's own chat template; the identifier is the assistant's.
    #[default]
    Chat,
    /// `ask` as it is, behind the token that begins a text where the folder names one.
    Plain,
}

fn default_ask() -> String {
    "{% if history %}Items so far: {{ history | join(\" \") }}\n{% endif %}\
     {% if query %}Search query: {{ query }}\n{% endif %}Next item:"
        .into()
}

/// A low-rank adapter (LoRA, arXiv 2106.09685): the weights stay as they are, small matrices beside them train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSettings {
    /// Rank of the matrices.
    #[schemars(range(min = 1, max = 4_096))]
    pub rank: u32,
    /// The product is scaled by `alpha / rank`.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub alpha: f64,
    /// Share of the adapter's inputs that a training step drops.
    #[schemars(range(min = 0.0, max = 0.95))]
    pub dropout: f64,
    /// Projections of every layer that are adapted.
    pub targets: Vec<LoraTarget>,
    /// Scale by `alpha / sqrt(rank)` instead (rsLoRA, arXiv 2312.03732).
    pub rank_stabilized: bool,
    /// Whether the embedding rows of the identifier's tokens train as well; no other row ever does.
    pub train_new_tokens: bool,
}

impl Default for LoraSettings {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            dropout: 0.0,
            targets: LoraTarget::ALL.to_vec(),
            rank_stabilized: false,
            train_new_tokens: true,
        }
    }
}

/// A projection of a decoder's layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LoraTarget {
    /// Queries.
    #[serde(rename = "q_proj")]
    Q,
    /// Keys.
    #[serde(rename = "k_proj")]
    K,
    /// Values.
    #[serde(rename = "v_proj")]
    V,
    /// Output of attention.
    #[serde(rename = "o_proj")]
    O,
    /// Gate of the feed-forward.
    #[serde(rename = "gate_proj")]
    Gate,
    /// Input of the feed-forward.
    #[serde(rename = "up_proj")]
    Up,
    /// Output of the feed-forward.
    #[serde(rename = "down_proj")]
    Down,
}

impl LoraTarget {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Name of the module in a layer.
    pub fn module(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }
}

/// Shape of a Qwen3-architecture decoder that starts from random weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScratchSettings {
    /// Name of the `[identifier.NAME]` whose tokens the model generates; either this or
    /// `identifiers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub identifier: Option<String>,
    /// Names of several `[identifier.NAME]`, in each of which the model learns to answer; `[]` for a model that only
    /// encodes, which a training with objective contrastive trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub identifiers: Option<Vec<String>>,
    /// Name of a `[[train]]` with objective contrastive whose weights, shape and vocabulary this one starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub init: Option<String>,
    /// What the rows of the identifier's tokens begin with. Left out: `centroids` beside `init`, else `mean`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<NewRows>,
    /// Entries of the byte-level BPE vocabulary, before identifier tokens are added.
    #[serde(default = "default_vocabulary")]
    #[schemars(range(min = 300, max = 200_000))]
    pub vocabulary: u32,
    /// Number of layers.
    #[serde(default = "default_layers")]
    #[schemars(range(min = 1, max = 200))]
    pub layers: u32,
    /// Width of the residual stream.
    #[serde(default = "default_hidden")]
    #[schemars(range(min = 8, max = 16_384))]
    pub hidden: u32,
    /// Attention heads.
    #[serde(default = "default_heads")]
    #[schemars(range(min = 1, max = 256))]
    pub heads: u32,
    /// Key-value heads; divides `heads`. By default equal to `heads`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 256))]
    pub kv_heads: Option<u32>,
    /// Width of one head; even. By default `hidden / heads`.
    #[serde(default)]
    #[schemars(range(min = 2, max = 1024))]
    pub head_dim: Option<u32>,
    /// Width of the SwiGLU feed-forward. By default 8/3 of `hidden`, rounded up to a multiple of 32.
    #[serde(default)]
    #[schemars(range(min = 8))]
    pub ffn: Option<u32>,
    /// Longest prompt in tokens, identifier excluded; longer ones are cut and counted.
    #[serde(default = "default_prompt")]
    #[schemars(range(min = 4, max = 32_768))]
    pub prompt_tokens: u32,
    /// Items of a history that enter the prompt, newest last.
    #[serde(default = "default_history")]
    #[schemars(range(min = 1, max = 1_000))]
    pub history_items: u32,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

fn default_vocabulary() -> u32 {
    2_000
}

fn default_layers() -> u32 {
    4
}

fn default_hidden() -> u32 {
    128
}

fn default_heads() -> u32 {
    4
}

fn default_prompt() -> u32 {
    128
}

fn default_history() -> u32 {
    20
}
