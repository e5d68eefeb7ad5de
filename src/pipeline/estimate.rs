//! The plan in figures, before anything is loaded: rows, tokens, steps, parameters, memory, bytes.
//!
//! Figures are exact where the corpus is already there or the settings fix them; the others are
//! marked with `≈`.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::folder::step_dir;
use super::plan::{Plan, Status, Step, StepKind};
use crate::corpus::{self, Corpus};
use crate::error::Result;
use crate::memory::{self, bytes};
use crate::model::config::DecoderConfig;
use crate::model::folder::CONFIG;
use crate::model::lora::AdapterSpec;
use crate::model::settings::ModelSettings;
use crate::quantizer::settings::IdentifierSettings;
use crate::ranker::settings::{SasrecSettings, SystemSettings};
use crate::recipe::Recipe;
use crate::train::sampler;
use crate::train::settings::{LOSS, ObjectiveSettings, TrainSettings};
use crate::vectors::collaborative;
use crate::vectors::settings::{MmseText, TwoTowerSettings, VectorsSettings};

/// Clicks per request assumed before the corpus is there.
const ASSUMED_CLICKS: f64 = 1.5;
/// Prompt tokens per request assumed for query prompts.
const ASSUMED_PROMPT: u64 = 12;
/// `f32` values kept per token, layer and unit of width between forward and backward: what the fused
/// operations store (measured on the decoder of this project, rounded up).
const ACTIVATIONS_PER_WIDTH: u64 = 18;

/// Scores of all items that a full cross-entropy keeps at most.
const KEPT_SCORES: u64 = 1 << 26;
/// Rows that the reference model scores at once.
const REFERENCE_ROWS: u64 = 128;

/// One step with its figures.
#[derive(Debug, Clone, Serialize)]
pub struct StepEstimate {
    /// Name of the step.
    pub step: String,
    /// `done`, `to do`, `continue`, or `again: why`.
    pub status: String,
    /// Figures by name.
    pub figures: Vec<(String, String)>,
    /// Bytes that the step is likely to hold at most, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// What speaks against doing the step here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Everything known about the corpus in advance.
struct Sizes {
    exact: bool,
    items: Option<u64>,
    train: Option<u64>,
    test: Option<u64>,
    clicks: Option<u64>,
    sequences: bool,
}

/// Estimates every step of a plan.
///
/// # Errors
/// When a manifest or the corpus of the run folder is damaged.
pub fn estimate(recipe: &Recipe, plan: &Plan, run_folder: &Path) -> Result<Vec<StepEstimate>> {
    let sizes = sizes(recipe, plan, run_folder)?;
    let allowed = memory::allowed();
    plan.steps
        .iter()
        .map(|step| {
            let status = plan.status(step, run_folder)?;
            let memory = footprint(recipe, step, &sizes);
            let is_due = status != Status::Cached;
            Ok(StepEstimate {
                step: step.name.clone(),
                status: match status {
                    Status::Cached => "done".into(),
                    Status::New => "to do".into(),
                    Status::Unfinished => "continue".into(),
                    Status::Changed(why) => format!("again: {why}"),
                },
                figures: figures(recipe, step, &sizes),
                memory,
                warning: memory.filter(|_| is_due).and_then(|needed| {
                    let limit = match &step.kind {
                        StepKind::Train(name) => {
                            recipe.training(name).and_then(TrainSettings::memory_limit)
                        }
                        _ => None,
                    };
                    warning(&step.kind, needed, limit.or(allowed)?)
                }),
            })
        })
        .collect()
}

/// The plan as text for a terminal.
pub fn render(estimates: &[StepEstimate]) -> String {
    let width = estimates.iter().map(|one| one.step.len()).max().unwrap_or(0);
    let mut text = String::new();
    for one in estimates {
        let figures: Vec<String> =
            one.figures.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let line = format!("{:width$}  {:<8}  {}", one.step, one.status, figures.join(" · "));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
        if let Some(warning) = &one.warning {
            let _ = writeln!(text, "{:width$}  warning: {warning}", "");
        }
    }
    text
}

fn sizes(recipe: &Recipe, plan: &Plan, run_folder: &Path) -> Result<Sizes> {
    let cached = plan
        .step("corpus")
        .filter(|step| plan.status(step, run_folder).is_ok_and(|status| status == Status::Cached));
    if let Some(step) = cached {
        let corpus = Corpus::open(&step_dir(run_folder, &step.name, &step.key))?;
        let summary = corpus.summary();
        return Ok(Sizes {
            exact: true,
            items: Some(summary.items),
            train: Some(summary.requests.train),
            test: Some(summary.requests.test),
            // Clicks are counted over all splits; training has its share of them.
            clicks: Some(
                (summary.clicks as f64 * summary.requests.train as f64
                    / summary.requests.total().max(1) as f64) as u64,
            ),
            sequences: summary.sequences,
        });
    }
    let guess = corpus::estimate(&recipe.corpus);
    Ok(Sizes {
        exact: false,
        items: guess.items,
        train: guess.train_requests,
        test: guess.test_requests,
        clicks: guess.train_requests.map(|n| (n as f64 * ASSUMED_CLICKS) as u64),
        sequences: matches!(recipe.corpus, corpus::settings::CorpusSettings::Sequences(_)),
    })
}

impl Sizes {
    /// Training examples of the supervised objective.
    fn examples(&self) -> Option<u64> {
        if self.sequences { self.train } else { self.clicks }
    }

    /// How exact [`Sizes::examples`] is: clicks per split are not known before they are read.
    fn about(&self) -> &'static str {
        if self.exact && self.sequences { "" } else { "≈ " }
    }
}

type Figures = Vec<(String, String)>;

fn push(figures: &mut Figures, name: &str, value: impl Into<String>) {
    figures.push((name.into(), value.into()));
}

fn push_known(figures: &mut Figures, name: &str, about: &str, value: Option<u64>) {
    let value = value.map_or("known after the corpus".into(), |n| format!("{about}{}", grouped(n)));
    figures.push((name.into(), value));
}

fn figures(recipe: &Recipe, step: &Step, sizes: &Sizes) -> Figures {
    let mut out = Vec::new();
    match &step.kind {
        StepKind::Corpus => {
            push_known(&mut out, "items", "", sizes.items);
            push_known(&mut out, "training requests", "", sizes.train);
            push_known(&mut out, "test requests", "", sizes.test);
        }
        StepKind::Vectors(name) => vectors_figures(&mut out, &recipe.vectors[name], sizes),
        StepKind::Identifier(name) => {
            let IdentifierSettings::ResidualKMeans(s) = &recipe.identifier[name];
            push(&mut out, "levels × codes", format!("{} × {}", s.levels, s.codes));
            let per_item = index_bytes_per_item(u64::from(s.levels), u64::from(s.codes));
            let total = sizes.items.map(|items| items * per_item);
            let total =
                total.map_or("known after the corpus".into(), |n| format!("≈ {}", bytes(n)));
            push(&mut out, "index", total);
        }
        StepKind::Model(name) => {
            if let Some(config) = shape(recipe, &recipe.model[name]) {
                let parameters = config.parameter_count() as u64;
                push(&mut out, "parameters", format!("≈ {}", grouped(parameters)));
            }
        }
        StepKind::Prompts(_) => push_known(&mut out, "prompts", "", sizes.train),
        StepKind::Pairs(name) => {
            if let Some(ObjectiveSettings::Preference(s)) =
                recipe.training(name).map(|training| &training.objective)
            {
                let requests = sizes.train.map(|n| n.min(u64::from(s.pairs.beam_requests)));
                push_known(&mut out, "beams", sizes.about(), requests);
                push(&mut out, "beam", s.pairs.beam.to_string());
            }
        }
        StepKind::Reference(name) => {
            let groups = recipe.training(name).and_then(|training| groups(training, sizes));
            push_known(&mut out, "groups", "≈ ", groups.map(|groups| groups.n));
            push_known(&mut out, "answers", "≈ ", groups.map(|groups| groups.n * groups.answers));
        }
        StepKind::Train(name) => {
            if let Some(training) = recipe.training(name) {
                train_figures(&mut out, recipe, training, sizes);
            }
        }
        StepKind::Fit(name) => fit_figures(&mut out, recipe, name, sizes),
        StepKind::Index(_) => push_known(&mut out, "items", "", sizes.items),
        StepKind::System(name) => {
            let limit = recipe.evaluation.requests.map(u64::from);
            let requests = sizes.test.map(|n| limit.map_or(n, |limit| n.min(limit)));
            push_known(&mut out, "requests", "", requests);
            let system = recipe.system.iter().find(|system| system.name() == name);
            if let Some(SystemSettings::Generative { decode, .. }) = system {
                push(&mut out, "beam", decode.beam.to_string());
            }
        }
        StepKind::Evaluation => {
            push(&mut out, "systems", recipe.system.len().to_string());
            push(&mut out, "metrics", recipe.evaluation.metrics.len().to_string());
            push(&mut out, "resamples", grouped(u64::from(recipe.evaluation.bootstrap)));
        }
    }
    out
}

fn train_figures(out: &mut Figures, recipe: &Recipe, training: &TrainSettings, sizes: &Sizes) {
    let model = &recipe.model[recipe.model_of(training)];
    let about = match &training.objective {
        ObjectiveSettings::Supervised(_) => sizes.about(),
        ObjectiveSettings::Preference(_) => "≈ ",
    };
    let examples = examples(training, sizes);
    let row = example_tokens(recipe, training, sizes);
    push_known(out, "examples", about, examples);
    let n_steps = examples.map(|n| steps(n, training.epochs, training.batch, training.accumulate));
    push_known(out, "steps", about, n_steps);
    let tokens = examples.map(|n| (n as f64 * training.epochs) as u64 * row);
    push_known(out, "tokens", "≈ ", tokens);
    let Some(config) = shape(recipe, model) else { return };
    let memory = training_memory(&config, training, u64::from(training.batch) * row);
    push(
        out,
        "memory",
        format!(
            "≈ weights {} + gradients {} + moments {} + activations {}",
            bytes(memory.weights),
            bytes(memory.gradients),
            bytes(memory.moments),
            bytes(memory.activations)
        ),
    );
}

/// Examples of a training: clicks or sequences, or groups of preferences.
fn examples(training: &TrainSettings, sizes: &Sizes) -> Option<u64> {
    match &training.objective {
        ObjectiveSettings::Supervised(_) => sizes.examples(),
        ObjectiveSettings::Preference(_) => groups(training, sizes).map(|groups| groups.n),
    }
}

/// Tokens of one example: its prompt is encoded once, however many answers it has.
fn example_tokens(recipe: &Recipe, training: &TrainSettings, sizes: &Sizes) -> u64 {
    let answers = match &training.objective {
        ObjectiveSettings::Supervised(_) => 1,
        ObjectiveSettings::Preference(_) => {
            groups(training, sizes).map_or(2, |groups| groups.answers)
        }
    };
    let model = &recipe.model[recipe.model_of(training)];
    let IdentifierSettings::ResidualKMeans(identifier) = &recipe.identifier[model.identifier()];
    let answer = u64::from(identifier.levels) + 1;
    row_tokens(recipe, model, sizes) + (answers - 1) * answer
}

/// Tokens of one row of a training's model: prompt and answer.
fn row_tokens(recipe: &Recipe, model: &ModelSettings, sizes: &Sizes) -> u64 {
    let IdentifierSettings::ResidualKMeans(identifier) = &recipe.identifier[model.identifier()];
    let answer = u64::from(identifier.levels) + 1;
    if sizes.sequences {
        u64::from(model.history_items()) * answer
    } else {
        ASSUMED_PROMPT + answer
    }
}

/// Bytes that a step is likely to hold at most; none where nothing large is held.
fn footprint(recipe: &Recipe, step: &Step, sizes: &Sizes) -> Option<u64> {
    let trained = |name: &str| {
        let training = recipe.training(name)?;
        let model = &recipe.model[recipe.model_of(training)];
        Some((training, shape(recipe, model)?, row_tokens(recipe, model, sizes)))
    };
    match &step.kind {
        StepKind::Vectors(name) => match &recipe.vectors[name] {
            VectorsSettings::TwoTower(s) => Some(two_tower_memory(s)),
            VectorsSettings::Collaborative(s) => {
                sizes.items.map(|items| collaborative::peak_bytes(items, u64::from(s.dim)))
            }
            // Held in f32, whatever their type is on disk.
            other => frozen_parameters(other).map(|parameters| 4 * parameters),
        },
        StepKind::Train(name) => {
            let (training, config, row) = trained(name)?;
            let tokens = u64::from(training.batch) * example_tokens(recipe, training, sizes);
            let memory = training_memory(&config, training, tokens);
            let searches = training.validation.as_ref().filter(|one| one.metric != LOSS);
            let search = searches.map_or(0, |one| search_memory(&config, one.beam, row));
            Some(memory.total() + search)
        }
        StepKind::Reference(name) => {
            let (_, config, row) = trained(name)?;
            let tokens = REFERENCE_ROWS * row;
            Some(config.parameter_count() as u64 * 4 + activations(&config, tokens))
        }
        StepKind::Pairs(name) => {
            let (training, config, row) = trained(name)?;
            let ObjectiveSettings::Preference(s) = &training.objective else { return None };
            Some(search_memory(&config, s.pairs().beam, row))
        }
        StepKind::Fit(name) => sasrec_memory(sasrec(recipe, name)?, sizes),
        StepKind::System(name) => {
            let system = recipe.system.iter().find(|system| system.name() == name)?;
            let SystemSettings::Generative { train, decode, .. } = system else { return None };
            let (_, config, row) = trained(train)?;
            Some(search_memory(&config, decode.beam, row))
        }
        StepKind::Corpus
        | StepKind::Identifier(_)
        | StepKind::Model(_)
        | StepKind::Prompts(_)
        | StepKind::Index(_)
        | StepKind::Evaluation => None,
    }
}

/// What to say of a step that is likely to need more than there is.
fn warning(kind: &StepKind, needed: u64, allowed: u64) -> Option<String> {
    if needed <= allowed {
        return None;
    }
    let keys = match kind {
        StepKind::Train(_) => {
            "lower the training's `batch` and raise `accumulate`, set `recompute = true`, or train an adapter"
        }
        StepKind::Vectors(_) => "lower the vectors' `vocabulary`, `dim` or `batch`",
        StepKind::Pairs(_) => "lower `pairs.beam`, or take a smaller model",
        StepKind::Fit(_) => "lower the system's `batch`, `length` or `dim`",
        StepKind::System(_) => "lower `decode.beam`, or take a smaller model",
        _ => "take a smaller model",
    };
    Some(format!(
        "needs about {} of memory, and there are {}: {keys}",
        bytes(needed),
        bytes(allowed)
    ))
}

fn sasrec<'a>(recipe: &'a Recipe, name: &str) -> Option<&'a SasrecSettings> {
    recipe.system.iter().find_map(|system| match system {
        SystemSettings::Sasrec(settings) if settings.name == name => Some(settings),
        _ => None,
    })
}

fn vectors_figures(out: &mut Figures, settings: &VectorsSettings, sizes: &Sizes) {
    match settings {
        VectorsSettings::TwoTower(s) => {
            let dim = u64::from(s.dim);
            let parameters = u64::from(s.vocabulary) * dim + 8 * dim * dim;
            push(out, "parameters", format!("≤ {}", grouped(parameters)));
            let steps = sizes.examples().map(|n| steps(n, s.epochs, s.batch, 1));
            push_known(out, "steps", sizes.about(), steps);
            push(out, "memory", format!("≈ {}", bytes(two_tower_memory(s))));
        }
        VectorsSettings::Mmse(s) => {
            if let MmseText::Bag { dim, vocabulary, ngrams, buckets } = s.text {
                let dim = u64::from(dim);
                let rows = u64::from(vocabulary) + if ngrams > 1 { u64::from(buckets) } else { 0 };
                let parameters = rows * dim + 8 * dim * dim;
                push(out, "parameters", format!("≤ {}", grouped(parameters)));
            }
            // A request without a click or order teaches nothing, and how many there are is not known before they are read.
            let most = sizes.train.map(|n| steps(n, s.epochs, s.batch, 1));
            push_known(out, "steps", "≤ ", most);
            push_known(out, "encoded items", "", sizes.items);
        }
        VectorsSettings::Encoder(_) | VectorsSettings::Decoder(_) => {
            push_known(out, "encoded items", "", sizes.items);
        }
        VectorsSettings::Collaborative(_)
        | VectorsSettings::Joined(_)
        | VectorsSettings::File(_) => {}
    }
    if let Some(parameters) = frozen_parameters(settings) {
        push(out, "parameters", grouped(parameters));
    }
}

fn fit_figures(out: &mut Figures, recipe: &Recipe, name: &str, sizes: &Sizes) {
    let Some(s) = sasrec(recipe, name) else { return };
    let about = if sizes.exact { "≤ " } else { "≈ " };
    push_known(out, "parameters", about, sasrec_parameters(s, sizes));
    let n_steps = sizes.train.map(|n| steps(n, s.epochs, s.batch, 1));
    push_known(out, "steps", "≤ ", n_steps);
    if let Some(memory) = sasrec_memory(s, sizes) {
        push(out, "memory", format!("≈ {}", bytes(memory)));
    }
}

fn sasrec_parameters(s: &SasrecSettings, sizes: &Sizes) -> Option<u64> {
    let (dim, wide) = (u64::from(s.dim), u64::from(s.feed_forward));
    let layer = 4 * dim * dim + 2 * dim * wide + wide + 3 * dim;
    Some((sizes.items? + u64::from(s.length) + 1) * dim + u64::from(s.layers) * layer)
}

/// Weights, gradients and moments, activations of the longest batch, and the scores that are kept of it.
fn sasrec_memory(s: &SasrecSettings, sizes: &Sizes) -> Option<u64> {
    let tokens = u64::from(s.batch) * u64::from(s.length);
    let width = 2 * u64::from(s.dim) + u64::from(s.feed_forward);
    let scored = match s.loss.negatives() {
        0 => (tokens * sizes.items?).min(KEPT_SCORES),
        negatives => 4 * tokens * u64::from(negatives),
    };
    let activations = tokens * u64::from(s.layers) * width * ACTIVATIONS_PER_WIDTH / 4;
    Some(4 * (4 * sasrec_parameters(s, sizes)? + activations + scored))
}

fn two_tower_memory(settings: &TwoTowerSettings) -> u64 {
    let dim = u64::from(settings.dim);
    (u64::from(settings.vocabulary) * dim + 8 * dim * dim) * 16 + (64 << 20)
}

/// Weights once, and per thread the keys and values of a prompt and its beams, and the beams' logits.
fn search_memory(config: &DecoderConfig, beam: u32, row: u64) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let per_token =
        2 * (config.num_hidden_layers * config.num_key_value_heads * config.head_dim) as u64;
    let logits = u64::from(beam) * config.vocab_size as u64;
    let beams = u64::from(beam) * row * per_token;
    config.parameter_count() as u64 * 4 + threads * 4 * (row * per_token + beams + logits)
}

/// Bytes of a training by what they are for.
struct TrainingMemory {
    weights: u64,
    gradients: u64,
    moments: u64,
    activations: u64,
}

impl TrainingMemory {
    fn total(&self) -> u64 {
        self.weights + self.gradients + self.moments + self.activations
    }
}

/// Bytes kept for the backward pass of `tokens` tokens.
fn activations(config: &DecoderConfig, tokens: u64) -> u64 {
    let (width, layers) = (config.hidden_size as u64, config.num_hidden_layers as u64);
    tokens * layers * width * ACTIVATIONS_PER_WIDTH * 4
}

/// What is held throughout a training, and what a step of `tokens` tokens adds.
fn training_memory(
    config: &DecoderConfig,
    training: &TrainSettings,
    tokens: u64,
) -> TrainingMemory {
    let parameters = config.parameter_count() as u64;
    let stored = config.dtype.bytes() as u64;
    let (weights, trained) = match &training.lora {
        None => (parameters * 4, parameters),
        Some(lora) => {
            let spec = AdapterSpec { settings: lora.clone(), first_new_token: config.vocab_size };
            let all = spec.parameters(config);
            let added = all.iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();
            (parameters * stored + added * 4, added)
        }
    };
    let layers = config.num_hidden_layers as u64;
    let all = activations(config, tokens);
    // Recomputed: one layer at a time, and the input of every one.
    let activations = if training.recompute {
        all / layers.max(1) + tokens * layers * config.hidden_size as u64 * 4
    } else {
        all
    };
    TrainingMemory { weights, gradients: trained * 4, moments: trained * 8, activations }
}

/// Examples of a preference training.
#[derive(Clone, Copy)]
struct Groups {
    n: u64,
    /// Answers of each.
    answers: u64,
}

fn groups(training: &TrainSettings, sizes: &Sizes) -> Option<Groups> {
    let ObjectiveSettings::Preference(s) = &training.objective else { return None };
    let pairs = s.pairs();
    let sampled = sizes.train?.min(u64::from(pairs.beam_requests));
    let per_request = if sizes.sequences { 1.0 } else { ASSUMED_CLICKS };
    let beam = sampled as f64 * per_request * f64::from(pairs.beam_negatives);
    let shown = if sizes.sequences { 0 } else { sizes.clicks? * u64::from(pairs.shown_negatives) };
    let negatives = pairs.beam_negatives + if sizes.sequences { 0 } else { pairs.shown_negatives };
    let negatives = u64::from(negatives.min(pairs.group_negatives.unwrap_or(1)).max(1));
    let chosen = if pairs.group_chosen.unwrap_or(1) > 1 { per_request } else { 1.0 };
    let n = (beam as u64 + shown) as f64 / (negatives as f64 * chosen);
    Some(Groups { n: n as u64, answers: negatives + chosen.round() as u64 })
}

fn steps(examples: u64, epochs: f64, batch: u32, accumulate: u32) -> u64 {
    sampler::n_steps(examples, u64::from(batch) * u64::from(accumulate), epochs)
}

/// Parameters of a decoder that item vectors are taken from.
fn frozen_parameters(vectors: &VectorsSettings) -> Option<u64> {
    let VectorsSettings::Decoder(settings) = vectors else { return None };
    let config = DecoderConfig::read(&settings.path.join(CONFIG)).ok()?;
    Some(config.parameter_count() as u64)
}

/// The decoder that a model will be; none where its folder cannot be read, which the plan has told by then.
fn shape(recipe: &Recipe, model: &ModelSettings) -> Option<DecoderConfig> {
    let IdentifierSettings::ResidualKMeans(s) = &recipe.identifier[model.identifier()];
    let identifier = s.levels * s.codes;
    let levels = s.levels as usize + 1;
    match model {
        ModelSettings::Scratch(shape) => {
            let vocabulary = (shape.vocabulary + identifier) as usize;
            DecoderConfig::from_scratch(shape, levels, vocabulary, 0, 0).ok()
        }
        ModelSettings::Pretrained(settings) => {
            let mut config = DecoderConfig::read(&settings.path.join(CONFIG)).ok()?;
            config.vocab_size += identifier as usize;
            config.dtype = settings.dtype.unwrap_or(config.dtype);
            Some(config)
        }
    }
}

/// Codes packed to whole bits, four bytes of item id, and a little for the offsets.
fn index_bytes_per_item(levels: u64, codes: u64) -> u64 {
    let bits = u64::from(u64::BITS - (codes - 1).leading_zeros());
    (levels + 1) * bits.div_ceil(8) + 4
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(steps(1000, 1.5, 64, 2), 12);
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_keys_to_change() {
        let kind = StepKind::Train("sft".into());
        assert_eq!(warning(&kind, 100, 100), None);
        let told = warning(&kind, 3 << 30, 2 << 30).expect("too large");
        assert!(
            told.starts_with("needs about 3.0 GiB of memory, and there are 2.0 GiB:"),
            "{told}"
        );
        assert!(told.contains("`recompute = true`"), "{told}");
    }
}
