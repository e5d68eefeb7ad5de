//! `config.json` of an encoder: which architectures there are, and what of them can be run.

use std::path::Path;

use serde::Deserialize;

use super::keys::ENCODER_KEYS;
use super::names;
use crate::error::{Error, Result};
use crate::model::config::size_faults;
use crate::model::keys::read_object;
use crate::model::parameters::ParameterSpec;

/// An architecture of `transformers` that this program runs: all are BERT (arXiv:1810.04805) but for where
/// positions begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    /// arXiv:1907.11692; positions begin behind the padding token's id.
    Roberta,
    /// arXiv:1911.02116; as Roberta.
    XlmRoberta,
}

impl Family {
    const ALL: [Self; 3] = [Self::Bert, Self::Roberta, Self::XlmRoberta];

    pub(super) fn model_type(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::XlmRoberta => "xlm-roberta",
        }
    }

    /// What names of tensors may begin with, where the encoder was part of another model.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta | Self::XlmRoberta => "roberta.",
        }
    }
}

/// The shape of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    pub(super) family: Family,
    pub(super) vocab_size: usize,
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Rows of the table of positions.
    pub(super) positions: usize,
    /// Row of a text's first token in that table.
    pub(super) first_position: usize,
    /// Kinds of text in a pair; this program uses the first.
    pub(super) types: usize,
    pub(super) layer_norm_eps: f64,
}

/// The fields that are read.
#[derive(Deserialize)]
struct ConfigFile {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    /// Known to be `gelu` where it is read; its absence would be another activation elsewhere.
    #[serde(rename = "hidden_act")]
    _hidden_act: String,
    #[serde(default)]
    pad_token_id: Option<i64>,
}

impl EncoderConfig {
    /// An encoder to be trained from scratch: BERT's architecture with a feed-forward of four widths.
    pub fn from_scratch(
        vocab_size: usize,
        hidden: usize,
        layers: usize,
        heads: usize,
        positions: usize,
    ) -> Self {
        Self {
            family: Family::Bert,
            vocab_size,
            hidden,
            intermediate: 4 * hidden,
            layers,
            heads,
            positions,
            first_position: 0,
            types: 1,
            layer_norm_eps: 1e-12,
        }
    }

    /// Reads a file and checks that this program can run what it describes.
    ///
    /// # Errors
    /// [`Error::Data`] when it cannot be read, names another architecture (the known ones are listed) or sizes that
    /// do not fit each other.
    pub fn read(path: &Path) -> Result<Self> {
        let object = read_object(path, "the configuration of an encoder")?;
        // Told first: other architectures have other fields.
        let kind = object.get("model_type").and_then(serde_json::Value::as_str).unwrap_or("none");
        let family = Family::ALL.into_iter().find(|family| family.model_type() == kind);
        let family = family.ok_or_else(|| {
            let known: Vec<&str> = Family::ALL.iter().map(|family| family.model_type()).collect();
            Error::data(
                path,
                format!("model_type is `{kind}`, which is no encoder that can be run"),
            )
            .with_help(format!("known are {}", known.join(", ")))
        })?;
        let file = ENCODER_KEYS.read(object).and_then(|file| Self::from_file(family, &file));
        file.map_err(|faults| Error::data(path, faults.join("; ")))
    }

    fn from_file(family: Family, file: &ConfigFile) -> Result<Self, Vec<String>> {
        debug_assert_eq!(family.model_type(), file.model_type);
        let pad = usize::try_from(file.pad_token_id.unwrap_or(1));
        let mut faults = size_faults(&[
            ("vocab_size", file.vocab_size, 1 << 27),
            ("hidden_size", file.hidden_size, 1 << 20),
            ("intermediate_size", file.intermediate_size, 1 << 22),
            ("num_hidden_layers", file.num_hidden_layers, 1 << 12),
            ("num_attention_heads", file.num_attention_heads, 1 << 14),
            ("max_position_embeddings", file.max_position_embeddings, 1 << 22),
            ("type_vocab_size", file.type_vocab_size, 1 << 10),
        ]);
        let first_position = match (family, pad) {
            (Family::Bert, _) => 0,
            (Family::Roberta | Family::XlmRoberta, Ok(pad)) => pad + 1,
            (Family::Roberta | Family::XlmRoberta, Err(_)) => {
                faults.push("pad_token_id is -1, but positions begin behind it".into());
                0
            }
        };
        if file.num_attention_heads > 0
            && !file.hidden_size.is_multiple_of(file.num_attention_heads)
        {
            faults.push(format!(
                "num_attention_heads = {} does not divide hidden_size = {}",
                file.num_attention_heads, file.hidden_size
            ));
        }
        if file.max_position_embeddings > 0 && file.max_position_embeddings <= first_position {
            faults.push(format!(
                "max_position_embeddings = {} leaves no position for a text",
                file.max_position_embeddings
            ));
        }
        if !(file.layer_norm_eps.is_finite() && file.layer_norm_eps > 0.0) {
            faults.push(format!("layer_norm_eps is {}, expected more than 0", file.layer_norm_eps));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            family,
            vocab_size: file.vocab_size,
            hidden: file.hidden_size,
            intermediate: file.intermediate_size,
            layers: file.num_hidden_layers,
            heads: file.num_attention_heads,
            positions: file.max_position_embeddings,
            first_position,
            types: file.type_vocab_size,
            layer_norm_eps: file.layer_norm_eps,
        })
    }

    /// The fields of `config.json`.
    pub(super) fn to_file(&self) -> serde_json::Value {
        serde_json::json!({
            "model_type": self.family.model_type(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "max_position_embeddings": self.positions,
            "type_vocab_size": self.types,
            "layer_norm_eps": self.layer_norm_eps,
            "hidden_act": "gelu",
            "pad_token_id": self.first_position.saturating_sub(1),
        })
    }

    /// Longest text in tokens.
    pub fn max_tokens(&self) -> usize {
        self.positions - self.first_position
    }

    /// Every parameter, sorted by name.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let (hidden, wide) = (self.hidden, self.intermediate);
        let mut all = vec![
            ParameterSpec::table(names::WORDS, [self.vocab_size, hidden]),
            ParameterSpec::table(names::POSITIONS, [self.positions, hidden]),
            ParameterSpec::table(names::TYPES, [self.types, hidden]),
        ];
        let norm = |name: &str| {
            ["weight", "bias"].map(|part| ParameterSpec::vector(format!("{name}.{part}"), hidden))
        };
        let product = |name: &str, outer, inner| {
            [
                ParameterSpec::matrix(format!("{name}.weight"), [outer, inner]),
                ParameterSpec::vector(format!("{name}.bias"), outer),
            ]
        };
        all.extend(norm(names::NORM));
        for layer in 0..self.layers {
            let at = |name: &str| names::name_in_layer(layer, name);
            for name in [names::QUERY, names::KEY, names::VALUE, names::MIXED] {
                all.extend(product(&at(name), hidden, hidden));
            }
            all.extend(norm(&at(names::MIXED_NORM)));
            all.extend(product(&at(names::WIDEN), wide, hidden));
            all.extend(product(&at(names::NARROW), hidden, wide));
            all.extend(norm(&at(names::NARROW_NORM)));
        }
        all.sort();
        all
    }
}
