//! What a fused system says of itself.

use std::path::PathBuf;

use trieval_eval::fusion::{Fusion, FusionSettings};

use super::Fused;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::kind::keys;
use crate::kind::{Abilities, Family, Faults, Kind, Refusal, Role, Use};
use crate::ranker::Retrieve;
use crate::ranker::kinds::{System, SystemKind, Tries, Tuned};
use crate::ranker::tuned::Chosen;

impl Kind for FusionSettings {
    fn format(&self) -> u32 {
        // 6: parts answer with at least so many items.
        6
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let part = |(place, name)| {
            Use::new(Family::System, name, Role::System(place), "runs").at(keys!["runs", place])
        };
        self.runs.iter().map(String::as_str).enumerate().map(part).collect()
    }

    fn abilities(&self) -> Abilities {
        Abilities { is_composed: true, ..Abilities::default() }
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        if !other.is_composed {
            return Ok(());
        }
        Err(Refusal {
            message: format!("system {} cannot be fused into another", used.name),
            label: format!("is itself of kind = \"{kind}\""),
            help: "name systems that are not made of others".into(),
        })
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        for (key, what) in FusionSettings::faults(self) {
            faults.value(keys![key], what, "cannot be used", "");
        }
    }
}

impl SystemKind for FusionSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let names = system.asks.iter().map(|part| part.settings.name().to_owned());
        let parts = names.zip(system.open_parts(inputs)?).collect();
        let mut rule = Fusion::from(self);
        if self.tune.is_some() {
            let chosen = Chosen::read(inputs.folder(Role::Tuned)?)?;
            let weights = (0..self.runs.len()).map(|place| chosen.weight(place));
            rule.weights = weights.collect::<Result<_>>()?;
        }
        Ok(Box::new(Fused::new(parts, rule)))
    }

    /// It has none beside those of its parts.
    fn files(&self, _inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn tuned_for(&self) -> Option<Tuned<'_>> {
        self.tune.as_ref().map(|metric| Tuned {
            metric,
            key: keys!["tune"],
            what: "weights",
            instead: "give fixed `weights`",
        })
    }

    fn tries(&self, system: &System, inputs: &Inputs) -> Result<Option<Tries>> {
        if self.tune.is_none() {
            return Ok(None);
        }
        let parts = system.open_parts(inputs)?;
        Ok(Some(Tries::Weights { parts, rule: Fusion::from(self) }))
    }
}
