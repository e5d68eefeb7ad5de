//! The shape of a decoder, in the field names of Hugging Face's `config.json` for Qwen3.
//!
//! Knows the architecture's constraints and the names and shapes of its parameters, not their values.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::settings::ScratchSettings;

/// Positions for the tokens that frame query, history and answer.
const FRAME_POSITIONS: usize = 8;

/// `config.json` of a Qwen3 decoder (arXiv:2505.09388); other fields of a file are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecoderConfig {
    /// Class that `transformers` builds: `["Qwen3ForCausalLM"]`.
    pub architectures: Vec<String>,
    /// Family: `qwen3`.
    pub model_type: String,
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
    /// Whether the output head is the embedding.
    pub tie_word_embeddings: bool,
    /// Activation of the gate: `silu`.
    pub hidden_act: String,
    /// Whether projections carry a bias: not supported, always false.
    #[serde(default)]
    pub attention_bias: bool,
    /// Dropout on attention probabilities; always 0 here.
    #[serde(default)]
    pub attention_dropout: f64,
    /// Whether some layers see a window only: not supported, always false.
    #[serde(default)]
    pub use_sliding_window: bool,
    /// Width of that window.
    #[serde(default)]
    pub sliding_window: Option<usize>,
    /// First layer with a window.
    #[serde(default)]
    pub max_window_layers: usize,
    /// Stretching of the rotary embedding: not supported, always null.
    #[serde(default)]
    pub rope_scaling: Option<serde_json::Value>,
    /// Standard deviation of fresh weights.
    #[serde(default = "default_range")]
    pub initializer_range: f64,
    /// Token that begins a text, if any.
    #[serde(default)]
    pub bos_token_id: Option<u32>,
    /// Token that ends an answer.
    #[serde(default)]
    pub eos_token_id: Option<u32>,
    /// Token that fills short rows.
    #[serde(default)]
    pub pad_token_id: Option<u32>,
    /// Whether generation keeps keys and values.
    #[serde(default)]
    pub use_cache: bool,
    /// Type of the stored weights.
    #[serde(default = "default_dtype")]
    pub torch_dtype: String,
}

fn default_range() -> f64 {
    0.02
}

fn default_dtype() -> String {
    "float32".into()
}

impl DecoderConfig {
    /// The decoder that a recipe describes, for identifiers of at most `identifier_tokens` tokens
    /// and a tokenizer of `vocab_size` entries.
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
            architectures: vec!["Qwen3ForCausalLM".into()],
            model_type: "qwen3".into(),
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
            tie_word_embeddings: true,
            hidden_act: "silu".into(),
            attention_bias: false,
            attention_dropout: 0.0,
            use_sliding_window: false,
            sliding_window: None,
            max_window_layers: settings.layers as usize,
            rope_scaling: None,
            initializer_range: default_range(),
            bos_token_id: None,
            eos_token_id: Some(end),
            pad_token_id: Some(pad),
            use_cache: true,
            torch_dtype: default_dtype(),
        };
        config.fault().map_or(Ok(config), |fault| Err(Error::Recipe(format!("model: {fault}"))))
    }

    /// Reads `config.json`.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, malformed, or describes what this program cannot run.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))?;
        let config: Self = serde_json::from_str(&text).map_err(|e| {
            Error::data_at(path, e.line() as u64, format!("not a decoder configuration: {e}"))
        })?;
        config.fault().map_or(Ok(config), |fault| Err(Error::data(path, fault)))
    }

    /// What makes the configuration impossible or unsupported.
    fn fault(&self) -> Option<String> {
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
        if let Some((name, _)) = positive.iter().find(|(_, n)| *n == 0) {
            return Some(format!("{name} is 0, expected at least 1"));
        }
        if self.model_type != "qwen3" {
            return Some(format!("model_type is `{}`, expected `qwen3`", self.model_type));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Some(format!(
                "{} key-value heads do not divide {} heads",
                self.num_key_value_heads, self.num_attention_heads
            ));
        }
        if self.head_dim % 2 == 1 {
            return Some(format!("head_dim is {}, expected an even number", self.head_dim));
        }
        if self.hidden_act != "silu" {
            return Some(format!("hidden_act is `{}`, expected `silu`", self.hidden_act));
        }
        let unsupported = [
            ("attention_bias", self.attention_bias),
            ("use_sliding_window", self.use_sliding_window),
            ("rope_scaling", self.rope_scaling.as_ref().is_some_and(|v| !v.is_null())),
        ];
        let set = unsupported.iter().find(|(_, set)| *set);
        set.map(|(name, _)| format!("{name} is set, which is not supported"))
    }

    /// Name and shape of every parameter, sorted by name; matrices are `[out, in]`.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, ffn, dim) = (self.hidden_size, self.intermediate_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * dim, self.num_key_value_heads * dim);
        let mut all = vec![
            ("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, hidden]),
            ("model.norm.weight".to_owned(), vec![hidden]),
        ];
        if !self.tie_word_embeddings {
            all.push(("lm_head.weight".to_owned(), vec![self.vocab_size, hidden]));
        }
        for layer in 0..self.num_hidden_layers {
            let parts = [
                ("input_layernorm", vec![hidden]),
                ("post_attention_layernorm", vec![hidden]),
                ("self_attn.q_proj", vec![q, hidden]),
                ("self_attn.k_proj", vec![kv, hidden]),
                ("self_attn.v_proj", vec![kv, hidden]),
                ("self_attn.o_proj", vec![hidden, q]),
                ("self_attn.q_norm", vec![dim]),
                ("self_attn.k_norm", vec![dim]),
                ("mlp.gate_proj", vec![ffn, hidden]),
                ("mlp.up_proj", vec![ffn, hidden]),
                ("mlp.down_proj", vec![hidden, ffn]),
            ];
            all.extend(
                parts.map(|(part, shape)| (format!("model.layers.{layer}.{part}.weight"), shape)),
            );
        }
        all.sort();
        all
    }

    /// Number of trained values.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// A small decoder with shared key-value heads, for tests of this folder.
    pub(crate) fn small(vocab: usize) -> DecoderConfig {
        let settings = ScratchSettings {
            identifier: "sid".into(),
            vocabulary: 300,
            layers: 2,
            hidden: 24,
            heads: 4,
            kv_heads: Some(2),
            head_dim: Some(8),
            ffn: Some(40),
            prompt_tokens: 16,
            history_items: 1,
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
        let llama = text.replace("\"qwen3\"", "\"llama\"");
        assert!(message(&llama).contains("model_type is `llama`, expected `qwen3`"));
        assert!(message("{").contains("config.json:1: not a decoder configuration"));
        std::fs::write(&path, &text).unwrap();
        assert_eq!(DecoderConfig::read(&path).unwrap(), small(50));
    }
}
