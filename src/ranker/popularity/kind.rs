//! What popularity says of itself.

use std::path::PathBuf;

use serde_json::json;

use super::Popularity;
use crate::error::Result;
use crate::inputs::{Inputs, StepContext};
use crate::kind::keys;
use crate::kind::{Abilities, Estimate, Fact, Kind, Need, Role, Sizes};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{Prepared, System, SystemKind};
use crate::ranker::settings::PopularitySettings;
use crate::train::held_out::Judge;

impl Kind for PopularitySettings {
    fn format(&self) -> u32 {
        4
    }

    fn abilities(&self) -> Abilities {
        Abilities { ranks: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        let clicks = "system `{name}` learns from clicks, but the corpus has none";
        let mut needs = vec![Need::new(Fact::Feedback, clicks.into()).instead("remove the system")];
        for (key, given) in [("days", self.days.is_some()), ("half_life", self.half_life.is_some())]
        {
            if given {
                let message = "system `{name}` looks at days, but the corpus has none";
                let need = Need::new(Fact::Days, message.into()).at(keys![key]);
                needs.push(need.label("needs days").instead(format!("leave `{key}` out")));
            }
        }
        needs
    }
}

impl SystemKind for PopularitySettings {
    fn name(&self) -> &str {
        &self.name
    }

    /// Whether categories are kept depends on the settings; how many items of a history ask for
    /// theirs, is the system's.
    fn prepared(&self) -> Option<Prepared> {
        let mut prepared = Prepared::index("popularity", self, &["category_items"]);
        prepared.settings["categories"] = json!(self.category_items.is_some());
        Some(prepared)
    }

    fn prepare(&self, _: &System, step: &StepContext<'_>, _: &dyn Judge) -> Result<()> {
        Popularity::fit(step.inputs.corpus()?, self)?.write(step.out)
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let n_items = inputs.corpus()?.summary().items as usize;
        Ok(Box::new(Popularity::open(inputs.folder(Role::Opened)?, n_items, self)?))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(vec![Popularity::file(inputs.folder(Role::Opened)?)])
    }

    fn estimate_preparing(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("items", "", sizes.items)
    }
}
