//! What a system is opened from, where it is not opened from its corpus: a fitted model, or an index.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Work;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::judging::held_out::ValidationJudge;
use crate::kind::{Estimate, Sizes};
use crate::ranker::kinds::System;

/// Fits or builds what a system is opened from.
#[derive(Serialize, JsonSchema)]
pub struct PrepareSystem {
    /// The settings that it reads.
    pub settings: Value,
    /// What counts as relevant, where that decides what is kept.
    pub relevant_grade: Option<f64>,
    /// The systems that it asks: what they answer depends on all of their settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<System>,
    /// The system with those that it asks.
    #[serde(skip)]
    pub system: System,
}

impl Work for PrepareSystem {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let judge = ValidationJudge {
            inputs: step.inputs,
            seed: step.seed,
            // Nothing is measured where it decides nothing.
            relevant_grade: self.relevant_grade.unwrap_or_default(),
        };
        self.system.settings.it().prepare(&self.system, step, &judge)
    }

    fn tracks(&self) -> bool {
        self.system.settings.it().tracks()
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        self.system.settings.it().estimate_preparing(sizes)
    }
}
