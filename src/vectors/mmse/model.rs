//! The towers and their fusion.
//!
//! A text's vector `h` comes from a bag of tokens, a transformer or a pretrained encoder, shared by both sides. Each
//! side has a feed-forward layer, `f(h) = normalize(h + W_down silu(W_up h))`. With a second channel, an item also has
//! a vector of its own, `g(v) = v / sqrt(1 + |v|²)`, which is short while little is known of the item, and a request a
//! second layer to meet it. Post-fusion adds the channels' inner products with weights of the request,
//! `s(q, i) = Σ_m w_m(q) ⟨q_m, i_m⟩`, `w(q) = softmax(W h_q + b)`, which is one inner product of `[w_1 q_1, w_2 q_2]`
//! and `[i_1, i_2]`.

use std::path::Path;

use candle_core::{D, DType, Device, Tensor};
use trieval_kernels::ops::{embedding, linear, linear_bias};

use super::super::encoder;
use super::bag::{self, Bag};
use super::settings::{MmseSettings, MmseText, PretrainedText};
use crate::error::{Error, Result};
use crate::memory;
use crate::model::checkpoint::{load_weights, save_weights};
use crate::model::decoder::normal;
use crate::model::encoder::{
    EncoderConfig, EncoderFolder, FolderChoices, TextEncoder, Weights, pool, unit_length,
};
use crate::model::settings::Pooling;
use crate::model::tokenizer::{TOKENIZER, Tokenizer};
use crate::model::{Parameter, ParameterSpec, Parameters};
use crate::seed::Seed;
use crate::train::objective::contrastive::Towers;

/// Width of a feed-forward in units of its input.
const EXPANSION: usize = 2;
pub(super) const HEADS_FILE: &str = "heads.safetensors";
pub(super) const TEXT_DIR: &str = "text";
const WORDS: &str = "embed_tokens.weight";
const ITEMS: &str = "item.embed.weight";

/// A text, as far as it does not change while the model trains.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    Tokens(Vec<u32>),
    /// Of an encoder that stays as it is.
    Vector(Vec<f32>),
}

/// What turns a text into a vector.
enum Text {
    Bag { tokenizer: Box<Tokenizer>, bag: Bag, words: Parameter },
    Encoder { encoder: Box<TextEncoder>, trains: bool, prefixes: Prefixes },
}

/// What is put before texts that an encoder reads.
#[derive(Default)]
struct Prefixes {
    query: String,
    item: String,
}

/// Whose text is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Query,
    Item,
}

/// Both towers.
pub(super) struct Model {
    text: Text,
    /// Parameters of the towers alone.
    heads: Parameters,
    /// All that trains.
    parameters: Parameters,
    width: usize,
    channels: usize,
}

/// Texts that a vocabulary is learnt from.
pub(super) type Texts<'a> = dyn Fn() -> Result<Tokenizer> + 'a;

impl Model {
    /// A model at its start; `train_tokenizer` learns a vocabulary where one is needed, `base` is the folder of the vectors
    /// whose encoder is taken, where one is.
    pub(super) fn new(
        settings: &MmseSettings,
        items: usize,
        seed: Seed,
        base: Option<&Path>,
        train_tokenizer: &Texts<'_>,
    ) -> Result<Self> {
        let text = match &settings.text {
            MmseText::Bag { dim, ngrams, buckets, .. } => {
                Text::bag(train_tokenizer()?, [*dim, *ngrams, *buckets], seed)?
            }
            MmseText::Transformer { dim, layers, heads, max_tokens, .. } => {
                let tokenizer = train_tokenizer()?;
                let [dim, layers, heads, positions] =
                    [*dim, *layers, *heads, *max_tokens].map(|n| n as usize);
                let vocab = tokenizer.len();
                let config = EncoderConfig::from_scratch(vocab, dim, layers, heads, positions);
                let encoder = TextEncoder::init(config, tokenizer, seed.purpose(TEXT_DIR))?;
                let (encoder, prefixes) = (Box::new(encoder), Prefixes::default());
                Text::Encoder { encoder, trains: true, prefixes }
            }
            MmseText::Pretrained(pretrained) => {
                let folder = EncoderFolder::open(pretrained.path.path()?, &choices(pretrained))?;
                let trains = pretrained.train;
                let weights = if trains { Weights::Trained } else { Weights::Frozen };
                let encoder = Box::new(folder.encoder(weights)?);
                let prefixes = Prefixes {
                    query: pretrained.query_prefix.clone(),
                    item: pretrained.item_prefix.clone(),
                };
                Text::Encoder { encoder, trains, prefixes }
            }
            MmseText::Vectors { vectors } => {
                let folder = base.ok_or_else(|| {
                    Error::Failed(format!("mmse: the vectors {vectors} were not given"))
                })?;
                let (encoder, query) = encoder::open(folder)?;
                // Items are not read: their vectors are there.
                let prefixes = Prefixes { query, ..Prefixes::default() };
                Text::Encoder { encoder, trains: false, prefixes }
            }
        };
        Self::assemble(text, settings, items, seed)
    }

    fn assemble(text: Text, settings: &MmseSettings, items: usize, seed: Seed) -> Result<Self> {
        let (width, channels) = (text.width()?, settings.channels as usize);
        let wide = width * EXPANSION;
        let mut specs = Vec::new();
        let mut layer = |name: &str| {
            specs.push(ParameterSpec::matrix(format!("{name}.down_proj.weight"), [width, wide]));
            specs.push(ParameterSpec::matrix(format!("{name}.up_proj.weight"), [wide, width]));
        };
        layer("item.text");
        layer("query.text");
        if channels > 1 {
            layer("query.item");
            specs.push(ParameterSpec::table(ITEMS, [items, width]));
            specs.push(ParameterSpec::matrix("query.fusion.weight", [channels, width]));
            specs.push(ParameterSpec::vector("query.fusion.bias", channels));
        }
        let heads = specs.into_iter().map(|spec| {
            let values = fresh(&spec, seed)?;
            spec.filled(&values)
        });
        let mut heads = heads.collect::<Result<Vec<_>>>()?;
        let mut parameters = Vec::new();
        match &text {
            Text::Bag { words, .. } => heads.push(words.clone()),
            Text::Encoder { encoder, .. } => {
                let named = |name: &str| format!("{TEXT_DIR}.{name}");
                let own = encoder.parameters().iter();
                parameters
                    .extend(own.map(|one| Parameter { name: named(&one.name), ..one.clone() }));
            }
        }
        parameters.extend(heads.iter().cloned());
        let [heads, parameters] = [heads, parameters].map(Parameters::from_iter);
        Ok(Self { text, heads, parameters, width, channels })
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What is put before the text of a request.
    pub(super) fn query_prefix(&self) -> &str {
        match &self.text {
            Text::Bag { .. } => "",
            Text::Encoder { prefixes, .. } => &prefixes.query,
        }
    }

    /// Width of the fused vectors.
    pub(super) fn dim(&self) -> usize {
        self.width * self.channels
    }

    /// What of a text can be done once and for all.
    pub(super) fn read(&self, text: &str, side: Side) -> Result<Reading> {
        Ok(match &self.text {
            Text::Bag { tokenizer, bag, .. } => Reading::Tokens(bag.of(tokenizer.encode(text)?)),
            Text::Encoder { encoder, trains, prefixes } => {
                let prefix = match side {
                    Side::Query => &prefixes.query,
                    Side::Item => &prefixes.item,
                };
                let text = format!("{prefix}{text}");
                match trains {
                    true => Reading::Tokens(encoder.tokens(&text)?),
                    false => Reading::Vector(encoder.vectors(&[text], |_| Ok(()))?),
                }
            }
        })
    }

    /// `normalize(h + W_down silu(W_up h))`.
    fn layer(&self, name: &str, h: &Tensor) -> Result<Tensor> {
        let inner = linear(h, self.heads.var(&format!("{name}.up_proj.weight"))?)?.silu()?;
        let out = (h + linear(&inner, self.heads.var(&format!("{name}.down_proj.weight"))?)?)?;
        unit_length(&out)
    }

    /// The channels of requests, each `[requests, width]`, and their weights `[requests, channels]`.
    fn query_channels(&self, readings: &[&Reading]) -> Result<(Vec<Tensor>, Option<Tensor>)> {
        let h = self.text.vectors(readings, self.width)?;
        let mut channels = vec![self.layer("query.text", &h)?];
        if self.channels == 1 {
            return Ok((channels, None));
        }
        channels.push(self.layer("query.item", &h)?);
        let weight = self.heads.var("query.fusion.weight")?;
        let bias = self.heads.var("query.fusion.bias")?;
        let logits = linear_bias(&h, weight, bias)?;
        let shares = logits.broadcast_sub(&logits.log_sum_exp(D::Minus1)?.unsqueeze(D::Minus1)?)?;
        Ok((channels, Some(shares.exp()?)))
    }

    /// The channels of items, each `[items, width]`.
    fn item_channels(&self, readings: &[&Reading], items: &[u32]) -> Result<Vec<Tensor>> {
        let h = self.text.vectors(readings, self.width)?;
        let mut channels = vec![self.layer("item.text", &h)?];
        if self.channels > 1 {
            let own = embedding(&Tensor::new(items, &Device::Cpu)?, self.heads.var(ITEMS)?)?;
            let length = (own.sqr()?.sum_keepdim(1)? + 1.0)?.sqrt()?;
            channels.push(own.broadcast_div(&length)?);
        }
        Ok(channels)
    }

    /// Vectors of items that came after the training: their texts speak, and their own vectors are the zeros that all began
    /// with.
    pub(super) fn later_items(&self, readings: &[&Reading]) -> Result<Tensor> {
        let h = self.text.vectors(readings, self.width)?;
        let text = self.layer("item.text", &h)?;
        if self.channels == 1 {
            return Ok(text);
        }
        let own = text.zeros_like()?;
        Ok(Tensor::cat(&[text, own], 1)?)
    }

    /// Writes the whole model.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        save_weights(&folder.join(HEADS_FILE), &self.heads)?;
        match &self.text {
            Text::Bag { tokenizer, .. } => tokenizer.save(folder, bag::TOKENS),
            Text::Encoder { encoder, .. } => encoder.save(&folder.join(TEXT_DIR)),
        }
    }

    /// What [`Self::save`] writes, files and folders.
    pub(super) fn files(&self) -> &'static [&'static str] {
        match &self.text {
            Text::Bag { .. } => &[HEADS_FILE, TOKENIZER],
            Text::Encoder { .. } => &[HEADS_FILE, TEXT_DIR],
        }
    }

    /// Reads what [`Self::save`] wrote, to be asked, or to be trained further with what of it trains.
    pub(super) fn load(
        folder: &Path,
        settings: &MmseSettings,
        items: usize,
        query_prefix: String,
        trains: bool,
    ) -> Result<Self> {
        let seed = Seed::new(0);
        let text = match &settings.text {
            MmseText::Bag { dim, ngrams, buckets, .. } => {
                Text::bag(Tokenizer::load(folder)?, [*dim, *ngrams, *buckets], seed)?
            }
            MmseText::Transformer { .. } | MmseText::Pretrained(_) | MmseText::Vectors { .. } => {
                let source =
                    EncoderFolder::open(&folder.join(TEXT_DIR), &FolderChoices::default())?;
                let (trained, item) = match &settings.text {
                    MmseText::Pretrained(text) => (text.train, text.item_prefix.clone()),
                    text => (matches!(text, MmseText::Transformer { .. }), String::new()),
                };
                let trains = trains && trained;
                let weights = if trains { Weights::Trained } else { Weights::Frozen };
                let encoder = Box::new(source.encoder(weights)?);
                let prefixes = Prefixes { query: query_prefix, item };
                Text::Encoder { encoder, trains, prefixes }
            }
        };
        let model = Self::assemble(text, settings, items, seed)?;
        load_weights(&folder.join(HEADS_FILE), &model.heads)?;
        Ok(model)
    }
}

impl Towers for Model {
    type Reading = Reading;

    fn read_query(&self, text: &str) -> Result<Reading> {
        self.read(text, Side::Query)
    }

    fn tokens(reading: &Reading) -> u64 {
        match reading {
            Reading::Tokens(tokens) => tokens.len() as u64,
            Reading::Vector(_) => 1,
        }
    }

    fn queries(&self, readings: &[&Reading]) -> Result<Tensor> {
        let (mut channels, weights) = self.query_channels(readings)?;
        if let Some(weights) = weights {
            for (number, channel) in channels.iter_mut().enumerate() {
                *channel = channel.broadcast_mul(&weights.narrow(1, number, 1)?)?;
            }
        }
        Ok(Tensor::cat(&channels, 1)?)
    }

    fn items(&self, readings: &[&Reading], items: &[u32]) -> Result<Tensor> {
        Ok(Tensor::cat(&self.item_channels(readings, items)?, 1)?)
    }
}

/// What the recipe says of a pretrained folder.
pub(super) fn choices(settings: &PretrainedText) -> FolderChoices {
    let prefixes = [settings.query_prefix.as_str(), &settings.item_prefix];
    FolderChoices::of(settings.pooling, settings.max_tokens, prefixes)
}

/// The first values of a parameter: output layers near zero, so that a text's vector is at first what it was; item vectors
/// and biases at zero; others normal. Each has its own stream, by name.
fn fresh(spec: &ParameterSpec, seed: Seed) -> Result<Tensor> {
    let ParameterSpec { name, shape, .. } = spec;
    let n = spec.n_values();
    let width = shape.last().copied().unwrap_or(1);
    let data = if name == ITEMS || name.ends_with(".bias") {
        vec![0f32; n]
    } else if name.ends_with("down_proj.weight") || name.ends_with("fusion.weight") {
        normal(n, 0.02, seed.purpose(name))
    } else {
        normal(n, 1.0 / (width as f64).sqrt(), seed.purpose(name))
    };
    Ok(Tensor::from_vec(data, shape.as_slice(), &Device::Cpu)?)
}

impl Text {
    /// A bag at its start; `sizes` are width, longest sequence and buckets.
    fn bag(tokenizer: Tokenizer, sizes: [u32; 3], seed: Seed) -> Result<Self> {
        let [dim, ngrams, buckets] = sizes.map(|n| n as usize);
        let bag = Bag { vocabulary: tokenizer.len(), ngrams, buckets };
        let words = fresh(&ParameterSpec::table(WORDS, [tokenizer.len(), dim]), seed)?;
        // Sequences begin at 0, so that those that training never meets say nothing.
        let sequences =
            Tensor::zeros((bag.rows() - bag.vocabulary, dim), DType::F32, &Device::Cpu)?;
        let words = ParameterSpec::table(WORDS, [bag.rows(), dim])
            .filled(&Tensor::cat(&[&words, &sequences], 0)?)?;
        Ok(Self::Bag { tokenizer: Box::new(tokenizer), bag, words })
    }

    fn width(&self) -> Result<usize> {
        Ok(match self {
            Self::Bag { words, .. } => words.var.dims2()?.1,
            Self::Encoder { encoder, .. } => encoder.dim(),
        })
    }

    /// Vectors of texts, `[texts, width]`.
    fn vectors(&self, readings: &[&Reading], width: usize) -> Result<Tensor> {
        let mut tokens: Vec<&[u32]> = Vec::with_capacity(readings.len());
        let mut data: Vec<f32> = Vec::new();
        for reading in readings {
            match reading {
                Reading::Tokens(ids) => tokens.push(ids),
                Reading::Vector(vector) => data.extend_from_slice(vector),
            }
        }
        if !data.is_empty() {
            return Ok(Tensor::from_vec(data, (readings.len(), width), &Device::Cpu)?);
        }
        let vectors = match self {
            Self::Bag { words, .. } => {
                let lengths: Vec<usize> = tokens.iter().map(|ids| ids.len()).collect();
                let ids = Tensor::new(tokens.concat(), &Device::Cpu)?;
                pool(&embedding(&ids, words.var.as_tensor())?, &lengths, Pooling::Mean)?
            }
            Self::Encoder { encoder, .. } => encoder.encode(&tokens)?,
        };
        memory::check(|| "after texts were encoded".to_owned())?;
        Ok(vectors)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::model::parameters::tests::by_decay;
    use crate::progress::Context;

    fn tokenizer() -> Result<Tokenizer> {
        let texts = ["red sofa", "blue lamp", "oak table", "cordless drill"].repeat(3);
        Tokenizer::train_bpe(texts.iter(), 300, &Context::silent())
    }

    pub(in crate::vectors::mmse) fn texts() -> [MmseText; 4] {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoders/bert");
        let pretrained = |train| {
            MmseText::Pretrained(PretrainedText {
                path: golden.as_path().into(),
                train,
                pooling: None,
                max_tokens: None,
                query_prefix: "red ".into(),
                item_prefix: String::new(),
            })
        };
        [
            MmseText::Bag { dim: 6, vocabulary: 300, ngrams: 2, buckets: 50 },
            MmseText::Transformer { dim: 6, layers: 1, heads: 2, vocabulary: 300, max_tokens: 9 },
            pretrained(false),
            pretrained(true),
        ]
    }

    fn model(text: MmseText, channels: u32) -> (Model, MmseSettings) {
        let settings = MmseSettings { text, channels, ..MmseSettings::default() };
        let model = Model::new(&settings, 5, Seed::new(2), None, &tokenizer).unwrap();
        if let Some(var) = model.parameters().get(ITEMS) {
            let values = normal(var.elem_count(), 1.0, Seed::new(9));
            var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap()).unwrap();
        }
        (model, settings)
    }

    fn readings(model: &Model, texts: &[&str]) -> Vec<Reading> {
        texts.iter().map(|text| model.read(text, Side::Query).unwrap()).collect()
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        tensor.to_vec2().unwrap()
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn one_inner_product_is_the_fusion_of_all_channels() {
        for text in texts() {
            for channels in [1, 2] {
                let (model, _) = model(text.clone(), channels);
                let queries = readings(&model, &["red", "", "oak lamp"]);
                let items = readings(&model, &["red sofa", "blue lamp"]);
                let (queries, items): (Vec<_>, Vec<_>) =
                    (queries.iter().collect(), items.iter().collect());
                let (parts, weights) = model.query_channels(&queries).unwrap();
                let own = model.item_channels(&items, &[3, 1]).unwrap();
                let weights = weights.map(|w| rows(&w)).unwrap_or_else(|| vec![vec![1.0]; 3]);
                let fused_queries = rows(&model.queries(&queries).unwrap());
                let fused_items = rows(&model.items(&items, &[3, 1]).unwrap());
                assert_eq!(fused_items[0].len(), model.dim());
                for (q, fused_query) in fused_queries.iter().enumerate() {
                    assert!((weights[q].iter().sum::<f32>() - 1.0).abs() < 1e-5);
                    for (i, fused_item) in fused_items.iter().enumerate() {
                        let apart: f32 = (0..channels as usize)
                            .map(|m| weights[q][m] * dot(&rows(&parts[m])[q], &rows(&own[m])[i]))
                            .sum();
                        let together = dot(fused_query, fused_item);
                        assert!((apart - together).abs() < 1e-5, "{apart} against {together}");
                    }
                }
            }
        }
    }

    #[test]
    fn products_decay_and_biases_and_embeddings_do_not() {
        let [bag, transformer, frozen, _] = texts();
        let layer = |name: &str| ["down", "up"].map(|side| format!("{name}.{side}_proj.weight"));
        let layers = [layer("item.text"), layer("query.item"), layer("query.text")].concat();
        let mut heads = [layers, vec!["query.fusion.weight".to_owned()]].concat();
        heads.sort();
        let own = [ITEMS.to_owned(), "query.fusion.bias".to_owned()];
        let with_bag = [WORDS.to_owned()].into_iter().chain(own.clone()).collect();
        assert_eq!(by_decay(model(bag, 2).0.parameters()), [heads.clone(), with_bag]);
        assert_eq!(by_decay(model(frozen, 2).0.parameters()), [heads.clone(), own.to_vec()]);
        // What an encoder declares is not changed by being part of a model.
        let (model, _) = model(transformer, 2);
        let Text::Encoder { encoder, .. } = &model.text else { panic!("a transformer") };
        let within = by_decay(encoder.parameters())
            .map(|names| names.iter().map(|name| format!("{TEXT_DIR}.{name}")).collect::<Vec<_>>());
        assert_eq!(
            by_decay(model.parameters()),
            [[heads, within[0].clone()].concat(), [own.to_vec(), within[1].clone()].concat(),]
        );
    }

    #[test]
    fn a_saved_model_gives_the_same_vectors() {
        for text in texts() {
            let (model, settings) = model(text, 2);
            let folder = tempfile::TempDir::new().unwrap();
            model.save(folder.path()).unwrap();
            let again =
                Model::load(folder.path(), &settings, 5, model.query_prefix().to_owned(), false);
            let again = again.unwrap();
            let vectors = |model: &Model| {
                let all = readings(model, &["red sofa", "drill"]);
                let all: Vec<&Reading> = all.iter().collect();
                [rows(&model.queries(&all).unwrap()), rows(&model.items(&all, &[0, 4]).unwrap())]
            };
            let (a, b) = (vectors(&model), vectors(&again));
            for (a, b) in a.iter().flatten().flatten().zip(b.iter().flatten().flatten()) {
                assert!((a - b).abs() < 1e-6, "{a} against {b}");
            }
        }
    }

    #[test]
    fn an_item_of_which_nothing_is_known_adds_nothing_of_its_own() {
        let settings = MmseSettings { text: texts()[0].clone(), channels: 2, ..Default::default() };
        let model = Model::new(&settings, 5, Seed::new(2), None, &tokenizer).unwrap();
        let text = readings(&model, &["red sofa"]);
        let channels = model.item_channels(&[&text[0]], &[2]).unwrap();
        assert_eq!(rows(&channels[1]), [vec![0.0; 6]]);
    }
}
