//! What residual k-means says of itself.

use super::fit;
use crate::error::Result;
use crate::identifier::Identifiers;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Abilities, Draws, Family, Faults, Kind, Need, Role, Use};
use crate::quantizer::checks::too_many_codes;
use crate::quantizer::cold::fit_on;
use crate::quantizer::kinds::IdentifierKind;
use crate::quantizer::known::Known;
use crate::quantizer::levels::vectors;
use crate::quantizer::naming::{level_faults, naming_faults};
use crate::quantizer::settings::ResidualKMeansSettings;

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

    fn needs(&self) -> Vec<Need> {
        self.fit.needs("residual k-means")
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let key = level_faults(self.codes_of_levels.as_deref(), faults);
        naming_faults(&self.naming, &self.level_codes(), faults);
        if self.balance_by.is_some() && self.balanced.is_none() {
            let message = "`balance_by` spreads items over balanced levels, and none is balanced";
            let help = "set `balanced`, or leave `balance_by` out";
            faults.value(keys!["balance_by"], message, "without `balanced`", help);
        }
        let most = self.level_codes().into_iter().max().unwrap_or(0);
        too_many_codes(faults, keys![key], most);
        if let Some(batch) = self.batch.filter(|&batch| batch < most) {
            let dotted = faults.dotted(&keys!["batch"]);
            let message = format!("`{dotted}` draws fewer items than a level has codes");
            let label = format!("{batch} items for {most} codes");
            faults.value(keys!["batch"], message, label, "raise `batch`, or use fewer codes");
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

    fn assign(&self, step: &StepContext<'_>, known: &dyn Known) -> Result<Identifiers> {
        fit_on(self.fit, &vectors(step)?, (step, known), |vectors, hash| {
            fit(self, vectors, hash, step.seed, step.ctx)
        })
    }
}
