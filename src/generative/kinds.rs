//! The kinds of models and of objectives: one line each in `it`.

use serde_json::Value;

use super::Bundle;
use crate::decode::settings::Normalizer;
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::{Estimate, Kind, Role, Sizes};
use crate::model::Decoder;
use crate::model::config::DecoderConfig;
use crate::model::settings::ModelSettings;
use crate::train::held_out::Judge;
use crate::train::objective::Objective;
use crate::train::settings::{ObjectiveSettings, TrainSettings};
use crate::train::validation::Measured;
use crate::vectors::kinds::VectorsSettings;

impl ModelSettings {
    /// The `kind` as recipes spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scratch(_) => "scratch",
            Self::Pretrained(_) => "pretrained",
        }
    }

    /// What describes and does the kind.
    pub fn it(&self) -> &dyn ModelKind {
        match self {
            Self::Scratch(settings) => settings,
            Self::Pretrained(settings) => settings,
        }
    }
}

impl ObjectiveSettings {
    /// The `kind` as recipes spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Supervised(_) => "supervised",
            Self::Preference(_) => "preference",
            Self::Contrastive(_) => "contrastive",
            Self::Distillation(_) => "distillation",
        }
    }

    /// What describes and does the kind.
    pub fn it(&self) -> &dyn ObjectiveKind {
        match self {
            Self::Supervised(settings) => settings,
            Self::Preference(settings) => settings,
            Self::Contrastive(settings) => settings,
            Self::Distillation(settings) => settings,
        }
    }
}

/// Where a decoder begins.
pub trait ModelKind: Kind {
    /// Writes a model folder whose vocabulary holds the tokens of its identifiers.
    ///
    /// # Errors
    /// When a folder or the corpus cannot be used, or the disk refuses.
    fn make(&self, step: &StepContext<'_>) -> Result<()>;

    /// Whether a vocabulary that is there already can hold the tokens of identifiers, of whose levels these codes are
    /// known; before any work.
    ///
    /// # Errors
    /// [`Error::Data`] when it holds others of the same names.
    fn check_vocabulary(&self, _levels: &[Vec<u32>]) -> Result<()> {
        Ok(())
    }

    /// The decoder that it will be, with `tokens` more in its vocabulary and at most `levels` of
    /// them per item; none where a folder cannot be read, which is told when its files are listed.
    fn shape(&self, tokens: u32, levels: u32) -> Option<DecoderConfig>;
}

/// A step before a training can begin.
pub struct PreparedStep {
    /// What the step is called behind the training's name.
    pub step: &'static str,
    /// What its result is to the training, and to later steps of this list.
    pub role: Role,
    /// The settings that enter its key.
    pub settings: Value,
    /// Whether anything is drawn.
    pub draws: bool,
}

/// What a decoder learns.
pub trait ObjectiveKind: Kind {
    /// Steps before the training, in order.
    fn prepared(&self, _training: &TrainSettings) -> Vec<PreparedStep> {
        Vec::new()
    }

    /// Does one of them.
    ///
    /// # Errors
    /// When data are missing or the model fails.
    fn prepare(
        &self,
        role: Role,
        _training: &TrainSettings,
        _model: &ModelSettings,
        _step: &StepContext<'_>,
    ) -> Result<()> {
        Err(Error::Failed(format!("the objective has no {} to prepare", role.text())))
    }

    /// Whether it goes on from another training and not from untrained weights.
    fn needs_init(&self) -> bool {
        false
    }

    /// How many of the `n` identifiers of its model it learns to answer in: the first so many.
    fn identifiers(&self, n: usize) -> usize {
        n.min(1)
    }

    /// Whether it compares what identifiers of different lengths make unequal: levels, or means over tokens.
    fn needs_one_length(&self) -> bool {
        false
    }

    /// Whether what is trained only encodes, so that its validation looks at vectors and not at a search.
    fn encodes(&self) -> bool {
        false
    }

    /// Whether its steps read `dropout`.
    fn drops(&self) -> bool {
        true
    }

    /// Which version of its results this is where the steps drop something.
    fn format_dropping(&self) -> u32 {
        self.format()
    }

    /// What a search with what is trained normalises over.
    fn normalizer(&self) -> Normalizer {
        Normalizer::Exact
    }

    /// Examples of one epoch in one identifier, where that is known in advance.
    fn examples(&self, sizes: &Sizes) -> Option<u64>;

    /// How exact that number is.
    fn about(&self, _sizes: &Sizes) -> &'static str {
        "≈ "
    }

    /// Answers of one example, which share its prompt.
    fn answers(&self, _sizes: &Sizes) -> u64 {
        1
    }

    /// Figures of a prepared step; `row` bytes and tokens come from `decoder`.
    fn estimate_preparing(
        &self,
        _role: Role,
        _sizes: &Sizes,
        _decoder: Option<&super::DecoderSizes>,
    ) -> Estimate {
        Estimate::default()
    }

    /// Trains.
    ///
    /// # Errors
    /// When there is nothing to learn from, or as [`Lesson::run`].
    fn train(&self, lesson: Lesson<'_>) -> Result<()>;
}

/// A decoder about to be trained.
pub struct Lesson<'a> {
    /// The step.
    pub step: &'a StepContext<'a>,
    /// The training.
    pub settings: &'a TrainSettings,
    /// The decoder.
    pub decoder: &'a Decoder,
    /// The bundle that it belongs to.
    pub bundle: &'a Bundle,
    /// The model's settings.
    pub model: &'a ModelSettings,
    /// The vectors that the objective names.
    pub vectors: Option<&'a VectorsSettings>,
    /// What may be known of held-out requests.
    pub judge: &'a dyn Judge,
    /// Validates the current weights, where the training is validated.
    pub measure: Option<&'a mut dyn FnMut() -> Result<Measured>>,
}

impl Lesson<'_> {
    /// Runs the course on an objective.
    ///
    /// # Errors
    /// As [`Course::run`](crate::train::course::settings::Course::run).
    pub fn run<O: Objective>(self, objective: &mut O) -> Result<()> {
        let Self { step, settings, decoder, measure, .. } = self;
        settings.course.run(step, &settings.name, decoder.trained(), objective, measure)
    }
}
