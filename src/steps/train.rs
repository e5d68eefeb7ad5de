//! Training a decoder, and the event files of trainings that were finished before anyone asked for them.

use std::path::Path;
use std::time::UNIX_EPOCH;

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::error::{Error, Result};
use crate::generative::{DecoderSizes, learn, threads};
use crate::inputs::StepContext;
use crate::judging::held_out::ValidationJudge;
use crate::kind::{Estimate, Kind, Sizes};
use crate::model::settings::ModelSettings;
use crate::text::bytes;
use crate::train::course::settings::{LOSS, TrainDevice};
use crate::train::engine::LOG_FILE;
use crate::train::log;
use crate::train::sampler::n_steps;
use crate::train::settings::TrainSettings;
use crate::train::track::write_finished;
use crate::vectors::kinds::VectorsSettings;

/// Trains a decoder.
#[derive(Serialize, JsonSchema)]
pub struct TrainDecoder {
    /// How, with every default written out that depends on another key.
    pub settings: TrainSettings,
    /// What counts as relevant, where the training is validated: it decides which weights are kept.
    pub relevant_grade: Option<f64>,
    /// The model, whose own step holds its key.
    #[serde(skip)]
    pub model: ModelSettings,
    /// The vectors that its objective names; their own step is in its key.
    #[serde(skip)]
    pub vectors: Option<VectorsSettings>,
    /// What the model will be.
    #[serde(skip)]
    pub sizes: Option<DecoderSizes>,
}

impl Work for TrainDecoder {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let judge = ValidationJudge {
            inputs: step.inputs,
            seed: step.seed,
            // Nothing is measured without validation.
            relevant_grade: self.relevant_grade.unwrap_or_default(),
        };
        learn(step, &self.settings, &self.model, self.vectors.as_ref(), &judge)
    }

    fn tracks(&self) -> bool {
        self.settings.tracks()
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let (course, objective) = (&self.settings.course, self.settings.objective.it());
        let identifiers = self.sizes.as_ref().map_or(1, |decoder| decoder.identifiers);
        let learned = objective.identifiers(identifiers) as u64;
        let (about, examples) = (objective.about(sizes), objective.examples(sizes));
        let examples = examples.map(|n| n * learned);
        let per_step = u64::from(course.batch) * u64::from(course.accumulate);
        let steps = examples.map(|n| n_steps(n, per_step, course.epochs));
        let estimate =
            Estimate::default().count("examples", about, examples).count("steps", about, steps);
        let Some(decoder) = &self.sizes else { return estimate };
        let row = decoder.example(sizes, objective.answers(sizes));
        let tokens = examples.map(|n| (n as f64 * course.epochs) as u64 * row);
        let memory = decoder.training_memory(&self.settings, u64::from(course.batch) * row);
        let searches = course.validation.as_ref().filter(|one| one.metric != LOSS);
        let search = searches.map_or(0, |one| decoder.search_memory(sizes, one.beams(), threads()));
        let average = match memory.average {
            0 => String::new(),
            average => format!(" + average {}", bytes(average)),
        };
        let parts = format!(
            "≈ weights {} + gradients {} + moments {}{average} + activations {}",
            bytes(memory.weights),
            bytes(memory.gradients),
            bytes(memory.moments),
            bytes(memory.activations)
        );
        let advice = "lower the training's `batch` and raise `accumulate`, set `recompute = true`, or train an adapter";
        let estimate = estimate.count("tokens", "≈ ", tokens).figure("memory", parts);
        Estimate {
            allowed: course.memory_limit(),
            ..estimate.holds(Some(memory.total() + search), advice)
        }
    }

    fn device(&self) -> TrainDevice {
        self.settings.course.device
    }
}

/// Writes the event files of a training that was finished before anyone asked for them.
///
/// # Errors
/// When its log cannot be read or the disk refuses.
pub fn write_finished_board(step_folder: &Path, board: &Path) -> Result<()> {
    let path = step_folder.join(LOG_FILE);
    let written = path.metadata().and_then(|data| data.modified());
    let written = written.map_err(|e| Error::unreadable(&path, &e))?;
    let millis = written.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    write_finished(board, log::read(&path)?, millis)
}
