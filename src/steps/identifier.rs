//! Identifiers and their constraint index.

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::corpus::{choices, near_pairs, training_exposure, training_histories};
use crate::error::{Error, Result};
use crate::generative::INDEX_FILE;
use crate::identifier::spans::Declared;
use crate::inputs::StepContext;
use crate::kind::{Estimate, ItemValue, Sizes};
use crate::quantizer::kinds::IdentifierSettings;
use crate::quantizer::known::Known;
use crate::store::write_atomic;

/// Places between two items that are chosen together, and pairs of them that are looked at.
const WINDOW: usize = 5;
const PAIRS: usize = 10_000;

/// Gives items their codes and builds the index of all paths.
#[derive(Serialize, JsonSchema)]
pub struct MakeIdentifier {
    /// How.
    pub settings: IdentifierSettings,
}

/// What the tables say of items.
struct Items<'a>(&'a StepContext<'a>);

impl Known for Items<'_> {
    fn exposure(&self) -> Result<Vec<u64>> {
        training_exposure(self.0.inputs.corpus()?)
    }

    fn histories(&self) -> Result<Vec<Vec<u32>>> {
        training_histories(self.0.inputs.corpus()?)
    }

    fn values(&self, of: &ItemValue) -> Result<Vec<Option<String>>> {
        self.0.inputs.corpus()?.item_values(of)
    }
}

impl Work for MakeIdentifier {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        if let Some(spans) = self.settings.it().spans() {
            return Declared::new(&step.inputs.catalogue()?.hash, spans).write(step.out);
        }
        let mut identifiers = self.settings.it().assign(step, &Items(step))?;
        if identifiers.order.is_some() {
            identifiers.order_by(&training_exposure(step.inputs.corpus()?)?);
        }
        let pairs = near_pairs(&choices(step.inputs.corpus()?)?, WINDOW, PAIRS);
        identifiers.diagnostics.together = identifiers.together(&pairs);
        step.ctx.say(identifiers.diagnostics.to_string());
        identifiers.save(step.out)?;
        let index = identifiers.index()?;
        let path = step.out.join(INDEX_FILE);
        write_atomic(&path, |writer| {
            index.write(writer).map_err(|e| Error::unwritable(&path, &e))
        })?;
        step.ctx.say(format!(
            "index: {} items, {} bytes, {:.1} bytes per item",
            index.n_items(),
            index.bytes(),
            index.bytes() as f64 / index.n_items() as f64
        ));
        Ok(())
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        self.settings.it().estimate(sizes)
    }
}
