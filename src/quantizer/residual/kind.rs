//! What residual k-means says of itself.

use std::borrow::Cow;

use super::fit_items;
use crate::error::Result;
use crate::identifier::Identifiers;
use crate::identifier::settings::NamingSettings;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Abilities, Draws, Fact, Family, Faults, Kind, Need, Role, Use};
use crate::quantizer::checks::too_many_codes;
use crate::quantizer::cold::{Items, fit_on};
use crate::quantizer::kinds::IdentifierKind;
use crate::quantizer::known::Known;
use crate::quantizer::levels::vectors;
use crate::quantizer::naming::{level_faults, naming_faults};
use crate::quantizer::settings::{Balanced, FirstSettings, ResidualKMeansSettings};

impl Kind for ResidualKMeansSettings {
    fn format(&self) -> u32 {
        // 2: levels begin at random points where these are better than those of k-means++; balanced ones do not stop where the
        // error rises on the way.
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
        Abilities { has_centroids: true, varies_in_length, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = self.fit.unwrap_or_default().needs("residual k-means");
        let of = self.first.as_ref().and_then(FirstSettings::value);
        needs.extend(of.map(|of| {
            let message = format!(
                "the first code of residual k-means `{{name}}` is {of}, but the items have none"
            );
            Need::new(Fact::Value(of), message).at(keys!["first"])
        }));
        needs
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let key = level_faults(self.codes_of_levels.as_deref(), faults);
        naming_faults(&self.naming, &self.all_levels(u32::MAX), faults);
        if let Some(first) = &self.first {
            if first.attribute.is_some() == first.category.is_some() {
                let dotted = faults.dotted(&keys!["first"]);
                let message =
                    format!("`{dotted}` names one thing of an item that is its first code");
                let help = "first = { category = 0 }, or { attribute = \"brand\" }";
                faults.value(keys!["first"], message, "expected `attribute` or `category`", help);
            }
            if self.balanced == Some(Balanced::All) {
                let message = "the first codes are given: they cannot be balanced";
                let help = "set balanced = \"last\", or leave `first` out";
                faults.value(keys!["balanced"], message, "all levels", help);
            }
        }
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
        self.naming.spelled(self.all_levels(0))
    }

    fn naming(&self) -> Option<&NamingSettings> {
        Some(&self.naming)
    }

    fn may_collide(&self) -> bool {
        self.naming.may_number()
    }

    fn assign(&self, step: &StepContext<'_>, known: &dyn Known) -> Result<Identifiers> {
        let values = self.first.as_ref().and_then(FirstSettings::value);
        let values = values.map(|of| known.values(&of)).transpose()?;
        let items = Items { vectors: Cow::Owned(vectors(step)?), values, histories: None };
        fit_on(self.fit.unwrap_or_default(), &items, (step, known), |items, hash| {
            fit_items(self, items, hash, step.seed, step.ctx)
        })
    }
}
