//! What a system is opened from, where it is not opened from its corpus: a fitted model, or an index.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Work;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::judging::held_out::ValidationJudge;
use crate::kind::{Estimate, Sizes};
use crate::ranker::kinds::SystemSettings;

/// Fits or builds what a system is opened from.
#[derive(Serialize, JsonSchema)]
pub struct PrepareSystem {
    /// The settings that it reads.
    pub settings: Value,
    /// What counts as relevant, where that decides what is kept.
    pub relevant_grade: Option<f64>,
    /// The system.
    #[serde(skip)]
    pub system: SystemSettings,
}

impl Work for PrepareSystem {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let judge = ValidationJudge {
            inputs: step.inputs,
            seed: step.seed,
            // Nothing is measured where it decides nothing.
            relevant_grade: self.relevant_grade.unwrap_or_default(),
        };
        self.system.it().prepare(step, &judge)
    }

    fn tracks(&self) -> bool {
        self.system.it().tracks()
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        self.system.it().estimate_preparing(sizes)
    }
}
