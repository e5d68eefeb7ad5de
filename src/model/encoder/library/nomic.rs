//! Nomic BERT (arXiv:2402.01613): BERT with turned positions and gates. Its authors' files and those of `transformers`
//! have other keys for the same.

use candle_transformers::models::nomic_bert::Config;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::modernbert::{Rope, odd_head, theta_fault};
use super::{Described, Design};
use crate::model::config::size_faults;
use crate::model::encoder::config::{epsilon_fault, heads_fault};
use crate::model::encoder::keys::{NO_QUANTIZATION, OF_WEIGHTS};
use crate::model::keys::{COMMON, Is, Keys, only, read};
use crate::model::parameters::ParameterSpec;

/// `config.json` of Nomic BERT.
pub(in crate::model::encoder) const NOMIC_KEYS: Keys = Keys {
    keys: &[
        read("model_type", Is::Text, "`nomic_bert`"),
        read("vocab_size", Is::Count, "rows of the embedding"),
        read("n_embd", Is::Count, "width; files of `transformers` say `hidden_size`"),
        read("n_head", Is::Count, "heads; or `num_attention_heads`"),
        read("n_inner", Is::Count, "width of the feed-forward; or `intermediate_size`"),
        read("n_layer", Is::Count, "layers; or `num_hidden_layers`"),
        read("n_positions", Is::Count, "longest text; or `max_position_embeddings`"),
        read("type_vocab_size", Is::Count, "kinds of text; the first is used"),
        read("layer_norm_epsilon", Is::Number, "of the norms; or `layer_norm_eps`"),
        read("rotary_emb_base", Is::Number, "how far a position is turned; or `rope_parameters`"),
        read("hidden_size", Is::Count, "`n_embd`"),
        read("num_attention_heads", Is::Count, "`n_head`"),
        read("intermediate_size", Is::Count, "`n_inner`"),
        read("num_hidden_layers", Is::Count, "`n_layer`"),
        read("max_position_embeddings", Is::Count, "`n_positions`"),
        read("layer_norm_eps", Is::Number, "`layer_norm_epsilon`"),
        read("rope_parameters", Is::Object, "`rotary_emb_base`"),
        read("head_dim", Is::Count, "must be the width over the heads"),
        only("activation_function", &["\"swiglu\""], "no other gate is computed"),
        only("hidden_act", &["\"silu\""], "no other gate is computed"),
        only("rotary_emb_fraction", &["1"], "all of a head is turned"),
        only("rotary_emb_interleaved", &["false"], "halves of a head are turned together"),
        only("rotary_emb_scale_base", &["null"], "positions are turned as in training"),
        only("rotary_scaling_factor", &["null"], "positions are turned as in training"),
        only("qkv_proj_bias", &["false"], "products have no bias"),
        only("mlp_fc1_bias", &["false"], "products have no bias"),
        only("mlp_fc2_bias", &["false"], "products have no bias"),
        only("prenorm", &["false"], "norms stand behind the sums"),
        only("parallel_block", &["false"], "one part of a layer behind the other"),
        only("parallel_block_tied_norm", &["false"], "one part of a layer behind the other"),
        only("use_rms_norm", &["false"], "norms subtract the mean"),
        only("causal", &["false"], "a token sees all others"),
        only("is_decoder", &["false"], "a token sees all others"),
        only("scale_attn_weights", &["true"], "scores are divided by the root of a head's width"),
        only("scale_attn_by_inverse_layer_idx", &["false"], "scores are the same in all layers"),
        NO_QUANTIZATION,
    ],
    harmless: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        COMMON[3],
        COMMON[4],
        OF_WEIGHTS,
        (
            "since they say how its program computes, and not what",
            &[
                "fused_bias_fc",
                "fused_dropout_add_ln",
                "use_flash_attn",
                "use_xentropy",
                "reorder_and_upcast_attn",
                "dense_seq_output",
                "pad_vocab_size_multiple",
            ],
        ),
        ("since they are of training and of padding", &["max_trained_positions", "pad_token_id"]),
        ("since its network is computed here, and no program is run", &["auto_map"]),
    ],
    others_are_harmless: false,
};

/// As its authors write it. What is `only` one thing must be said: left out, their program takes another.
#[derive(Deserialize)]
struct AuthorsFile {
    vocab_size: usize,
    n_embd: usize,
    n_head: usize,
    n_inner: usize,
    n_layer: usize,
    n_positions: usize,
    type_vocab_size: usize,
    layer_norm_epsilon: f64,
    rotary_emb_base: f64,
    #[serde(rename = "activation_function")]
    _activation_function: String,
    #[serde(rename = "rotary_emb_fraction")]
    _rotary_emb_fraction: f64,
    #[serde(rename = "qkv_proj_bias")]
    _qkv_proj_bias: bool,
    #[serde(rename = "mlp_fc1_bias")]
    _mlp_fc1_bias: bool,
    #[serde(rename = "mlp_fc2_bias")]
    _mlp_fc2_bias: bool,
}

/// As `transformers` writes it.
#[derive(Deserialize)]
struct OtherFile {
    vocab_size: usize,
    hidden_size: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    rope_parameters: Rope,
    #[serde(default)]
    head_dim: Option<usize>,
    #[serde(rename = "hidden_act")]
    _hidden_act: String,
}

/// Keys of its authors' files, and those of `transformers` for the same, in the same order.
const AUTHORS: [&str; 7] = [
    "n_embd",
    "n_head",
    "n_inner",
    "n_layer",
    "n_positions",
    "layer_norm_epsilon",
    "rotary_emb_base",
];
const OTHERS: [&str; 7] = [
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "num_hidden_layers",
    "max_position_embeddings",
    "layer_norm_eps",
    "rope_parameters",
];

/// What the library is told, and the keys that said so.
fn told(object: Map<String, Value>) -> Result<(Config, [&'static str; 7]), Vec<String>> {
    let has = |names: [&'static str; 7]| {
        names.into_iter().find(|name| object.get(*name).is_some_and(|value| !value.is_null()))
    };
    match (has(AUTHORS), has(OTHERS)) {
        (Some(authors), Some(other)) => Err(vec![format!(
            "{authors} and {other} are keys of two programs, expected those of one"
        )]),
        (Some(_), None) => {
            let file: AuthorsFile = NOMIC_KEYS.read(object)?;
            let config = Config {
                vocab_size: file.vocab_size,
                n_embd: file.n_embd,
                n_head: file.n_head,
                n_inner: file.n_inner,
                n_layer: file.n_layer,
                n_positions: file.n_positions,
                type_vocab_size: file.type_vocab_size,
                layer_norm_epsilon: file.layer_norm_epsilon,
                rotary_emb_base: file.rotary_emb_base,
                ..Config::default()
            };
            Ok((config, AUTHORS))
        }
        (None, _) => {
            let file: OtherFile = NOMIC_KEYS.read(object)?;
            let (heads, width) = (file.num_attention_heads, file.hidden_size);
            if let Some(head) = file.head_dim.filter(|head| head * heads != width) {
                return Err(vec![format!(
                    "head_dim is {head}, but {heads} heads share a width of {width}"
                )]);
            }
            let config = Config {
                vocab_size: file.vocab_size,
                n_embd: width,
                n_head: heads,
                n_inner: file.intermediate_size,
                n_layer: file.num_hidden_layers,
                n_positions: file.max_position_embeddings,
                type_vocab_size: file.type_vocab_size,
                layer_norm_epsilon: file.layer_norm_eps,
                rotary_emb_base: file.rope_parameters.theta(),
                ..Config::default()
            };
            Ok((config, OTHERS))
        }
    }
}

pub(super) fn described(object: Map<String, Value>) -> Result<Described, Vec<String>> {
    let (design, [width, heads, wide, layers, positions, epsilon, theta]) = told(object)?;
    let mut faults = size_faults(&[
        ("vocab_size", design.vocab_size, 1 << 27),
        (width, design.n_embd, 1 << 20),
        (heads, design.n_head, 1 << 14),
        (wide, design.n_inner, 1 << 22),
        (layers, design.n_layer, 1 << 12),
        (positions, design.n_positions, 1 << 22),
        ("type_vocab_size", design.type_vocab_size, 1 << 10),
    ]);
    let uneven = heads_fault((heads, design.n_head), (width, design.n_embd));
    faults.extend(uneven.or_else(|| odd_head(design.n_head, design.n_embd)));
    faults.extend(epsilon_fault(epsilon, design.layer_norm_epsilon));
    faults.extend(theta_fault(theta, design.rotary_emb_base));
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Described {
        rows: design.vocab_size,
        hidden: design.n_embd,
        positions: Some(design.n_positions),
        parameters: parameters(&design),
        design: Design::Nomic(design),
    })
}

fn parameters(design: &Config) -> Vec<ParameterSpec> {
    let (width, wide) = (design.n_embd, design.n_inner);
    let norm = |name: &str| {
        ["weight", "bias"].map(|part| ParameterSpec::vector(format!("{name}.{part}"), width))
    };
    let mut all = vec![
        ParameterSpec::table("embeddings.word_embeddings.weight", [design.vocab_size, width]),
        ParameterSpec::table(
            "embeddings.token_type_embeddings.weight",
            [design.type_vocab_size, width],
        ),
    ];
    all.extend(norm("emb_ln"));
    for layer in 0..design.n_layer {
        let at = |name: &str| format!("encoder.layers.{layer}.{name}");
        all.push(ParameterSpec::matrix(at("attn.Wqkv.weight"), [3 * width, width]));
        all.push(ParameterSpec::matrix(at("attn.out_proj.weight"), [width, width]));
        all.push(ParameterSpec::matrix(at("mlp.fc11.weight"), [wide, width]));
        all.push(ParameterSpec::matrix(at("mlp.fc12.weight"), [wide, width]));
        all.push(ParameterSpec::matrix(at("mlp.fc2.weight"), [width, wide]));
        all.extend(norm(&at("norm1")));
        all.extend(norm(&at("norm2")));
    }
    all
}
