//! The recipe itself: the components' settings composed under their names.
//!
//! Doc comments here and in the components' settings are the recipe reference.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trieval_eval::metric::{Metric, Needs};
use trieval_eval::settings::{EvaluationSettings, ReportSettings};

use crate::corpus::settings::CorpusSettings;
use crate::model::settings::ModelSettings;
use crate::quantizer::settings::IdentifierSettings;
use crate::ranker::settings::SystemSettings;
use crate::train::settings::TrainSettings;
use crate::vectors::settings::VectorsSettings;

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
    #[serde(default)]
    pub vectors: BTreeMap<String, VectorsSettings>,
    /// Identifiers by name.
    #[serde(default)]
    pub identifier: BTreeMap<String, IdentifierSettings>,
    /// Decoders by name.
    #[serde(default)]
    pub model: BTreeMap<String, ModelSettings>,
    /// Trainings; each starts from a model or from another training's result.
    #[serde(default)]
    pub train: Vec<TrainSettings>,
    /// Systems to be evaluated, in the order of the report.
    #[serde(default)]
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
    pub fn training(&self, name: &str) -> Option<&TrainSettings> {
        self.train.iter().find(|training| training.name == name)
    }

    /// Name of the model that a training of this recipe trains, through any number of `init`s;
    /// empty where the recipe was not checked and there is none.
    pub fn model_of<'a>(&'a self, training: &'a TrainSettings) -> &'a str {
        let mut current = training;
        // A checked recipe has no cycles; the bound only keeps an unchecked one from hanging.
        for _ in 0..=self.train.len() {
            match (&current.model, current.init.as_deref().and_then(|init| self.training(init))) {
                (Some(model), _) => return model,
                (None, Some(init)) => current = init,
                (None, None) => return "",
            }
        }
        ""
    }

    /// The system of this name.
    pub fn named(&self, name: &str) -> Option<&SystemSettings> {
        self.system.iter().find(|system| system.name() == name)
    }

    /// The systems that a fused one or a cascade asks itself, in its order; empty for any other.
    pub fn parts(&self, system: &SystemSettings) -> Vec<&SystemSettings> {
        let names: Vec<&String> = match system {
            SystemSettings::Fusion(fusion) => fusion.runs.iter().collect(),
            SystemSettings::Cascade(cascade) => {
                std::iter::once(&cascade.retrieve).chain(&cascade.rank).collect()
            }
            _ => Vec::new(),
        };
        names.into_iter().filter_map(|name| self.named(name)).collect()
    }

    /// A system and all that it asks, through any number of parts.
    pub fn whole<'a>(&'a self, system: &'a SystemSettings) -> Vec<&'a SystemSettings> {
        let mut whole = vec![system];
        // A checked recipe holds no system that is made of itself; the bound only keeps an unchecked one from hanging.
        let mut at = 0;
        while at < whole.len() && whole.len() <= self.system.len() * self.system.len() {
            whole.extend(self.parts(whole[at]));
            at += 1;
        }
        whole
    }

    /// Seed of the corpus: its own or the recipe's where anything of it is drawn, none where it is read as it is.
    pub fn corpus_seed(&self) -> Option<u64> {
        match &self.corpus {
            CorpusSettings::Simulator(shop) => Some(shop.seed.unwrap_or(self.seed)),
            CorpusSettings::JudgedPairs(pairs) => {
                pairs.clicks.as_ref().map(|clicks| clicks.seed.unwrap_or(self.seed))
            }
            CorpusSettings::Sequences(_) => None,
        }
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
