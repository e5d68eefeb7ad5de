//! A pretrained text encoder as it is: item vectors from a folder of sentence-transformers, and requests
//! encoded by the same model. Nothing is learnt from the corpus.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::nearest::{Nearest, RequestEncoder, newest};
use super::settings::EncoderSettings;
use super::two_tower::VECTORS_FILE;
use crate::corpus::{Catalogue, Corpus, Request};
use crate::error::{Error, Result};
use crate::model::encoder::{EncoderFolder, FolderChoices, TextEncoder, Weights};
use crate::progress::Context;
use crate::store::{Vectors, write_json};

/// Version of the folder's layout.
const FORMAT: u32 = 1;
const SETTINGS_FILE: &str = "encoder.json";
/// The encoder itself.
const MODEL_DIR: &str = "model";

#[derive(Serialize, Deserialize)]
struct EncoderFile {
    format: u32,
    query_prefix: String,
    history_items: u32,
}

/// What the recipe says of the folder.
pub fn choices(settings: &EncoderSettings) -> FolderChoices {
    FolderChoices {
        pooling: settings.pooling,
        max_tokens: settings.max_tokens.map(|tokens| tokens as usize),
    }
}

/// Writes the vectors of all items, and a copy of the encoder, to `folder`.
///
/// # Errors
/// [`Error::Data`] when the encoder cannot be used or items have no text, [`Error::Environment`] when the disk refuses,
/// [`Error::Interrupted`] when the user asked to stop.
pub fn fit(
    corpus: &Corpus,
    catalogue: &Catalogue,
    settings: &EncoderSettings,
    folder: &Path,
    ctx: &Context,
) -> Result<()> {
    let source = EncoderFolder::open(&settings.path, &choices(settings))?;
    let encoder = source.encoder(Weights::Frozen)?;
    let texts: Vec<String> = (0..catalogue.len() as u32)
        .map(|item| format!("{}{}", settings.item_prefix, catalogue.text(item)))
        .collect();
    if (0..catalogue.len() as u32).all(|item| catalogue.text(item).trim().is_empty()) {
        return Err(Error::data(corpus.folder(), "items have no text, which an encoder needs")
            .with_help(
                "give corpus.items_file, or item vectors made elsewhere (kind = \"file\")",
            ));
    }
    let mut bar = ctx.bar("encode items", texts.len() as u64, "item");
    let data = encoder.vectors(&texts, |n| {
        bar.advance(n as u64);
        ctx.check_interrupt()
    })?;
    drop(bar);
    Vectors::new(encoder.dim(), data, &settings.path)?.write(&folder.join(VECTORS_FILE))?;
    encoder.save(&folder.join(MODEL_DIR))?;
    let file = EncoderFile {
        format: FORMAT,
        query_prefix: settings.query_prefix.clone(),
        history_items: settings.history_items,
    };
    write_json(&folder.join(SETTINGS_FILE), &file)
}

/// Encodes requests: their text, or the mean of the vectors of the newest items of their history.
struct Requests {
    encoder: TextEncoder,
    file: EncoderFile,
}

/// The encoder that [`fit`] wrote a copy of, and what is put before the text of a request.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format.
pub(super) fn open(folder: &Path) -> Result<(TextEncoder, String)> {
    let (encoder, file) = read(folder)?;
    Ok((encoder, file.query_prefix))
}

fn read(folder: &Path) -> Result<(TextEncoder, EncoderFile)> {
    let path = folder.join(SETTINGS_FILE);
    let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
    let file: EncoderFile = serde_json::from_slice(&text)
        .map_err(|e| Error::data(&path, format!("not an encoder description: {e}")))?;
    if file.format != FORMAT {
        let got = file.format;
        return Err(Error::data(&path, format!("has format version {got}, expected {FORMAT}")));
    }
    let model = EncoderFolder::open(&folder.join(MODEL_DIR), &FolderChoices::default())?;
    Ok((model.encoder(Weights::Frozen)?, file))
}

/// Loads what [`fit`] wrote.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format.
pub fn load(folder: &Path, catalogue: &Catalogue) -> Result<Nearest> {
    let (encoder, file) = read(folder)?;
    let vectors = Vectors::read(&folder.join(VECTORS_FILE), Some(catalogue.len()))?;
    if vectors.dim != encoder.dim() {
        let message = format!(
            "item vectors have {} numbers, the encoder gives {}",
            vectors.dim,
            encoder.dim()
        );
        return Err(Error::data(folder, message).with_help("delete the folder and run again"));
    }
    Ok(Nearest::new(Requests { encoder, file }, vectors))
}

impl RequestEncoder for Requests {
    fn vector(&self, request: &Request, vectors: &Vectors) -> Result<Vec<f32>> {
        if let Some(query) = &request.query {
            let text = format!("{}{query}", self.file.query_prefix);
            return self.encoder.vectors(&[text], |_| Ok(()));
        }
        let dim = vectors.dim;
        let mut mean = vec![0f32; dim];
        let items = newest(&request.history, self.file.history_items);
        for item in items {
            let row = &vectors.data[*item as usize * dim..][..dim];
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / items.len() as f32);
        }
        Ok(mean)
    }
}
