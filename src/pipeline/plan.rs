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
use super::folder::{manifest_of, previous, step_dir};
use super::manifest::Manifest;
use super::outside::{DRY_BYTES, Outside};
use super::step::{CORPUS, EVALUATION, Replicate, Step};
use crate::error::{Error, Result};
use crate::recipe::Recipe;
use crate::store::{is_checksum, read_checked, write_checked};

/// The plan inside a run folder.
pub const PLAN_FILE: &str = "plan.json";
/// Version of a written plan; earlier ones have no version and no checksum, and are otherwise the same.
const FORMAT: u64 = 2;
/// What to do about a plan that cannot be used.
const HELP: &str = "run the recipe again: what is finished is kept";

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
    /// BLAKE3 of the resolved recipe beside it, once it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
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
        builder.evidence(EVALUATION)?;
        let (steps, names) = builder.finish();
        Ok(Self { steps, names, replicates: Vec::new(), recipe: None })
    }

    /// Reads the plan that a run folder was last worked on with, so that a finished run can be
    /// asked when its source data are gone.
    ///
    /// # Errors
    /// [`Error::Data`] when there is none, or it is damaged or was altered.
    pub fn read(run_folder: &Path) -> Result<Self> {
        let path = run_folder.join(PLAN_FILE);
        let mut read = read_checked(&path, "a plan", HELP)?;
        let fault = |message: String| Error::data(&path, message).with_help(HELP);
        let format = read.value.as_object_mut().and_then(|object| object.shift_remove("format"));
        match format {
            None if !read.has_checksum => {}
            Some(format) if !read.has_checksum && format == FORMAT => {
                return Err(fault(
                    "altered since trieval wrote it: its checksum is missing".into(),
                ));
            }
            Some(format) if format == FORMAT => {}
            other => {
                let got = other.unwrap_or_default();
                return Err(fault(format!("has format version {got}, expected {FORMAT}")));
            }
        }
        let plan: Self =
            serde_json::from_value(read.value).map_err(|e| fault(format!("not a plan: {e}")))?;
        plan.fault().map_or(Ok(plan), |message| Err(fault(message)))
    }

    /// Writes the plan into a run folder.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(&self, run_folder: &Path) -> Result<()> {
        #[derive(Serialize)]
        struct Written<'a> {
            format: u64,
            #[serde(flatten)]
            plan: &'a Plan,
        }
        write_checked(&run_folder.join(PLAN_FILE), &Written { format: FORMAT, plan: self })
    }

    /// What a plan cannot be: without steps, with keys that are none, or naming steps that it lacks.
    fn fault(&self) -> Option<String> {
        let all_names = || self.replicates.iter().map(|one| &one.names).chain([&self.names]);
        let keys = self.steps.iter().map(|step| &step.key);
        if let Some(bad) = keys.clone().find(|key| !is_checksum(key)) {
            return Some(format!("not a plan: `{bad}` is not a key of 64 letters"));
        }
        let known: std::collections::BTreeSet<&String> = keys.collect();
        let used = self.steps.iter().flat_map(|step| step.inputs.values());
        if let Some(missing) =
            used.chain(all_names().flat_map(BTreeMap::values)).find(|key| !known.contains(key))
        {
            return Some(format!("not a plan: it has no step with key {missing}"));
        }
        let lacks = all_names().any(|names| !names.contains_key(CORPUS));
        lacks.then(|| format!("not a plan: it has no step {CORPUS}"))
    }

    /// The step of a component of the plan that a run folder holds.
    ///
    /// # Errors
    /// [`Error::Data`] when the plan has no such step.
    pub(super) fn expect(&self, name: &str, run_folder: &Path) -> Result<&Step> {
        self.step(name).ok_or_else(|| {
            let message = format!("the plan has no step {name}, which the recipe beside it needs");
            Error::data(run_folder.join(PLAN_FILE), message).with_help(HELP)
        })
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
        if manifest_of(run_folder, &step.name, &step.key)?.is_some() {
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
