//! A decoder with its tokenizer and the identifier it speaks.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use trieval_kernels::index::SidIndex;
use trieval_kernels::ops::Threads;

use super::INDEX_FILE;
use crate::corpus::{Corpus, Split};
use crate::decode::prompt::PromptBuilder;
use crate::decode::retriever::Retriever;
use crate::decode::settings::DecodeSettings;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::model::adapter;
use crate::model::config::{EMBEDDING, HEAD};
use crate::model::item_tokens::ItemTokens;
use crate::model::lora::AdapterSpec;
use crate::model::settings::{LoraSettings, ModelSettings, PretrainedSettings, ScratchSettings};
use crate::model::{Decoder, DecoderConfig, ModelFolder, Special, Tokenizer, added_rows};
use crate::pipeline::folder::hash_file;
use crate::pipeline::runner::StepEnv;
use crate::seed::Seed;
use crate::store::write_json;

/// Ties a model folder to the identifier and tokenizer it was made for.
const BINDING_FILE: &str = "identifier.json";
const TOKENIZER_FILE: &str = "tokenizer.json";

#[derive(Debug, Serialize, Deserialize, PartialEq)]
struct Binding {
    format: u32,
    /// BLAKE3 of the catalogue's item ids.
    catalogue: String,
    /// BLAKE3 of `tokenizer.json`.
    tokenizer: String,
    /// Codes per level.
    levels: Vec<u32>,
    /// Token id of the first code of the first level.
    first_token: u32,
}

pub(super) fn execute(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let settings = &env.loaded.recipe.model[name];
    let identifier = env.input(&format!("identifier.{}", settings.identifier()))?;
    let identifiers = Identifiers::load(&identifier, None)?;
    match settings {
        ModelSettings::Scratch(settings) => scratch(env, settings, &identifiers),
        ModelSettings::Pretrained(settings) => pretrained(env, settings, &identifiers),
    }
}

fn scratch(env: &StepEnv<'_>, settings: &ScratchSettings, identifiers: &Identifiers) -> Result<()> {
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let catalogue = corpus.catalogue()?;
    let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item).to_owned());
    let queries: Vec<String> = corpus
        .request_iter(Split::Train)?
        .filter_map(|request| request.map(|request| request.query).transpose())
        .collect::<Result<_>>()?;
    let mut tokenizer =
        Tokenizer::train_bpe(texts.chain(queries), settings.vocabulary as usize, env.ctx)?;
    let first_token = tokenizer.extend(&identifiers.tokens())?.start;
    let special = |special: Special| {
        let lacks = || Error::Failed(format!("the tokenizer lacks {}", special.text()));
        tokenizer.special(special).ok_or_else(lacks)
    };
    let (pad, end) = (special(Special::Pad)?, special(Special::End)?);
    let levels = identifiers.levels.len();
    let config = DecoderConfig::from_scratch(settings, levels, tokenizer.len(), pad, end)?;
    let decoder = Decoder::init(config, env.seed())?;
    ModelFolder::save(&env.out, &decoder, &tokenizer)?;
    bind(&env.out, identifiers, first_token)?;
    tell(env, decoder.config(), &tokenizer, identifiers);
    Ok(())
}

/// A folder from outside: its adapter merged, the identifier's tokens added.
fn pretrained(
    env: &StepEnv<'_>,
    settings: &PretrainedSettings,
    identifiers: &Identifiers,
) -> Result<()> {
    let folder = ModelFolder::open(&settings.path)?;
    if let Some(ignored) = folder.ignored_generation_settings() {
        env.ctx.say(format!(
            "{}: generation_config.json is not used ({ignored}): decoding is a beam search",
            env.step.name
        ));
    }
    let mut config = folder.config().clone();
    let mut tensors = folder.tensors()?;
    if let Some(path) = &settings.adapter {
        let (spec, trained) = adapter::load(path, &config, &settings.path)?;
        for (name, tensor) in &mut tensors {
            *tensor = spec.merge(name, tensor, &trained)?;
        }
    }
    let mut tokenizer = folder.tokenizer().clone();
    let tokens = identifiers.tokens();
    let first_token = if let Some(known) = tokenizer.find(&tokens) {
        env.ctx.say(format!(
            "{}: the identifier's tokens are in the vocabulary already; their rows are kept",
            env.step.name
        ));
        known.start
    } else {
        let first = tokenizer.extend(&tokens)?.start;
        // Some vocabularies are padded beyond their tokenizer: those rows are taken first, none is dropped.
        config.vocab_size = config.vocab_size.max(tokenizer.len());
        for name in [EMBEDDING, HEAD] {
            if let Some(table) = tensors.get_mut(name) {
                let seed = env.seed().purpose(name);
                *table = added_rows::extend(table, first as usize, config.vocab_size, seed)?;
            }
        }
        first
    };
    if let Some(dtype) = settings.dtype {
        config.dtype = dtype;
    }
    check_range(&settings.path, &tensors, config.dtype.dtype())?;
    ModelFolder::write(&env.out, &config, &tensors, &tokenizer)?;
    bind(&env.out, identifiers, first_token)?;
    tell(env, &config, &tokenizer, identifiers);
    Ok(())
}

/// Refuses a type that cannot hold the weights: the largest `f16` is 65,504.
fn check_range(path: &Path, tensors: &BTreeMap<String, Tensor>, dtype: DType) -> Result<()> {
    for (name, tensor) in tensors {
        let largest = tensor.to_dtype(dtype)?.to_dtype(DType::F32)?.abs()?.max_all()?;
        if !largest.to_scalar::<f32>()?.is_finite() {
            return Err(Error::data(
                path,
                format!("{name} holds values too large for {}", dtype.as_str()),
            )
            .with_help("set dtype = \"bf16\" or \"f32\""));
        }
    }
    Ok(())
}

fn tell(
    env: &StepEnv<'_>,
    config: &DecoderConfig,
    tokenizer: &Tokenizer,
    identifiers: &Identifiers,
) {
    env.ctx.say(format!(
        "model: {} parameters, vocabulary {} ({} identifier tokens)",
        config.parameter_count(),
        tokenizer.len(),
        identifiers.levels.iter().sum::<u32>(),
    ));
}

fn bind(folder: &Path, identifiers: &Identifiers, first_token: u32) -> Result<()> {
    let binding = Binding {
        format: 1,
        catalogue: identifiers.catalogue.clone(),
        tokenizer: hash_file(&folder.join(TOKENIZER_FILE))?,
        levels: identifiers.levels.clone(),
        first_token,
    };
    write_json(&folder.join(BINDING_FILE), &binding)
}

/// A model with everything that is needed to prompt it and to search with it.
pub(in crate::pipeline) struct LoadedModel {
    pub prompts: PromptBuilder,
    folder: ModelFolder,
    identifiers: Identifiers,
    first_token: u32,
}

impl LoadedModel {
    /// Opens a model folder and checks that it belongs to the identifier in `identifier_folder`.
    pub(in crate::pipeline) fn load(
        folder: &Path,
        identifier_folder: &Path,
        settings: &ModelSettings,
    ) -> Result<Self> {
        let identifiers = Identifiers::load(identifier_folder, None)?;
        let path = folder.join(BINDING_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        let binding: Binding = serde_json::from_slice(&text)
            .map_err(|e| Error::data(&path, format!("not an identifier binding: {e}")))?;
        let tokenizer_path = folder.join(TOKENIZER_FILE);
        let mismatch = |what: &str| {
            Err(Error::data(&path, format!("the model was made for another {what}"))
                .with_help("delete the model's step folder and run again"))
        };
        if binding.catalogue != identifiers.catalogue {
            return mismatch("catalogue");
        }
        if binding.levels != identifiers.levels {
            return mismatch("identifier");
        }
        if binding.tokenizer != hash_file(&tokenizer_path)? {
            return mismatch("tokenizer");
        }
        let folder = ModelFolder::open(folder)?;
        let first_token = binding.first_token;
        let items = ItemTokens::new(&identifiers.codes, &identifiers.levels, first_token);
        let prompts = PromptBuilder::new(folder.tokenizer().clone(), items, settings)?;
        Ok(Self { prompts, folder, identifiers, first_token })
    }

    /// The decoder, all of whose parameters train.
    pub(in crate::pipeline) fn decoder(&self) -> Result<Decoder> {
        self.folder.decoder()
    }

    /// The decoder with frozen weights and a fresh adapter.
    pub(in crate::pipeline) fn adapted(&self, lora: &LoraSettings, seed: Seed) -> Result<Decoder> {
        let first_new_token = self.first_token as usize;
        self.folder.adapted(AdapterSpec { settings: lora.clone(), first_new_token }, seed)
    }

    /// Writes `decoder`, this model with other weights, to another folder.
    pub(in crate::pipeline) fn save(&self, decoder: &Decoder, folder: &Path) -> Result<()> {
        ModelFolder::save(folder, decoder, self.folder.tokenizer())?;
        bind(folder, &self.identifiers, self.first_token)
    }

    /// A search with this model over the index in `identifier_folder`.
    pub(in crate::pipeline) fn into_retriever(
        self,
        identifier_folder: &Path,
        decode: &DecodeSettings,
    ) -> Result<(PromptBuilder, Retriever)> {
        let index = open_index(identifier_folder)?;
        let decoder = self.folder.freeze(Threads::One)?;
        let retriever = Retriever::new(decoder, index, self.prompts.items().clone(), decode);
        Ok((self.prompts, retriever))
    }
}

/// The constraint index in an identifier's folder.
pub(super) fn open_index(identifier_folder: &Path) -> Result<SidIndex> {
    let path = identifier_folder.join(INDEX_FILE);
    SidIndex::open(&path).map_err(|e| {
        Error::data(&path, e.to_string())
            .with_help("delete the identifier's step folder and run again")
    })
}
