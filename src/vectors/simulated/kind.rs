//! What simulated vectors say of themselves.

use super::draw;
use super::settings::SimulatedVectorsSettings;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::{Draws, Estimate, Fact, Faults, Kind, Need, Sizes, keys};
use crate::train::held_out::Judge;
use crate::vectors::kinds::VectorsKind;
use crate::vectors::{Provenance, VECTORS_FILE};

impl Kind for SimulatedVectorsSettings {
    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn needs(&self) -> Vec<Need> {
        let message = "[vectors.{name}] of kind simulated are of the items of a simulated shop";
        vec![Need::new(Fact::Truth, message.into()).instead("make them from the items' text")]
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        if self.leaf == 0.0 && self.attribute == 0.0 && self.noise == 0.0 {
            let message = "leaf, attribute and noise of simulated vectors are all 0";
            let help = "raise one of them: vectors that are all equal cannot be told apart";
            faults.value(keys!["noise"], message, "nothing to draw", help);
        }
    }
}

impl VectorsKind for SimulatedVectorsSettings {
    fn make(&self, step: &StepContext<'_>, _judge: &dyn Judge) -> Result<()> {
        let made_from = Provenance::of_catalogue(&step.inputs.catalogue()?.hash);
        draw(step.inputs.corpus()?, self, step.seed, step.ctx)?
            .write_made_from(&step.out.join(VECTORS_FILE), &made_from)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let bytes = |items: u64| 4 * items * u64::from(self.dim);
        Estimate::default().holds(sizes.items.map(bytes), "lower the vectors' `dim`")
    }
}
