//! The encoder of T5 (arXiv:1910.10683), as sentence-T5 (arXiv:2108.08877) uses it.

use candle_nn::Activation;
use candle_transformers::models::t5::{ActivationWithOptionalGating, Config};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Described, Design};
use crate::model::config::size_faults;
use crate::model::encoder::config::epsilon_fault;
use crate::model::encoder::keys::{NO_PROGRAMS, NO_QUANTIZATION, OF_WEIGHTS};
use crate::model::keys::{COMMON, Is, Keys, only, read};
use crate::model::parameters::ParameterSpec;

/// Name of the embedding.
pub(super) const EMBEDDING: &str = "shared.weight";

/// `config.json` of T5.
pub(in crate::model::encoder) const T5_KEYS: Keys = Keys {
    keys: &[
        read("model_type", Is::Text, "`t5`"),
        read("vocab_size", Is::Count, "rows of the embedding"),
        read("d_model", Is::Count, "width"),
        read("d_kv", Is::Count, "width of a head"),
        read("d_ff", Is::Count, "width of the feed-forward"),
        read("num_layers", Is::Count, "layers of the encoder; the weights must hold them"),
        read("num_heads", Is::Count, "heads"),
        read(
            "relative_attention_num_buckets",
            Is::Count,
            "classes of distances, even and at least 4; left out, 32",
        ),
        read(
            "relative_attention_max_distance",
            Is::Count,
            "distances beyond it are of one class; left out, 128",
        ),
        read("layer_norm_epsilon", Is::Number, "of the norms"),
        read("feed_forward_proj", Is::Text, "`relu` or `gated-gelu`; left out, `relu`"),
        read("dense_act_fn", Is::Text, "must be what `feed_forward_proj` says"),
        read("is_gated_act", Is::Flag, "must be what `feed_forward_proj` says"),
        only("is_decoder", &["false"], "a token sees all others"),
        NO_QUANTIZATION,
        NO_PROGRAMS,
    ],
    harmless: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        COMMON[3],
        COMMON[4],
        OF_WEIGHTS,
        ("since nothing is dropped", &["dropout_rate"]),
        (
            "since they are of the decoder, which is left aside",
            &["is_encoder_decoder", "num_decoder_layers", "scale_decoder_outputs"],
        ),
        ("since distances have no end, and nothing is padded", &["n_positions", "pad_token_id"]),
    ],
    others_are_harmless: false,
};

#[derive(Deserialize)]
struct File {
    vocab_size: usize,
    d_model: usize,
    d_kv: usize,
    d_ff: usize,
    num_layers: usize,
    num_heads: usize,
    #[serde(default = "buckets")]
    relative_attention_num_buckets: usize,
    #[serde(default = "distance")]
    relative_attention_max_distance: usize,
    #[serde(default = "epsilon")]
    layer_norm_epsilon: f64,
    #[serde(default = "relu")]
    feed_forward_proj: String,
    #[serde(default)]
    dense_act_fn: Option<String>,
    #[serde(default)]
    is_gated_act: Option<bool>,
}

fn buckets() -> usize {
    32
}

fn distance() -> usize {
    128
}

fn epsilon() -> f64 {
    1e-6
}

fn relu() -> String {
    "relu".into()
}

pub(super) fn described(object: Map<String, Value>) -> Result<Described, Vec<String>> {
    let file: File = T5_KEYS.read(object)?;
    let (buckets, distance) =
        (file.relative_attention_num_buckets, file.relative_attention_max_distance);
    let mut faults = size_faults(&[
        ("vocab_size", file.vocab_size, 1 << 27),
        ("d_model", file.d_model, 1 << 20),
        ("d_kv", file.d_kv, 1 << 20),
        ("d_ff", file.d_ff, 1 << 22),
        ("num_layers", file.num_layers, 1 << 12),
        ("num_heads", file.num_heads, 1 << 14),
        ("relative_attention_num_buckets", buckets, 1 << 20),
        ("relative_attention_max_distance", distance, 1 << 20),
    ]);
    if buckets < 4 || !buckets.is_multiple_of(2) {
        faults.push(format!(
            "relative_attention_num_buckets is {buckets}, expected an even number from 4 on"
        ));
    } else if distance <= buckets / 4 {
        // Half of the classes are of one direction, and half of those of one distance each.
        let least = buckets / 4 + 1;
        faults.push(format!(
            "relative_attention_max_distance is {distance}, expected at least {least} for {buckets} buckets"
        ));
    }
    faults.extend(epsilon_fault("layer_norm_epsilon", file.layer_norm_epsilon));
    let known = [
        (
            "relu",
            "relu",
            ActivationWithOptionalGating { gated: false, activation: Activation::Relu },
        ),
        (
            "gated-gelu",
            "gelu_new",
            ActivationWithOptionalGating { gated: true, activation: Activation::NewGelu },
        ),
    ];
    let stated = &file.feed_forward_proj;
    let Some((_, act, proj)) = known.into_iter().find(|(name, ..)| name == stated) else {
        faults.push(format!("feed_forward_proj is `{stated}`, expected `relu` or `gated-gelu`"));
        return Err(faults);
    };
    if let Some(other) = file.dense_act_fn.filter(|other| other != act) {
        faults.push(format!(
            "dense_act_fn is `{other}`, but feed_forward_proj = `{stated}` says `{act}`"
        ));
    }
    if let Some(other) = file.is_gated_act.filter(|other| *other != proj.gated) {
        faults.push(format!("is_gated_act is {other}, but feed_forward_proj is `{stated}`"));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let design = Config {
        vocab_size: file.vocab_size,
        d_model: file.d_model,
        d_kv: file.d_kv,
        d_ff: file.d_ff,
        num_layers: file.num_layers,
        num_heads: file.num_heads,
        relative_attention_num_buckets: buckets,
        relative_attention_max_distance: distance,
        layer_norm_epsilon: file.layer_norm_epsilon,
        feed_forward_proj: proj,
        is_decoder: false,
        is_encoder_decoder: false,
        use_cache: false,
        ..Config::default()
    };
    Ok(Described {
        rows: design.vocab_size,
        hidden: design.d_model,
        positions: None,
        parameters: parameters(&design),
        design: Design::T5(design),
    })
}

fn parameters(design: &Config) -> Vec<ParameterSpec> {
    let (width, wide) = (design.d_model, design.d_ff);
    let inner = design.num_heads * design.d_kv;
    let table = [design.relative_attention_num_buckets, design.num_heads];
    let mut all = vec![
        ParameterSpec::table(EMBEDDING, [design.vocab_size, width]),
        ParameterSpec::vector("encoder.final_layer_norm.weight", width),
        ParameterSpec::table(
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            table,
        ),
    ];
    for layer in 0..design.num_layers {
        let at = |name: &str| format!("encoder.block.{layer}.layer.{name}.weight");
        for part in ["q", "k", "v"] {
            let name = at(&format!("0.SelfAttention.{part}"));
            all.push(ParameterSpec::matrix(name, [inner, width]));
        }
        all.push(ParameterSpec::matrix(at("0.SelfAttention.o"), [width, inner]));
        let widen: &[&str] =
            if design.feed_forward_proj.gated { &["wi_0", "wi_1"] } else { &["wi"] };
        for part in widen {
            let name = at(&format!("1.DenseReluDense.{part}"));
            all.push(ParameterSpec::matrix(name, [wide, width]));
        }
        all.push(ParameterSpec::matrix(at("1.DenseReluDense.wo"), [width, wide]));
        all.push(ParameterSpec::vector(at("0.layer_norm"), width));
        all.push(ParameterSpec::vector(at("1.layer_norm"), width));
    }
    all
}
