//! Folders of sentence-transformers: `modules.json` names a transformer, a pooling and what may follow; a plain
//! BERT folder has the transformer alone, and the recipe says how it is pooled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::bert::Bert;
use super::config::EncoderConfig;
use super::keys::{DENSE_KEYS, MODULE_KEYS, POOLING_KEYS, SIMILARITY_KEYS, TEXT_KEYS};
use super::{Activation, Dense, TextEncoder, TextReader, Weights};
use crate::error::{Error, Result};
use crate::model::checkpoint::{WEIGHTS, WeightFiles, save_tensors};
use crate::model::folder::CONFIG;
use crate::model::keys::{Keys, read_list, read_object};
use crate::model::parameters::ParameterSpec;
use crate::model::settings::Pooling;
use crate::model::tokenizer::Tokenizer;
use crate::store::{create_dir, write_json};

const MODULES: &str = "modules.json";
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
const POOLING_DIR: &str = "1_Pooling";
const NORMALIZE_DIR: &str = "2_Normalize";
/// Parts of a pretrained model that turn no text into a vector.
const HEADS: [&str; 4] = ["pooler.", "cls.", "lm_head.", "qa_outputs."];
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
    config: EncoderConfig,
    pooling: Pooling,
    dense: Vec<PathBuf>,
    normalizes: bool,
    text: TextReader,
    files: WeightFiles,
    /// What the names of tensors begin with.
    prefix: &'static str,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

#[derive(Deserialize, Default)]
struct TextConfig {
    #[serde(default)]
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Deserialize)]
struct DenseConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default)]
    activation_function: Option<String>,
}

#[derive(Deserialize)]
struct PoolingConfig {
    #[serde(default)]
    word_embedding_dimension: Option<usize>,
    #[serde(default)]
    embedding_dimension: Option<usize>,
    #[serde(default)]
    pooling_mode: Option<String>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
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

fn yes() -> bool {
    true
}

/// Reads a JSON file with these keys; none where there is no such file.
fn read_json<T: DeserializeOwned>(path: &Path, keys: &Keys) -> Result<Option<T>> {
    if !path.is_file() {
        return Ok(None);
    }
    let object = read_object(path, "a description of an encoder")?;
    keys.read(object).map(Some).map_err(|faults| Error::data(path, faults.join("; ")))
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
        let config = EncoderConfig::read(&transformer.join(CONFIG))?;
        let pooling = modules.pooling(path, &config, choices.pooling)?;
        let tokenizer = Tokenizer::load(&transformer)?;
        tokenizer.check_rows(config.vocab_size)?;
        let text = text_reader(&transformer, &config, tokenizer, choices.max_tokens)?;
        let normalizes = modules.normalizes || is_cosine(path)?;
        if !choices.prefixed {
            refuse_default_prompt(path)?;
        }
        let (files, prefix) = weight_files(&transformer, &config)?;
        let dense = modules.dense.iter().map(|dense| path.join(dense)).collect();
        let folder =
            Self { path: path.to_owned(), config, pooling, dense, normalizes, text, files, prefix };
        folder.read_dense()?;
        Ok(folder)
    }

    /// The encoder.
    ///
    /// # Errors
    /// [`Error::Data`] when weights cannot be read or are not finite.
    pub fn encoder(&self, weights: Weights) -> Result<TextEncoder> {
        let mut tensors = BTreeMap::new();
        for ParameterSpec { name, .. } in self.config.parameters() {
            let stored = stored(&self.files, self.prefix, &name);
            let tensor = self.files.tensor(&stored, Some(DType::F32))?;
            tensors.insert(name, tensor);
        }
        let (bert, mut parameters) = Bert::new(self.config.clone(), tensors, weights)?;
        let mut dense = self.read_dense()?;
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
            bert,
            parameters: parameters.into_iter().collect(),
            pooling: self.pooling,
            dense,
            normalizes: self.normalizes,
            text: self.text.clone(),
        })
    }

    fn read_dense(&self) -> Result<Vec<Dense>> {
        let mut width = self.config.hidden;
        let mut all = Vec::new();
        for folder in &self.dense {
            let path = folder.join(CONFIG);
            let config: DenseConfig = read_json(&path, &DENSE_KEYS)?
                .ok_or_else(|| Error::data(folder, format!("has no {CONFIG}")))?;
            if config.in_features != width {
                return Err(Error::data(
                    &path,
                    format!(
                        "in_features is {}, but what lies before gives {width}",
                        config.in_features
                    ),
                ));
            }
            let activation = match config.activation_function.as_deref() {
                None => Activation::Tanh,
                Some(name) if name.ends_with(".Tanh") => Activation::Tanh,
                Some(name) if name.ends_with(".Identity") => Activation::Identity,
                Some(name) => {
                    return Err(Error::data(&path, format!("activation_function is `{name}`"))
                        .with_help("known are Tanh and Identity"));
                }
            };
            width = config.out_features;
            let files = WeightFiles::open(folder)?;
            let bias = config.bias.then(|| ParameterSpec::vector("linear.bias", width));
            let weight = ParameterSpec::matrix("linear.weight", [width, config.in_features]);
            let expected: Vec<_> = bias.into_iter().chain([weight]).collect();
            files.check(&expected, |_| false)?;
            let weight = files.tensor("linear.weight", Some(DType::F32))?;
            let bias = if config.bias {
                files.tensor("linear.bias", Some(DType::F32))?
            } else {
                Tensor::zeros(width, DType::F32, weight.device())?
            };
            all.push(Dense { weight, bias, activation });
        }
        Ok(all)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What `modules.json` names.
#[derive(Default)]
struct Modules {
    transformer: String,
    pooling: Option<String>,
    dense: Vec<String>,
    normalizes: bool,
}

impl Modules {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MODULES);
        if !path.is_file() {
            return Ok(Self::default());
        }
        let mut modules = Self::default();
        for (idx, object) in read_list(&path, "a list of modules")?.into_iter().enumerate() {
            let Module { kind, path: place } = MODULE_KEYS.read(object).map_err(|faults| {
                Error::data(&path, format!("module {idx}: {}", faults.join("; ")))
            })?;
            // Versions of sentence-transformers differ in the path of a class, not in its name.
            let class = kind.rsplit('.').next().unwrap_or_default();
            let fault = |message: String| Err(Error::data(&path, message));
            if Path::new(&place)
                .components()
                .any(|part| !matches!(part, std::path::Component::Normal(_)))
            {
                return fault(format!(
                    "module {idx} lies in `{place}`, which is not a folder inside"
                ));
            }
            match (idx, class) {
                (0, "Transformer") => modules.transformer = place,
                (1, "Pooling") => modules.pooling = Some(place),
                (2.., "Dense") if !modules.normalizes => modules.dense.push(place),
                (2.., "Normalize") => modules.normalizes = true,
                _ => {
                    return Err(Error::data(&path, format!("module {idx} is a `{class}`")).with_help(
                        "known are Transformer, then Pooling, then any number of Dense, then Normalize",
                    ));
                }
            }
        }
        Ok(modules)
    }

    fn pooling(
        &self,
        folder: &Path,
        config: &EncoderConfig,
        chosen: Option<Pooling>,
    ) -> Result<Pooling> {
        let place = self.pooling.as_deref().unwrap_or(POOLING_DIR);
        let path = folder.join(place).join(CONFIG);
        let stated = read_json::<PoolingConfig>(&path, &POOLING_KEYS)?;
        match (stated, chosen) {
            (None, None) => Err(Error::data(
                folder,
                format!("does not say how token vectors become one: there is no {place}/{CONFIG}"),
            )
            .with_help("if this is a plain BERT folder, set `pooling` to \"mean\" or \"cls\"; else copy the whole folder of sentence-transformers")),
            (None, Some(chosen)) => Ok(chosen),
            (Some(_), Some(_)) => Err(Error::data(&path, "says how token vectors become one, and so does `pooling`")
                .with_help("remove `pooling` from the recipe")),
            (Some(stated), None) => pooling_of(&path, &stated, config),
        }
    }
}

/// The one mode that a pooling's configuration switches on.
fn pooling_of(path: &Path, stated: &PoolingConfig, config: &EncoderConfig) -> Result<Pooling> {
    for (name, width) in [
        ("word_embedding_dimension", stated.word_embedding_dimension),
        ("embedding_dimension", stated.embedding_dimension),
    ] {
        if let Some(width) = width.filter(|width| *width != config.hidden) {
            let hidden = config.hidden;
            let message = format!("{name} is {width}, but the transformer's hidden_size {hidden}");
            return Err(Error::data(path, message));
        }
    }
    let (cls, mean) = (stated.pooling_mode_cls_token, stated.pooling_mode_mean_tokens);
    match (stated.pooling_mode.as_deref(), cls, mean) {
        (None, true, false) | (Some("cls"), _, false) => Ok(Pooling::Cls),
        (None, false, true) | (Some("mean"), false, _) => Ok(Pooling::Mean),
        (mode, ..) => {
            let named = [(cls, "cls_token"), (mean, "mean_tokens")];
            let named = named.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name);
            let found: Vec<&str> = mode.into_iter().chain(named).collect();
            let found = if found.is_empty() { "none".into() } else { found.join(" and ") };
            Err(Error::data(path, format!("pooling is {found}"))
                .with_help("known are mean_tokens and cls_token, one of them"))
        }
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

fn text_reader(
    transformer: &Path,
    config: &EncoderConfig,
    tokenizer: Tokenizer,
    chosen: Option<usize>,
) -> Result<TextReader> {
    let path = text_config(transformer);
    let stated: TextConfig = read_json(&path, &TEXT_KEYS)?.unwrap_or_default();
    let limit = config.max_tokens();
    // As sentence-transformers reads them: what states a length itself is not asked twice.
    let longest = match stated.max_seq_length {
        Some(longest) => longest,
        None => tokenizer.max_length()?.map_or(limit, |longest| longest.min(limit)),
    };
    if longest > limit {
        let message = format!("max_seq_length is {longest}, but the model has {limit} positions");
        return Err(Error::data(&path, message));
    }
    let max_tokens = match chosen {
        Some(chosen) if chosen > longest => {
            let message =
                format!("reads texts of at most {longest} tokens, `max_tokens` is {chosen}");
            return Err(Error::data(transformer, message).with_help("lower `max_tokens`"));
        }
        Some(chosen) => chosen,
        None => longest,
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
fn weight_files(transformer: &Path, config: &EncoderConfig) -> Result<(WeightFiles, &'static str)> {
    let files = WeightFiles::open(transformer)?;
    let family = config.family.prefix();
    let prefix = if files.names().any(|name| name.starts_with(family)) { family } else { "" };
    let mut expected = config.parameters();
    for spec in &mut expected {
        spec.name = stored(&files, prefix, &spec.name);
    }
    expected.sort();
    files.check(&expected, |name| {
        let bare = name.strip_prefix(prefix).unwrap_or(name);
        bare == POSITION_IDS || HEADS.iter().any(|head| bare.starts_with(head))
    })?;
    Ok((files, prefix))
}

/// The name of a tensor in files that may hold it by an older one.
fn stored(files: &WeightFiles, prefix: &str, name: &str) -> String {
    let plain = format!("{prefix}{name}");
    let older = OLDER_NAMES.iter().find_map(|(part, older)| {
        let start = plain.strip_suffix(part)?;
        Some(format!("{start}{older}"))
    });
    match older {
        Some(older) if files.shape(&plain).is_none() && files.shape(&older).is_some() => older,
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
    save_tensors(&folder.join(WEIGHTS), encoder.bert.tensors(), DType::F32)?;
    encoder.text.tokenizer.save(folder, encoder.text.max_tokens)?;
    let longest = encoder.text.max_tokens;
    let text = json!({ "max_seq_length": longest, "do_lower_case": encoder.text.lowercases });
    write_json(&folder.join(TEXT_CONFIG), &text)?;
    let pooling = json!({
        "word_embedding_dimension": encoder.bert.config().hidden,
        "pooling_mode_cls_token": encoder.pooling == Pooling::Cls,
        "pooling_mode_mean_tokens": encoder.pooling == Pooling::Mean,
    });
    create_dir(&folder.join(POOLING_DIR))?;
    write_json(&folder.join(POOLING_DIR).join(CONFIG), &pooling)?;
    for (number, dense) in encoder.dense.iter().enumerate() {
        let place = format!("{}_Dense", modules.len());
        let (outer, inner) = dense.weight.dims2()?;
        let activation = match dense.activation {
            Activation::Identity => "torch.nn.modules.linear.Identity",
            Activation::Tanh => "torch.nn.modules.activation.Tanh",
        };
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
    write_json(&folder.join(CONFIG), &encoder.bert.config().to_file())
}
