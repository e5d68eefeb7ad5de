//! What a contrastive training leaves beside its decoder, and the vectors beside theirs: how texts are asked, and what hidden
//! states are projected by.

use std::path::Path;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::decode::prompt::PromptBuilder;
use crate::error::{Error, Result};
use crate::model::checkpoint::{WeightFiles, save_tensors};
use crate::model::item_tokens::ItemTokens;
use crate::model::settings::ModelSettings;
use crate::model::{ModelFolder, Tokenizer};
use crate::store::{read_description, write_json};

/// Version of the layout.
const FORMAT: u32 = 1;
/// How texts are asked.
const DENSE_FILE: &str = "dense.json";
/// The projection, where there is one.
const PROJECTION_FILE: &str = "projection.safetensors";
/// Name of its only tensor, `[dim, hidden]`.
pub(super) const PROJECTION: &str = "projection.weight";
/// The decoder.
pub(super) const MODEL_DIR: &str = "model";

/// A dense encoder, without its decoder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dense {
    format: u32,
    /// How the model renders a request.
    model: ModelSettings,
    /// Items of a history whose text stands for a request without text.
    pub history_items: u32,
    /// Temperature of the softmax over cosines that it was trained under.
    pub temperature: f64,
    /// Whether hidden states are projected.
    is_projected: bool,
}

impl Dense {
    /// Of a model, as it was trained.
    pub fn new(
        model: &ModelSettings,
        history_items: u32,
        temperature: f64,
        is_projected: bool,
    ) -> Self {
        Self { format: FORMAT, model: model.clone(), history_items, temperature, is_projected }
    }

    /// Writes it, and the projection `[dim, hidden]` where there is one.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(&self, folder: &Path, projection: Option<&Tensor>) -> Result<()> {
        if let Some(projection) = projection {
            let tensors = [(PROJECTION.to_owned(), projection.clone())].into();
            save_tensors(&folder.join(PROJECTION_FILE), &tensors, candle_core::DType::F32)?;
        }
        write_json(&folder.join(DENSE_FILE), self)
    }

    /// Reads what a contrastive training left.
    ///
    /// # Errors
    /// [`Error::Data`] when it is missing or damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        read_description(&folder.join(DENSE_FILE), "dense encoder", FORMAT)
    }

    /// Whether a contrastive training left one in a folder.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(DENSE_FILE).is_file()
    }

    /// Whether it was trained from a model of the same kind, and of the same path where it has one.
    pub fn is_of(&self, model: &ModelSettings) -> bool {
        match (&self.model, model) {
            (ModelSettings::Scratch(_), ModelSettings::Scratch(_)) => true,
            (ModelSettings::Pretrained(own), ModelSettings::Pretrained(other)) => {
                own.path == other.path
            }
            _ => false,
        }
    }

    /// The projection `[dim, hidden]`, where there is one.
    ///
    /// # Errors
    /// [`Error::Data`] when it is missing or damaged, or does not fit a decoder of this width.
    pub fn projection(&self, folder: &Path, hidden: usize) -> Result<Option<Tensor>> {
        if !self.is_projected {
            return Ok(None);
        }
        let path = folder.join(PROJECTION_FILE);
        let tensor = WeightFiles::open_file(&path)?.tensor(PROJECTION, None)?;
        let tensor = tensor.to_device(&Device::Cpu)?;
        match tensor.dims() {
            [_, width] if *width == hidden => Ok(Some(tensor)),
            dims => {
                let message = format!("expected {PROJECTION} [dim, {hidden}], found {dims:?}");
                Err(Error::data(&path, message))
            }
        }
    }

    /// Renders texts for the decoder in a folder.
    ///
    /// # Errors
    /// As [`PromptBuilder::new`].
    pub fn prompts(&self, tokenizer: &Tokenizer) -> Result<PromptBuilder> {
        PromptBuilder::new(tokenizer.clone(), ItemTokens::none(), &self.model)
    }

    /// The decoder beside it.
    ///
    /// # Errors
    /// [`Error::Data`] when it is missing or damaged.
    pub fn decoder(folder: &Path) -> Result<ModelFolder> {
        ModelFolder::open(&folder.join(MODEL_DIR))
    }

    /// Files and folders that decide what a text's vector is.
    pub fn files(&self) -> &'static [&'static str] {
        match self.is_projected {
            true => &[DENSE_FILE, MODEL_DIR, PROJECTION_FILE],
            false => &[DENSE_FILE, MODEL_DIR],
        }
    }
}
