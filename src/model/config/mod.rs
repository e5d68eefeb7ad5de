//! The shape of a decoder, in the field names of Hugging Face's `config.json`.
//!
//! Knows the architecture's constraints and the names and shapes of its parameters, not their values.

mod family;
mod file;
mod rope;

use std::path::Path;

use candle_core::DType;
use serde::Serialize;

pub use family::Family;
pub use rope::{RopeScaling, frequencies};

use crate::error::{Error, Result};
use crate::model::parameters::ParameterSpec;
use crate::model::settings::{ScratchSettings, WeightType};

/// Positions for the tokens that frame query, history and answer.
const FRAME_POSITIONS: usize = 8;

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
        let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))?;
        let file: file::ConfigFile = serde_json::from_str(&text).map_err(|e| {
            Error::data_at(path, e.line() as u64, format!("not a decoder configuration: {e}"))
        })?;
        file.into_config().map_err(|faults| Error::data(path, faults.join("; ")))
    }

    /// What makes the configuration impossible.
    fn faults(&self) -> Vec<String> {
        let positive = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        let zero = positive.iter().filter(|(_, n)| *n == 0);
        let mut faults: Vec<String> =
            zero.map(|(name, _)| format!("{name} is 0, expected at least 1")).collect();
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

/// Name of the token embedding.
pub const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the output head, where it is not the embedding.
pub const HEAD: &str = "lm_head.weight";
/// Name of the norm behind the last layer.
pub const FINAL_NORM: &str = "model.norm.weight";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// A small decoder with shared key-value heads, for tests of this folder.
    pub(crate) fn small(vocab: usize) -> DecoderConfig {
        let settings = ScratchSettings {
            identifier: Some("sid".into()),
            identifiers: None,
            vocabulary: 300,
            layers: 2,
            hidden: 24,
            heads: 4,
            kv_heads: Some(2),
            head_dim: Some(8),
            ffn: Some(40),
            prompt_tokens: 16,
            history_items: 1,
            seed: None,
        };
        DecoderConfig::from_scratch(&settings, 4, vocab, 0, 1).unwrap()
    }

    #[test]
    fn parameters_are_counted_by_hand() {
        let config = small(50);
        let layer = 24 * 2 + 8 * 2 + 24 * 32 * 2 + 24 * 16 * 2 + 24 * 40 * 3;
        assert_eq!(config.parameter_count(), 50 * 24 + 24 + 2 * layer);
        let untied = DecoderConfig { tie_word_embeddings: false, ..config };
        assert_eq!(untied.parameter_count(), 2 * 50 * 24 + 24 + 2 * layer);
        assert!(untied.parameters().is_sorted());
    }

    #[test]
    fn impossible_shapes_are_named() {
        let text = serde_json::to_string(&small(50)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let message = |text: &str| {
            std::fs::write(&path, text).unwrap();
            DecoderConfig::read(&path).unwrap_err().to_string()
        };
        let odd = text.replace("\"head_dim\":8", "\"head_dim\":7");
        assert!(message(&odd).contains("head_dim is 7, expected an even number"));
        let gpt = text.replace("\"qwen3\"", "\"gpt2\"");
        let told = message(&gpt);
        assert!(
            told.contains(
                "`gpt2`, which is not supported; supported are `qwen3`, `qwen2`, `llama`"
            ),
            "{told}"
        );
        let windowed = text.replace(
            "\"use_cache\"",
            "\"use_sliding_window\":true,\"sliding_window\":4,\"use_cache\"",
        );
        let both = windowed.replace("\"silu\"", "\"gelu\"").replace("\"float32\"", "\"int8\"");
        let told = message(&both);
        for fault in ["windowed attention", "hidden_act is `gelu`", "torch_dtype is `int8`"] {
            assert!(told.contains(fault), "{told}");
        }
        let yarn = text.replace(
            "\"rope_scaling\":null",
            "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0}",
        );
        assert!(message(&yarn).contains("rope_scaling of type `yarn` is not supported"));
        assert!(message("{").contains("config.json:1: not a decoder configuration"));
        std::fs::write(&path, &text).unwrap();
        assert_eq!(DecoderConfig::read(&path).unwrap(), small(50));
    }

    #[test]
    fn both_spellings_of_a_file_give_the_same_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let common = r#""vocab_size":50,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,
            "num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":64,"hidden_act":"silu",
            "eos_token_id":[1,2],"pretraining_tp":1"#;
        let read = |rest: &str| {
            std::fs::write(&path, format!("{{{common},{rest}}}")).unwrap();
            DecoderConfig::read(&path).unwrap()
        };
        let scaling = r#""rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
            "original_max_position_embeddings":32"#;
        let four = read(&format!(
            r#""model_type":"llama","rope_theta":500000.0,"rope_scaling":{{{scaling}}},"torch_dtype":"bfloat16""#
        ));
        let five = read(&format!(
            r#""model_type":"llama","rope_parameters":{{"rope_theta":500000.0,{scaling}}},"dtype":"bfloat16""#
        ));
        assert_eq!(four, five);
        assert_eq!((four.head_dim, four.eos_token_ids.as_slice()), (6, [1, 2].as_slice()));
        assert_eq!(four.dtype, WeightType::Bf16);
        assert!(matches!(four.rope_scaling, Some(RopeScaling::Llama3 { .. })));
        // What is written reads back equal, fields we do not know included.
        let text = serde_json::to_string(&four).unwrap();
        assert!(text.contains("pretraining_tp"));
        std::fs::write(&path, text).unwrap();
        assert_eq!(DecoderConfig::read(&path).unwrap(), four);
        let qwen2 = read(r#""model_type":"qwen2","tie_word_embeddings":true"#);
        assert!(qwen2.qkv_bias && !qwen2.out_bias && !qwen2.family.has_head_norms());
        let names: Vec<String> = qwen2.parameters().into_iter().map(|spec| spec.name).collect();
        assert!(names.contains(&"model.layers.1.self_attn.k_proj.bias".to_owned()));
        assert!(!names.iter().any(|name| name.contains("o_proj.bias") || name.contains("q_norm")));
    }
}
