//! A model folder tied to the identifiers it speaks: the one layout that is written, and the one loader.

use std::path::Path;

use serde::{Deserialize, Serialize};
use trieval_kernels::index::SidIndex;
use trieval_kernels::ops::Threads;

use crate::decode::prompt::PromptBuilder;
use crate::decode::retriever::Retriever;
use crate::decode::settings::DecodeSettings;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::model::item_tokens::ItemTokens;
use crate::model::lora::AdapterSpec;
use crate::model::settings::{LoraSettings, ModelSettings};
use crate::model::tokenizer::TOKENIZER;
use crate::model::{Decoder, ModelFolder};
use crate::seed::Seed;
use crate::store::{digest, write_json};

/// The constraint index inside the folder of identifiers.
pub const INDEX_FILE: &str = "index.bin";
/// Ties a model folder to the identifier and tokenizer it was made for.
const BINDING_FILE: &str = "bundle.json";

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

/// Ties a model folder to identifiers, whose first code has the token `first_token`.
///
/// # Errors
/// When the folder cannot be read or written.
pub fn bind(folder: &Path, identifiers: &Identifiers, first_token: u32) -> Result<()> {
    let binding = Binding {
        format: 1,
        catalogue: identifiers.catalogue.clone(),
        tokenizer: digest(&folder.join(TOKENIZER))?.blake3,
        levels: identifiers.levels.clone(),
        first_token,
    };
    write_json(&folder.join(BINDING_FILE), &binding)
}

/// A model with everything that is needed to prompt it and to search with it.
pub struct Bundle {
    /// Renders requests, and spells items.
    pub prompts: PromptBuilder,
    folder: ModelFolder,
    identifiers: Identifiers,
    first_token: u32,
}

impl Bundle {
    /// Opens a model folder and checks that it belongs to the identifier in `identifier_folder`.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing or damaged, or the two do not belong together.
    pub fn load(folder: &Path, identifier_folder: &Path, settings: &ModelSettings) -> Result<Self> {
        let identifiers = Identifiers::load(identifier_folder, None)?;
        let path = folder.join(BINDING_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        let binding: Binding = serde_json::from_slice(&text)
            .map_err(|e| Error::data(&path, format!("not an identifier binding: {e}")))?;
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
        if binding.tokenizer != digest(&folder.join(TOKENIZER))?.blake3 {
            return mismatch("tokenizer");
        }
        let folder = ModelFolder::open(folder)?;
        let first_token = binding.first_token;
        let items = ItemTokens::new(&identifiers.codes, &identifiers.levels, first_token);
        let prompts = PromptBuilder::new(folder.tokenizer().clone(), items, settings)?;
        Ok(Self { prompts, folder, identifiers, first_token })
    }

    /// The decoder, all of whose parameters train.
    ///
    /// # Errors
    /// [`Error::Data`] when weights are missing or damaged.
    pub fn decoder(&self) -> Result<Decoder> {
        self.folder.decoder()
    }

    /// The decoder with frozen weights and a fresh adapter.
    ///
    /// # Errors
    /// [`Error::Data`] when weights are missing or damaged.
    pub fn adapted(&self, lora: &LoraSettings, seed: Seed) -> Result<Decoder> {
        let first_new_token = self.first_token as usize;
        self.folder.adapted(AdapterSpec { settings: lora.clone(), first_new_token }, seed)
    }

    /// Writes `decoder`, this model with other weights, to another folder.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(&self, decoder: &Decoder, folder: &Path) -> Result<()> {
        ModelFolder::save(folder, decoder, self.folder.tokenizer())?;
        bind(folder, &self.identifiers, self.first_token)
    }

    /// A search with this model over the index in `identifier_folder`.
    ///
    /// # Errors
    /// [`Error::Data`] when index or weights are missing or damaged.
    pub fn into_retriever(
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
///
/// # Errors
/// [`Error::Data`] when it is missing or damaged.
pub fn open_index(identifier_folder: &Path) -> Result<SidIndex> {
    let path = identifier_folder.join(INDEX_FILE);
    SidIndex::open(&path).map_err(|e| {
        Error::data(&path, e.to_string())
            .with_help("delete the identifier's step folder and run again")
    })
}
