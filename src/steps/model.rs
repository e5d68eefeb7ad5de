//! A decoder with its tokenizer and the identifier it speaks.

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::error::Result;
use crate::generative::DecoderSizes;
use crate::inputs::StepContext;
use crate::kind::{Estimate, Sizes};
use crate::model::settings::ModelSettings;

/// Makes the decoder before any training.
#[derive(Serialize, JsonSchema)]
pub struct MakeModel {
    /// How.
    pub settings: ModelSettings,
    /// What it will be, as far as that is known.
    #[serde(skip)]
    pub sizes: Option<DecoderSizes>,
}

impl Work for MakeModel {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        self.settings.it().make(step)
    }

    fn estimate(&self, _sizes: &Sizes) -> Estimate {
        match &self.sizes {
            Some(sizes) => {
                let parameters = sizes.parameters();
                let smaller = "take a smaller model";
                let held = Some(2 * sizes.weights());
                Estimate::default().count("parameters", "≈ ", Some(parameters)).holds(held, smaller)
            }
            None => Estimate::default(),
        }
    }
}
