//! Vectors of a decoder that was trained to encode requests and items (objective contrastive): what such a training leaves,
//! the towers while it trains, and the encoder that serves.

mod file;
mod kind;
pub mod settings;
#[cfg(test)]
mod tests;
mod tower;

pub use file::Dense;
use file::MODEL_DIR;
pub use tower::Tower;

use std::path::Path;

use trieval_kernels::ops::{Threads, dot};

use super::VECTORS_FILE;
use super::request::{Encoded, RequestEncoder};
use super::{Provenance, Vectors, read_encoded};
use crate::corpus::{Ask, Catalogue};
use crate::decode::prompt::PromptBuilder;
use crate::error::Result;
use crate::model::FrozenDecoder;
use crate::progress::Context;
use crate::train::objective::contrastive::feedback::request_text;
use crate::train::objective::contrastive::{Readings, Towers};

/// Texts encoded at once.
const CHUNK: usize = 256;

/// The vectors of items, given their prompts.
///
/// # Errors
/// When the decoder fails, or the user asked to stop.
pub fn encode_items(tower: &Tower<'_>, items: &[Vec<u32>], ctx: &Context) -> Result<Vectors> {
    let dim = tower.dim()?;
    let mut data = Vec::with_capacity(items.len() * dim);
    let mut bar = ctx.bar("encode items", items.len() as u64, "item");
    for chunk in items.chunks(CHUNK) {
        ctx.check_interrupt()?;
        let readings: Vec<&Vec<u32>> = chunk.iter().collect();
        data.extend(tower.items(&readings, &[])?.detach().flatten_all()?.to_vec1::<f32>()?);
        bar.advance(chunk.len() as u64);
    }
    Vectors::new(dim, data, "item vectors of a decoder")
}

/// The prompts of requests with these texts, and of all items.
///
/// # Errors
/// When the tokenizer refuses a text.
pub fn read(
    tower: &Tower<'_>,
    queries: &[&str],
    catalogue: &Catalogue,
) -> Result<Readings<Vec<u32>>> {
    let queries = queries.iter().map(|text| tower.read_query(text)).collect::<Result<_>>()?;
    let items = (0..catalogue.len() as u32).map(|item| tower.read_query(catalogue.text(item)));
    Ok(Readings { queries, items: items.collect::<Result<_>>()? })
}

/// Writes the vectors of all items by the decoder that a contrastive training left in `from`, and a copy of what encodes.
fn fit(from: &Path, catalogue: &Catalogue, out: &Path, ctx: &Context) -> Result<()> {
    let vectors = encode(from, catalogue, ctx)?;
    let (dense, folder) = (Dense::open(from)?, Dense::decoder(from)?);
    let projection = dense.projection(from, folder.config().hidden_size)?;
    folder.copy_to(&out.join(MODEL_DIR))?;
    dense.save(out, projection.as_ref())?;
    let made_from = Provenance::of_encoder(&catalogue.hash, out, dense.files())?;
    vectors.write_made_from(&out.join(VECTORS_FILE), &made_from)
}

/// The vectors of items by the decoder in a folder: what a contrastive training left, or a copy of it.
fn encode(folder: &Path, items: &Catalogue, ctx: &Context) -> Result<Vectors> {
    let (dense, model) = (Dense::open(folder)?, Dense::decoder(folder)?);
    let decoder = model.decoder()?;
    let projection = dense.projection(folder, decoder.config().hidden_size)?;
    let prompts = dense.prompts(model.tokenizer())?;
    let tower = Tower::trained(&decoder, &prompts, projection.as_ref())?;
    let readings = read(&tower, &[], items)?;
    encode_items(&tower, &readings.items, ctx)
}

/// Opens what [`fit`] wrote.
fn load(folder: &Path, catalogue: &Catalogue) -> Result<Encoded> {
    let (dense, model) = (Dense::open(folder)?, Dense::decoder(folder)?);
    let vectors = read_encoded(folder, catalogue, dense.files())?;
    let projection = dense.projection(folder, model.config().hidden_size)?;
    let projection = projection.map(|tensor| tensor.to_vec2::<f32>()).transpose()?;
    let prompts = dense.prompts(model.tokenizer())?;
    // One thread per request: they come from many.
    let decoder = model.freeze(Threads::One)?;
    let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item).to_owned()).collect();
    let history_items = dense.history_items;
    Ok(Encoded::new(Requests { decoder, prompts, projection, texts, history_items }, vectors))
}

/// The trained decoder, asked for requests.
struct Requests {
    decoder: FrozenDecoder,
    prompts: PromptBuilder,
    /// Rows of the projection.
    projection: Option<Vec<Vec<f32>>>,
    /// What items say, for histories.
    texts: Vec<String>,
    history_items: u32,
}

impl RequestEncoder for Requests {
    fn vector(&self, ask: &Ask, _items: &Vectors) -> Result<Vec<f32>> {
        let text = |item: u32| self.texts.get(item as usize).map_or("", String::as_str);
        let text = request_text(ask.query.as_deref(), &ask.history, self.history_items, text);
        let tokens = self.prompts.build(Some(&text), &[])?.tokens;
        let cache = self.decoder.prefill(&tokens)?;
        let hidden = cache.last_hidden();
        let mut vector = match &self.projection {
            Some(rows) => rows.iter().map(|row| dot(row, hidden)).collect(),
            None => hidden.to_vec(),
        };
        let length = dot(&vector, &vector).sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|x| *x /= length);
        }
        Ok(vector)
    }
}
