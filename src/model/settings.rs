//! Settings of decoders.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A decoder language model whose tokenizer is extended with an identifier's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelSettings {
    /// A Qwen3-architecture decoder from scratch, with a byte-level BPE trained on the corpus.
    Scratch(ScratchSettings),
}

/// Shape of a Qwen3-architecture decoder that starts from random weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScratchSettings {
    /// Name of the `[identifier.NAME]` whose tokens the model generates.
    pub identifier: String,
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
