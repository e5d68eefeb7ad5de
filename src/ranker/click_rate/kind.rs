//! What click rates say of themselves.

use std::path::PathBuf;

use super::settings::ClickRateSettings;
use super::{ClickRate, Counts};
use crate::error::Result;
use crate::inputs::{Inputs, StepContext};
use crate::kind::keys;
use crate::kind::{Abilities, Estimate, Fact, Faults, Kind, Need, Role, Sizes};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{Predicts, Prepared, System, SystemKind};
use crate::train::held_out::Judge;

impl Kind for ClickRateSettings {
    fn abilities(&self) -> Abilities {
        Abilities { ranks: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        let shown = "system `{name}` counts impressions, but the corpus has none";
        let signal = &self.label.signal;
        let recorded = format!(
            "system `{{name}}` counts `{signal}` of impressions, which the corpus does not record"
        );
        vec![
            Need::new(Fact::Impressions, shown.into()).instead("remove the system"),
            Need::new(Fact::Signal(signal.clone()), recorded)
                .at(keys!["label"])
                .instead("name a signal that the corpus records, or remove the system"),
        ]
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        if self.label.from <= 0.0 {
            let message = format!("every impression is positive for system `{}`", self.name);
            let help = "set `label.from` above 0; a flag that is set is 1";
            faults.value(keys!["label", "from"], message, "0 or less", help);
        }
    }
}

impl SystemKind for ClickRateSettings {
    fn name(&self) -> &str {
        &self.name
    }

    /// What is counted; how much the mean counts beside it, is the system's.
    fn prepared(&self) -> Option<Prepared> {
        Some(Prepared::index("click-rate", self, &["prior"]))
    }

    fn prepare(&self, _: &System, step: &StepContext<'_>, _: &dyn Judge) -> Result<()> {
        Counts::read(step.inputs.corpus()?, &self.label)?.write(step.out)
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let n_items = inputs.corpus()?.summary().items as usize;
        let counts = Counts::open(inputs.folder(Role::Opened)?, n_items)?;
        Ok(Box::new(ClickRate::new(&counts, self.prior, &self.label.signal)))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(vec![Counts::file(inputs.folder(Role::Opened)?)])
    }

    fn predicts(&self) -> Predicts<'_> {
        Predicts::Probabilities
    }

    fn estimate_preparing(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("items", "", sizes.items)
    }
}
