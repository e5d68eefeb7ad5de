//! What an objective needs before its training: pairs, and the reference model's scores.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Work;
use crate::error::Result;
use crate::generative::DecoderSizes;
use crate::inputs::StepContext;
use crate::kind::{Estimate, Role, Sizes};
use crate::model::settings::ModelSettings;
use crate::train::course::settings::TrainDevice;
use crate::train::settings::TrainSettings;

/// One step before a training.
#[derive(Serialize, JsonSchema)]
pub struct PrepareTraining {
    /// The settings that it reads.
    pub settings: Value,
    /// What its result is to the training.
    #[serde(skip)]
    pub role: Role,
    /// The training.
    #[serde(skip)]
    pub training: TrainSettings,
    /// The model, whose own step holds its key.
    #[serde(skip)]
    pub model: ModelSettings,
    /// What the model will be.
    #[serde(skip)]
    pub sizes: Option<DecoderSizes>,
}

impl Work for PrepareTraining {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let objective = self.training.objective.it();
        objective.prepare(self.role, &self.training, &self.model, step)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let objective = self.training.objective.it();
        objective.estimate_preparing(self.role, sizes, self.sizes.as_ref())
    }

    fn device(&self) -> TrainDevice {
        self.training.course.device
    }
}
