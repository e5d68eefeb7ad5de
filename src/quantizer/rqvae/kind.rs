//! What an RQ-VAE says of itself.

use std::path::Path;

use super::settings::RqVaeSettings;
use super::{fit, stored_parameters};
use crate::error::Result;
use crate::identifier::Identifiers;
use crate::identifier::settings::NamingSettings;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{
    Abilities, Draws, Estimate, Fact, Family, Faults, Kind, Learned, Need, Role, Sizes, Use,
};
use crate::quantizer::checks::too_many_codes;
use crate::quantizer::cold::{Items, fit_on};
use crate::quantizer::kinds::{IdentifierKind, of_levels};
use crate::quantizer::known::Known;
use crate::quantizer::levels::vectors;
use crate::quantizer::naming::naming_faults;
use crate::train::course::Able;
use crate::train::course::settings::LOSS;
use crate::train::sampler::n_steps;

impl Kind for RqVaeSettings {
    fn format(&self) -> u32 {
        // 2: first codes begin at random points where these are better than those of k-means++.
        2
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        vec![Use::new(Family::Vectors, &self.vectors, Role::Vectors, "vectors")]
    }

    fn abilities(&self) -> Abilities {
        let varies_in_length = self.naming.varies_in_length();
        Abilities { varies_in_length, ..Abilities::default() }
    }

    fn tracks(&self) -> bool {
        self.course.log.tensorboard
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = self.fit.unwrap_or_default().needs("rq-vae");
        if self.co_choice.is_some() {
            let message = "rq-vae `{name}` pulls items together that were chosen together, but the corpus has no feedback";
            let need = Need::new(Fact::Feedback, message.into()).at(keys!["co_choice"]);
            needs.push(need.instead("leave `co_choice` out"));
        }
        needs
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let owner = format!("rq-vae `{}`", faults.name());
        self.course.faults(&owner, Able { loss: true, ..Able::default() }, faults);
        if let Some(validation) = self.course.validation.as_ref().filter(|one| one.metric != LOSS) {
            let message = format!(
                "{owner} answers no request: it cannot be validated by \"{}\"",
                validation.metric
            );
            let key = keys!["validation", "metric"];
            faults.value(key, message, "expected `loss`", "set it to \"loss\", or leave it out");
        }
        too_many_codes(faults, keys!["codes"], self.codes);
        naming_faults(&self.naming, &vec![self.codes; self.levels as usize], faults);
        if self.balanced.is_some() && self.course.batch < self.codes {
            let dotted = faults.dotted(&keys!["batch"]);
            let message =
                format!("`{dotted}` is too small to spread a batch over the codes of a level");
            let label = format!("{} items for {} codes", self.course.batch, self.codes);
            faults.value(keys!["batch"], message, label, "raise `batch`, or leave `balanced` out");
        }
    }
}

impl IdentifierKind for RqVaeSettings {
    fn known_levels(&self) -> Vec<u32> {
        self.naming.spelled(vec![self.codes; self.levels as usize])
    }

    fn naming(&self) -> Option<&NamingSettings> {
        Some(&self.naming)
    }

    fn may_collide(&self) -> bool {
        self.naming.may_number()
    }

    fn assign(&self, step: &StepContext<'_>, known: &dyn Known) -> Result<Identifiers> {
        let histories = self.co_choice.as_ref().map(|_| known.histories()).transpose()?;
        let vectors = vectors(step)?;
        let items = Items { histories, ..Items::of(&vectors) };
        fit_on(self.fit.unwrap_or_default(), &items, (step, known), |items, hash| {
            fit(self, items, hash, step)
        })
    }

    fn learned(&self, folder: &Path) -> Result<Option<Learned>> {
        let parameters = stored_parameters(folder)?;
        Ok(Some(Learned { objective: "reconstruction", parameters }))
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let batch = u64::from(self.course.batch * self.course.accumulate);
        let steps = sizes.items.map(|items| n_steps(items, batch, self.course.epochs));
        of_levels(&self.known_levels(), (self.levels(), self.spare()), sizes)
            .count("steps", "", steps)
    }
}
