//! Training a decoder.

use std::path::{Path, PathBuf};

use super::model::{LoadedModel, open_index};
use super::prompts::PROMPTS_FILE;
use super::validation::HeldOut;
use super::{pairs, tracking};
use crate::corpus::{Catalogue, Corpus, Request, Split};
use crate::error::{Error, Result};
use crate::memory;
use crate::model::settings::ModelSettings;
use crate::model::{Decoder, ModelFolder, adapter};
use crate::pipeline::runner::StepEnv;
use crate::recipe::Recipe;
use crate::train::data::prompts::{Form, Prompts};
use crate::train::engine::{LOG_FILE, LoopSettings, Training as Loop};
use crate::train::objective::preference::{Preference, Probe};
use crate::train::objective::supervised::{Example, Supervised};
use crate::train::objective::{Row, TargetBatch};
use crate::train::settings::{ObjectiveSettings, SupervisedSettings, TrainSettings};
use crate::train::track::{Outcome, Tracker};
use crate::train::validation::Validation;
use crate::train::world::World;

/// Folder of the trained model inside the step's folder, in Hugging Face layout.
pub(in crate::pipeline) const MODEL_DIR: &str = "model";

/// Folder of the adapter inside the step's folder, in PEFT's format.
pub(in crate::pipeline) const ADAPTER_DIR: &str = "adapter";
/// Requests by which a merged model is compared with the adapted one.
const MERGE_PROBES: usize = 8;
/// Difference in nats from which on a merge is warned of.
const MERGE_WARNING: f32 = 0.05;

pub(super) fn execute(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let tracker = tracking::start(env, training(env, name)?.settings);
    let outcome = learn(env, name, &tracker);
    tracker.finish(Outcome::of(&outcome));
    outcome
}

fn learn(env: &StepEnv<'_>, name: &str, tracker: &Tracker) -> Result<()> {
    let Training { settings, shape, start, identifier, prompts } = training(env, name)?;
    let model = LoadedModel::load(&start, &identifier, shape)?;
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let loop_settings = LoopSettings {
        label: name.to_owned(),
        optimizer: settings.optimizer.clone(),
        epochs: settings.epochs,
        batch: settings.batch,
        accumulate: settings.accumulate,
        checkpoint_steps: settings.checkpoint_steps,
        memory_limit: settings.memory_limit().or_else(memory::allowed),
        tracker: tracker.clone(),
    };
    let decoder = match &settings.lora {
        Some(lora) => model.adapted(lora, env.seed().purpose("adapter"))?,
        None => model.decoder()?,
    };
    let decoder = on_device(decoder, settings)?.recomputing(settings.recompute);
    let held_out = settings.validation.as_ref().map(|validation| {
        Ok::<_, Error>((validation, HeldOut::new(env, validation, &corpus, &model, &identifier)?))
    });
    let held_out = held_out.transpose()?;
    let (weights, batch) = (&decoder, settings.batch as usize);
    let mut validation = held_out.as_ref().map(|(validation, held_out)| {
        Validation::new(validation, move || held_out.measure(weights, batch))
    });
    let validation = validation.as_mut();
    let parameters =
        decoder.trained().iter().map(|(name, var)| (name.clone(), var.clone())).collect();
    let (seed, work) = (env.seed(), env.work.as_path());
    let training = Loop {
        parameters: &parameters,
        settings: &loop_settings,
        world: World::single(),
        seed,
        folder: work,
        ctx: env.ctx,
    };
    match &settings.objective {
        ObjectiveSettings::Supervised(objective) => {
            let catalogue = corpus.catalogue()?;
            let titles = (0..catalogue.len() as u32).map(|item| catalogue.title(item)).collect();
            let requests = corpus.requests(Split::Train)?;
            let prompts = Prompts::open(&prompts, Form::Asked)?;
            let examples = examples(&corpus, &requests, &catalogue, objective)?;
            let mut objective = Supervised::new(
                &decoder,
                &model.prompts,
                prompts,
                examples,
                titles,
                objective,
                seed,
            )?;
            training.run(&mut objective, validation).map_err(|error| advise(settings, error))?;
        }
        ObjectiveSettings::Preference(objective) => {
            let pairs_folder = env.input(&format!("train.{name}.pairs"))?;
            let data = pairs::load(&model, &pairs_folder, &prompts)?;
            let reference = if objective.loss.needs_reference() {
                let folder = env.input(&format!("train.{name}.reference"))?;
                Some(pairs::load_reference(&folder, data.n_answers())?)
            } else {
                None
            };
            // The decoder has the weights of its start here; a checkpoint is loaded later.
            let index = open_index(&identifier)?;
            let probe = Probe::new(&decoder, &data, &index, objective.probe_prompts, seed)?;
            let mut objective = Preference::new(&decoder, data, reference, objective, probe)?;
            training.run(&mut objective, validation).map_err(|error| advise(settings, error))?;
        }
    }
    let merged = env.out.join(MODEL_DIR);
    model.save(&decoder, &merged)?;
    if decoder.adapter().is_some() {
        adapter::save(&env.out.join(ADAPTER_DIR), &decoder, &start)?;
        tell_merge(env, &model, &decoder, &merged)?;
    }
    let log = env.out.join(LOG_FILE);
    std::fs::copy(work.join(LOG_FILE), &log).map_err(|e| Error::unwritable(&log, &e))?;
    Ok(())
}

/// The decoder where a training computes.
pub(super) fn on_device(decoder: Decoder, settings: &TrainSettings) -> Result<Decoder> {
    decoder.on(&settings.device.open()?, settings.precision.dtype())
}

/// Says which keys of a training that does not fit into memory can be changed.
fn advise(settings: &TrainSettings, error: Error) -> Error {
    if !matches!(error, Error::Memory { .. }) {
        return error;
    }
    let mut advice = Vec::new();
    if settings.batch > 1 {
        let (batch, accumulate) = (settings.batch, settings.accumulate);
        advice.push(format!(
            "lower `batch` and raise `accumulate` ({} and {} instead of {batch} and {accumulate} give nearly the same steps)",
            batch.div_ceil(2),
            accumulate * 2
        ));
    }
    if !settings.recompute {
        advice.push("set `recompute = true`".into());
    }
    if settings.lora.is_none() {
        advice.push("train an adapter ([train.lora])".into());
    }
    advice.push("lower the model's `prompt_tokens` or `history_items`".into());
    if settings.memory_limit.is_some() {
        advice.push("raise `memory_limit`".into());
    }
    error.with_help(advice.join(", or "))
}

/// Says how far the stored model, whose weights hold the adapter and may be rounded, is from the trained one.
fn tell_merge(
    env: &StepEnv<'_>,
    model: &LoadedModel,
    decoder: &Decoder,
    merged: &Path,
) -> Result<()> {
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let items = model.prompts.items();
    let mut rows = Vec::new();
    for (i, request) in corpus.request_iter(Split::Train)?.take(MERGE_PROBES).enumerate() {
        let request = request?;
        let prompt = model.prompts.build(request.query.as_deref(), &request.history)?;
        let item = (i * items.n_items() / MERGE_PROBES) as u32;
        rows.push(Row::answer(&prompt.tokens, items.tokens(item)));
    }
    let batch = TargetBatch::new(&rows)?;
    let stored = ModelFolder::open(merged)?.decoder()?;
    let (a, b) = (batch.log_probs(decoder)?, batch.log_probs(&stored)?);
    let difference = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()?;
    let told = format!(
        "{}: the adapter is merged; log-probabilities of {} identifier tokens differ by at most {difference:.1e}",
        env.step.name,
        batch.n_targets()
    );
    if difference > MERGE_WARNING {
        env.ctx.warn(format!("{told}; weights stored as f32 (model.dtype) would be closer"));
    } else {
        env.ctx.say(told);
    }
    Ok(())
}

/// Where a training begins.
pub(super) struct Training<'a> {
    pub settings: &'a TrainSettings,
    pub shape: &'a ModelSettings,
    /// Folder of the weights it starts from.
    pub start: PathBuf,
    /// Folder of the identifier.
    pub identifier: PathBuf,
    /// File of the training requests' prompts.
    pub prompts: PathBuf,
}

pub(super) fn training<'a>(env: &StepEnv<'a>, name: &str) -> Result<Training<'a>> {
    let recipe: &'a Recipe = &env.loaded.recipe;
    let settings = recipe.training(name);
    let settings =
        settings.ok_or_else(|| Error::Failed(format!("the recipe has no training {name}")))?;
    let model = recipe.model_of(settings);
    let shape = &recipe.model[model];
    let start = match &settings.init {
        Some(init) => env.input(&format!("train.{init}"))?.join(MODEL_DIR),
        None => env.input(&format!("model.{model}"))?,
    };
    let identifier = env.input(&format!("identifier.{}", shape.identifier()))?;
    let prompts = env.input(&format!("prompts.{model}"))?.join(PROMPTS_FILE);
    Ok(Training { settings, shape, start, identifier, prompts })
}

/// One example per click, or per sequence.
fn examples(
    corpus: &Corpus,
    requests: &[Request],
    catalogue: &Catalogue,
    objective: &SupervisedSettings,
) -> Result<Vec<Example>> {
    let train = corpus.request_range(Split::Train);
    let mut examples = Vec::new();
    if corpus.has_sequences() {
        let sequences = requests.iter().filter(|request| request.history.len() >= 2);
        examples.extend(sequences.map(|request| Example::Sequence(request.history.clone())));
    }
    for group in corpus.impressions()? {
        let (request, impressions) = group?;
        if train.contains(&request) {
            let prompt = request - train.start;
            let clicked = impressions.iter().filter(|impression| impression.click);
            examples.extend(
                clicked.map(|impression| Example::Answer { prompt, item: impression.item }),
            );
        }
    }
    if examples.is_empty() && objective.pseudo_requests == 1.0 {
        examples.extend(catalogue.titled().map(Example::Title));
    }
    if examples.is_empty() {
        let message = "there is nothing to train on: no training request has a click";
        return Err(Error::data(corpus.folder(), message)
            .with_help("bring clicks, or learn from titles alone: pseudo_requests = 1"));
    }
    Ok(examples)
}

/// The log of a finished training.
pub(in crate::pipeline) fn log_path(folder: &Path) -> PathBuf {
    folder.join(LOG_FILE)
}
