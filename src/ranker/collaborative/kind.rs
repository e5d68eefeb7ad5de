//! What the systems that count co-occurrences say of themselves.

use super::settings::{ItemCfSettings, ItemKnnSettings};
use super::{ItemCf, ItemKnn};
use crate::error::Result;
use crate::inputs::Inputs;
use crate::kind::{Abilities, Fact, Kind, Need};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{System, SystemKind};

/// A system that learns what is chosen after what is asked with a history.
pub(in crate::ranker) fn answers_histories(kind: &str) -> Vec<Need> {
    let message = format!(
        "system `{{name}}` of kind {kind} answers histories, but requests of this corpus have none"
    );
    vec![Need::new(Fact::Histories, message).label("nothing to start from")]
}

impl Kind for ItemCfSettings {
    fn format(&self) -> u32 {
        4
    }

    fn abilities(&self) -> Abilities {
        Abilities { ranks: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        answers_histories("item-cf")
    }
}

impl SystemKind for ItemCfSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        Ok(Box::new(ItemCf::fit(inputs.corpus()?, self)?))
    }
}

impl Kind for ItemKnnSettings {
    fn format(&self) -> u32 {
        4
    }

    fn abilities(&self) -> Abilities {
        Abilities { ranks: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        answers_histories("item-knn")
    }
}

impl SystemKind for ItemKnnSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        Ok(Box::new(ItemKnn::fit(inputs.corpus()?, self)?))
    }
}
