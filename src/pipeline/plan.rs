//! The plan: which steps a recipe needs, in what order, and the content key of each.
//!
//! A key hashes the step's resolved settings, the keys of its inputs, the content of the outside
//! files it reads, the seed and the step's format version, and no name of a component. Equal keys
//! mean equal results: equal parts share a step, and a renamed part keeps its step.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::builder::Builder;
use super::folder::{Manifest, previous, read_manifest, step_dir};
use super::outside::{DRY_BYTES, Outside};
use super::step::{Replicate, Step};
use crate::error::{Error, Result};
use crate::recipe::Recipe;
use crate::store::write_json;

/// The plan inside a run folder.
const PLAN_FILE: &str = "plan.json";
/// All steps of a recipe in an order in which each comes after its inputs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The steps; equal ones are one step.
    pub steps: Vec<Step>,
    /// Key of the step of every component, by the name that the step would have alone.
    pub names: BTreeMap<String, String>,
    /// The steps of every seed, where the plan was made for several; `names` are the first's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicates: Vec<Replicate>,
}

/// Whether a step has to be done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Finished with the same key.
    Cached,
    /// Never done here.
    New,
    /// Begun and not finished: it will be continued or started again.
    Unfinished,
    /// Done before with something else; the text says what changed.
    Changed(String),
    /// It rests on outside files that were not read.
    Unread,
}

impl Plan {
    /// Derives the plan of a checked recipe. Reads outside files (to fingerprint them), writes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when an outside file cannot be read.
    pub fn new(recipe: &Recipe) -> Result<Self> {
        Self::build(recipe, None)
    }

    /// The plan for a dry run, which reads no more than 64 MiB of outside files: steps that rest on
    /// others are [`Status::Unread`].
    ///
    /// # Errors
    /// [`crate::Error::Data`] when an outside file cannot be read.
    pub fn dry(recipe: &Recipe, seeds: &[u64]) -> Result<Self> {
        Self::planned(recipe, seeds, Some(DRY_BYTES))
    }

    pub(super) fn build(recipe: &Recipe, most: Option<u64>) -> Result<Self> {
        let mut builder = Builder::new(recipe, Outside::of(recipe, most)?);
        builder.all()?;
        let (steps, names) = builder.finish();
        Ok(Self { steps, names, replicates: Vec::new() })
    }

    /// Reads the plan that a run folder was last worked on with, so that a finished run can be
    /// asked when its source data are gone.
    ///
    /// # Errors
    /// [`Error::Data`] when there is none or it is damaged.
    pub fn read(run_folder: &Path) -> Result<Self> {
        let path = run_folder.join(PLAN_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        serde_json::from_slice(&text).map_err(|e| {
            Error::data(&path, format!("not a plan: {e}")).with_help("run the recipe again")
        })
    }

    /// Writes the plan into a run folder.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(&self, run_folder: &Path) -> Result<()> {
        write_json(&run_folder.join(PLAN_FILE), self)
    }

    /// The step of a component, by the name that it would have alone.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.with_key(self.names.get(name)?)
    }

    /// The step with this key.
    pub fn with_key(&self, key: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.key == key)
    }

    /// Whether `step` has to be done in `run_folder`, which need not exist.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when a manifest is damaged.
    pub fn status(&self, step: &Step, run_folder: &Path) -> Result<Status> {
        if step.is_unread {
            return Ok(Status::Unread);
        }
        let folder = step_dir(run_folder, &step.name, &step.key);
        if read_manifest(&folder)?.is_some_and(|manifest| manifest.key == step.key) {
            return Ok(Status::Cached);
        }
        if folder.exists() {
            return Ok(Status::Unfinished);
        }
        // What another seed of this plan made is no earlier version.
        let is_current = |key: &str| self.with_key(key).is_some();
        Ok(match previous(run_folder, &step.name, is_current) {
            Some(before) => Status::Changed(self.difference(&before, step)),
            None => Status::New,
        })
    }

    /// What differs between a finished step and the one that is wanted now, in words.
    fn difference(&self, before: &Manifest, step: &Step) -> String {
        let mut reasons = Vec::new();
        compare("", &before.settings, &step.settings, &mut reasons);
        if before.seed != step.seed {
            let text = |seed: Option<u64>| seed.map_or("none".to_owned(), |seed| seed.to_string());
            reasons.push(format!("seed: {} → {}", text(before.seed), text(step.seed)));
        }
        for (role, key) in &step.inputs {
            if before.inputs.get(role) != Some(key) {
                let input = self.with_key(key).map_or(role, |input| &input.name);
                let reason = format!("{input} changed");
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
        for (name, hash) in &step.sources {
            if before.sources.get(name) != Some(hash) {
                reasons.push(format!("{name} has other content"));
            }
        }
        if reasons.is_empty() { "its format changed".into() } else { reasons.join(", ") }
    }
}

fn compare(path: &str, before: &Value, now: &Value, reasons: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                // The word says nothing of the recipe.
                let inner = match (path, key.as_str()) {
                    (path, "settings") => path.to_owned(),
                    ("", key) => key.to_owned(),
                    (path, key) => format!("{path}.{key}"),
                };
                let missing = Value::Null;
                let (a, b) = (old.get(key).unwrap_or(&missing), new.get(key).unwrap_or(&missing));
                compare(&inner, a, b, reasons);
            }
        }
        (a, b) if a != b => reasons.push(format!("{path}: {a} → {b}")),
        _ => {}
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
