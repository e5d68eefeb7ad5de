//! What of the texts does not change while the model trains.

use std::path::Path;

use rayon::prelude::*;

use super::super::encoder::item_vectors;
use super::model::{Model, Reading, Side};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::progress::Context;
use crate::train::objective::contrastive::Readings;
use crate::train::objective::contrastive::feedback::Feedback;

/// Texts read between two looks at the interrupt flag.
const READ_CHUNK: usize = 512;

/// Reads all texts; a frozen encoder runs here, on all threads, and never again. Vectors of the items that `base` holds
/// are taken from there.
///
/// # Errors
/// When the encoder fails, or the user asked to stop.
pub(super) fn read(
    model: &Model,
    catalogue: &Catalogue,
    feedback: &Feedback,
    base: Option<&Path>,
    ctx: &Context,
) -> Result<Readings<Reading>> {
    let queries: Vec<&str> = feedback.examples.iter().map(|one| one.text.as_str()).collect();
    let queries = read_all(model, &queries, (Side::Query, "read requests"), ctx)?;
    let items = match base {
        Some(folder) => {
            let vectors = item_vectors(folder, catalogue)?;
            vectors.rows().map(|row| Reading::Vector(row.to_vec())).collect()
        }
        None => read_items(model, catalogue, ctx)?,
    };
    Ok(Readings { queries, items })
}

/// Reads the texts of items.
pub(super) fn read_items(model: &Model, items: &Catalogue, ctx: &Context) -> Result<Vec<Reading>> {
    let texts: Vec<&str> = (0..items.len() as u32).map(|item| items.text(item)).collect();
    read_all(model, &texts, (Side::Item, "read items"), ctx)
}

fn read_all(
    model: &Model,
    texts: &[&str],
    (side, label): (Side, &str),
    ctx: &Context,
) -> Result<Vec<Reading>> {
    let mut readings = Vec::with_capacity(texts.len());
    let mut bar = ctx.bar(label, texts.len() as u64, "text");
    for chunk in texts.chunks(READ_CHUNK) {
        if !readings.is_empty() {
            ctx.check_interrupt()?;
        }
        let read = chunk.par_iter().map(|text| model.read(text, side));
        readings.par_extend(read.collect::<Result<Vec<_>>>()?);
        bar.advance(chunk.len() as u64);
    }
    Ok(readings)
}
