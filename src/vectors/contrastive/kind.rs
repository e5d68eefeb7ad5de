//! What vectors of a decoder that was trained to encode say of themselves.

use std::path::Path;

use super::settings::ContrastiveVectorsSettings;
use super::{encode, fit, load};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::{Abilities, Estimate, Fact, Family, Kind, Need, Refusal, Role, Sizes, Use};
use crate::progress::Context;
use crate::train::held_out::Judge;
use crate::vectors::Vectors;
use crate::vectors::kinds::VectorsKind;
use crate::vectors::request::Encoded;

impl Kind for ContrastiveVectorsSettings {
    fn uses(&self) -> Vec<Use<'_>> {
        vec![Use::new(Family::Train, &self.train, Role::Train, "train")]
    }

    fn abilities(&self) -> Abilities {
        Abilities { encodes_requests: true, ..Abilities::default() }
    }

    fn accepts(&self, used: &Use<'_>, _kind: &str, other: &Abilities) -> Result<(), Refusal> {
        if other.encodes_texts {
            return Ok(());
        }
        Err(Refusal {
            message: format!("training `{}` does not learn to encode texts", used.name),
            label: "its objective is not contrastive".into(),
            help: "name a [[train]] of a decoder with objective = { kind = \"contrastive\" }"
                .into(),
        })
    }

    fn needs(&self) -> Vec<Need> {
        let message = "vectors `{name}` read text, but the items have none";
        vec![Need::new(Fact::Text, message.into())]
    }
}

impl VectorsKind for ContrastiveVectorsSettings {
    fn make(&self, step: &StepContext<'_>, _judge: &dyn Judge) -> Result<()> {
        fit(step.inputs.folder(Role::Train)?, step.inputs.catalogue()?, step.out, step.ctx)
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

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("encoded items", "", sizes.items)
    }
}
