//! Jina BERT (arXiv:2310.19923): BERT with slopes instead of positions (ALiBi, arXiv:2108.12409) and gates.

use candle_nn::Activation;
use candle_transformers::models::jina_bert::{Config, PositionEmbeddingType};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Described, Design};
use crate::model::config::size_faults;
use crate::model::encoder::config::{epsilon_fault, heads_fault};
use crate::model::encoder::keys::{NO_QUANTIZATION, OF_WEIGHTS};
use crate::model::keys::{COMMON, Is, Keys, only, read};
use crate::model::parameters::ParameterSpec;

/// `config.json` of Jina BERT.
pub(in crate::model::encoder) const JINA_KEYS: Keys = Keys {
    keys: &[
        read("model_type", Is::Text, "`bert`"),
        read("vocab_size", Is::Count, "rows of the embedding"),
        read("hidden_size", Is::Count, "width"),
        read("intermediate_size", Is::Count, "width of the feed-forward"),
        read("num_hidden_layers", Is::Count, "layers; the weights must hold them"),
        read("num_attention_heads", Is::Count, "divides the width"),
        read("max_position_embeddings", Is::Count, "longest text"),
        read("type_vocab_size", Is::Count, "kinds of text; the first is used"),
        read("layer_norm_eps", Is::Number, "of the norms"),
        only("position_embedding_type", &["\"alibi\""], "with another, the file is BERT's"),
        only("feed_forward_type", &["\"geglu\""], "no other gate is computed; must be said"),
        only("hidden_act", &["\"gelu\""], "no other activation is computed"),
        only("is_decoder", &["false"], "a token sees all others"),
        only("is_encoder_decoder", &["false"], "there is no decoder"),
        only("add_cross_attention", &["false"], "there is no decoder"),
        NO_QUANTIZATION,
    ],
    harmless: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        COMMON[3],
        COMMON[4],
        OF_WEIGHTS,
        ("since a pooling of the folder does it", &["emb_pooler"]),
        ("since it is the tokenizer's to say", &["model_max_length", "pad_token_id"]),
        ("since its network is computed here, and no program is run", &["auto_map"]),
    ],
    others_are_harmless: false,
};

#[derive(Deserialize)]
struct File {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    #[serde(rename = "feed_forward_type")]
    _feed_forward_type: String,
    #[serde(rename = "hidden_act")]
    _hidden_act: String,
}

pub(super) fn described(object: Map<String, Value>) -> Result<Described, Vec<String>> {
    let file: File = JINA_KEYS.read(object)?;
    let mut faults = size_faults(&[
        ("vocab_size", file.vocab_size, 1 << 27),
        ("hidden_size", file.hidden_size, 1 << 20),
        ("intermediate_size", file.intermediate_size, 1 << 22),
        ("num_hidden_layers", file.num_hidden_layers, 1 << 12),
        ("num_attention_heads", file.num_attention_heads, 1 << 14),
        ("max_position_embeddings", file.max_position_embeddings, 1 << 22),
        ("type_vocab_size", file.type_vocab_size, 1 << 10),
    ]);
    faults.extend(heads_fault(
        ("num_attention_heads", file.num_attention_heads),
        ("hidden_size", file.hidden_size),
    ));
    faults.extend(epsilon_fault("layer_norm_eps", file.layer_norm_eps));
    if !faults.is_empty() {
        return Err(faults);
    }
    let design = Config {
        vocab_size: file.vocab_size,
        hidden_size: file.hidden_size,
        num_hidden_layers: file.num_hidden_layers,
        num_attention_heads: file.num_attention_heads,
        intermediate_size: file.intermediate_size,
        hidden_act: Activation::Gelu,
        max_position_embeddings: file.max_position_embeddings,
        type_vocab_size: file.type_vocab_size,
        initializer_range: 0.0,
        layer_norm_eps: file.layer_norm_eps,
        pad_token_id: 0,
        position_embedding_type: PositionEmbeddingType::Alibi,
    };
    Ok(Described {
        rows: design.vocab_size,
        hidden: design.hidden_size,
        positions: Some(design.max_position_embeddings),
        parameters: parameters(&design),
        design: Design::Jina(design),
    })
}

fn parameters(design: &Config) -> Vec<ParameterSpec> {
    let (width, wide) = (design.hidden_size, design.intermediate_size);
    let norm = |name: &str| {
        ["weight", "bias"].map(|part| ParameterSpec::vector(format!("{name}.{part}"), width))
    };
    let product = |name: &str, inner: usize| {
        [
            ParameterSpec::matrix(format!("{name}.weight"), [width, inner]),
            ParameterSpec::vector(format!("{name}.bias"), width),
        ]
    };
    let mut all = vec![
        ParameterSpec::table("embeddings.word_embeddings.weight", [design.vocab_size, width]),
        ParameterSpec::table(
            "embeddings.token_type_embeddings.weight",
            [design.type_vocab_size, width],
        ),
    ];
    all.extend(norm("embeddings.LayerNorm"));
    for layer in 0..design.num_hidden_layers {
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            all.extend(product(&at(&format!("attention.{part}")), width));
        }
        all.extend(norm(&at("attention.output.LayerNorm")));
        all.push(ParameterSpec::matrix(at("mlp.gated_layers.weight"), [2 * wide, width]));
        all.extend(product(&at("mlp.wo"), wide));
        all.extend(norm(&at("mlp.layernorm")));
    }
    all
}
