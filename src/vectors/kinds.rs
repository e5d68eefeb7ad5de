//! The kinds of item vectors: one line each.

use std::path::Path;

use super::Vectors;
use super::contrastive::settings::ContrastiveVectorsSettings;
use super::mmse::settings::MmseSettings;
use super::request::Encoded;
use super::settings::{
    CollaborativeSettings, EncoderSettings, HiddenStateSettings, JoinedSettings, TwoTowerSettings,
    VectorFileSettings,
};
use super::simulated::settings::SimulatedVectorsSettings;
use crate::corpus::Catalogue;
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::{Estimate, Kind, Learned, Sizes};
use crate::progress::Context;
use crate::train::held_out::Judge;

crate::kind::kinds! {
    /// One vector per item.
    pub enum VectorsSettings: VectorsKind {
        /// A small two-tower text encoder trained on the training requests.
        "two-tower" => TwoTower(TwoTowerSettings),
        /// Two towers that learn from ordered, clicked, shown and random items at once.
        "mmse" => Mmse(MmseSettings),
        /// A pretrained text encoder of the BERT family, used as it is.
        "encoder" => Encoder(EncoderSettings),
        /// Pooled hidden states of a pretrained decoder, used as it is.
        "decoder" => Decoder(HiddenStateSettings),
        /// A decoder that a training with objective contrastive made an encoder.
        "contrastive" => Contrastive(ContrastiveVectorsSettings),
        /// What the feedback of training says of items, and no text: leading directions of who chose which items together.
        "collaborative" => Collaborative(CollaborativeSettings),
        /// Several vectors of an item side by side, for instance of its text and of its feedback.
        "joined" => Joined(JoinedSettings),
        /// Drawn around the leaves and attributes of a simulated shop, by a stated law.
        "simulated" => Simulated(SimulatedVectorsSettings),
        /// Vectors made elsewhere, from a `.npy`, `.safetensors` or `.parquet` file.
        "file" => File(VectorFileSettings),
    }
}

impl From<TwoTowerSettings> for VectorsSettings {
    fn from(settings: TwoTowerSettings) -> Self {
        Self::TwoTower(settings)
    }
}

impl From<MmseSettings> for VectorsSettings {
    fn from(settings: MmseSettings) -> Self {
        Self::Mmse(settings)
    }
}

/// A way to have a vector for every item.
pub trait VectorsKind: Kind {
    /// Writes [`VECTORS_FILE`](super::VECTORS_FILE), and what encodes requests, where something does. `judge` gives what a
    /// training may know of held-out requests.
    ///
    /// # Errors
    /// When the corpus lacks what is needed, a training or a computation fails, or the disk refuses.
    fn make(&self, step: &StepContext<'_>, judge: &dyn Judge) -> Result<()>;

    /// Opens what [`VectorsKind::make`] wrote, with what encodes requests.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing or damaged; [`Error::Failed`] where nothing encodes requests.
    fn open(&self, folder: &Path, _catalogue: &Catalogue) -> Result<Encoded> {
        let message = format!("the vectors in {} have no encoder for requests", folder.display());
        Err(Error::Failed(message))
    }

    /// Whether the text of an item says what its vector is, or the parts of it that are vectors themselves.
    fn encodes_items(&self) -> bool {
        false
    }

    /// The vectors of further items, made as those in `folder` were; `parts` are their vectors by the vectors that these are
    /// made of, in the order of [`Kind::uses`].
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing or damaged; [`Error::Failed`] where no text says what a vector is.
    fn encode(
        &self,
        folder: &Path,
        _items: &Catalogue,
        _parts: &[Vectors],
        _ctx: &Context,
    ) -> Result<Vectors> {
        let message = format!("no text says what a vector in {} is", folder.display());
        Err(Error::Failed(message))
    }

    /// What the step in `folder` learned; none where nothing is trained.
    ///
    /// # Errors
    /// [`Error::Data`] when its weights are missing or damaged.
    fn learned(&self, _folder: &Path) -> Result<Option<Learned>> {
        Ok(None)
    }

    /// Whether what counts as relevant decides which weights are kept.
    fn is_judged(&self) -> bool {
        false
    }

    /// Figures before anything is loaded.
    fn estimate(&self, _sizes: &Sizes) -> Estimate {
        Estimate::default()
    }
}
