//! What the two-tower encoder says of itself.

use std::path::Path;

use super::{encode, fit, load, stored_parameters};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{
    Abilities, Draws, Estimate, Fact, Family, Faults, Kind, Learned, Need, Refusal, Sizes, Use,
    starts_from,
};
use crate::progress::Context;
use crate::text::{bytes, grouped};
use crate::train::course::Able;
use crate::train::held_out::Judge;
use crate::train::sampler::n_steps;
use crate::train::settings::TeacherSettings;
use crate::vectors::Vectors;
use crate::vectors::kinds::VectorsKind;
use crate::vectors::request::Encoded;
use crate::vectors::settings::TwoTowerSettings;

/// The kind as recipes spell it.
const KIND: &str = "two-tower";

impl Kind for TwoTowerSettings {
    fn format(&self) -> u32 {
        // 2: the sampler ends its last window with the training. 3: vectors say what they were made from.
        4
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let table = self.train.as_deref().map(Use::table);
        let init = self.init.as_deref().map(Use::init);
        let taught = self.teacher.as_ref().map(|teacher| teacher.used(keys!["teacher"]));
        table.into_iter().chain(init).chain(taught).collect()
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        match used.family {
            Family::Train => starts_from(KIND, used, kind, other),
            _ => Ok(()),
        }
    }

    fn inherited(&self) -> &'static [&'static str] {
        if self.init.is_some() { &["dim", "vocabulary"] } else { &[] }
    }

    fn abilities(&self) -> Abilities {
        Abilities { encodes_requests: true, lends_weights: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        let text = "two-tower encoder `{name}` reads text, but the items have none";
        let mut needs = vec![Need::new(Fact::Text, text.into())];
        if self.teacher.is_some() {
            needs.push(TeacherSettings::need(keys!["teacher"]));
        } else if self.pseudo_requests < 1.0 {
            let clicks = "two-tower encoder `{name}` learns from clicks, but the corpus has none";
            let titles = "train on pseudo-requests alone (pseudo_requests = 1)";
            needs.push(Need::new(Fact::Feedback, clicks.into()).instead(titles));
        }
        needs
    }

    fn tracks(&self) -> bool {
        self.course.log.tensorboard
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let owner = format!("two-tower encoder `{}`", faults.name());
        self.course.faults(&owner, Able::default(), faults);
        if self.course.batch < 2 {
            let message = format!("{owner} has no negatives within a batch of one");
            faults.value(keys!["batch"], message, "expected 2 or more", "raise `batch`");
        }
    }
}

impl VectorsKind for TwoTowerSettings {
    fn make(&self, step: &StepContext<'_>, judge: &dyn Judge) -> Result<()> {
        fit(self, step.name, step, judge)
    }

    fn open(&self, folder: &Path, catalogue: &Catalogue) -> Result<Encoded> {
        load(folder, catalogue)
    }

    fn encodes_items(&self) -> bool {
        true
    }

    fn encode(
        &self,
        folder: &Path,
        items: &Catalogue,
        _parts: &[Vectors],
        ctx: &Context,
    ) -> Result<Vectors> {
        encode(folder, items, ctx)
    }

    fn learned(&self, folder: &Path) -> Result<Option<Learned>> {
        let parameters = stored_parameters(folder)?;
        Ok(Some(Learned { objective: "contrastive", parameters }))
    }

    fn is_judged(&self) -> bool {
        self.course.validation.is_some()
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let dim = u64::from(self.dim);
        let parameters = u64::from(self.vocabulary) * dim + 8 * dim * dim;
        let copies = if self.course.average().is_some() { 6 } else { 4 };
        let memory = parameters * 4 * copies + (64 << 20);
        let taught = self.teacher.as_ref().map_or(0, |teacher| u64::from(teacher.top));
        let about = if self.teacher.is_some() { "≤ " } else { sizes.about() };
        let examples = sizes.examples().zip(sizes.train).map(|(n, train)| n + train * taught);
        let steps = examples.map(|n| {
            n_steps(n, u64::from(self.course.batch * self.course.accumulate), self.course.epochs)
        });
        if self.init.is_some() {
            // Its shape is that of another training, whose own step tells it.
            return Estimate::default().count("steps", about, steps);
        }
        Estimate::default()
            .figure("parameters", format!("≤ {}", grouped(parameters)))
            .count("steps", about, steps)
            .figure("memory", format!("≈ {}", bytes(memory)))
            .holds(Some(memory), "lower the vectors' `vocabulary`, `dim` or `batch`")
    }
}
