//! What the truth of the simulated shop says of itself as a system.

use std::path::PathBuf;

use super::Oracle;
use crate::corpus::simulator::World;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::kind::{Abilities, Fact, Kind, Need};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{System, SystemKind};
use crate::ranker::settings::OracleSettings;

impl Kind for OracleSettings {
    fn format(&self) -> u32 {
        // 5: its size is known.
        5
    }

    fn abilities(&self) -> Abilities {
        Abilities { is_bound: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        let message = "system `{name}` of kind oracle needs the simulator";
        vec![Need::new(Fact::Truth, message.into())]
    }
}

impl SystemKind for OracleSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        Ok(Box::new(Oracle::open(inputs.corpus()?.folder())?))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(vec![World::file(inputs.corpus()?.folder())])
    }

    fn refuses_questions(&self) -> Option<String> {
        Some(format!("system {} only knows the simulated requests", self.name))
    }
}
