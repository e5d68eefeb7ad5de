//! What popularity says of itself.

use super::Popularity;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::kind::keys;
use crate::kind::{Abilities, Fact, Kind, Need};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{System, SystemKind};
use crate::ranker::settings::PopularitySettings;

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

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        Ok(Box::new(Popularity::fit(inputs.corpus()?, self)?))
    }
}
