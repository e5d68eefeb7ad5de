//! Encoders of further families, as `candle-transformers` runs them. Their weights stay as they are: that library's
//! networks use operations without a gradient.
//!
//! Each family has a file: the keys of its `config.json`, the parameters that its weights must hold, and what the library
//! is told. Texts are computed one by one, on all threads: nothing is padded, so that no text changes another's vector.

mod jina;
mod modernbert;
mod nomic;
mod t5;

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models;
use rayon::prelude::*;
use serde_json::{Map, Value};

#[cfg(test)]
pub(super) use self::{
    jina::JINA_KEYS, modernbert::MODERNBERT_KEYS, nomic::NOMIC_KEYS, t5::T5_KEYS,
};
use crate::error::{Error, Result};
use crate::model::parameters::ParameterSpec;

/// A family of encoders that the library runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LibraryFamily {
    /// The encoder of T5 (arXiv:1910.10683): distances instead of positions.
    T5,
    /// arXiv:2412.13663: turned positions, and layers that see a window.
    ModernBert,
    /// arXiv:2402.01613: BERT with turned positions and gates.
    Nomic,
    /// arXiv:2310.19923: BERT with slopes instead of positions (ALiBi) and gates.
    Jina,
}

impl LibraryFamily {
    /// What `model_type` may be. Jina's is `bert`, as that of BERT itself.
    pub(super) const MODEL_TYPES: [&'static str; 4] =
        ["t5", "modernbert", "nomic_bert", "bert with `position_embedding_type` = \"alibi\""];

    /// The family of a `config.json`, where it is one of these.
    pub(super) fn of(object: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        match (text("model_type")?, text("position_embedding_type")) {
            ("t5", _) => Some(Self::T5),
            ("modernbert", _) => Some(Self::ModernBert),
            ("nomic_bert", _) => Some(Self::Nomic),
            ("bert", Some("alibi")) => Some(Self::Jina),
            _ => None,
        }
    }

    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::T5 => "t5",
            Self::ModernBert => "modernbert",
            Self::Nomic => "nomic_bert",
            Self::Jina => "bert with alibi",
        }
    }

    /// What names of tensors may begin with, where the encoder was part of another model.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::T5 => "transformer.",
            Self::ModernBert => "model.",
            Self::Nomic => "nomic_bert.",
            Self::Jina => "bert.",
        }
    }

    /// What names of tensors begin with that turn no text into a vector.
    pub(super) fn heads(self) -> &'static [&'static str] {
        match self {
            // The embedding is told by either name, and both are the same.
            Self::T5 => &["decoder.", "lm_head.", "encoder.embed_tokens."],
            Self::ModernBert => &["head.", "decoder.", "classifier."],
            Self::Nomic | Self::Jina => &["pooler.", "cls.", "lm_head."],
        }
    }

    /// Another name that files may have for a parameter.
    pub(super) fn other_name(self, name: &str) -> Option<&'static str> {
        (self == Self::T5 && name == t5::EMBEDDING).then_some("encoder.embed_tokens.weight")
    }
}

/// What a `config.json` describes.
#[derive(Clone)]
pub(super) struct LibraryConfig {
    pub(super) family: LibraryFamily,
    /// Rows of the embedding.
    pub(super) rows: usize,
    pub(super) hidden: usize,
    /// Longest text in tokens, where there is a limit.
    pub(super) positions: Option<usize>,
    /// Sorted by name.
    pub(super) parameters: Vec<ParameterSpec>,
    design: Design,
    /// The file as it was read.
    file: Map<String, Value>,
}

/// What the library is told.
#[derive(Clone)]
enum Design {
    T5(models::t5::Config),
    ModernBert(models::modernbert::Config),
    Nomic(models::nomic_bert::Config),
    Jina(models::jina_bert::Config),
}

/// What a family reads of its file.
struct Described {
    rows: usize,
    hidden: usize,
    positions: Option<usize>,
    parameters: Vec<ParameterSpec>,
    design: Design,
}

impl LibraryConfig {
    /// Reads the fields of a `config.json` of this family.
    ///
    /// # Errors
    /// What is wrong with it: keys that are not known, sizes that do not fit each other.
    pub(super) fn read(
        family: LibraryFamily,
        object: Map<String, Value>,
    ) -> Result<Self, Vec<String>> {
        let file = object.clone();
        let described = match family {
            LibraryFamily::T5 => t5::described(object),
            LibraryFamily::ModernBert => modernbert::described(object),
            LibraryFamily::Nomic => nomic::described(object),
            LibraryFamily::Jina => jina::described(object),
        };
        let Described { rows, hidden, positions, mut parameters, design } = described?;
        parameters.sort();
        Ok(Self { family, rows, hidden, positions, parameters, design, file })
    }
}

/// A network with its weights.
pub(super) struct LibraryNetwork {
    config: LibraryConfig,
    tensors: BTreeMap<String, Tensor>,
    /// Longest text in tokens.
    longest: usize,
    built: Built,
}

enum Built {
    /// Copied for each text, since it may be asked by one at a time; copies share their weights.
    T5(models::t5::T5EncoderModel),
    ModernBert(models::modernbert::ModernBert),
    Nomic(models::nomic_bert::NomicBertModel),
    /// Built for each text: the library holds a matrix of as many rows and columns as a text may have tokens.
    Jina(models::jina_bert::Config, HashMap<String, Tensor>),
}

impl LibraryNetwork {
    /// The network of given values, which are those that `config` declares, for texts of at most `longest` tokens.
    pub(super) fn new(
        config: LibraryConfig,
        tensors: BTreeMap<String, Tensor>,
        longest: usize,
    ) -> Result<Self> {
        let own = |start: &str| -> HashMap<String, Tensor> {
            let named =
                |(name, tensor): (&String, &Tensor)| (format!("{start}{name}"), tensor.clone());
            tensors.iter().map(named).collect()
        };
        // Weights are found by the names that the library asks for, and share their storage with `tensors`.
        let builder = |start: &str| VarBuilder::from_tensors(own(start), DType::F32, &Device::Cpu);
        let built = match &config.design {
            Design::T5(design) => Built::T5(models::t5::T5EncoderModel::load(builder(""), design)?),
            Design::ModernBert(design) => {
                let design = models::modernbert::Config {
                    max_position_embeddings: longest,
                    ..design.clone()
                };
                Built::ModernBert(models::modernbert::ModernBert::load(builder("model."), &design)?)
            }
            Design::Nomic(design) => {
                let design = models::nomic_bert::Config { n_positions: longest, ..design.clone() };
                Built::Nomic(models::nomic_bert::NomicBertModel::load(builder(""), &design)?)
            }
            Design::Jina(design) => Built::Jina(design.clone(), own("")),
        };
        Ok(Self { config, tensors, longest, built })
    }

    /// Numbers per token vector.
    pub(super) fn hidden(&self) -> usize {
        self.config.hidden
    }

    /// All values by name.
    pub(super) fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// The fields of `config.json`.
    pub(super) fn to_file(&self) -> Value {
        Value::Object(self.config.file.clone())
    }

    /// Hidden states of all tokens of texts behind one another, `[tokens, hidden]`; there is at least one token.
    pub(super) fn rows(&self, texts: &[&[u32]]) -> Result<Tensor> {
        let filled: Vec<&[u32]> = texts.iter().copied().filter(|text| !text.is_empty()).collect();
        let rows: Vec<Tensor> =
            filled.par_iter().map(|text| self.text(text)).collect::<Result<_>>()?;
        Ok(Tensor::cat(&rows, 0)?)
    }

    /// Hidden states of one text's tokens, `[tokens, hidden]`.
    fn text(&self, tokens: &[u32]) -> Result<Tensor> {
        let n = tokens.len();
        if n > self.longest {
            let longest = self.longest;
            return Err(Error::Failed(format!(
                "encoder: a text of {n} tokens is longer than {longest}, which this one was opened for"
            )));
        }
        let ids = Tensor::from_slice(tokens, (1, n), &Device::Cpu)?;
        let hidden = match &self.built {
            Built::T5(network) => network.clone().forward(&ids)?,
            Built::ModernBert(network) => network.forward(&ids, &ids.ones_like()?)?,
            Built::Nomic(network) => network.forward(&ids, None, None)?,
            Built::Jina(design, tensors) => {
                let design =
                    models::jina_bert::Config { max_position_embeddings: n, ..design.clone() };
                let builder = VarBuilder::from_tensors(tensors.clone(), DType::F32, &Device::Cpu);
                models::jina_bert::BertModel::new(builder, &design)?.forward(&ids)?
            }
        };
        Ok(hidden.squeeze(0)?)
    }
}
