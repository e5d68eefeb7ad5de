//! A small two-tower text encoder: requests and items in one space, nearest items by cosine.
//!
//! It is a system of its own, and the source of the item vectors that identifiers are made from.
//! `encoder` holds the network, `objective` the contrastive loss, this file fits and serves it.

mod encoder;
mod kind;
mod objective;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::request::{Encoded, RequestEncoder};
use super::settings::TwoTowerSettings;
use super::validation::validation;
use super::{VECTORS_FILE, read_encoded};
use crate::corpus::{Ask, Catalogue, Split, newest};
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::model::checkpoint::WeightFiles;
use crate::model::tokenizer::{TOKENIZER, Tokenizer};
use crate::progress::Context;
use crate::seed::Seed;
use crate::store::{read_description, write_json};
use crate::train::held_out::Judge;
use crate::train::validation::Measured;
use crate::vectors::{Provenance, Vectors};

use encoder::{Encoder, Tower};
use objective::{Contrastive, Examples};

/// Version of the folder's layout.
const FORMAT: u32 = 1;
const SETTINGS_FILE: &str = "encoder.json";
const WEIGHTS_FILE: &str = "encoder.safetensors";
/// What vectors depend on.
const ENCODER_FILES: [&str; 2] = [WEIGHTS_FILE, TOKENIZER];
/// Items encoded at once.
const ENCODE_CHUNK: usize = 1024;
/// Longest text in tokens; the rest is not read.
const MAX_TOKENS: usize = 64;

#[derive(Serialize, Deserialize)]
struct EncoderFile {
    format: u32,
    settings: TwoTowerSettings,
}

/// Trains the encoder on the training requests of the corpus and writes it, and the vectors of all
/// items.
///
/// # Errors
/// When the corpus has no text or no feedback, training fails, or the disk refuses.
pub fn fit(
    settings: &TwoTowerSettings,
    label: &str,
    step: &StepContext<'_>,
    judge: &dyn Judge,
) -> Result<()> {
    let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
    let (folder, ctx) = (step.out, step.ctx);
    catalogue.check_text(corpus.folder(), "the two-tower encoder")?;
    let texts = || (0..catalogue.len() as u32).map(|item| catalogue.text(item).to_owned());
    let queries: Vec<String> = corpus
        .request_iter(Split::Train)?
        .filter_map(|request| request.map(|request| request.ask.query).transpose())
        .collect::<Result<_>>()?;
    let seed = step.seed;
    let start_folder = step.inputs.find(Role::Start);
    let start = start_folder.map(read_encoder).transpose()?;
    let (settings, tokenizer, encoder) = match start {
        Some((tokenizer, encoder)) => {
            let dim = encoder.dim() as u32;
            (&TwoTowerSettings { dim, ..settings.clone() }, tokenizer, encoder)
        }
        None => {
            let n_tokens = settings.vocabulary as usize;
            let tokenizer = Tokenizer::train_bpe(texts().chain(queries), n_tokens, ctx)?;
            let dim = settings.dim as usize;
            let encoder = Encoder::new(tokenizer.len(), dim, seed.purpose("weights"))?;
            (settings, tokenizer, encoder)
        }
    };
    let examples = Examples::gather(step, catalogue, &tokenizer, settings)?;
    let mut objective = Contrastive::new(&encoder, &tokenizer, catalogue, examples, settings, seed);
    let item_bags: Vec<Vec<u32>> = match &settings.course.validation {
        Some(_) => bags(&tokenizer, catalogue)?,
        None => Vec::new(),
    };
    let newest = settings.history_items;
    let mut measure = validation(&settings.course, label, judge, |requests| {
        let vectors = encode_items(&encoder, &tokenizer, catalogue, &Context::silent())?;
        let asked = requests
            .iter()
            .map(|request| encode_request(&encoder, &tokenizer, &request.ask, newest, &item_bags));
        Ok((vectors, asked.collect::<Result<_>>()?))
    })?;
    let measure = measure.as_mut().map(|measure| measure as &mut dyn FnMut() -> Result<Measured>);
    let course = &settings.course;
    course.run(step, label, encoder.parameters(), &mut objective, measure).map_err(|error| {
        match error {
            Error::Memory { .. } => {
                // What it starts from has a width of its own.
                error.with_help(match start_folder {
                    Some(_) => "lower `batch` or `uniform_negatives` of the vectors",
                    None => "lower `batch`, `uniform_negatives` or `dim` of the vectors",
                })
            }
            other => other,
        }
    })?;

    let vectors = encode_items(&encoder, &tokenizer, catalogue, ctx)?;
    tokenizer.save(folder, MAX_TOKENS)?;
    encoder.save(&folder.join(WEIGHTS_FILE))?;
    let made_from = Provenance::of_encoder(&catalogue.hash, folder, &ENCODER_FILES)?;
    vectors.write_made_from(&folder.join(VECTORS_FILE), &made_from)?;
    write_json(
        &folder.join(SETTINGS_FILE),
        &EncoderFile { format: FORMAT, settings: settings.clone() },
    )
}

fn encode_items(
    encoder: &Encoder,
    tokenizer: &Tokenizer,
    catalogue: &Catalogue,
    ctx: &Context,
) -> Result<Vectors> {
    let mut data = Vec::with_capacity(catalogue.len() * encoder.dim());
    let items: Vec<u32> = (0..catalogue.len() as u32).collect();
    let mut bar = ctx.bar("encode items", items.len() as u64, "item");
    for chunk in items.chunks(ENCODE_CHUNK) {
        ctx.check_interrupt()?;
        let bags: Vec<Vec<u32>> = chunk
            .iter()
            .map(|&item| bag(tokenizer, catalogue.text(item)))
            .collect::<Result<_>>()?;
        let bags: Vec<&[u32]> = bags.iter().map(Vec::as_slice).collect();
        data.extend(encoder.encode(&bags, Tower::Item)?.flatten_all()?.to_vec1::<f32>()?);
        bar.advance(chunk.len() as u64);
    }
    Vectors::new(encoder.dim(), data, "item vectors of the two-tower encoder")
}

/// Tokens of a text, cut to what the encoder reads.
fn bag(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let mut tokens = tokenizer.encode(text)?;
    tokens.truncate(MAX_TOKENS);
    Ok(tokens)
}

/// Tokens of every item's text.
fn bags(tokenizer: &Tokenizer, catalogue: &Catalogue) -> Result<Vec<Vec<u32>>> {
    let items = 0..catalogue.len() as u32;
    items.map(|item| bag(tokenizer, catalogue.text(item))).collect()
}

/// Tokens of the newest items of a history, oldest first.
fn history_bag<'a>(history: &[u32], items: u32, item_bag: impl Fn(u32) -> &'a [u32]) -> Vec<u32> {
    newest(history, items).iter().flat_map(|&item| item_bag(item).iter().copied()).collect()
}

/// The trained encoder, asked for requests.
struct TwoTower {
    encoder: Encoder,
    tokenizer: Tokenizer,
    settings: TwoTowerSettings,
    /// Tokens of each item's text, for histories.
    item_bags: Vec<Vec<u32>>,
}

/// The tokenizer and the weights that [`fit`] wrote.
fn read_encoder(folder: &Path) -> Result<(Tokenizer, Encoder)> {
    let file: EncoderFile =
        read_description(&folder.join(SETTINGS_FILE), "a two-tower encoder", FORMAT)?;
    let tokenizer = Tokenizer::load(folder)?;
    let encoder = Encoder::new(tokenizer.len(), file.settings.dim as usize, Seed::new(0))?;
    encoder.load(&folder.join(WEIGHTS_FILE))?;
    Ok((tokenizer, encoder))
}

/// The vectors of further items by the encoder that [`fit`] wrote.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format.
fn encode(folder: &Path, items: &Catalogue, ctx: &Context) -> Result<Vectors> {
    let (tokenizer, encoder) = read_encoder(folder)?;
    encode_items(&encoder, &tokenizer, items, ctx)
}

/// Loads what [`fit`] wrote.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format, or the vectors were made by another encoder.
pub fn load(folder: &Path, catalogue: &Catalogue) -> Result<Encoded> {
    let file: EncoderFile =
        read_description(&folder.join(SETTINGS_FILE), "a two-tower encoder", FORMAT)?;
    let (tokenizer, encoder) = read_encoder(folder)?;
    let vectors = read_encoded(folder, catalogue, &ENCODER_FILES)?;
    let item_bags = bags(&tokenizer, catalogue)?;
    Ok(Encoded::new(TwoTower { encoder, tokenizer, settings: file.settings, item_bags }, vectors))
}

impl RequestEncoder for TwoTower {
    fn vector(&self, ask: &Ask, _items: &Vectors) -> Result<Vec<f32>> {
        let Self { encoder, tokenizer, settings, item_bags } = self;
        encode_request(encoder, tokenizer, ask, settings.history_items, item_bags)
    }
}

/// The vector of a request, `[dim]`: of its text, or of its newest items.
fn encode_request(
    encoder: &Encoder,
    tokenizer: &Tokenizer,
    ask: &Ask,
    newest: u32,
    item_bags: &[Vec<u32>],
) -> Result<Vec<f32>> {
    let tokens = match &ask.query {
        Some(query) => bag(tokenizer, query)?,
        None => history_bag(&ask.history, newest, |item| &item_bags[item as usize]),
    };
    let query = encoder.encode(&[&tokens], Tower::Query)?;
    Ok(query.flatten_all()?.to_vec1::<f32>()?)
}

/// Trained values of the encoder in `folder`.
///
/// # Errors
/// [`Error::Data`] when its weights are missing or damaged.
fn stored_parameters(folder: &Path) -> Result<u64> {
    WeightFiles::open_file(&folder.join(WEIGHTS_FILE)).map(|weights| weights.n_values())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::kinds::CorpusSettings;
    use crate::corpus::settings::SimulatorSettings;
    use crate::corpus::{Corpus, build};
    use crate::inputs::testing::Place;
    use crate::train::course::settings::Course;
    use crate::train::held_out::Nobody;

    #[test]
    fn vectors_of_another_encoder_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let shop = SimulatorSettings {
            items: 30,
            users: 10,
            requests: 120,
            days: 8,
            ..SimulatorSettings::default()
        };
        let [place, out, work] = ["corpus", "out", "work"].map(|name| root.path().join(name));
        let shop = CorpusSettings::Simulator(shop);
        build(&shop, Seed::new(3), &place, &Context::silent()).unwrap();
        let corpus = Corpus::open(&place).unwrap();
        let catalogue = corpus.catalogue().unwrap();
        let settings = TwoTowerSettings {
            dim: 4,
            vocabulary: 300,
            course: Course { epochs: 1.0, batch: 32, ..Course::default() },
            uniform_negatives: 8,
            ..TwoTowerSettings::default()
        };
        let ctx = Context::silent();
        let step = Place::new(Some(&place), &out, &work);
        fit(&settings, "text", &step.step(Seed::new(1), &ctx), &Nobody).unwrap();
        let made = load(&out, &catalogue).unwrap().vectors;
        assert!(encode(&out, &catalogue, &ctx).unwrap() == made, "as items that come later are");
        let weights = out.join(WEIGHTS_FILE);
        let mut bytes = std::fs::read(&weights).unwrap();
        // The lowest bit of the last number.
        let last = bytes.len() - 4;
        bytes[last] ^= 1;
        std::fs::write(&weights, bytes).unwrap();
        let text = load(&out, &catalogue).err().unwrap().to_string();
        assert!(text.contains("the vectors were built by another encoder"), "{text}");
        let items = (0..30).map(|item| format!("other-{item}")).collect::<Vec<_>>();
        let others = Catalogue::from_items(items.iter().map(|id| (id.as_str(), "a", ""))).unwrap();
        let text = load(&out, &others).err().unwrap().to_string();
        assert!(text.contains("the vectors were built for another catalogue"), "{text}");
    }
}
