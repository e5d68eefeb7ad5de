//! What a pretrained encoder, or a decoder used as one, says of itself.

use std::path::{Path, PathBuf};

use super::{Source, check_decoder, choices, encode, fit, load};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::{Abilities, Estimate, Fact, Faults, Kind, Need, Sizes, keys};
use crate::model::config::DecoderConfig;
use crate::model::encoder::{self, EncoderFolder};
use crate::model::folder::{CONFIG, model_files};
use crate::progress::Context;
use crate::train::held_out::Judge;
use crate::vectors::Vectors;
use crate::vectors::kinds::VectorsKind;
use crate::vectors::request::Encoded;
use crate::vectors::settings::{EncoderSettings, HiddenStateSettings};

fn reads_text(what: &str) -> Vec<Need> {
    let message = format!("{what} `{{name}}` reads text, but the items have none");
    vec![Need::new(Fact::Text, message)]
}

impl Kind for EncoderSettings {
    fn format(&self) -> u32 {
        // 5: the longest text is that of sentence-transformers, and texts of special tokens are text.
        5
    }

    fn abilities(&self) -> Abilities {
        Abilities { encodes_requests: true, lends_encoder: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        reads_text("encoder")
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        faults.source(keys!["path"], &self.path);
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        let folder = self.path.path()?;
        EncoderFolder::open(folder, &choices(self))?;
        encoder::source_files(folder)
    }
}

impl VectorsKind for EncoderSettings {
    fn make(&self, step: &StepContext<'_>, _judge: &dyn Judge) -> Result<()> {
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        fit(corpus, catalogue, Source::Encoder(self), step.out, step.ctx)
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
        encode(folder, items, &self.item_prefix, ctx)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("encoded items", "", sizes.items)
    }
}

impl Kind for HiddenStateSettings {
    fn format(&self) -> u32 {
        // 5: texts of special tokens are text.
        5
    }

    fn abilities(&self) -> Abilities {
        Abilities { encodes_requests: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        reads_text("decoder")
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        faults.source(keys!["path"], &self.path);
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        check_decoder(self)?;
        model_files(self.path.path()?)
    }
}

impl VectorsKind for HiddenStateSettings {
    fn make(&self, step: &StepContext<'_>, _judge: &dyn Judge) -> Result<()> {
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        fit(corpus, catalogue, Source::Decoder(self), step.out, step.ctx)
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
        encode(folder, items, &self.item_prefix, ctx)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let estimate = Estimate::default().count("encoded items", "", sizes.items);
        // What is wrong with the folder was told when its files were listed.
        let folder = self.path.path();
        let config = folder.and_then(|folder| DecoderConfig::read(&folder.join(CONFIG)));
        let Ok(config) = config else { return estimate };
        let parameters = config.parameter_count() as u64;
        // Held in f32, whatever their type is on disk.
        estimate
            .count("parameters", "", Some(parameters))
            .holds(Some(4 * parameters), "take a smaller model")
    }
}
