//! What the systems that count co-occurrences say of themselves.

use std::path::PathBuf;

use super::settings::{ItemCfSettings, ItemKnnSettings};
use super::similarity::Similarity;
use super::{ItemCf, ItemKnn};
use crate::error::Result;
use crate::inputs::{Inputs, StepContext};
use crate::kind::{Abilities, Estimate, Fact, Kind, Need, Role, Sizes};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{Prepared, System, SystemKind};
use crate::train::held_out::Judge;

/// A system that learns what is chosen after what is asked with a history.
pub(in crate::ranker) fn answers_histories(kind: &str) -> Vec<Need> {
    let message = format!(
        "{{what}} `{{name}}` of kind {kind} answers histories, but requests of this corpus have none"
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

    /// `recency` weighs a history when it is asked.
    fn prepared(&self) -> Option<Prepared> {
        Some(Prepared::index("item-cf", self, &["recency"]))
    }

    fn prepare(&self, _: &System, step: &StepContext<'_>, _: &dyn Judge) -> Result<()> {
        ItemCf::fit(step.inputs.corpus()?, self)?.write(step.out)
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let n_items = inputs.corpus()?.summary().items as usize;
        Ok(Box::new(ItemCf::open(inputs.folder(Role::Opened)?, n_items, self)?))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(vec![Similarity::file(inputs.folder(Role::Opened)?)])
    }

    fn estimate_preparing(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("items", "", sizes.items)
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

    fn prepared(&self) -> Option<Prepared> {
        Some(Prepared::index("item-knn", self, &[]))
    }

    fn prepare(&self, _: &System, step: &StepContext<'_>, _: &dyn Judge) -> Result<()> {
        ItemKnn::fit(step.inputs.corpus()?, self)?.write(step.out)
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let n_items = inputs.corpus()?.summary().items as usize;
        Ok(Box::new(ItemKnn::open(inputs.folder(Role::Opened)?, n_items)?))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(vec![Similarity::file(inputs.folder(Role::Opened)?)])
    }

    fn estimate_preparing(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("items", "", sizes.items)
    }
}
