//! What the two-tower encoder says of itself.

use std::path::Path;

use super::{fit, load};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::{Abilities, Draws, Estimate, Fact, Kind, Need, Sizes};
use crate::text::{bytes, grouped};
use crate::train::sampler::n_steps;
use crate::vectors::kinds::VectorsKind;
use crate::vectors::request::Encoded;
use crate::vectors::settings::TwoTowerSettings;

impl Kind for TwoTowerSettings {
    fn format(&self) -> u32 {
        // 2: the sampler ends its last window with the training. 3: vectors say what they were made from.
        4
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn abilities(&self) -> Abilities {
        Abilities { encodes_requests: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        let text = "two-tower encoder `{name}` reads text, but the items have none";
        let mut needs = vec![Need::new(Fact::Text, text.into())];
        if self.pseudo_requests < 1.0 {
            let clicks = "two-tower encoder `{name}` learns from clicks, but the corpus has none";
            let titles = "train on pseudo-requests alone (pseudo_requests = 1)";
            needs.push(Need::new(Fact::Feedback, clicks.into()).instead(titles));
        }
        needs
    }
}

impl VectorsKind for TwoTowerSettings {
    fn make(&self, step: &StepContext<'_>) -> Result<()> {
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        fit(corpus, catalogue, self, step.seed, step.out, step.work, step.ctx)
    }

    fn open(&self, folder: &Path, catalogue: &Catalogue) -> Result<Encoded> {
        load(folder, catalogue)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let dim = u64::from(self.dim);
        let parameters = u64::from(self.vocabulary) * dim + 8 * dim * dim;
        let memory = parameters * 16 + (64 << 20);
        let steps = sizes.examples().map(|n| n_steps(n, u64::from(self.batch), self.epochs));
        Estimate::default()
            .figure("parameters", format!("≤ {}", grouped(parameters)))
            .count("steps", sizes.about(), steps)
            .figure("memory", format!("≈ {}", bytes(memory)))
            .holds(Some(memory), "lower the vectors' `vocabulary`, `dim` or `batch`")
    }
}
