//! The tables without some training requests, which are then asked.

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::corpus::Fold;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::{Estimate, Sizes};

/// Holds a fold of the training requests out.
#[derive(Serialize, JsonSchema)]
pub struct HoldOut {
    /// Which.
    pub fold: Fold,
}

impl Work for HoldOut {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let summary = step.inputs.corpus()?.hold_out(self.fold, step.out, step.ctx)?;
        step.ctx.say(format!(
            "{}: {} training requests are asked, {} are learned from",
            step.name, summary.requests.test, summary.requests.train
        ));
        Ok(())
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let of = u64::from(self.fold.of);
        Estimate::default().count("asked requests", "≈ ", sizes.train.map(|n| n / of)).count(
            "training requests",
            "≈ ",
            sizes.train.map(|n| n - n / of),
        )
    }
}
