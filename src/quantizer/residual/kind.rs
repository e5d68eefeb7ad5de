//! What residual k-means says of itself.

use super::fit;
use crate::error::Result;
use crate::identifier::Identifiers;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Draws, Family, Faults, Kind, Role, Use};
use crate::quantizer::kinds::IdentifierKind;
use crate::quantizer::settings::ResidualKMeansSettings;
use crate::vectors::read_of;

impl Kind for ResidualKMeansSettings {
    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        vec![Use::new(Family::Vectors, &self.vectors, Role::Vectors, "vectors")]
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        if let Some(items) = faults.items()
            && u64::from(self.codes) > items
        {
            let key = faults.dotted(&keys!["codes"]);
            let message = format!("`{key}` asks for more codes than there are items");
            let label = format!("{} codes for {items} items", self.codes);
            faults.value(keys!["codes"], message, label, "use fewer codes per level");
        }
    }
}

impl IdentifierKind for ResidualKMeansSettings {
    fn levels(&self) -> u32 {
        self.levels + 1
    }

    fn codes(&self) -> u32 {
        self.codes
    }

    fn tokens(&self) -> u32 {
        self.levels * self.codes
    }

    fn assign(&self, step: &StepContext<'_>) -> Result<Identifiers> {
        let catalogue = step.inputs.catalogue()?;
        let vectors = read_of(step.inputs.folder(Role::Vectors)?, catalogue)?;
        fit(self, &vectors, &catalogue.hash, step.seed, step.ctx)
    }
}
