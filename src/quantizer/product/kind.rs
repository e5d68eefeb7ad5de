//! What product quantization says of itself.

use super::fit;
use super::settings::ProductSettings;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::identifier::settings::NamingSettings;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Abilities, Draws, Family, Faults, Kind, Need, Role, Use};
use crate::quantizer::checks::too_many_codes;
use crate::quantizer::cold::{Items, fit_on};
use crate::quantizer::kinds::IdentifierKind;
use crate::quantizer::known::Known;
use crate::quantizer::levels::vectors;
use crate::quantizer::naming::naming_faults;
use crate::vectors::VECTORS_FILE;

impl Kind for ProductSettings {
    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        vec![Use::new(Family::Vectors, &self.vectors, Role::Vectors, "vectors")]
    }

    fn abilities(&self) -> Abilities {
        let varies_in_length = self.naming.varies_in_length();
        Abilities { has_centroids: true, varies_in_length, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        self.fit.unwrap_or_default().needs("product quantization")
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        too_many_codes(faults, keys!["codes"], self.codes);
        naming_faults(&self.naming, &vec![self.codes; self.parts as usize], faults);
    }
}

impl IdentifierKind for ProductSettings {
    fn known_levels(&self) -> Vec<u32> {
        self.naming.spelled(vec![self.codes; self.parts as usize])
    }

    fn naming(&self) -> Option<&NamingSettings> {
        Some(&self.naming)
    }

    fn may_collide(&self) -> bool {
        self.naming.may_number()
    }

    fn assign(&self, step: &StepContext<'_>, known: &dyn Known) -> Result<Identifiers> {
        let vectors = vectors(step)?;
        if vectors.dim < self.parts as usize {
            let (dim, parts) = (vectors.dim, self.parts);
            let path = step.inputs.folder(Role::Vectors)?.join(VECTORS_FILE);
            let message = format!("vectors of {dim} numbers cannot be cut into {parts} parts");
            let help = format!("set {}.parts to {dim} or less, or take wider vectors", step.name);
            return Err(Error::data(path, message).with_help(help));
        }
        fit_on(self.fit.unwrap_or_default(), &Items::of(&vectors), (step, known), |items, hash| {
            fit(self, &items.vectors, hash, step.seed, step.ctx)
        })
    }
}
