//! A pretrained model as it is: item vectors from a text encoder or from the hidden states of a decoder, and requests
//! encoded by the same model. Nothing is learnt from the corpus.

mod kind;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::request::{Encoded, RequestEncoder};
use super::settings::{EncoderSettings, HiddenStateSettings};
use super::{VECTORS_FILE, read_encoded};
use crate::corpus::{Ask, Catalogue, Corpus, newest};
use crate::error::{Error, Result};
use crate::model::encoder::{EncoderFolder, FolderChoices, TextEncoder, Weights};
use crate::model::settings::HiddenPooling;
use crate::model::{HiddenStateEncoder, ModelFolder};
use crate::progress::Context;
use crate::store::{read_description, write_json};
use crate::vectors::{Provenance, Vectors};

/// Version of the folder's layout.
const FORMAT: u32 = 1;
const SETTINGS_FILE: &str = "encoder.json";
/// The model itself.
const MODEL_DIR: &str = "model";

#[derive(Serialize, Deserialize)]
struct EncoderFile {
    format: u32,
    query_prefix: String,
    history_items: u32,
    /// How a decoder reads; a text encoder's folder says so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decoder: Option<Reading>,
}

/// How a decoder turns a text into a vector.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Reading {
    pooling: HiddenPooling,
    max_tokens: usize,
}

/// Where a model comes from, and how it is asked.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A text encoder.
    Encoder(&'a EncoderSettings),
    /// A decoder.
    Decoder(&'a HiddenStateSettings),
}

/// A model that turns texts into vectors.
enum Model {
    Encoder(Box<TextEncoder>),
    Decoder(Box<HiddenStateEncoder>),
}

/// What the recipe says of the folder.
pub fn choices(settings: &EncoderSettings) -> FolderChoices {
    let prefixes = [settings.query_prefix.as_str(), &settings.item_prefix];
    FolderChoices::of(settings.pooling, settings.max_tokens, prefixes)
}

/// Refuses the folder of a decoder that cannot be used, without reading its weights.
///
/// # Errors
/// [`Error::Data`] when a file is missing or damaged, or `max_tokens` does not fit the model.
pub fn check_decoder(settings: &HiddenStateSettings) -> Result<()> {
    let folder = ModelFolder::open(settings.path.path()?)?;
    HiddenStateEncoder::check(&folder, settings.max_tokens.map(|tokens| tokens as usize))
}

/// Writes the vectors of all items, and a copy of the model, to `folder`.
///
/// # Errors
/// [`Error::Data`] when the model cannot be used or items have no text, [`Error::Environment`] when the disk refuses,
/// [`Error::Interrupted`] when the user asked to stop.
pub fn fit(
    corpus: &Corpus,
    catalogue: &Catalogue,
    source: Source<'_>,
    folder: &Path,
    ctx: &Context,
) -> Result<()> {
    catalogue.check_text(corpus.folder(), "an encoder")?;
    let model_dir = folder.join(MODEL_DIR);
    let (model, path, item_prefix, file) = match source {
        Source::Encoder(settings) => {
            let opened = EncoderFolder::open(settings.path.path()?, &choices(settings))?;
            let encoder = opened.encoder(Weights::Frozen)?;
            encoder.save(&model_dir)?;
            let file = EncoderFile {
                format: FORMAT,
                query_prefix: settings.query_prefix.clone(),
                history_items: settings.history_items,
                decoder: None,
            };
            (Model::Encoder(Box::new(encoder)), settings.path.path()?, &settings.item_prefix, file)
        }
        Source::Decoder(settings) => {
            let opened = ModelFolder::open(settings.path.path()?)?;
            let max_tokens = settings.max_tokens.map(|tokens| tokens as usize);
            let pooling = settings.pooling;
            let decoder = HiddenStateEncoder::open(&opened, pooling, max_tokens)?;
            opened.copy_to(&model_dir)?;
            let file = EncoderFile {
                format: FORMAT,
                query_prefix: settings.query_prefix.clone(),
                history_items: settings.history_items,
                decoder: Some(Reading { pooling, max_tokens: decoder.max_tokens() }),
            };
            (Model::Decoder(Box::new(decoder)), settings.path.path()?, &settings.item_prefix, file)
        }
    };
    let vectors = model.encode_items(catalogue, item_prefix, path, ctx)?;
    let made_from = Provenance::of_encoder(&catalogue.hash, folder, &[MODEL_DIR])?;
    vectors.write_made_from(&folder.join(VECTORS_FILE), &made_from)?;
    write_json(&folder.join(SETTINGS_FILE), &file)
}

impl Model {
    fn dim(&self) -> usize {
        match self {
            Self::Encoder(encoder) => encoder.dim(),
            Self::Decoder(decoder) => decoder.dim(),
        }
    }

    /// The vectors of items; `path` names the model in messages.
    fn encode_items(
        &self,
        items: &Catalogue,
        prefix: &str,
        path: &Path,
        ctx: &Context,
    ) -> Result<Vectors> {
        let text = |item: u32| format!("{prefix}{}", items.text(item));
        let texts: Vec<String> = (0..items.len() as u32).map(text).collect();
        let mut bar = ctx.bar("encode items", texts.len() as u64, "item");
        let data = self.vectors(&texts, |n| {
            bar.advance(n as u64);
            ctx.check_interrupt()
        })?;
        Vectors::new(self.dim(), data, path)
    }

    fn vectors(&self, texts: &[String], done: impl FnMut(usize) -> Result<()>) -> Result<Vec<f32>> {
        match self {
            Self::Encoder(encoder) => encoder.vectors(texts, done),
            Self::Decoder(decoder) => decoder.vectors(texts, done),
        }
    }
}

/// The vectors of further items by the model that [`fit`] wrote a copy of; `prefix` is put before their texts.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format.
fn encode(folder: &Path, items: &Catalogue, prefix: &str, ctx: &Context) -> Result<Vectors> {
    read(folder)?.0.encode_items(items, prefix, folder, ctx)
}

/// Encodes requests: their text, or the mean of the vectors of the newest items of their history.
struct Requests {
    model: Model,
    file: EncoderFile,
}

/// The text encoder that [`fit`] wrote a copy of, and what is put before the text of a request.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format, or the model is a decoder.
pub(super) fn open(folder: &Path) -> Result<(Box<TextEncoder>, String)> {
    match read(folder)? {
        (Model::Encoder(encoder), file) => Ok((encoder, file.query_prefix)),
        (Model::Decoder(_), _) => Err(Error::data(folder, "holds a decoder, not a text encoder")),
    }
}

fn read(folder: &Path) -> Result<(Model, EncoderFile)> {
    let file: EncoderFile = read_description(&folder.join(SETTINGS_FILE), "an encoder", FORMAT)?;
    let model_dir = folder.join(MODEL_DIR);
    let model = match file.decoder {
        None => {
            let opened = EncoderFolder::open(&model_dir, &FolderChoices::default())?;
            Model::Encoder(Box::new(opened.encoder(Weights::Frozen)?))
        }
        Some(Reading { pooling, max_tokens }) => {
            let opened = ModelFolder::open(&model_dir)?;
            Model::Decoder(Box::new(HiddenStateEncoder::open(&opened, pooling, Some(max_tokens))?))
        }
    };
    Ok((model, file))
}

/// The item vectors that [`fit`] wrote.
///
/// # Errors
/// [`Error::Data`] when the file is missing or damaged, or they were made by another model or for other items.
pub(super) fn item_vectors(folder: &Path, catalogue: &Catalogue) -> Result<Vectors> {
    read_encoded(folder, catalogue, &[MODEL_DIR])
}

/// Loads what [`fit`] wrote.
///
/// # Errors
/// [`Error::Data`] when a file is missing, damaged or of another format, or the vectors were made by another model.
pub fn load(folder: &Path, catalogue: &Catalogue) -> Result<Encoded> {
    let (model, file) = read(folder)?;
    let vectors = item_vectors(folder, catalogue)?;
    if vectors.dim != model.dim() {
        let message =
            format!("item vectors have {} numbers, the encoder gives {}", vectors.dim, model.dim());
        return Err(Error::data(folder, message).with_help("delete the folder and run again"));
    }
    Ok(Encoded::new(Requests { model, file }, vectors))
}

impl RequestEncoder for Requests {
    fn vector(&self, ask: &Ask, vectors: &Vectors) -> Result<Vec<f32>> {
        if let Some(query) = &ask.query {
            let text = format!("{}{query}", self.file.query_prefix);
            return self.model.vectors(&[text], |_| Ok(()));
        }
        let dim = vectors.dim;
        let mut mean = vec![0f32; dim];
        let items = newest(&ask.history, self.file.history_items);
        for item in items {
            let row = &vectors.data[*item as usize * dim..][..dim];
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / items.len() as f32);
        }
        Ok(mean)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::corpus::kinds::CorpusSettings;
    use crate::corpus::settings::SimulatorSettings;
    use crate::corpus::{Split, build};
    use crate::seed::Seed;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
    }

    /// A small shop, and the golden decoder of a family with a tokenizer.
    struct Place {
        root: TempDir,
        corpus: Corpus,
        catalogue: Catalogue,
    }

    impl Place {
        fn new(family: &str) -> Self {
            let root = TempDir::new().unwrap();
            let shop = SimulatorSettings {
                items: 30,
                users: 10,
                requests: 120,
                days: 8,
                ..SimulatorSettings::default()
            };
            let folder = root.path().join("corpus");
            let settings = CorpusSettings::Simulator(shop);
            build(&settings, Seed::new(3), &folder, &Context::silent()).unwrap();
            let corpus = Corpus::open(&folder).unwrap();
            let catalogue = corpus.catalogue().unwrap();
            for source in ["decoders", "hidden_states"] {
                copy(&golden(source).join(family), &root.path().join("decoder"));
            }
            Self { root, corpus, catalogue }
        }

        fn decoder(&self) -> HiddenStateSettings {
            HiddenStateSettings {
                path: self.root.path().join("decoder").into(),
                pooling: HiddenPooling::Last,
                max_tokens: Some(12),
                query_prefix: "the ".into(),
                item_prefix: String::new(),
                history_items: 2,
            }
        }

        fn fit(&self, source: Source<'_>) -> PathBuf {
            let folder = self.root.path().join("fit");
            fit(&self.corpus, &self.catalogue, source, &folder, &Context::silent()).unwrap();
            folder
        }

        fn told(&self, folder: &Path) -> String {
            load(folder, &self.catalogue).err().unwrap().to_string()
        }
    }

    #[test]
    fn a_decoder_encodes_requests_into_the_space_of_its_items() {
        let place = Place::new("llama");
        let settings = place.decoder();
        check_decoder(&settings).unwrap();
        let folder = place.fit(Source::Decoder(&settings));
        // The copy is enough.
        std::fs::remove_dir_all(settings.path.path().unwrap()).unwrap();
        let ranker = load(&folder, &place.catalogue).unwrap();
        let opened = ModelFolder::open(&folder.join(MODEL_DIR)).unwrap();
        let model = HiddenStateEncoder::open(&opened, HiddenPooling::Last, Some(12)).unwrap();
        let texts: Vec<&str> = (0..30).map(|item| place.catalogue.text(item)).collect();
        let items = model.vectors(&texts, |_| Ok(())).unwrap();
        let mut ask = place.corpus.requests(Split::Test).unwrap().remove(0).ask;
        ask.query = Some("red lamp".into());
        let query = model.vectors(&["the red lamp"], |_| Ok(())).unwrap();
        let score = |item: usize| -> f32 {
            let row = &items[item * model.dim()..][..model.dim()];
            row.iter().zip(&query).map(|(a, b)| a * b).sum()
        };
        let found = ranker.nearest(&ask).unwrap();
        assert_eq!(found.len(), 30);
        for (item, found) in found {
            assert!((found - score(item as usize)).abs() < 1e-5);
        }
        // Without text, the newest items of the history speak.
        ask.query = None;
        ask.history = vec![9, 4, 4];
        let found = ranker.nearest(&ask).unwrap();
        assert!((found[0].1 - 1.0).abs() < 1e-5, "{found:?}");
        // Items that come later are encoded as those of the catalogue were.
        let later = encode(&folder, &place.catalogue, "", &Context::silent()).unwrap();
        assert!(later == ranker.vectors);
    }

    #[test]
    fn vectors_of_another_encoder_or_catalogue_are_refused() {
        let place = Place::new("qwen3");
        let settings = place.decoder();
        let folder = place.fit(Source::Decoder(&settings));
        let weights = folder.join(MODEL_DIR).join("model.safetensors");
        let whole = std::fs::read(&weights).unwrap();
        let mut other = whole.clone();
        // The lowest bit of the last number: still a decoder, and another one.
        let last = other.len() - 4;
        other[last] ^= 1;
        std::fs::write(&weights, other).unwrap();
        let text = place.told(&folder);
        assert!(text.contains("the vectors were built by another encoder: expected"), "{text}");
        assert!(text.contains("run the recipe again"), "{text}");
        std::fs::write(&weights, whole).unwrap();
        assert!(load(&folder, &place.catalogue).is_ok());
        let items: Vec<String> = (0..30).map(|item| format!("other-{item}")).collect();
        let items = items.iter().map(|id| (id.as_str(), "red lamp", ""));
        let catalogue = Catalogue::from_items(items).unwrap();
        let text = load(&folder, &catalogue).err().unwrap().to_string();
        assert!(text.contains("the vectors were built for another catalogue"), "{text}");
        let description = folder.join(SETTINGS_FILE);
        std::fs::write(
            &description,
            "{\"format\": 9, \"query_prefix\": \"\", \"history_items\": 1}",
        )
        .unwrap();
        assert!(place.told(&folder).contains("has format version 9, expected 1"));
    }

    #[test]
    fn a_text_encoder_and_a_decoder_differ_by_their_description_alone() {
        let place = Place::new("qwen2");
        let settings = EncoderSettings {
            path: golden("encoders/bert").into(),
            pooling: None,
            max_tokens: None,
            query_prefix: String::new(),
            item_prefix: String::new(),
            history_items: 5,
        };
        let folder = place.fit(Source::Encoder(&settings));
        let file: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join(SETTINGS_FILE)).unwrap()).unwrap();
        assert!(file.get("decoder").is_none());
        assert!(load(&folder, &place.catalogue).is_ok());
        // Vectors of unknown origin are taken as they are, as long as they fit.
        let path = folder.join(VECTORS_FILE);
        let vectors = Vectors::read(&path, Some(30)).unwrap();
        vectors.write(&path).unwrap();
        assert!(load(&folder, &place.catalogue).is_ok());
        Vectors::new(1, vec![0.5; 30], "test").unwrap().write(&path).unwrap();
        assert!(place.told(&folder).contains("item vectors have 1 numbers, the encoder gives 6"));
    }

    #[test]
    fn decoders_that_cannot_be_used_are_refused() {
        let place = Place::new("qwen3");
        let told =
            |settings: &HiddenStateSettings| check_decoder(settings).unwrap_err().to_string();
        let long = HiddenStateSettings { max_tokens: Some(65), ..place.decoder() };
        assert!(told(&long).contains("the model has 64 positions, `max_tokens` is 65"));
        let absent = HiddenStateSettings { path: "absent".into(), ..place.decoder() };
        assert!(told(&absent).contains("is not a folder"));
        let encoder =
            HiddenStateSettings { path: golden("encoders/bert").into(), ..place.decoder() };
        assert!(told(&encoder).contains("config.json"), "{}", told(&encoder));
        std::fs::remove_file(place.root.path().join("decoder/tokenizer.json")).unwrap();
        assert!(told(&place.decoder()).contains("has no tokenizer"));
    }
}
