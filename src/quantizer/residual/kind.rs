//! What residual k-means says of itself.

use super::fit;
use crate::error::Result;
use crate::identifier::Identifiers;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Abilities, Draws, Family, Faults, Kind, Role, Use};
use crate::quantizer::kinds::IdentifierKind;
use crate::quantizer::naming::{level_faults, naming_faults};
use crate::quantizer::settings::ResidualKMeansSettings;
use crate::vectors::read_of;

impl Kind for ResidualKMeansSettings {
    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        vec![Use::new(Family::Vectors, &self.vectors, Role::Vectors, "vectors")]
    }

    fn abilities(&self) -> Abilities {
        Abilities { has_centroids: true, ..Abilities::default() }
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let key = level_faults(self.codes_of_levels.as_deref(), faults);
        naming_faults(&self.naming, &self.level_codes(), faults);
        let most = self.level_codes().into_iter().max().unwrap_or(0);
        if let Some(items) = faults.items()
            && u64::from(most) > items
        {
            let dotted = faults.dotted(&keys![key]);
            let message = format!("`{dotted}` asks for more codes than there are items");
            let label = format!("{most} codes for {items} items");
            faults.value(keys![key], message, label, "use fewer codes per level");
        }
    }
}

impl IdentifierKind for ResidualKMeansSettings {
    fn known_levels(&self) -> Vec<u32> {
        self.naming.spelled(self.level_codes())
    }

    fn may_collide(&self) -> bool {
        self.naming.may_number()
    }

    fn assign(&self, step: &StepContext<'_>) -> Result<Identifiers> {
        let catalogue = step.inputs.catalogue()?;
        let vectors = read_of(step.inputs.folder(Role::Vectors)?, catalogue)?;
        fit(self, &vectors, &catalogue.hash, step.seed, step.ctx)
    }
}
