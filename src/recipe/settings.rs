//! The recipe itself: the components' settings composed under their names.
//!
//! Doc comments here and in the components' settings are the recipe reference.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trieval_eval::metric::{Metric, Needs};
use trieval_eval::settings::{EvaluationSettings, ReportSettings};

use super::written;
use crate::corpus::kinds::CorpusSettings;
use crate::kind::{Family, Kind};
use crate::model::settings::ModelSettings;
use crate::quantizer::kinds::IdentifierSettings;
use crate::ranker::kinds::SystemSettings;
use crate::train::settings::TrainSettings;
use crate::trained::kinds::TrainingSettings;
use crate::vectors::kinds::VectorsSettings;

/// A whole story: from a corpus to an evaluated, reported set of systems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the recipe, which also names its run folders: lower-case letters, digits and `-`.
    pub name: String,
    /// One line about what the recipe shows; printed by `trieval recipes list` and in the report.
    #[serde(default)]
    pub description: String,
    /// Root of all randomness: the same seed gives the same run.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Where items, requests and feedback come from.
    pub corpus: CorpusSettings,
    /// Item vectors by name.
    #[serde(default, serialize_with = "written::vectors")]
    pub vectors: BTreeMap<String, VectorsSettings>,
    /// Identifiers by name.
    #[serde(default, serialize_with = "written::identifiers")]
    pub identifier: BTreeMap<String, IdentifierSettings>,
    /// Decoders by name.
    #[serde(default, serialize_with = "written::models")]
    pub model: BTreeMap<String, ModelSettings>,
    /// Trainings, of decoders and of whatever else is trained. A decoder starts from a model or from another training's
    /// result.
    #[serde(default, serialize_with = "written::trainings")]
    pub train: Vec<TrainingSettings>,
    /// Systems to be evaluated, in the order of the report.
    #[serde(default, serialize_with = "written::systems")]
    pub system: Vec<SystemSettings>,
    /// What is measured, and how differences are tested.
    #[serde(default)]
    pub evaluation: EvaluationSettings,
    /// What the report shows beside the figures.
    #[serde(default)]
    pub report: ReportSettings,
}

fn default_seed() -> u64 {
    17
}

impl Recipe {
    /// The training of this name.
    pub fn training(&self, name: &str) -> Option<&TrainingSettings> {
        self.train.iter().find(|training| training.name() == name)
    }

    /// Name of the model that a training of this recipe trains, through any number of `init`s;
    /// empty where the recipe was not checked and there is none.
    pub fn model_of<'a>(&'a self, training: &'a TrainSettings) -> &'a str {
        let mut current = training;
        // A checked recipe has no cycles; the bound only keeps an unchecked one from hanging.
        for _ in 0..=self.train.len() {
            let init = current.init.as_deref().and_then(|init| self.training(init)?.decoder());
            match (&current.model, init) {
                (Some(model), _) => return model,
                (None, Some(init)) => current = init,
                (None, None) => return "",
            }
        }
        ""
    }

    /// All components but the corpus, each with the word for its family and its name.
    pub fn kinds(&self) -> Vec<(&'static str, &str, &dyn Kind)> {
        fn named<'a>(
            family: Family,
            name: &'a str,
            kind: &'a dyn Kind,
        ) -> (&'static str, &'a str, &'a dyn Kind) {
            (family.word(), name, kind)
        }
        let vectors = self.vectors.iter().map(|(name, one)| named(Family::Vectors, name, one.it()));
        let identifiers =
            self.identifier.iter().map(|(name, one)| named(Family::Identifier, name, one.it()));
        let models = self.model.iter().map(|(name, one)| named(Family::Model, name, one.it()));
        let trainings = self.train.iter().map(|one| named(Family::Train, one.name(), one.it()));
        let systems = self.system.iter().map(|one| named(Family::System, one.name(), one.it()));
        vectors.chain(identifiers).chain(models).chain(trainings).chain(systems).collect()
    }

    /// What the component of a family and name says of itself.
    pub fn kind(&self, family: Family, name: &str) -> Option<&dyn Kind> {
        Some(match family {
            Family::Vectors => self.vectors.get(name)?.it() as &dyn Kind,
            Family::Identifier => self.identifier.get(name)?.it(),
            Family::Model => self.model.get(name)?.it(),
            Family::Train => self.training(name)?.it(),
            Family::System => self.named(name)?.it(),
        })
    }

    /// The system of this name.
    pub fn named(&self, name: &str) -> Option<&SystemSettings> {
        self.system.iter().find(|system| system.name() == name)
    }

    /// Whether the recipes are the same but for their seed and name.
    pub fn differs_in_seed_only(&self, other: &Self) -> bool {
        let neutral = |recipe: &Self| Self {
            name: String::new(),
            description: String::new(),
            seed: 0,
            ..recipe.clone()
        };
        neutral(self) == neutral(other)
    }

    /// Name of the vectors that metrics such as diversity are measured by: the first, where one asks.
    pub fn vectors_measured(&self) -> Option<&str> {
        let needs = |text: &String| {
            let metric = text.parse::<Metric>();
            matches!(metric, Ok(metric) if metric.needs() == Needs::Vectors)
        };
        let asked = self.evaluation.metrics.iter().any(needs);
        self.vectors.keys().next().filter(|_| asked).map(String::as_str)
    }

    /// The recipe as TOML with every default filled in; loads back to an equal recipe.
    ///
    /// # Errors
    /// When a value has no form in TOML: a seed above 2^63 − 1 or a path that is not UTF-8, neither of
    /// which a loaded recipe can hold.
    pub fn to_toml(&self) -> crate::Result<String> {
        toml::to_string(self).map_err(|cause| {
            crate::Error::Recipe(format!(
                "recipe `{}` cannot be written as TOML: {cause}",
                self.name
            ))
        })
    }
}
