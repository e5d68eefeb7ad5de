//! The shape of a decoder, in the field names of Hugging Face's `config.json`.
//!
//! Knows the architecture's constraints and the names and shapes of its parameters, not their values.

mod family;
mod file;
mod keys;
mod rope;

use std::path::Path;

use candle_core::DType;
use serde::Serialize;

pub use family::Family;
pub use rope::{RopeScaling, frequencies};

use crate::error::{Error, Result};
use crate::model::keys::read_object;
use crate::model::parameters::ParameterSpec;
use crate::model::settings::{ScratchSettings, WeightType};

/// Positions for the tokens that frame query, history and answer.
const FRAME_POSITIONS: usize = 8;
/// Most positions that are used: their tables take 128 MiB at a `head_dim` of 128.
const MOST_POSITIONS: usize = 1 << 18;

/// A decoder of one of the supported families.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "file::ConfigFile")]
pub struct DecoderConfig {
    /// Architecture.
    pub family: Family,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key-value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Added to the mean square in normalizations.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding.
    pub rope_theta: f64,
    /// Stretching of the rotary embedding.
    pub rope_scaling: Option<RopeScaling>,
    /// Whether the output head is the embedding.
    pub tie_word_embeddings: bool,
    /// Whether queries, keys and values carry a bias.
    pub qkv_bias: bool,
    /// Whether the output projection of attention carries a bias.
    pub out_bias: bool,
    /// Whether the projections of the feed-forward carry a bias.
    pub mlp_bias: bool,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Token that begins a text, if any.
    pub bos_token_id: Option<u32>,
    /// Tokens that end an answer.
    pub eos_token_ids: Vec<u32>,
    /// Token that fills short rows.
    pub pad_token_id: Option<u32>,
    /// Type of the stored weights.
    pub dtype: WeightType,
    /// Fields of a file that this program does not read, kept for whoever does.
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl WeightType {
    /// The type of a `torch_dtype`.
    fn of_torch(name: &str) -> Option<Self> {
        match name {
            "float32" => Some(Self::F32),
            "bfloat16" => Some(Self::Bf16),
            "float16" => Some(Self::F16),
            _ => None,
        }
    }

    fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }

    /// The type in tensors.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// Bytes per value.
    pub fn bytes(self) -> usize {
        self.dtype().size_in_bytes()
    }
}

impl DecoderConfig {
    /// The decoder that a recipe describes, for identifiers of at most `identifier_tokens` tokens
    /// and a tokenizer of `vocab_size` entries: Qwen3's architecture.
    ///
    /// # Errors
    /// [`Error::Recipe`] when the sizes do not fit each other.
    pub fn from_scratch(
        settings: &ScratchSettings,
        identifier_tokens: usize,
        vocab_size: usize,
        pad: u32,
        end: u32,
    ) -> Result<Self> {
        let hidden = settings.hidden as usize;
        let heads = settings.heads as usize;
        let head_dim = match settings.head_dim {
            Some(head_dim) => head_dim as usize,
            None if heads > 0 && hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                return Err(Error::Recipe(format!(
                    "model: heads = {heads} does not divide hidden = {hidden}; change one, or set head_dim"
                )));
            }
        };
        let ffn = settings.ffn.map_or((hidden * 8 / 3).next_multiple_of(32), |ffn| ffn as usize);
        let history = (settings.history_items as usize + 1) * identifier_tokens;
        let positions = settings.prompt_tokens as usize + history + FRAME_POSITIONS;
        let config = Self {
            family: Family::Qwen3,
            vocab_size,
            hidden_size: hidden,
            intermediate_size: ffn,
            num_hidden_layers: settings.layers as usize,
            num_attention_heads: heads,
            num_key_value_heads: settings.kv_heads.unwrap_or(settings.heads) as usize,
            head_dim,
            max_position_embeddings: positions.next_power_of_two(),
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            rope_scaling: None,
            tie_word_embeddings: true,
            qkv_bias: false,
            out_bias: false,
            mlp_bias: false,
            initializer_range: 0.02,
            bos_token_id: None,
            eos_token_ids: vec![end],
            pad_token_id: Some(pad),
            dtype: WeightType::F32,
            other: serde_json::Map::new(),
        };
        match config.faults().first() {
            Some(fault) => Err(Error::Recipe(format!("model: {fault}"))),
            None => Ok(config),
        }
    }

    /// Reads `config.json`.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, malformed, or describes what this program cannot run.
    pub fn read(path: &Path) -> Result<Self> {
        let object = read_object(path, "a decoder configuration")?;
        file::config_of(object).map_err(|faults| Error::data(path, faults.join("; ")))
    }

    /// Positions that a text can have: no more than tables are worth for, however many a model claims.
    pub fn positions(&self) -> usize {
        self.max_position_embeddings.min(MOST_POSITIONS)
    }

    /// What makes the configuration impossible.
    fn faults(&self) -> Vec<String> {
        // Beyond any model: so that nothing is listed, multiplied or allocated by a number that was mistyped.
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 27),
            ("hidden_size", self.hidden_size, 1 << 20),
            ("intermediate_size", self.intermediate_size, 1 << 22),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 12),
            ("num_attention_heads", self.num_attention_heads, 1 << 14),
            ("num_key_value_heads", self.num_key_value_heads, 1 << 14),
            ("head_dim", self.head_dim, 1 << 14),
            ("max_position_embeddings", self.max_position_embeddings, usize::MAX),
        ];
        let mut faults = size_faults(&sizes);
        if faults.is_empty() && self.num_attention_heads * self.head_dim > 1 << 20 {
            faults.push(format!(
                "{} heads of {} are wider than any that is read",
                self.num_attention_heads, self.head_dim
            ));
        }
        if self.num_key_value_heads > 0
            && !self.num_attention_heads.is_multiple_of(self.num_key_value_heads)
        {
            faults.push(format!(
                "{} key-value heads do not divide {} heads",
                self.num_key_value_heads, self.num_attention_heads
            ));
        }
        if self.head_dim % 2 == 1 {
            faults.push(format!("head_dim is {}, expected an even number", self.head_dim));
        }
        for (name, value) in [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_theta)]
        {
            if !(value.is_finite() && value > 0.0) {
                faults.push(format!("{name} is {value}, expected a positive number"));
            }
        }
        faults
    }

    /// Every parameter, sorted by name.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let (hidden, ffn, dim) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * dim, self.num_key_value_heads * dim);
        let mut all = vec![
            ParameterSpec::table(EMBEDDING, [self.vocab_size, hidden]),
            ParameterSpec::vector(FINAL_NORM, hidden),
        ];
        if !self.tie_word_embeddings {
            all.push(ParameterSpec::matrix(HEAD, [self.vocab_size, hidden]));
        }
        for layer in 0..self.num_hidden_layers {
            let name = |part: &str, kind: &str| format!("model.layers.{layer}.{part}.{kind}");
            let norm = |part: &str, length| ParameterSpec::vector(name(part, "weight"), length);
            all.push(norm("input_layernorm", hidden));
            all.push(norm("post_attention_layernorm", hidden));
            if self.family.has_head_norms() {
                all.push(norm("self_attn.q_norm", dim));
                all.push(norm("self_attn.k_norm", dim));
            }
            let projections = [
                ("self_attn.q_proj", q, hidden, self.qkv_bias),
                ("self_attn.k_proj", kv, hidden, self.qkv_bias),
                ("self_attn.v_proj", kv, hidden, self.qkv_bias),
                ("self_attn.o_proj", hidden, q, self.out_bias),
                ("mlp.gate_proj", ffn, hidden, self.mlp_bias),
                ("mlp.up_proj", ffn, hidden, self.mlp_bias),
                ("mlp.down_proj", hidden, ffn, self.mlp_bias),
            ];
            for (part, outer, inner, bias) in projections {
                all.push(ParameterSpec::matrix(name(part, "weight"), [outer, inner]));
                if bias {
                    all.push(ParameterSpec::vector(name(part, "bias"), outer));
                }
            }
        }
        all.sort();
        all
    }

    /// Number of trained values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(ParameterSpec::n_values).sum()
    }
}

/// What is wrong with sizes, each with its name and the most that is read.
pub(in crate::model) fn size_faults(sizes: &[(&str, usize, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, size, most) in sizes {
        if *size == 0 {
            faults.push(format!("{name} is 0, expected at least 1"));
        } else if size > most {
            faults.push(format!("{name} is {size}, expected at most {most}"));
        }
    }
    faults
}

/// Name of the token embedding.
pub const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the output head, where it is not the embedding.
pub const HEAD: &str = "lm_head.weight";
/// Name of the norm behind the last layer.
pub const FINAL_NORM: &str = "model.norm.weight";

#[cfg(test)]
pub(crate) mod tests;
