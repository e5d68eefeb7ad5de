//! Folders of sentence-transformers: `modules.json` names a transformer, a pooling and what may follow; a plain
//! BERT folder has the transformer alone, and the recipe says how it is pooled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::DType;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bert::Bert;
use super::keys::{SIMILARITY_KEYS, TEXT_KEYS, read_json};
use super::library::LibraryNetwork;
use super::modules::{Dense, MODULES, Modules, POOLING_DIR, POOLINGS};
use super::network::Network;
use super::shape::Shape;
use super::{TextEncoder, TextReader, Weights};
use crate::error::{Error, Result};
use crate::model::checkpoint::{WEIGHTS, WeightFiles, save_tensors};
use crate::model::folder::CONFIG;
use crate::model::parameters::ParameterSpec;
use crate::model::settings::Pooling;
use crate::model::tokenizer::{TOKENIZER_CONFIG, Tokenizer};
use crate::store::{create_dir, write_json};

/// Longest text, and whether texts are lower-cased.
const TEXT_CONFIG: &str = "sentence_bert_config.json";
/// What it may be called, in the order in which sentence-transformers looks.
const TEXT_CONFIGS: [&str; 7] = [
    TEXT_CONFIG,
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];
/// How vectors are compared.
const SIMILARITY_CONFIG: &str = "config_sentence_transformers.json";
const NORMALIZE_DIR: &str = "2_Normalize";
/// What a tokenizer without a limit states is more; no text is as long.
const MOST_TOKENS: usize = 1 << 31;
/// Written by older versions of `transformers`: 0, 1, 2, ….
const POSITION_IDS: &str = "embeddings.position_ids";
/// Ends of names as TensorFlow gave them, which the weights of the first BERTs still have.
const OLDER_NAMES: [(&str, &str); 2] =
    [("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")];

/// What a recipe says about a folder.
#[derive(Debug, Clone, Copy, Default)]
pub struct FolderChoices {
    /// How a plain BERT folder is pooled.
    pub pooling: Option<Pooling>,
    /// Longest text in tokens, where it is to be shorter than the folder says.
    pub max_tokens: Option<usize>,
    /// Whether the recipe says what is put before texts.
    pub prefixed: bool,
}

impl FolderChoices {
    /// What a recipe's keys say; `prefixes` are put before texts.
    pub fn of(pooling: Option<Pooling>, max_tokens: Option<u32>, prefixes: [&str; 2]) -> Self {
        Self {
            pooling,
            max_tokens: max_tokens.map(|tokens| tokens as usize),
            prefixed: prefixes.iter().any(|prefix| !prefix.is_empty()),
        }
    }
}

/// A folder, opened and checked; weights are read when they are asked for.
pub struct EncoderFolder {
    path: PathBuf,
    /// Its `config.json`, for messages.
    config: PathBuf,
    shape: Shape,
    pooling: Pooling,
    dense: Vec<PathBuf>,
    normalizes: bool,
    text: TextReader,
    files: WeightFiles,
    /// What the names of tensors begin with.
    prefix: &'static str,
}

#[derive(Deserialize, Default)]
struct TextConfig {
    #[serde(default)]
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Deserialize, Default)]
struct SimilarityConfig {
    #[serde(default)]
    similarity_fn_name: Option<String>,
    #[serde(default)]
    default_prompt_name: Option<String>,
    #[serde(default)]
    prompts: Map<String, Value>,
}

impl EncoderFolder {
    /// Opens a folder and checks that its parts fit each other.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing or damaged, the architecture, pooling or a module is not known, weights
    /// are pickled, missing or too many, or a choice contradicts the folder.
    pub fn open(path: &Path, choices: &FolderChoices) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::data(
                path,
                "is not a folder, expected an encoder of sentence-transformers",
            ));
        }
        let modules = Modules::read(path)?;
        let transformer = path.join(&modules.transformer);
        let config = transformer.join(CONFIG);
        let shape = Shape::read(&config)?;
        let pooling = modules.pooling(path, shape.hidden(), choices.pooling)?;
        let tokenizer = Tokenizer::load(&transformer)?;
        tokenizer.check_rows(shape.rows())?;
        let text = text_reader(&transformer, shape.positions(), tokenizer, choices.max_tokens)?;
        let normalizes = modules.normalizes || is_cosine(path)?;
        if !choices.prefixed {
            refuse_default_prompt(path)?;
        }
        let (files, prefix) = weight_files(&transformer, &shape)?;
        let dense: Vec<PathBuf> = modules.dense.iter().map(|dense| path.join(dense)).collect();
        Dense::read_all(&dense, shape.hidden())?;
        let path = path.to_owned();
        Ok(Self { path, config, shape, pooling, dense, normalizes, text, files, prefix })
    }

    /// Refuses an encoder whose weights cannot train here.
    ///
    /// # Errors
    /// [`Error::Data`] naming its family.
    pub fn check_trains(&self) -> Result<()> {
        match &self.shape {
            Shape::Own(_) => Ok(()),
            Shape::Library(_) => Err(Error::data(
                &self.config,
                format!(
                    "an encoder of the family {} stays as it is: its weights cannot train here",
                    self.shape.model_type()
                ),
            )
            .with_help("leave its weights as they are, or take an encoder of bert, roberta, xlm-roberta or distilbert")),
        }
    }

    /// The encoder.
    ///
    /// # Errors
    /// [`Error::Data`] when weights cannot be read or are not finite.
    pub fn encoder(&self, weights: Weights) -> Result<TextEncoder> {
        if weights == Weights::Trained {
            self.check_trains()?;
        }
        let mut tensors = BTreeMap::new();
        for ParameterSpec { name, .. } in self.shape.parameters() {
            let stored = stored(&self.files, self.prefix, &self.shape, &name);
            let tensor = self.files.tensor(&stored, Some(DType::F32))?;
            tensors.insert(name, tensor);
        }
        let (network, mut parameters) = match &self.shape {
            Shape::Own(config) => {
                let (bert, parameters) = Bert::new(config.clone(), tensors, weights)?;
                (Network::Own(bert), parameters)
            }
            Shape::Library(config) => {
                let longest = self.text.max_tokens;
                let network = LibraryNetwork::new((**config).clone(), tensors, longest)?;
                (Network::Library(Box::new(network)), Vec::new())
            }
        };
        let mut dense = Dense::read_all(&self.dense, self.shape.hidden())?;
        if weights == Weights::Trained {
            for (number, dense) in dense.iter_mut().enumerate() {
                let (outer, inner) = dense.weight.dims2()?;
                let name = |part: &str| format!("dense.{number}.{part}");
                let weight = ParameterSpec::matrix(name("weight"), [outer, inner]);
                let bias = ParameterSpec::vector(name("bias"), outer);
                for (spec, tensor) in [(weight, &mut dense.weight), (bias, &mut dense.bias)] {
                    let parameter = spec.filled(tensor)?;
                    *tensor = parameter.var.as_tensor().clone();
                    parameters.push(parameter);
                }
            }
        }
        Ok(TextEncoder {
            network,
            parameters: parameters.into_iter().collect(),
            pooling: self.pooling,
            dense,
            normalizes: self.normalizes,
            text: self.text.clone(),
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Refuses a folder that puts something before every text, where the recipe does not say what.
fn refuse_default_prompt(folder: &Path) -> Result<()> {
    let path = folder.join(SIMILARITY_CONFIG);
    let stated: SimilarityConfig = read_json(&path, &SIMILARITY_KEYS)?.unwrap_or_default();
    let Some(name) = stated.default_prompt_name else { return Ok(()) };
    let prompt = stated.prompts.get(&name).and_then(Value::as_str).unwrap_or_default();
    if prompt.is_empty() {
        return Ok(());
    }
    Err(Error::data(
        &path,
        format!("the prompt `{name}` ({prompt:?}) stands before every text by default"),
    )
    .with_help("say what is put before texts: `query_prefix` and `item_prefix`"))
}

/// Whether vectors are compared by cosine, so that their length means nothing.
fn is_cosine(folder: &Path) -> Result<bool> {
    let path = folder.join(SIMILARITY_CONFIG);
    let stated: SimilarityConfig = read_json(&path, &SIMILARITY_KEYS)?.unwrap_or_default();
    match stated.similarity_fn_name.as_deref() {
        None | Some("cosine") => Ok(true),
        Some("dot" | "dot_product") => Ok(false),
        Some(other) => Err(Error::data(&path, format!("similarity_fn_name is `{other}`"))
            .with_help("known are cosine and dot")),
    }
}

/// The file that says how long texts may be: the first that there is, by its usual or an older name.
fn text_config(transformer: &Path) -> PathBuf {
    let mut paths = TEXT_CONFIGS.iter().map(|name| transformer.join(name));
    paths.find(|path| path.is_file()).unwrap_or_else(|| transformer.join(TEXT_CONFIG))
}

/// `limit` is that of the model's positions, where they have one.
fn text_reader(
    transformer: &Path,
    limit: Option<usize>,
    tokenizer: Tokenizer,
    chosen: Option<usize>,
) -> Result<TextReader> {
    let path = text_config(transformer);
    let stated: TextConfig = read_json(&path, &TEXT_KEYS)?.unwrap_or_default();
    // As sentence-transformers reads them: what states a length itself is not asked twice.
    let longest = match stated.max_seq_length {
        Some(longest) => Some(longest),
        None => tokenizer.max_length()?.map_or(limit, |longest| {
            Some(limit.map_or(longest, |limit| longest.min(limit))).filter(|n| *n <= MOST_TOKENS)
        }),
    };
    if let (Some(longest), Some(limit)) = (longest, limit)
        && longest > limit
    {
        let message = format!("max_seq_length is {longest}, but the model has {limit} positions");
        return Err(Error::data(&path, message));
    }
    let max_tokens = match (chosen, longest) {
        (Some(chosen), Some(longest)) if chosen > longest => {
            let message =
                format!("reads texts of at most {longest} tokens, `max_tokens` is {chosen}");
            return Err(Error::data(transformer, message).with_help("lower `max_tokens`"));
        }
        (Some(chosen), _) => chosen,
        (None, Some(longest)) => longest,
        (None, None) => {
            let message = format!(
                "does not say how long texts may be: neither max_seq_length of {TEXT_CONFIG} nor model_max_length of {TOKENIZER_CONFIG}, and its positions have no end"
            );
            return Err(Error::data(transformer, message)
                .with_help("set `max_tokens`, for instance to 256"));
        }
    };
    let frame = (tokenizer.text_prefix()?, tokenizer.text_suffix()?);
    let framed = frame.0.len() + frame.1.len();
    if framed >= max_tokens {
        let message =
            format!("texts of {max_tokens} tokens have no room beside {framed} special ones");
        return Err(Error::data(transformer, message));
    }
    Ok(TextReader { tokenizer, frame, max_tokens, lowercases: stated.do_lower_case })
}

/// The weights, checked; and what the names of the encoder's begin with.
fn weight_files(transformer: &Path, shape: &Shape) -> Result<(WeightFiles, &'static str)> {
    let files = WeightFiles::open(transformer)?;
    let family = shape.prefix();
    let prefix = if files.names().any(|name| name.starts_with(family)) { family } else { "" };
    let mut expected = shape.parameters();
    for spec in &mut expected {
        spec.name = stored(&files, prefix, shape, &spec.name);
    }
    expected.sort();
    files.check(&expected, |name| {
        let bare = name.strip_prefix(prefix).unwrap_or(name);
        bare == POSITION_IDS || shape.heads().iter().any(|head| bare.starts_with(head))
    })?;
    Ok((files, prefix))
}

/// The name of a tensor in files that may hold it by another one.
fn stored(files: &WeightFiles, prefix: &str, shape: &Shape, name: &str) -> String {
    let plain = format!("{prefix}{}", shape.file_name(name));
    let older = OLDER_NAMES.iter().find_map(|(part, older)| {
        let start = plain.strip_suffix(part)?;
        Some(format!("{start}{older}"))
    });
    let other = || shape.other_name(name).map(|other| format!("{prefix}{other}"));
    match older.or_else(other) {
        Some(other) if files.shape(&plain).is_none() && files.shape(&other).is_some() => other,
        _ => plain,
    }
}

/// Files of a folder that the encoder is made of.
///
/// # Errors
/// [`Error::Data`] when the folder cannot be read.
pub fn source_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let modules = Modules::read(folder)?;
    let transformer = folder.join(&modules.transformer);
    let mut files = vec![folder.join(MODULES), folder.join(SIMILARITY_CONFIG)];
    files.push(folder.join(modules.pooling.as_deref().unwrap_or(POOLING_DIR)).join(CONFIG));
    files.push(text_config(&transformer));
    for place in std::iter::once(&transformer)
        .chain(&modules.dense.iter().map(|d| folder.join(d)).collect::<Vec<_>>())
    {
        let unreadable = |e: std::io::Error| Error::unreadable(place, &e);
        for entry in std::fs::read_dir(place).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name == CONFIG || name.starts_with("tokenizer") || name.contains(".safetensors") {
                files.push(path);
            }
        }
    }
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

/// Writes an encoder as a folder of sentence-transformers.
pub(super) fn save(encoder: &TextEncoder, folder: &Path) -> Result<()> {
    create_dir(folder)?;
    let kind = |name: &str| format!("sentence_transformers.models.{name}");
    let mut modules = vec![("Transformer", String::new()), ("Pooling", POOLING_DIR.to_owned())];
    save_tensors(&folder.join(WEIGHTS), &encoder.network.tensors(), DType::F32)?;
    encoder.text.tokenizer.save(folder, encoder.text.max_tokens)?;
    let longest = encoder.text.max_tokens;
    let text = json!({ "max_seq_length": longest, "do_lower_case": encoder.text.lowercases });
    write_json(&folder.join(TEXT_CONFIG), &text)?;
    let mut pooling = json!({ "word_embedding_dimension": encoder.network.hidden() });
    match encoder.pooling {
        Pooling::Mean | Pooling::Cls => {
            pooling["pooling_mode_cls_token"] = (encoder.pooling == Pooling::Cls).into();
            pooling["pooling_mode_mean_tokens"] = (encoder.pooling == Pooling::Mean).into();
        }
        other => {
            let named = POOLINGS.iter().find(|(.., pooling)| *pooling == other);
            pooling["pooling_mode"] = named.map(|(name, ..)| *name).into();
        }
    }
    create_dir(&folder.join(POOLING_DIR))?;
    write_json(&folder.join(POOLING_DIR).join(CONFIG), &pooling)?;
    for (number, dense) in encoder.dense.iter().enumerate() {
        let place = format!("{}_Dense", modules.len());
        let (outer, inner) = dense.weight.dims2()?;
        let activation = dense.activation.name();
        let config = json!({
            "in_features": inner, "out_features": outer, "bias": true, "activation_function": activation,
        });
        let path = folder.join(&place);
        create_dir(&path)?;
        let tensors = [("linear.weight", &dense.weight), ("linear.bias", &dense.bias)];
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor.clone()));
        save_tensors(&path.join(WEIGHTS), &tensors.into_iter().collect(), DType::F32)?;
        write_json(&path.join(CONFIG), &config)?;
        debug_assert_eq!(number + 2, modules.len());
        modules.push(("Dense", place));
    }
    if encoder.normalizes {
        modules.push(("Normalize", NORMALIZE_DIR.to_owned()));
    }
    let similarity = if encoder.normalizes { "cosine" } else { "dot" };
    write_json(&folder.join(SIMILARITY_CONFIG), &json!({ "similarity_fn_name": similarity }))?;
    let modules: Vec<Value> = modules
        .iter()
        .enumerate()
        .map(|(idx, (name, path))| json!({ "idx": idx, "name": idx.to_string(), "path": path, "type": kind(name) }))
        .collect();
    write_json(&folder.join(MODULES), &modules)?;
    write_json(&folder.join(CONFIG), &encoder.network.to_file())
}
