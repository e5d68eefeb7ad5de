//! Item vectors, whatever their kind.

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::judging::held_out::ValidationJudge;
use crate::kind::{Estimate, Sizes};
use crate::vectors::kinds::VectorsSettings;

/// Makes or imports item vectors.
#[derive(Serialize, JsonSchema)]
pub struct MakeVectors {
    /// How.
    pub settings: VectorsSettings,
    /// What counts as relevant, where that decides which weights are kept.
    pub relevant_grade: Option<f64>,
}

impl Work for MakeVectors {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let judge = ValidationJudge {
            inputs: step.inputs,
            seed: step.seed,
            // Nothing is measured where it decides nothing.
            relevant_grade: self.relevant_grade.unwrap_or_default(),
        };
        self.settings.it().make(step, &judge)
    }

    fn tracks(&self) -> bool {
        self.settings.it().tracks()
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        self.settings.it().estimate(sizes)
    }
}
