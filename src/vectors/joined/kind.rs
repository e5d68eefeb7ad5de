//! What joined vectors say of themselves.

use std::path::Path;

use super::join;
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Abilities, Family, Faults, Kind, Refusal, Role, Use};
use crate::progress::Context;
use crate::train::held_out::Judge;
use crate::vectors::kinds::VectorsKind;
use crate::vectors::settings::JoinedSettings;
use crate::vectors::{Provenance, VECTORS_FILE, Vectors, read_of};

impl Kind for JoinedSettings {
    fn format(&self) -> u32 {
        4
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let part = |(place, name)| {
            Use::new(Family::Vectors, name, Role::Part(place), "parts").at(keys!["parts", place])
        };
        self.parts.iter().map(String::as_str).enumerate().map(part).collect()
    }

    fn abilities(&self) -> Abilities {
        Abilities { is_composed: true, ..Abilities::default() }
    }

    fn accepts(&self, used: &Use<'_>, _kind: &str, other: &Abilities) -> Result<(), Refusal> {
        if !other.is_composed {
            return Ok(());
        }
        Err(Refusal {
            message: format!("[vectors.{}] cannot be part of joined vectors", used.name),
            label: "joined itself".into(),
            help: "name the vectors that it is joined from".into(),
        })
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        if self.parts.len() < 2 {
            let message = "joined vectors need two parts at least";
            let help = "for instance parts = [\"text\", \"feedback\"]";
            faults.value(keys!["parts"], message, "nothing to join", help);
        }
        for (place, name) in self.parts.iter().enumerate() {
            if self.parts[..place].contains(name) {
                let help = "name each once; `weights` says how much it counts";
                let message = format!("`{name}` is joined twice");
                faults.value(keys!["parts", place], message, "second time", help);
            }
        }
        if !self.weights.is_empty() && self.weights.len() != self.parts.len() {
            let message =
                format!("{} weights for {} joined parts", self.weights.len(), self.parts.len());
            let help = "give one weight for each part, in the same order, or leave `weights` out";
            faults.value(keys!["weights"], message, "not one for each", help);
        }
        for (place, weight) in self.weights.iter().enumerate() {
            if !weight.is_finite() || *weight <= 0.0 {
                let message = format!("weight {weight} of a joined part is not above 0");
                let help = "leave a part out that is not to count";
                let key = keys!["weights", place];
                faults.value(key, message, "expected a number above 0", help);
            }
        }
    }
}

impl VectorsKind for JoinedSettings {
    fn make(&self, step: &StepContext<'_>, _judge: &dyn Judge) -> Result<()> {
        let catalogue = step.inputs.catalogue()?;
        let parts = step.inputs.parts();
        let parts: Vec<Vectors> =
            parts.into_iter().map(|folder| read_of(folder, catalogue)).collect::<Result<_>>()?;
        let made_from = Provenance::of_catalogue(&catalogue.hash);
        join(&parts, &self.weights, "joined vectors")?
            .write_made_from(&step.out.join(VECTORS_FILE), &made_from)
    }

    fn encodes_items(&self) -> bool {
        true
    }

    fn encode(
        &self,
        _folder: &Path,
        _items: &Catalogue,
        parts: &[Vectors],
        _ctx: &Context,
    ) -> Result<Vectors> {
        join(parts, &self.weights, "joined vectors")
    }
}
