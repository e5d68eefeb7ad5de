//! MMSE: two towers that learn from all stages of a cascade at once (arXiv 2303.11009).
//!
//! A request brings ordered, clicked and shown items, the batch random ones. A retrieval loss compares positives with
//! everything, a ranking loss the items of a request with each other. The paper's text was not at hand in full: what it
//! leaves open is settled by settings, so that every part can be taken away. `bag` takes texts apart, `model` holds towers
//! and fusion, `readings` what of texts is read once; the training is `train::objective::contrastive`, and this file fits
//! and serves it.

mod bag;
mod kind;
mod model;
mod readings;
pub mod settings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::request::{Encoded, RequestEncoder};
use super::validation::validation;
use super::{VECTORS_FILE, read_encoded};
use crate::corpus::{Ask, Catalogue, Split};
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::model::checkpoint::WeightFiles;
use crate::model::encoder::{EncoderFolder, source_files};
use crate::model::tokenizer::Tokenizer;
use crate::progress::Context;
use crate::store::{read_description, write_json};
use crate::train::held_out::Judge;
use crate::train::objective::contrastive::feedback::{Feedback, request_text};
use crate::train::objective::contrastive::{Contrastive, Towers};
use crate::train::validation::Measured;
use crate::vectors::{Provenance, Vectors};

use model::{HEADS_FILE, Model, Reading, Side, TEXT_DIR, choices};
use readings::{read, read_items};
use settings::{MmseSettings, MmseText};

/// Version of the folder's layout.
const FORMAT: u32 = 3;
const SETTINGS_FILE: &str = "mmse.json";
/// Items encoded at once.
const ENCODE_CHUNK: usize = 64;

#[derive(Serialize, Deserialize)]
struct MmseFile {
    format: u32,
    settings: MmseSettings,
    /// Put before the text of a request.
    query_prefix: String,
}

/// The outside files that a model begins with, checked; none where it begins from scratch.
///
/// # Errors
/// [`Error::Data`] when the folder of a pretrained encoder cannot be used, or is to train and cannot.
pub fn sources(settings: &MmseSettings) -> Result<Vec<PathBuf>> {
    match &settings.text {
        MmseText::Pretrained(pretrained) => {
            let folder = pretrained.path.path()?;
            let opened = EncoderFolder::open(folder, &choices(pretrained))?;
            if pretrained.train {
                opened.check_trains()?;
            }
            source_files(folder)
        }
        MmseText::Bag { .. } | MmseText::Transformer { .. } | MmseText::Vectors { .. } => {
            Ok(Vec::new())
        }
    }
}

/// Trains the model on the training requests of the corpus and writes it and the vectors of all items.
///
/// # Errors
/// When the corpus has no text or not the levels that are asked for, training fails, or the disk refuses.
pub fn fit(
    settings: &MmseSettings,
    label: &str,
    step: &StepContext<'_>,
    judge: &dyn Judge,
) -> Result<()> {
    let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
    let (base, seed, out, ctx) = (step.inputs.find(Role::Vectors), step.seed, step.out, step.ctx);
    catalogue.check_text(corpus.folder(), "mmse")?;
    let start = step.inputs.find(Role::Start);
    let settings = &match start.map(read_file).transpose()? {
        Some(MmseFile { settings: MmseSettings { text, channels, .. }, .. }) => {
            MmseSettings { text, channels, ..settings.clone() }
        }
        None => settings.clone(),
    };
    let feedback = Feedback::gather(corpus, catalogue, &settings.contrast)?;
    let vocabulary = match &settings.text {
        MmseText::Bag { vocabulary, .. } | MmseText::Transformer { vocabulary, .. } => *vocabulary,
        MmseText::Pretrained(_) | MmseText::Vectors { .. } => 0,
    };
    let tokenizer = || -> Result<Tokenizer> {
        let queries: Vec<String> = corpus
            .request_iter(Split::Train)?
            .filter_map(|request| request.map(|request| request.ask.query).transpose())
            .collect::<Result<_>>()?;
        let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item).to_owned());
        Tokenizer::train_bpe(texts.chain(queries), vocabulary as usize, ctx)
    };
    let n_items = catalogue.len();
    let model = match start {
        Some(folder) => {
            Model::load(folder, settings, n_items, read_file(folder)?.query_prefix, true)?
        }
        None => Model::new(settings, n_items, seed.purpose("weights"), base, &tokenizer)?,
    };
    let readings = read(&model, catalogue, &feedback, base, ctx)?;
    let mut objective =
        Contrastive::new(&model, catalogue, feedback, &readings, &settings.contrast, seed);
    let newest = settings.contrast.history_items;
    let mut measure = validation(&settings.course, label, judge, |requests| {
        let vectors = encode_items(&model, &readings.items, &Context::silent())?;
        let asked = requests.iter().map(|request| {
            encode_request(&model, &request.ask, newest, |item| catalogue.text(item))
        });
        Ok((vectors, asked.collect::<Result<_>>()?))
    })?;
    let measure = measure.as_mut().map(|measure| measure as &mut dyn FnMut() -> Result<Measured>);
    let course = &settings.course;
    course.run(step, label, model.parameters(), &mut objective, measure).map_err(|error| {
        match error {
            Error::Memory { .. } => {
                error.with_help("lower `batch`, `uniform` or the width of the vectors")
            }
            other => other,
        }
    })?;
    let vectors = encode_items(&model, &readings.items, ctx)?;
    model.save(out)?;
    let made_from = Provenance::of_encoder(&catalogue.hash, out, model.files())?;
    vectors.write_made_from(&out.join(VECTORS_FILE), &made_from)?;
    let query_prefix = model.query_prefix().to_owned();
    let file = MmseFile { format: FORMAT, settings: settings.clone(), query_prefix };
    write_json(&out.join(SETTINGS_FILE), &file)
}

fn encode_items(model: &Model, readings: &[Reading], ctx: &Context) -> Result<Vectors> {
    let items: Vec<u32> = (0..readings.len() as u32).collect();
    let mut data = Vec::with_capacity(items.len() * model.dim());
    let mut bar = ctx.bar("encode items", items.len() as u64, "item");
    for (chunk, readings) in items.chunks(ENCODE_CHUNK).zip(readings.chunks(ENCODE_CHUNK)) {
        ctx.check_interrupt()?;
        let readings: Vec<&Reading> = readings.iter().collect();
        data.extend(model.items(&readings, chunk)?.detach().flatten_all()?.to_vec1::<f32>()?);
        bar.advance(chunk.len() as u64);
    }
    Vectors::new(model.dim(), data, "item vectors of mmse")
}

/// What the folder of a trained model says of it.
fn read_file(folder: &Path) -> Result<MmseFile> {
    read_description(&folder.join(SETTINGS_FILE), "mmse", FORMAT)
}

/// The trained model, asked for requests.
struct Requests {
    model: Model,
    settings: MmseSettings,
    /// What items say, for histories.
    texts: Vec<String>,
}

/// The vectors of further items by the model that [`fit`] wrote: their texts alone speak, or vectors of them in `base`, where
/// the model reads those.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format.
fn encode(
    folder: &Path,
    items: &Catalogue,
    base: Option<&Vectors>,
    ctx: &Context,
) -> Result<Vectors> {
    let file = read_file(folder)?;
    let known = Vectors::read(&folder.join(VECTORS_FILE), None)?.len();
    let model = Model::load(folder, &file.settings, known, file.query_prefix, false)?;
    let readings: Vec<Reading> = match base {
        Some(base) => base.rows().map(|row| Reading::Vector(row.to_vec())).collect(),
        None => read_items(&model, items, ctx)?,
    };
    let mut data = Vec::with_capacity(readings.len() * model.dim());
    for chunk in readings.chunks(ENCODE_CHUNK) {
        ctx.check_interrupt()?;
        let chunk: Vec<&Reading> = chunk.iter().collect();
        data.extend(model.later_items(&chunk)?.detach().flatten_all()?.to_vec1::<f32>()?);
    }
    Vectors::new(model.dim(), data, "item vectors of mmse")
}

/// Loads what [`fit`] wrote.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format, or the vectors were made by another model.
pub fn load(folder: &Path, catalogue: &Catalogue) -> Result<Encoded> {
    let file = read_file(folder)?;
    let (_, n_items) = catalogue.of_run();
    let model = Model::load(folder, &file.settings, n_items, file.query_prefix, false)?;
    let vectors = read_encoded(folder, catalogue, model.files())?;
    let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item).to_owned()).collect();
    Ok(Encoded::new(Requests { model, settings: file.settings, texts }, vectors))
}

impl RequestEncoder for Requests {
    fn vector(&self, ask: &Ask, _items: &Vectors) -> Result<Vec<f32>> {
        let newest = self.settings.contrast.history_items;
        encode_request(&self.model, ask, newest, |item| {
            self.texts.get(item as usize).map_or("", String::as_str)
        })
    }
}

/// The vector of a request, `[dim]`: of its text, or of that of its newest items.
fn encode_request<'a>(
    model: &Model,
    ask: &Ask,
    newest: u32,
    text: impl Fn(u32) -> &'a str,
) -> Result<Vec<f32>> {
    let text = request_text(ask.query.as_deref(), &ask.history, newest, text);
    let reading = model.read(&text, Side::Query)?;
    Ok(model.queries(&[&reading])?.detach().flatten_all()?.to_vec1::<f32>()?)
}

/// Trained values of the model in `folder`: the towers, and the text encoder where it trains too.
///
/// # Errors
/// [`Error::Data`] when its weights are missing or damaged.
fn stored_parameters(settings: &MmseSettings, folder: &Path) -> Result<u64> {
    let heads = WeightFiles::open_file(&folder.join(HEADS_FILE))?.n_values();
    Ok(match &settings.text {
        MmseText::Pretrained(text) if text.train => {
            heads + WeightFiles::open(&folder.join(TEXT_DIR))?.n_values()
        }
        _ => heads,
    })
}
