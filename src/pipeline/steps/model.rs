//! A decoder with its tokenizer and the identifier it speaks.

use std::path::Path;

use serde::{Deserialize, Serialize};
use trieval_kernels::index::SidIndex;

use super::INDEX_FILE;
use crate::corpus::{Corpus, Split};
use crate::decode::prompt::PromptBuilder;
use crate::decode::retriever::Retriever;
use crate::decode::settings::DecodeSettings;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::model::item_tokens::ItemTokens;
use crate::model::settings::{ModelSettings, ScratchSettings};
use crate::model::{Decoder, DecoderConfig, ModelFolder, Special, Tokenizer};
use crate::pipeline::folder::hash_file;
use crate::pipeline::runner::StepEnv;
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
    let ModelSettings::Scratch(settings) = &env.loaded.recipe.model[name];
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let catalogue = corpus.catalogue()?;
    let identifiers =
        Identifiers::load(&env.input(&format!("identifier.{}", settings.identifier))?, None)?;
    let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item).to_owned());
    let queries: Vec<String> = corpus
        .request_iter(Split::Train)?
        .filter_map(|request| request.map(|request| request.query).transpose())
        .collect::<Result<_>>()?;
    let mut tokenizer =
        Tokenizer::train_bpe(texts.chain(queries), settings.vocabulary as usize, env.ctx)?;
    let first_token = tokenizer.extend(&identifiers.tokens())?.start;
    let config = DecoderConfig::from_scratch(
        settings,
        identifiers.levels.len(),
        tokenizer.len(),
        tokenizer.special(Special::Pad),
        tokenizer.special(Special::End),
    )?;
    let decoder = Decoder::init(config, env.seed())?;
    save(env.out.as_path(), &decoder, &tokenizer, &identifiers, first_token)?;
    env.ctx.say(format!(
        "model: {} parameters, vocabulary {} ({} identifier tokens)",
        decoder.config().parameter_count(),
        tokenizer.len(),
        identifiers.levels.iter().sum::<u32>(),
    ));
    Ok(())
}

fn save(
    folder: &Path,
    decoder: &Decoder,
    tokenizer: &Tokenizer,
    identifiers: &Identifiers,
    first_token: u32,
) -> Result<()> {
    ModelFolder::save(folder, decoder, tokenizer)?;
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
    pub decoder: Decoder,
    pub prompts: PromptBuilder,
    tokenizer: Tokenizer,
    identifiers: Identifiers,
    first_token: u32,
}

impl LoadedModel {
    /// Loads a model folder and checks that it belongs to the identifier in `identifier_folder`.
    pub(in crate::pipeline) fn load(
        folder: &Path,
        identifier_folder: &Path,
        settings: &ScratchSettings,
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
        let ModelFolder { decoder, tokenizer } = ModelFolder::load(folder)?;
        let first_token = binding.first_token;
        let items = ItemTokens::new(&identifiers.codes, &identifiers.levels, first_token);
        let prompts = PromptBuilder::new(
            tokenizer.clone(),
            items,
            settings.prompt_tokens as usize,
            settings.history_items as usize,
        );
        Ok(Self { decoder, prompts, tokenizer, identifiers, first_token })
    }

    /// Writes the model, with whatever weights it has now, to another folder.
    pub(in crate::pipeline) fn save(&self, folder: &Path) -> Result<()> {
        save(folder, &self.decoder, &self.tokenizer, &self.identifiers, self.first_token)
    }

    /// A search with this model over the index in `identifier_folder`.
    pub(in crate::pipeline) fn into_retriever(
        self,
        identifier_folder: &Path,
        decode: &DecodeSettings,
    ) -> Result<(PromptBuilder, Retriever)> {
        let index = open_index(identifier_folder)?;
        let retriever = Retriever::new(&self.decoder, index, self.prompts.items().clone(), decode)?;
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
