//! What a generative system says of itself.

use std::path::PathBuf;

use super::Generative;
use super::settings::GenerativeSettings;
use crate::error::{Error, Result};
use crate::generative::{Bundle, DECODER, DecoderSizes, INDEX_FILE, MODEL_DIR};
use crate::inputs::Inputs;
use crate::kind::keys;
use crate::kind::{Abilities, Estimate, Family, Key, Kind, Refusal, Role, Sizes, Use};
use crate::model::checkpoint::WEIGHTS;
use crate::ranker::Retrieve;
use crate::ranker::kinds::{System, SystemKind};

/// Requests that are asked at once where throughput is measured.
const BATCH: u64 = 64;

impl Kind for GenerativeSettings {
    fn format(&self) -> u32 {
        // 5: excluded items take no places in the beam.
        5
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let mut uses = vec![Use::new(Family::Train, &self.train, Role::Train, "train")];
        let identifier =
            |name| Use::new(Family::Identifier, name, Role::Identifier(0), "identifier");
        let identifier = self.identifier.as_deref().map(identifier);
        uses.extend(identifier.map(|one| one.among(Role::Train)));
        uses
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, _: &Abilities) -> Result<(), Refusal> {
        if used.family != Family::Train || kind == DECODER {
            return Ok(());
        }
        Err(Refusal {
            message: format!("training `{}` is of kind = \"{kind}\" and no decoder", used.name),
            label: "writes no identifiers".into(),
            help: format!("name a [[train]] of kind = \"{DECODER}\", which is the default"),
        })
    }
}

impl SystemKind for GenerativeSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let Some(model) = &system.model else {
            return Err(Error::Failed(format!("system {} has no model", self.name)));
        };
        let identifier = inputs.folder(Role::Identifier(system.identifier))?;
        let folder = inputs.folder(Role::Train)?.join(MODEL_DIR);
        let bundle = Bundle::load(&folder, &inputs.identifiers(), model)?;
        let (prompts, retriever) = bundle.into_retriever(identifier, &self.decode)?;
        Ok(Box::new(Generative { prompts, retriever }))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        let identifiers = inputs.identifiers().into_iter();
        let indexes = identifiers.map(|(_, folder)| folder.join(INDEX_FILE));
        let weights = inputs.folder(Role::Train)?.join(MODEL_DIR).join(WEIGHTS);
        Ok(indexes.chain([weights]).collect())
    }

    fn at_most(&self) -> Option<(u32, Vec<Key>)> {
        Some((self.decode.beam, keys!["decode", "beam"]))
    }

    fn estimate(&self, sizes: &Sizes, decoder: Option<&DecoderSizes>) -> Estimate {
        let beam = self.decode.beam;
        let memory = decoder.map(|decoder| decoder.search_memory(sizes, beam, BATCH));
        Estimate::default()
            .figure("beam", beam.to_string())
            .holds(memory, "lower `decode.beam`, or take a smaller model")
    }
}
