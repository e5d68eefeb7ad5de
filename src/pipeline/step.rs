//! One step of a plan, and which steps a seed has.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::Family;
use crate::steps::Work;

/// Name of the step that makes the tables, and its purpose.
pub const CORPUS: &str = "corpus";
/// Purpose of a step that holds training requests out.
pub const FOLD: &str = "fold";
/// Name of the step that judges all systems.
pub const EVALUATION: &str = "evaluation";
/// Name of the step that judges the systems of several seeds together.
pub const REPLICATES: &str = "replicates";

/// Name of the step of a component, as in `train.aligned`.
pub fn step_name(family: Family, name: &str) -> String {
    let table = match family {
        Family::Vectors => "vectors",
        Family::Identifier => "identifier",
        Family::Model => "model",
        Family::Train => "train",
        Family::System => "system",
    };
    format!("{table}.{name}")
}

/// Name of the step that measures the ceiling of an identifier.
pub fn ceiling_step(identifier: &str) -> String {
    format!("{}.ceiling", step_name(Family::Identifier, identifier))
}

/// Name of the step that makes an identifier of spans in the tokens of a model.
pub fn spans_step(model: &str, identifier: &str) -> String {
    format!("spans.{model}.{identifier}")
}

/// Name of the step that tells why the first items of a system are there, for the requests that a report shows.
pub fn evidence_step(system: &str) -> String {
    format!("{}.evidence", step_name(Family::System, system))
}

/// One step of a plan.
#[derive(Serialize, Deserialize)]
pub struct Step {
    /// What is done, whoever it is done for: part of the key, and the purpose of the seed.
    pub purpose: String,
    /// Name in messages, and of the folder where it was not done before; of equal steps, that of the first.
    pub name: String,
    /// Content key.
    pub key: String,
    /// Resolved settings that enter the key.
    pub settings: Value,
    /// Seed of all that is drawn; none where nothing is.
    pub seed: Option<u64>,
    /// Keys of the steps it reads, by what they are to it.
    pub inputs: BTreeMap<String, String>,
    /// Outside files it reads, with their checksums.
    pub sources: BTreeMap<String, String>,
    /// Whether it rests on files that were not read, so that its key is not the true one: in dry runs.
    #[serde(skip)]
    pub is_unread: bool,
    /// What does it; none in a plan that was read from a run folder.
    #[serde(skip)]
    pub work: Option<Box<dyn Work>>,
}

/// The steps of one seed of a plan.
#[derive(Debug, Serialize, Deserialize)]
pub struct Replicate {
    /// The seed.
    pub seed: u64,
    /// Key of the step of every component, by the name that the step would have alone.
    pub names: BTreeMap<String, String>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("name", &self.name).field("key", &self.key).finish()
    }
}
