//! What collaborative vectors say of themselves.

use super::{fit, peak_bytes};
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::{Draws, Estimate, Fact, Kind, Need, Sizes};
use crate::train::held_out::Judge;
use crate::vectors::kinds::VectorsKind;
use crate::vectors::settings::CollaborativeSettings;
use crate::vectors::{Provenance, VECTORS_FILE};

impl Kind for CollaborativeSettings {
    fn format(&self) -> u32 {
        4
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn needs(&self) -> Vec<Need> {
        let message =
            "[vectors.{name}] of kind collaborative learns from clicks, but the corpus has none";
        vec![Need::new(Fact::Feedback, message.into()).instead("remove them")]
    }
}

impl VectorsKind for CollaborativeSettings {
    fn make(&self, step: &StepContext<'_>, _judge: &dyn Judge) -> Result<()> {
        let made_from = Provenance::of_catalogue(&step.inputs.catalogue()?.hash);
        fit(step.inputs.corpus()?, self, step.seed, step.ctx)?
            .write_made_from(&step.out.join(VECTORS_FILE), &made_from)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let memory = sizes.items.map(|items| peak_bytes(items, u64::from(self.dim)));
        Estimate::default().holds(memory, "lower the vectors' `dim`")
    }
}
