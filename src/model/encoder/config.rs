//! `config.json` of an encoder of the BERT family: which architectures there are, and what of them can be run.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::keys::{DISTILBERT_KEYS, ENCODER_KEYS};
use super::names;
use crate::model::config::size_faults;
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
    /// arXiv:1910.01108; without kinds of text, and with names of its own.
    DistilBert,
}

impl Family {
    pub(super) const ALL: [Self; 4] =
        [Self::Bert, Self::Roberta, Self::XlmRoberta, Self::DistilBert];

    pub(super) fn model_type(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::XlmRoberta => "xlm-roberta",
            Self::DistilBert => "distilbert",
        }
    }

    /// What names of tensors may begin with, where the encoder was part of another model.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta | Self::XlmRoberta => "roberta.",
            Self::DistilBert => "distilbert.",
        }
    }

    /// What names of tensors begin with that turn no text into a vector.
    pub(super) fn heads(self) -> &'static [&'static str] {
        match self {
            Self::Bert | Self::Roberta | Self::XlmRoberta => {
                &["pooler.", "cls.", "lm_head.", "qa_outputs."]
            }
            Self::DistilBert => &["vocab_transform.", "vocab_layer_norm.", "vocab_projector."],
        }
    }

    /// The name of a parameter in the files of this family.
    pub(super) fn file_name(self, name: &str) -> String {
        match self {
            Self::Bert | Self::Roberta | Self::XlmRoberta => name.to_owned(),
            Self::DistilBert => names::distilled(name),
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
    /// Kinds of text in a pair, of which this program uses the first; none in DistilBERT.
    pub(super) types: usize,
    pub(super) layer_norm_eps: f64,
}

/// The fields that are read.
#[derive(Deserialize)]
struct ConfigFile {
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

/// The fields of DistilBERT's that are read.
#[derive(Deserialize)]
struct DistilBertFile {
    vocab_size: usize,
    dim: usize,
    hidden_dim: usize,
    n_layers: usize,
    n_heads: usize,
    max_position_embeddings: usize,
    #[serde(rename = "activation")]
    _activation: String,
}

/// What is wrong with a number of heads and the width that they divide.
pub(super) fn heads_fault(heads: (&str, usize), width: (&str, usize)) -> Option<String> {
    let fits = heads.1 == 0 || width.1.is_multiple_of(heads.1);
    (!fits).then(|| format!("{} = {} does not divide {} = {}", heads.0, heads.1, width.0, width.1))
}

/// What is wrong with what keeps a norm's divisor away from zero.
pub(super) fn epsilon_fault(name: &str, epsilon: f64) -> Option<String> {
    let fits = epsilon.is_finite() && epsilon > 0.0;
    (!fits).then(|| format!("{name} is {epsilon}, expected more than 0"))
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

    /// Reads the fields of a `config.json` of this family.
    ///
    /// # Errors
    /// What is wrong with it: keys that are not known, sizes that do not fit each other.
    pub(super) fn read(family: Family, object: Map<String, Value>) -> Result<Self, Vec<String>> {
        match family {
            Family::DistilBert => {
                let file: DistilBertFile = DISTILBERT_KEYS.read(object)?;
                Self::distilled(&file)
            }
            Family::Bert | Family::Roberta | Family::XlmRoberta => {
                Self::from_file(family, &ENCODER_KEYS.read(object)?)
            }
        }
    }

    fn distilled(file: &DistilBertFile) -> Result<Self, Vec<String>> {
        let mut faults = size_faults(&[
            ("vocab_size", file.vocab_size, 1 << 27),
            ("dim", file.dim, 1 << 20),
            ("hidden_dim", file.hidden_dim, 1 << 22),
            ("n_layers", file.n_layers, 1 << 12),
            ("n_heads", file.n_heads, 1 << 14),
            ("max_position_embeddings", file.max_position_embeddings, 1 << 22),
        ]);
        faults.extend(heads_fault(("n_heads", file.n_heads), ("dim", file.dim)));
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            family: Family::DistilBert,
            vocab_size: file.vocab_size,
            hidden: file.dim,
            intermediate: file.hidden_dim,
            layers: file.n_layers,
            heads: file.n_heads,
            positions: file.max_position_embeddings,
            first_position: 0,
            types: 0,
            // No key of its file says so: it is a constant of its program.
            layer_norm_eps: 1e-12,
        })
    }

    fn from_file(family: Family, file: &ConfigFile) -> Result<Self, Vec<String>> {
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
            (Family::Bert | Family::DistilBert, _) => 0,
            (Family::Roberta | Family::XlmRoberta, Ok(pad)) => pad + 1,
            (Family::Roberta | Family::XlmRoberta, Err(_)) => {
                faults.push("pad_token_id is -1, but positions begin behind it".into());
                0
            }
        };
        faults.extend(heads_fault(
            ("num_attention_heads", file.num_attention_heads),
            ("hidden_size", file.hidden_size),
        ));
        if file.max_position_embeddings > 0 && file.max_position_embeddings <= first_position {
            faults.push(format!(
                "max_position_embeddings = {} leaves no position for a text",
                file.max_position_embeddings
            ));
        }
        faults.extend(epsilon_fault("layer_norm_eps", file.layer_norm_eps));
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
    pub(super) fn to_file(&self) -> Value {
        if self.family == Family::DistilBert {
            return json!({
                "model_type": self.family.model_type(),
                "vocab_size": self.vocab_size,
                "dim": self.hidden,
                "hidden_dim": self.intermediate,
                "n_layers": self.layers,
                "n_heads": self.heads,
                "max_position_embeddings": self.positions,
                "activation": "gelu",
            });
        }
        json!({
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

    /// Every parameter, sorted by name. Names are BERT's, whatever they are in a file.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let (hidden, wide) = (self.hidden, self.intermediate);
        let mut all = vec![
            ParameterSpec::table(names::WORDS, [self.vocab_size, hidden]),
            ParameterSpec::table(names::POSITIONS, [self.positions, hidden]),
        ];
        if self.types > 0 {
            all.push(ParameterSpec::table(names::TYPES, [self.types, hidden]));
        }
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
