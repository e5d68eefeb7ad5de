//! Item vectors, whatever their kind.

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::{Estimate, Sizes};
use crate::vectors::kinds::VectorsSettings;

/// Makes or imports item vectors.
#[derive(Serialize, JsonSchema)]
pub struct MakeVectors {
    /// How.
    pub settings: VectorsSettings,
}

impl Work for MakeVectors {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        self.settings.it().make(step)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        self.settings.it().estimate(sizes)
    }
}
