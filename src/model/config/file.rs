//! `config.json` as `transformers` writes it, in the spellings of its fourth and fifth version.
//!
//! Knows which fields there are and how they are spelt; what the values must be is [`DecoderConfig`]'s.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::DecoderConfig;
use super::family::Family;
use super::keys::{DECODER_KEYS, ROPE_KEYS};
use super::rope::RopeScaling;
use crate::model::settings::WeightType;

/// Widths of heads where a configuration of Qwen3 names none.
const QWEN3_HEAD_DIM: usize = 128;

/// The fields that are read; all others mean nothing here, are kept and written back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ConfigFile {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    #[serde(default)]
    num_key_value_heads: Option<usize>,
    #[serde(default)]
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    #[serde(default = "default_eps")]
    rms_norm_eps: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rope_theta: Option<f64>,
    #[serde(default)]
    rope_scaling: Option<RopeFile>,
    /// Where version five keeps both of the above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rope_parameters: Option<RopeFile>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default = "default_act")]
    hidden_act: String,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    attention_dropout: f64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    mlp_bias: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    use_sliding_window: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sliding_window: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer_types: Option<Vec<String>>,
    #[serde(default = "default_range")]
    initializer_range: f64,
    #[serde(default)]
    bos_token_id: Option<TokenIds>,
    #[serde(default)]
    eos_token_id: Option<TokenIds>,
    #[serde(default)]
    pad_token_id: Option<TokenIds>,
    #[serde(default = "yes")]
    use_cache: bool,
    #[serde(default)]
    torch_dtype: Option<String>,
    /// What version five calls `torch_dtype`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dtype: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// One token, or several that have the same role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum TokenIds {
    One(i64),
    Several(Vec<i64>),
}

impl TokenIds {
    fn ids(&self) -> Vec<u32> {
        let all = match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Several(ids) => ids,
        };
        // Some folders say -1 for "none".
        all.iter().filter_map(|id| u32::try_from(*id).ok()).collect()
    }

    fn from_ids(ids: &[u32]) -> Option<Self> {
        match ids {
            [] => None,
            [id] => Some(Self::One(i64::from(*id))),
            _ => Some(Self::Several(ids.iter().map(|id| i64::from(*id)).collect())),
        }
    }
}

/// Stretching of the rotary embedding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct RopeFile {
    #[serde(default)]
    rope_type: Option<String>,
    /// What `rope_type` was called before; releases between write both.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    older_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rope_theta: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    low_freq_factor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    high_freq_factor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_max_position_embeddings: Option<usize>,
}

fn default_eps() -> f64 {
    1e-6
}

fn default_act() -> String {
    "silu".into()
}

fn default_range() -> f64 {
    0.02
}

fn yes() -> bool {
    true
}

/// The configuration that a file's object describes, or everything that makes it unusable here.
pub(super) fn config_of(object: Map<String, Value>) -> Result<DecoderConfig, Vec<String>> {
    // Told first: other architectures have other keys.
    let kind = object.get("model_type").and_then(Value::as_str).unwrap_or("none");
    let Some(family) = Family::of(kind) else {
        let known = Family::ALL.map(|family| format!("`{}`", family.model_type()));
        return Err(vec![format!(
            "model_type is `{kind}`, which is not supported; supported are {}",
            known.join(", ")
        )]);
    };
    let mut faults = DECODER_KEYS.faults(&object);
    for name in ["rope_scaling", "rope_parameters"] {
        let rope = object.get(name).and_then(Value::as_object);
        faults.extend(rope.into_iter().flat_map(RopeFile::unknown));
    }
    match DECODER_KEYS.deserialize::<ConfigFile>(object) {
        Ok(file) => file.into_config(family, faults),
        Err(fault) if faults.is_empty() => Err(vec![fault]),
        Err(_) => Err(faults),
    }
}

impl ConfigFile {
    fn into_config(
        self,
        family: Family,
        mut faults: Vec<String>,
    ) -> Result<DecoderConfig, Vec<String>> {
        faults.extend(self.unsupported(family));
        let (rope_theta, rope_scaling) = self.rope().unwrap_or_else(|fault| {
            faults.push(fault);
            Default::default()
        });
        let rope_theta = rope_theta.unwrap_or(10_000.0);
        let stated = self.torch_dtype.as_deref().or(self.dtype.as_deref()).unwrap_or("float32");
        let dtype = WeightType::of_torch(stated).unwrap_or_else(|| {
            faults.push(format!(
                "torch_dtype is `{stated}`, expected `float32`, `bfloat16` or `float16`"
            ));
            WeightType::F32
        });
        let heads = self.num_attention_heads;
        let head_dim = self.head_dim.unwrap_or_else(|| match family {
            Family::Qwen3 => QWEN3_HEAD_DIM,
            Family::Qwen2 | Family::Llama if heads > 0 => {
                if !self.hidden_size.is_multiple_of(heads) {
                    faults.push(format!(
                        "num_attention_heads is {heads}, which does not divide hidden_size = {}, and head_dim is left out",
                        self.hidden_size
                    ));
                }
                self.hidden_size / heads
            }
            Family::Qwen2 | Family::Llama => 0,
        });
        let ids = |ids: Option<TokenIds>| ids.map_or(Vec::new(), |ids| ids.ids());
        let config = DecoderConfig {
            family,
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(heads),
            head_dim,
            max_position_embeddings: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope_theta,
            rope_scaling,
            tie_word_embeddings: self.tie_word_embeddings,
            qkv_bias: family == Family::Qwen2 || self.attention_bias,
            out_bias: family != Family::Qwen2 && self.attention_bias,
            mlp_bias: self.mlp_bias,
            initializer_range: self.initializer_range,
            bos_token_id: ids(self.bos_token_id).first().copied(),
            eos_token_ids: ids(self.eos_token_id),
            pad_token_id: ids(self.pad_token_id).first().copied(),
            dtype,
            other: self.other,
        };
        faults.extend(config.faults());
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// What the file asks for and this program cannot do.
    fn unsupported(&self, family: Family) -> Vec<String> {
        let mut faults = Vec::new();
        let class = |name: &&String| {
            let known =
                [family.architecture(), family.architecture().trim_end_matches("ForCausalLM")];
            !known.iter().any(|class| {
                name.eq_ignore_ascii_case(class)
                    || name
                        .strip_suffix("Model")
                        .is_some_and(|name| name.eq_ignore_ascii_case(class))
            })
        };
        if let Some(name) = self.architectures.iter().flatten().find(class) {
            faults.push(format!(
                "architectures has `{name}`, expected `{}`: another class may compute another model",
                family.architecture()
            ));
        }
        if self.use_sliding_window && self.sliding_window.is_some() {
            faults.push("use_sliding_window is set: windowed attention is not supported".into());
        }
        let windowed = |kind: &&String| *kind != "full_attention";
        if let Some(kind) = self.layer_types.iter().flatten().find(windowed) {
            faults.push(format!("layer_types has `{kind}`, expected `full_attention` throughout"));
        }
        if self.mlp_bias && family != Family::Llama {
            faults.push("mlp_bias is set, which this family does not have".into());
        }
        faults
    }

    /// Base and stretching of the rotary embedding, which files of both versions may state twice.
    fn rope(&self) -> Result<(Option<f64>, Option<RopeScaling>), String> {
        let mut found: Option<(Option<f64>, Option<RopeScaling>)> = None;
        for rope in [&self.rope_parameters, &self.rope_scaling].into_iter().flatten() {
            let one = (rope.rope_theta.or(self.rope_theta), rope.scaling()?);
            if rope.rope_theta.is_some_and(|theta| self.rope_theta.is_some_and(|own| own != theta))
            {
                return Err("rope_theta is stated twice, and differs".into());
            }
            if found.as_ref().is_some_and(|found| *found != one) {
                return Err("rope_scaling and rope_parameters differ; remove one".into());
            }
            found = Some(one);
        }
        Ok(found.unwrap_or((self.rope_theta, None)))
    }
}

impl RopeFile {
    /// What is wrong with the keys of one, where its type is known; others have other keys.
    fn unknown(object: &Map<String, Value>) -> Vec<String> {
        let kind = object.get("rope_type").or_else(|| object.get("type")).and_then(Value::as_str);
        if kind.is_some_and(|kind| !["default", "linear", "llama3"].contains(&kind)) {
            return Vec::new();
        }
        ROPE_KEYS.faults(object).into_iter().map(|fault| format!("rope_scaling: {fault}")).collect()
    }

    fn scaling(&self) -> Result<Option<RopeScaling>, String> {
        let need = |name: &str, value: Option<f64>| {
            let value = value.ok_or_else(|| format!("rope_scaling lacks {name}"))?;
            if value.is_finite() && value > 0.0 {
                return Ok(value);
            }
            Err(format!("rope_scaling: {name} is {value}, expected a positive number"))
        };
        if let (Some(kind), Some(older)) = (&self.rope_type, &self.older_type)
            && kind != older
        {
            return Err(format!("rope_scaling: rope_type is `{kind}`, but type is `{older}`"));
        }
        match self.rope_type.as_deref().or(self.older_type.as_deref()) {
            None | Some("default") => Ok(None),
            Some("linear") => {
                Ok(Some(RopeScaling::Linear { factor: need("factor", self.factor)? }))
            }
            Some("llama3") => {
                let positions = self.original_max_position_embeddings.map(|n| n as f64);
                if self.high_freq_factor <= self.low_freq_factor {
                    return Err(
                        "rope_scaling: high_freq_factor must be above low_freq_factor".into()
                    );
                }
                Ok(Some(RopeScaling::Llama3 {
                    factor: need("factor", self.factor)?,
                    low_freq_factor: need("low_freq_factor", self.low_freq_factor)?,
                    high_freq_factor: need("high_freq_factor", self.high_freq_factor)?,
                    original_positions: need("original_max_position_embeddings", positions)?,
                }))
            }
            Some(other) => Err(format!(
                "rope_scaling of type `{other}` is not supported; supported are `default`, `linear` and `llama3`"
            )),
        }
    }

    fn of(scaling: RopeScaling) -> Self {
        match scaling {
            RopeScaling::Linear { factor } => {
                Self { rope_type: Some("linear".into()), factor: Some(factor), ..Self::default() }
            }
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_positions,
            } => Self {
                rope_type: Some("llama3".into()),
                factor: Some(factor),
                low_freq_factor: Some(low_freq_factor),
                high_freq_factor: Some(high_freq_factor),
                original_max_position_embeddings: Some(original_positions as usize),
                ..Self::default()
            },
        }
    }
}

impl From<DecoderConfig> for ConfigFile {
    /// In the spelling of version four, which version five reads too.
    fn from(config: DecoderConfig) -> Self {
        let one = |id: Option<u32>| id.map(|id| TokenIds::One(i64::from(id)));
        Self {
            architectures: Some(vec![config.family.architecture().into()]),
            model_type: config.family.model_type().into(),
            vocab_size: config.vocab_size,
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.num_hidden_layers,
            num_attention_heads: config.num_attention_heads,
            num_key_value_heads: Some(config.num_key_value_heads),
            head_dim: Some(config.head_dim),
            max_position_embeddings: config.max_position_embeddings,
            rms_norm_eps: config.rms_norm_eps,
            rope_theta: Some(config.rope_theta),
            rope_scaling: config.rope_scaling.map(RopeFile::of),
            rope_parameters: None,
            tie_word_embeddings: config.tie_word_embeddings,
            hidden_act: default_act(),
            attention_bias: config.qkv_bias && config.family != Family::Qwen2,
            attention_dropout: 0.0,
            mlp_bias: config.mlp_bias,
            use_sliding_window: false,
            sliding_window: None,
            layer_types: None,
            initializer_range: config.initializer_range,
            bos_token_id: one(config.bos_token_id),
            eos_token_id: TokenIds::from_ids(&config.eos_token_ids),
            pad_token_id: one(config.pad_token_id),
            use_cache: true,
            torch_dtype: Some(config.dtype.torch_name().into()),
            dtype: None,
            other: config.other,
        }
    }
}
