//! Training a decoder, whatever it learns: start, device, validation, loop, merge, result.

use std::path::{Path, PathBuf};

use super::Bundle;
use super::kinds::Lesson;
use super::validation::HeldOutDecoder;
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::model::settings::ModelSettings;
use crate::model::{Decoder, ModelFolder, adapter};
use crate::train::course::settings::ValidationSettings;
use crate::train::held_out::Judge;
use crate::train::objective::{Row, TargetBatch};
use crate::train::settings::TrainSettings;
use crate::train::validation::Measured;
use crate::vectors::kinds::VectorsSettings;

/// Folder of the trained model inside the step's folder, in Hugging Face layout.
pub const MODEL_DIR: &str = "model";

/// Folder of the adapter inside the step's folder, in PEFT's format.
pub const ADAPTER_DIR: &str = "adapter";
/// Requests by which a merged model is compared with the adapted one.
const MERGE_PROBES: usize = 8;
/// Difference in nats from which on a merge is warned of.
const MERGE_WARNING: f32 = 0.05;

/// The folder of the weights that a training starts from: of a model, or of another training's result.
pub(super) fn start(step: &StepContext<'_>) -> Result<PathBuf> {
    let folder = step.inputs.folder(Role::Start)?;
    let trained = folder.join(MODEL_DIR);
    Ok(if trained.is_dir() { trained } else { folder.to_owned() })
}

/// Trains a decoder and writes `model/`, the adapter where there is one, and `train.jsonl`.
///
/// # Errors
/// When data are missing, the training fails, or the disk refuses.
pub fn learn(
    step: &StepContext<'_>,
    settings: &TrainSettings,
    model: &ModelSettings,
    vectors: Option<&VectorsSettings>,
    judge: &dyn Judge,
) -> Result<()> {
    let start = start(step)?;
    let encodes = settings.objective.it().encodes();
    let bundle = Bundle::load(&start, &step.inputs.identifiers(), model)?;
    let decoder = match &settings.lora {
        Some(lora) => bundle.adapted(lora, step.seed.purpose("adapter"))?,
        None => bundle.decoder()?,
    };
    let decoder = on_device(decoder, settings)?
        .recomputing(settings.course.recompute)
        .dropping(settings.dropout());
    let objective = settings.objective.it();
    // An alignment keeps what its start knows of the vocabulary.
    let normalizer =
        if objective.needs_init() { bundle.normalizer() } else { objective.normalizer() };
    let validation = settings.course.validation.as_ref().map(ValidationSettings::plain);
    let held_out = match &validation {
        // What encodes is looked at as vectors are, by its objective.
        None => None,
        Some(_) if encodes => None,
        Some(validation) => {
            let identifier = step.inputs.folder(Role::Identifier(0))?;
            let search = (identifier, normalizer);
            match HeldOutDecoder::new(validation, &settings.name, judge, &bundle, search, step.seed)
            {
                Ok(held_out) => Some(held_out),
                Err(Error::Data { message, .. }) if validation.if_possible => {
                    let name = step.name;
                    step.ctx.warn(format!("{name}: {message}; the last weights are kept unseen"));
                    None
                }
                Err(error) => return Err(error),
            }
        }
    };
    let batch = settings.course.batch as usize;
    let mut measure = held_out.as_ref().map(|held_out| || held_out.measure(&decoder, batch));
    let lesson = Lesson {
        step,
        settings,
        decoder: &decoder,
        bundle: &bundle,
        model,
        vectors,
        judge,
        measure: measure.as_mut().map(|measure| measure as &mut dyn FnMut() -> Result<Measured>),
    };
    settings.objective.it().train(lesson).map_err(|error| advise(settings, error))?;
    let merged = step.out.join(MODEL_DIR);
    bundle.save(&decoder, &merged, normalizer)?;
    if decoder.adapter().is_some() {
        adapter::save(&step.out.join(ADAPTER_DIR), &decoder, &start)?;
        tell_merge(step, &bundle, &decoder, &merged)?;
    }
    Ok(())
}

/// The decoder where a training computes.
pub(super) fn on_device(decoder: Decoder, settings: &TrainSettings) -> Result<Decoder> {
    decoder.on(&settings.course.device.open()?, settings.course.precision.dtype())
}

/// Says which keys of a training that does not fit into memory can be changed.
fn advise(settings: &TrainSettings, error: Error) -> Error {
    if !matches!(error, Error::Memory { .. }) {
        return error;
    }
    let course = &settings.course;
    let mut advice = Vec::new();
    if course.batch > 1 {
        let (batch, accumulate) = (course.batch, course.accumulate);
        advice.push(format!(
            "lower `batch` and raise `accumulate` ({} and {} instead of {batch} and {accumulate} give nearly the same steps)",
            batch.div_ceil(2),
            accumulate * 2
        ));
    }
    if !course.recompute {
        advice.push("set `recompute = true`".into());
    }
    if settings.lora.is_none() {
        advice.push("train an adapter ([train.lora])".into());
    }
    advice.push("lower the model's `prompt_tokens` or `history_items`".into());
    if course.memory_limit.is_some() {
        advice.push("raise `memory_limit`".into());
    }
    error.with_help(advice.join(", or "))
}

/// Says how far the stored model, whose weights hold the adapter and may be rounded, is from the trained one.
fn tell_merge(
    step: &StepContext<'_>,
    bundle: &Bundle,
    decoder: &Decoder,
    merged: &Path,
) -> Result<()> {
    let corpus = step.inputs.corpus()?;
    let items = bundle.prompts.items();
    if items.n_items() == 0 {
        return Ok(());
    }
    let mut rows = Vec::new();
    let requests = corpus.request_iter(crate::corpus::Split::Train)?;
    for (i, request) in requests.take(MERGE_PROBES).enumerate() {
        let request = request?;
        let prompt = bundle.prompts.build(request.ask.query.as_deref(), &request.ask.history)?;
        let item = (i * items.n_items() / MERGE_PROBES) as u32;
        rows.push(Row::answer(&prompt.tokens, items.tokens(item)));
    }
    let batch = TargetBatch::new(&rows)?;
    let stored = ModelFolder::open(merged)?.decoder()?;
    let (a, b) = (batch.log_probs(decoder)?, batch.log_probs(&stored)?);
    let difference = (a - b)?.abs()?.max_all()?.to_scalar::<f32>()?;
    let told = format!(
        "{}: the adapter is merged; log-probabilities of {} identifier tokens differ by at most {difference:.1e}",
        step.name,
        batch.n_targets()
    );
    if difference > MERGE_WARNING {
        step.ctx.warn(format!("{told}; weights stored as f32 (model.dtype) would be closer"));
    } else {
        step.ctx.say(told);
    }
    Ok(())
}
