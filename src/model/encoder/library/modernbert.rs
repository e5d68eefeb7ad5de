//! ModernBERT (arXiv:2412.13663): turned positions, gates, and layers that see a window of the text.

use candle_transformers::models::modernbert::Config;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Described, Design};
use crate::model::config::size_faults;
use crate::model::encoder::config::{epsilon_fault, heads_fault};
use crate::model::encoder::keys::{NO_PROGRAMS, NO_QUANTIZATION, OF_WEIGHTS};
use crate::model::keys::{COMMON, Is, Keys, only, read};
use crate::model::parameters::ParameterSpec;

/// `config.json` of ModernBERT.
pub(in crate::model::encoder) const MODERNBERT_KEYS: Keys = Keys {
    keys: &[
        read("model_type", Is::Text, "`modernbert`"),
        read("vocab_size", Is::Count, "rows of the embedding"),
        read("hidden_size", Is::Count, "width"),
        read("intermediate_size", Is::Count, "width of the feed-forward"),
        read("num_hidden_layers", Is::Count, "layers; the weights must hold them"),
        read("num_attention_heads", Is::Count, "divides the width into even parts"),
        read("max_position_embeddings", Is::Count, "longest text"),
        read("norm_eps", Is::Number, "of the norms; left out, 1e-5"),
        read("local_attention", Is::Count, "tokens of a window; half of them on each side"),
        read("global_attn_every_n_layers", Is::Count, "which layers see all of a text"),
        read("layer_types", Is::Texts, "the same, layer by layer: the first of every n"),
        read("global_rope_theta", Is::Number, "how far a position is turned, for all of a text"),
        read("local_rope_theta", Is::Number, "the same, for a window"),
        read("rope_parameters", Is::Object, "both, in newer files"),
        only("hidden_activation", &["\"gelu\""], "no other activation is computed"),
        only("attention_bias", &["false"], "products have no bias"),
        only("mlp_bias", &["false"], "products have no bias"),
        only("norm_bias", &["false"], "norms have no bias"),
        only("rope_scaling", &["null"], "positions are turned as in training"),
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
        ("since nothing is dropped", &["embedding_dropout", "mlp_dropout"]),
        (
            "since they are of heads that are left aside",
            &["classifier_*", "decoder_bias", "sparse_*", "repad_logits_with_grad"],
        ),
        (
            "since `transformers` reads none of them for this model, or draws first weights by them",
            &[
                "layer_norm_eps",
                "position_embedding_type",
                "pad_token_id",
                "initializer_cutoff_factor",
            ],
        ),
        (
            "since they say how `transformers` computes",
            &["reference_compile", "deterministic_flash_attn"],
        ),
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
    #[serde(default = "epsilon")]
    norm_eps: f64,
    local_attention: usize,
    #[serde(default)]
    global_attn_every_n_layers: Option<usize>,
    #[serde(default)]
    layer_types: Option<Vec<String>>,
    #[serde(default)]
    global_rope_theta: Option<f64>,
    #[serde(default)]
    local_rope_theta: Option<f64>,
    #[serde(default)]
    rope_parameters: Option<RopeParameters>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RopeParameters {
    full_attention: Rope,
    sliding_attention: Rope,
}

/// How positions are turned, in newer files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rope {
    rope_theta: f64,
    #[serde(rename = "rope_type", default)]
    _rope_type: RopeType,
}

impl Rope {
    pub(super) fn theta(&self) -> f64 {
        self.rope_theta
    }
}

/// The one way that is computed here.
#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum RopeType {
    #[default]
    Default,
}

fn epsilon() -> f64 {
    1e-5
}

/// What is wrong with how far positions are turned.
pub(super) fn theta_fault(name: &str, theta: f64) -> Option<String> {
    let fits = theta.is_finite() && theta > 0.0;
    (!fits).then(|| format!("{name} is {theta}, expected more than 0"))
}

/// What is wrong with the width of a head, whose halves are turned against each other.
pub(super) fn odd_head(heads: usize, width: usize) -> Option<String> {
    let numbers = width.checked_div(heads)?;
    (!numbers.is_multiple_of(2)).then(|| {
        format!("a head has {numbers} numbers, expected an even number: positions turn pairs")
    })
}

impl File {
    /// Every how many layers one sees all of a text, the first among them.
    fn every(&self) -> Result<usize, String> {
        let Some(types) = &self.layer_types else {
            let every = self.global_attn_every_n_layers;
            return every.filter(|every| *every > 0).ok_or_else(|| {
                let told = every.map_or("left out".to_owned(), |every| every.to_string());
                format!("global_attn_every_n_layers is {told}, expected at least 1, or layer_types")
            });
        };
        let layers = self.num_hidden_layers;
        let name = |layer: usize, every: usize| {
            if layer.is_multiple_of(every) { "full_attention" } else { "sliding_attention" }
        };
        let fits = |every: &usize| {
            types.len() == layers
                && types.iter().enumerate().all(|(layer, kind)| kind == name(layer, *every))
        };
        (1..=layers.max(1)).find(fits).ok_or_else(|| {
            format!(
                "layer_types names {} layers, expected {layers}: the first of every n `full_attention`, the others `sliding_attention`",
                types.len()
            )
        })
    }

    /// How far positions are turned: for all of a text, and for a window.
    fn thetas(&self) -> Result<[f64; 2], String> {
        let old = (self.global_rope_theta, self.local_rope_theta);
        match (&self.rope_parameters, old) {
            (Some(new), (None, None)) => {
                Ok([new.full_attention.rope_theta, new.sliding_attention.rope_theta])
            }
            (None, (Some(global), Some(local))) => Ok([global, local]),
            (Some(_), _) => {
                Err("rope_parameters and global_rope_theta or local_rope_theta say the same twice"
                    .into())
            }
            (None, _) => {
                Err("global_rope_theta with local_rope_theta, or rope_parameters, are missing"
                    .into())
            }
        }
    }
}

pub(super) fn described(object: Map<String, Value>) -> Result<Described, Vec<String>> {
    let file: File = MODERNBERT_KEYS.read(object)?;
    let mut faults = size_faults(&[
        ("vocab_size", file.vocab_size, 1 << 27),
        ("hidden_size", file.hidden_size, 1 << 20),
        ("intermediate_size", file.intermediate_size, 1 << 22),
        ("num_hidden_layers", file.num_hidden_layers, 1 << 12),
        ("num_attention_heads", file.num_attention_heads, 1 << 14),
        ("max_position_embeddings", file.max_position_embeddings, 1 << 22),
        ("local_attention", file.local_attention, 1 << 22),
    ]);
    let (heads, width) = (file.num_attention_heads, file.hidden_size);
    let uneven = heads_fault(("num_attention_heads", heads), ("hidden_size", width));
    faults.extend(uneven.or_else(|| odd_head(heads, width)));
    faults.extend(epsilon_fault("norm_eps", file.norm_eps));
    let (every, thetas) = (file.every(), file.thetas());
    faults.extend(every.as_ref().err().cloned());
    match &thetas {
        Ok([global, local]) => {
            faults.extend(theta_fault("the theta of all of a text", *global));
            faults.extend(theta_fault("the theta of a window", *local));
        }
        Err(fault) => faults.push(fault.clone()),
    }
    let (Ok(every), Ok([global, local])) = (every, thetas) else { return Err(faults) };
    if !faults.is_empty() {
        return Err(faults);
    }
    let design = Config {
        vocab_size: file.vocab_size,
        hidden_size: width,
        num_hidden_layers: file.num_hidden_layers,
        num_attention_heads: heads,
        intermediate_size: file.intermediate_size,
        max_position_embeddings: file.max_position_embeddings,
        layer_norm_eps: file.norm_eps,
        pad_token_id: 0,
        global_attn_every_n_layers: every,
        global_rope_theta: global,
        local_attention: file.local_attention,
        local_rope_theta: local,
        classifier_config: None,
    };
    Ok(Described {
        rows: design.vocab_size,
        hidden: width,
        positions: Some(design.max_position_embeddings),
        parameters: parameters(&design),
        design: Design::ModernBert(design),
    })
}

fn parameters(design: &Config) -> Vec<ParameterSpec> {
    let (width, wide) = (design.hidden_size, design.intermediate_size);
    let mut all = vec![
        ParameterSpec::table("embeddings.tok_embeddings.weight", [design.vocab_size, width]),
        ParameterSpec::vector("embeddings.norm.weight", width),
        ParameterSpec::vector("final_norm.weight", width),
    ];
    for layer in 0..design.num_hidden_layers {
        let at = |name: &str| format!("layers.{layer}.{name}.weight");
        all.push(ParameterSpec::matrix(at("attn.Wqkv"), [3 * width, width]));
        all.push(ParameterSpec::matrix(at("attn.Wo"), [width, width]));
        all.push(ParameterSpec::matrix(at("mlp.Wi"), [2 * wide, width]));
        all.push(ParameterSpec::matrix(at("mlp.Wo"), [width, wide]));
        all.push(ParameterSpec::vector(at("mlp_norm"), width));
        // The embedding's norm stands before the first layer.
        if layer > 0 {
            all.push(ParameterSpec::vector(at("attn_norm"), width));
        }
    }
    all
}
