//! What MMSE says of itself.

use std::path::{Path, PathBuf};

use super::settings::{MmseSettings, MmseText};
use super::{encode, fit, load, sources, stored_parameters};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{
    Abilities, Draws, Estimate, Fact, Family, Faults, Kind, Learned, Need, Refusal, Role, Sizes,
    Use, starts_from,
};
use crate::progress::Context;
use crate::text::grouped;
use crate::train::course::Able;
use crate::train::held_out::Judge;
use crate::train::sampler::n_steps;
use crate::vectors::Vectors;
use crate::vectors::kinds::VectorsKind;
use crate::vectors::request::Encoded;

/// The kind as recipes spell it.
const KIND: &str = "mmse";

impl Kind for MmseSettings {
    fn format(&self) -> u32 {
        match &self.text {
            // 5: its longest text is that of sentence-transformers, and texts of special tokens are text.
            MmseText::Pretrained(_) => 5,
            // 4: losses are means of a batch.
            _ => 4,
        }
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let base = |name| {
            Use::new(Family::Vectors, name, Role::Vectors, "text").at(keys!["text", "vectors"])
        };
        let table = self.train.as_deref().map(Use::table);
        let starts = self.init.as_deref().map(Use::init);
        let base = self.base().map(String::as_str).map(base);
        table.into_iter().chain(starts).chain(base).collect()
    }

    fn inherited(&self) -> &'static [&'static str] {
        if self.init.is_some() { &["text", "channels"] } else { &[] }
    }

    fn abilities(&self) -> Abilities {
        let lends_weights = self.base().is_none();
        Abilities { encodes_requests: true, lends_weights, ..Abilities::default() }
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        if used.family == Family::Train {
            return starts_from(KIND, used, kind, other);
        }
        if other.lends_encoder {
            return Ok(());
        }
        Err(Refusal {
            message: format!("mmse cannot take the encoder of [vectors.{}]", used.name),
            label: format!("these vectors are of kind = \"{kind}\""),
            help: "name vectors of kind = \"encoder\"".into(),
        })
    }

    fn needs(&self) -> Vec<Need> {
        let text = "mmse `{name}` reads text, but the items have none";
        let mut needs = vec![Need::new(Fact::Text, text.into())];
        needs.push(self.contrast.needs(KIND, keys!["kind"]));
        needs
    }

    fn tracks(&self) -> bool {
        self.course.log.tensorboard
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let owner = format!("mmse `{}`", faults.name());
        self.course.faults(&owner, Able::default(), faults);
        if self.course.batch < 2 {
            let message = format!("{owner} has no negatives within a batch of one");
            faults.value(keys!["batch"], message, "expected 2 or more", "raise `batch`");
        }
        self.contrast.faults(KIND, |key| keys![key], faults);
        if let MmseText::Pretrained(pretrained) = &self.text {
            faults.source(keys!["text", "path"], &pretrained.path);
        }
        if let MmseText::Transformer { dim, heads, .. } = &self.text
            && !dim.is_multiple_of(*heads)
        {
            let message = format!("heads = {heads} does not divide dim = {dim}");
            let label = "heads of unequal width";
            faults.value(keys!["text"], message, label, "change one of them");
        }
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        sources(self)
    }
}

impl VectorsKind for MmseSettings {
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
        parts: &[Vectors],
        ctx: &Context,
    ) -> Result<Vectors> {
        encode(folder, items, parts.first(), ctx)
    }

    fn learned(&self, folder: &Path) -> Result<Option<Learned>> {
        let parameters = stored_parameters(self, folder)?;
        Ok(Some(Learned { objective: "stages of a cascade", parameters }))
    }

    fn is_judged(&self) -> bool {
        self.course.validation.is_some()
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let mut estimate = Estimate::default();
        // Where it starts from another training, that one's own step tells its shape.
        if let MmseText::Bag { dim, vocabulary, ngrams, buckets } = self.text
            && self.init.is_none()
        {
            let dim = u64::from(dim);
            let rows = u64::from(vocabulary) + if ngrams > 1 { u64::from(buckets) } else { 0 };
            let parameters = rows * dim + 8 * dim * dim;
            estimate = estimate.figure("parameters", format!("≤ {}", grouped(parameters)));
        }
        // A request without a click or order teaches nothing, and how many there are is not known before they are read.
        let most = sizes.train.map(|n| {
            n_steps(n, u64::from(self.course.batch * self.course.accumulate), self.course.epochs)
        });
        estimate.count("steps", "≤ ", most).count("encoded items", "", sizes.items)
    }
}
