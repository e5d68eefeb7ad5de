//! The kinds of trainings: one line each in the list of kinds, and one in [`TABLES`] where a part may name one.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::kind::{Abilities, Draws, Family, Faults, Kind, Need, Refusal, Use};
use crate::ranker::kinds::{SystemKind, SystemSettings};
use crate::ranker::logistic::settings::LogisticSettings;
use crate::ranker::settings::SasrecSettings;
use crate::train::settings::TrainSettings;
use crate::vectors::kinds::{VectorsKind, VectorsSettings};
use crate::vectors::settings::{MmseSettings, TwoTowerSettings};

crate::kind::kinds! {
    /// A training.
    pub enum TrainingSettings: TrainingKind {
        /// A decoder, by an objective. The kind of a training that gives none.
        "decoder" => Decoder(TrainSettings),
        /// A two-tower text encoder, for vectors of this kind.
        "two-tower" => TwoTower(Named<TwoTowerSettings>),
        /// Two towers that learn from all stages of a cascade, for vectors of this kind.
        "mmse" => Mmse(Named<MmseSettings>),
        /// A self-attentive sequence model, for systems of this kind.
        "sasrec" => Sasrec(SasrecSettings),
        /// A ranker of features, for systems of this kind.
        "logistic" => Logistic(LogisticSettings),
    }
}

/// The kind of a training that gives none.
pub const DEFAULT: &str = "decoder";

/// Kinds whose table may be that of a training: `train = "NAME"` then stands for all of its keys.
pub const TABLES: &[(Family, &str)] = &[
    (Family::Vectors, "two-tower"),
    (Family::Vectors, "mmse"),
    (Family::System, "sasrec"),
    (Family::System, "logistic"),
];

/// A training.
pub trait TrainingKind: Kind {
    /// Name that parts and other trainings refer to.
    fn name(&self) -> &str;

    /// What it makes.
    fn makes(&self) -> Makes<'_>;
}

/// What a training makes: the step of the part that would spell its table inline.
pub enum Makes<'a> {
    /// A trained decoder.
    Decoder(&'a TrainSettings),
    /// An encoder, and the vectors of all items by it.
    Vectors(VectorsSettings),
    /// What a system is opened from.
    System(SystemSettings),
}

impl TrainingSettings {
    /// Name that parts and other trainings refer to.
    pub fn name(&self) -> &str {
        self.it().name()
    }

    /// The training of a decoder, where it is one.
    pub fn decoder(&self) -> Option<&TrainSettings> {
        match self.it().makes() {
            Makes::Decoder(settings) => Some(settings),
            Makes::Vectors(_) | Makes::System(_) => None,
        }
    }
}

/// Settings of a part that has no name of its own, under one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
pub struct Named<T> {
    /// Name that parts and other trainings refer to.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// The settings.
    #[serde(flatten)]
    pub of: T,
}

impl<T: Kind> Kind for Named<T> {
    fn format(&self) -> u32 {
        self.of.format()
    }

    fn draws(&self) -> Draws {
        self.of.draws()
    }

    fn uses(&self) -> Vec<Use<'_>> {
        self.of.uses()
    }

    fn inherited(&self) -> &'static [&'static str] {
        self.of.inherited()
    }

    fn abilities(&self) -> Abilities {
        self.of.abilities()
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        self.of.accepts(used, kind, other)
    }

    fn needs(&self) -> Vec<Need> {
        self.of.needs()
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        self.of.faults(faults);
    }

    fn tracks(&self) -> bool {
        self.of.tracks()
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        self.of.sources()
    }

    fn check_headers(&self) -> Result<()> {
        self.of.check_headers()
    }

    fn check_sources(&self) -> Result<()> {
        self.of.check_sources()
    }
}

impl<T: VectorsKind + Clone + Into<VectorsSettings>> TrainingKind for Named<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self) -> Makes<'_> {
        Makes::Vectors(self.of.clone().into())
    }
}

impl TrainingKind for TrainSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self) -> Makes<'_> {
        Makes::Decoder(self)
    }
}

impl TrainingKind for SasrecSettings {
    fn name(&self) -> &str {
        SystemKind::name(self)
    }

    fn makes(&self) -> Makes<'_> {
        Makes::System(SystemSettings::Sasrec(self.clone()))
    }
}

impl TrainingKind for LogisticSettings {
    fn name(&self) -> &str {
        SystemKind::name(self)
    }

    fn makes(&self) -> Makes<'_> {
        Makes::System(SystemSettings::Logistic(self.clone()))
    }
}
