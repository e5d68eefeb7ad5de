//! Spans of the items' texts in the tokens of a model, and their index.

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::error::Result;
use crate::generative::make_spans;
use crate::inputs::StepContext;
use crate::kind::{Estimate, Role, Sizes};

/// Bytes held per item while texts and index are built: about 16 tokens of 32 bytes.
const BYTES_PER_ITEM: u64 = 512;

/// Makes the texts tokens of a model and builds the index of their spans. Whatever decides them is in the steps of the model
/// and of the identifier.
#[derive(Serialize, JsonSchema)]
pub struct MakeSpans {
    /// The place of the identifier among those of the model: its role says it, too.
    #[serde(skip)]
    pub place: usize,
}

impl Work for MakeSpans {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let declared = step.inputs.folder(Role::Identifier(self.place))?;
        make_spans(step, step.inputs.folder(Role::Model)?, self.place, declared)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let held = sizes.items.map(|items| items * BYTES_PER_ITEM);
        Estimate::default().count("items", "", sizes.items).holds(held, "name items by codes")
    }
}
