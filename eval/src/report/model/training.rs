//! The course of a training, as logged. It knows nothing of objectives beyond their names.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pairs::PairsReport;

/// Course of one training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingReport {
    /// Name in the recipe.
    pub name: String,
    /// Objective, such as `supervised` or `preference`.
    #[serde(default)]
    pub objective: String,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Wall time, in seconds.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Parameters that were trained.
    #[serde(default)]
    pub parameters: Option<u64>,
    /// Whether it stopped because the loss was no longer finite.
    #[serde(default)]
    pub diverged: bool,
    /// Whether it went well, and why; null in reports that did not judge it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// The pairs that it learned from; null for what learns from none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<PairsReport>,
    /// Logged points, by step.
    pub points: Vec<TrainingPoint>,
}

/// How a training went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// The verdict.
    pub course: Course,
    /// What it rests on, in sentences, and what to do where it is doubtful.
    pub sentences: Vec<String>,
}

/// The verdict on a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// Nothing speaks against it.
    Healthy,
    /// Something does: the sentences say what.
    Doubtful,
    /// Too little was logged.
    #[default]
    Unknown,
}

impl Course {
    /// The verdict in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Doubtful => "doubtful",
            Self::Unknown => "not judged",
        }
    }
}

/// One logged point of a training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingPoint {
    /// Optimizer step, from 1; 0 for what was measured before the first.
    pub step: u64,
    /// Training loss; null where it was not finite or not logged.
    pub loss: Option<f64>,
    /// Learning rate of the step.
    #[serde(default)]
    pub learning_rate: Option<f64>,
    /// Further figures by name, such as `validation_loss`, `accuracy` or `margin`. Those named `…loss` are drawn with the loss.
    #[serde(default)]
    pub extra: BTreeMap<String, f64>,
}
