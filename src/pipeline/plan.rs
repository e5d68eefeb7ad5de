//! The plan: which steps a recipe needs, in what order, and the content key of each.
//!
//! A key hashes the step's resolved settings, the keys of its inputs, the content of the outside
//! files it reads, the seed and the step's format version. Equal keys mean equal results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::folder::{Manifest, hash_file, previous, read_manifest, step_dir};
use super::predict;
use crate::corpus;
use crate::decode::prompt::check_template;
use crate::error::{Error, Result};
use crate::identifier::settings::IdentifierSettings;
use crate::model::encoder::{self, EncoderFolder};
use crate::model::folder::{model_files, source_files};
use crate::model::settings::ModelSettings;
use crate::model::{ModelFolder, adapter};
use crate::ranker::encoder::{check_decoder, choices};
use crate::ranker::mmse;
use crate::ranker::settings::{
    CascadeSettings, HnswSettings, IndexSettings, RerankSettings, SasrecSettings, SystemSettings,
    VectorsSettings,
};
use crate::recipe::Recipe;
use crate::store::write_json;
use crate::train::settings::ObjectiveSettings;

/// The plan inside a run folder.
const PLAN_FILE: &str = "plan.json";

/// What a step does; the payload is the name of the component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Import or simulate the tables.
    Corpus,
    /// Train or import item vectors.
    Vectors(String),
    /// Make identifiers and their constraint index.
    Identifier(String),
    /// Train the tokenizer and draw the start weights.
    Model(String),
    /// Render the prompts of the training requests for a model.
    Prompts(String),
    /// Build preference pairs from clicks and the reference model's own beams.
    Pairs(String),
    /// Score the pairs with the reference model.
    Reference(String),
    /// Train a decoder.
    Train(String),
    /// Train what a system answers with.
    Fit(String),
    /// Build the index that a system searches.
    Index(String),
    /// Let a system answer the test requests.
    System(String),
    /// Judge all systems.
    Evaluation,
}

impl StepKind {
    /// Format version of what the step writes: raise it whenever the same settings would give
    /// other files.
    fn format(&self) -> u32 {
        match self {
            // 2: the sampler ends its last window with the training. 3: groups instead of pairs; the log of an
            // alignment holds the figures of its probe.
            Self::Pairs(_) | Self::Train(_) => 3,
            // 2: the sampler, likewise. 3: vectors say what they were made from. 4: the losses of mmse are means of a batch.
            Self::Vectors(_) => 4,
            // 2: one score per answer of a group.
            Self::Reference(_) => 2,
            // 2: wall seconds, size and faults of answering. 3: what was tuned lies in tuned.json. 4: a request is answered
            // by one thread; files count once.
            Self::System(_) => 4,
            // 2: pairs, slices, leaks, values per request.
            Self::Evaluation => 2,
            Self::Corpus
            | Self::Identifier(_)
            | Self::Model(_)
            | Self::Prompts(_)
            | Self::Fit(_)
            | Self::Index(_) => 1,
        }
    }

    /// Name in run folders and messages, for instance `train.aligned`.
    pub fn name(&self) -> String {
        match self {
            Self::Corpus => "corpus".into(),
            Self::Vectors(name) => format!("vectors.{name}"),
            Self::Identifier(name) => format!("identifier.{name}"),
            Self::Model(name) => format!("model.{name}"),
            Self::Prompts(name) => format!("prompts.{name}"),
            Self::Pairs(name) => format!("train.{name}.pairs"),
            Self::Reference(name) => format!("train.{name}.reference"),
            Self::Train(name) => format!("train.{name}"),
            Self::Fit(name) => format!("system.{name}.fit"),
            Self::Index(name) => format!("system.{name}.index"),
            Self::System(name) => format!("system.{name}"),
            Self::Evaluation => "evaluation".into(),
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// Name in run folders and messages.
    pub name: String,
    /// Content key.
    pub key: String,
    /// Resolved settings that enter the key.
    pub settings: Value,
    /// Steps it reads, by name, with their keys.
    pub inputs: BTreeMap<String, String>,
    /// Outside files it reads, with their checksums.
    pub sources: BTreeMap<String, String>,
}

/// All steps of a recipe in an order in which each comes after its inputs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
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
}

impl Plan {
    /// Derives the plan of a checked recipe. Reads outside files (to fingerprint them), writes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when an outside file cannot be read.
    pub fn new(recipe: &Recipe) -> Result<Self> {
        let mut builder = Builder { recipe, steps: Vec::new() };
        builder.corpus()?;
        // Vectors from a file or encoder and models from a folder first: what is wrong with them is told before any
        // work is done.
        for (name, vectors) in &recipe.vectors {
            let reads_files = !matches!(
                vectors,
                VectorsSettings::TwoTower(_)
                    | VectorsSettings::Collaborative(_)
                    | VectorsSettings::Joined(_)
            );
            if reads_files {
                builder.vectors(name)?;
            }
        }
        for (name, model) in &recipe.model {
            if matches!(model, ModelSettings::Pretrained(_)) {
                builder.model(name)?;
            }
        }
        // So it is with run files.
        let (files, others): (Vec<_>, Vec<_>) =
            recipe.system.iter().partition(|system| matches!(system, SystemSettings::Run(_)));
        for system in files.into_iter().chain(others) {
            builder.system(system)?;
        }
        builder.evaluation()?;
        Ok(Self { steps: builder.steps })
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

    /// The step of this name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Whether `step` has to be done in `run_folder`, which need not exist.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when a manifest is damaged.
    pub fn status(step: &Step, run_folder: &Path) -> Result<Status> {
        let folder = step_dir(run_folder, &step.name, &step.key);
        if read_manifest(&folder)?.is_some_and(|manifest| manifest.key == step.key) {
            return Ok(Status::Cached);
        }
        if folder.exists() {
            return Ok(Status::Unfinished);
        }
        Ok(match previous(run_folder, &step.name, &step.key) {
            Some(before) => Status::Changed(difference(&before, step)),
            None => Status::New,
        })
    }
}

/// What differs between a finished step and the one that is wanted now, in words.
fn difference(before: &Manifest, step: &Step) -> String {
    let mut reasons = Vec::new();
    compare("", &before.settings, &step.settings, &mut reasons);
    for (name, key) in &step.inputs {
        if before.inputs.get(name) != Some(key) {
            reasons.push(format!("{name} changed"));
        }
    }
    for (name, hash) in &step.sources {
        if before.sources.get(name) != Some(hash) {
            reasons.push(format!("{name} has other content"));
        }
    }
    if reasons.is_empty() { "its format changed".into() } else { reasons.join(", ") }
}

fn compare(path: &str, before: &Value, now: &Value, reasons: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let missing = Value::Null;
                let (a, b) = (old.get(key).unwrap_or(&missing), new.get(key).unwrap_or(&missing));
                compare(&inner, a, b, reasons);
            }
        }
        (a, b) if a != b => reasons.push(format!("{path}: {a} → {b}")),
        _ => {}
    }
}

/// Settings without paths: where data lie does not matter, their content enters the key by itself.
fn without_path(mut settings: Value) -> Value {
    if let Some(settings) = settings.get_mut("settings").and_then(Value::as_object_mut) {
        settings.remove("path");
        settings.remove("adapter");
        if let Some(text) = settings.get_mut("text").and_then(Value::as_object_mut) {
            text.remove("path");
        }
    }
    settings
}

/// Settings of a training without trackers and those that change how it is done and not what comes out.
fn without_means(mut settings: Value) -> Value {
    if let Some(settings) = settings.get_mut("settings").and_then(Value::as_object_mut) {
        for key in ["recompute", "memory_limit", "log"] {
            settings.remove(key);
        }
    }
    settings
}

struct Builder<'a> {
    recipe: &'a Recipe,
    steps: Vec<Step>,
}

impl Builder<'_> {
    /// Adds a step once and returns its name.
    fn add(
        &mut self,
        kind: StepKind,
        settings: Value,
        inputs: &[String],
        files: &[PathBuf],
    ) -> Result<String> {
        let name = kind.name();
        if self.steps.iter().any(|step| step.name == name) {
            return Ok(name);
        }
        let inputs: BTreeMap<String, String> = inputs
            .iter()
            .filter_map(|input| self.steps.iter().find(|step| &step.name == input))
            .map(|step| (step.name.clone(), step.key.clone()))
            .collect();
        let sources: BTreeMap<String, String> = files
            .iter()
            .map(|path| Ok((path.display().to_string(), hash_file(path)?)))
            .collect::<Result<_>>()?;
        let content = json!({
            "format": kind.format(),
            "step": name,
            "settings": settings,
            "inputs": inputs,
            // Where a file lies does not matter, only what is in it.
            "sources": sources.values().collect::<Vec<_>>(),
        });
        let key = blake3::hash(content.to_string().as_bytes()).to_hex().to_string();
        self.steps.push(Step { kind, name: name.clone(), key, settings, inputs, sources });
        Ok(name)
    }

    fn seeded(&self, settings: &impl Serialize) -> Value {
        json!({ "seed": self.recipe.seed, "settings": settings })
    }

    fn corpus(&mut self) -> Result<String> {
        let settings = json!({
            "seed": self.recipe.corpus_seed(),
            "settings": self.recipe.corpus,
        });
        let settings = without_path(settings);
        let files = corpus::input_files(&self.recipe.corpus);
        self.add(StepKind::Corpus, settings, &[], &files)
    }

    fn vectors(&mut self, name: &str) -> Result<String> {
        let settings = &self.recipe.vectors[name];
        let files = match settings {
            VectorsSettings::File(file) => vec![file.path.clone()],
            VectorsSettings::Encoder(settings) => {
                EncoderFolder::open(&settings.path, &choices(settings))?;
                encoder::source_files(&settings.path)?
            }
            VectorsSettings::Decoder(settings) => {
                check_decoder(settings)?;
                model_files(&settings.path)?
            }
            VectorsSettings::Mmse(settings) => mmse::sources(settings)?,
            VectorsSettings::TwoTower(_)
            | VectorsSettings::Collaborative(_)
            | VectorsSettings::Joined(_) => Vec::new(),
        };
        let mut inputs = vec![self.corpus()?];
        for part in settings.parts() {
            inputs.push(self.vectors(part)?);
        }
        let settings = without_path(match settings {
            VectorsSettings::Mmse(_)
            | VectorsSettings::TwoTower(_)
            | VectorsSettings::Collaborative(_) => self.seeded(settings),
            // Nothing of them is drawn.
            VectorsSettings::Encoder(_)
            | VectorsSettings::Decoder(_)
            | VectorsSettings::Joined(_)
            | VectorsSettings::File(_) => json!({ "settings": settings }),
        });
        self.add(StepKind::Vectors(name.into()), settings, &inputs, &files)
    }

    fn identifier(&mut self, name: &str) -> Result<String> {
        let settings = &self.recipe.identifier[name];
        let IdentifierSettings::ResidualKMeans(inner) = settings;
        let inputs = [self.corpus()?, self.vectors(&inner.vectors)?];
        self.add(StepKind::Identifier(name.into()), self.seeded(settings), &inputs, &[])
    }

    fn model(&mut self, name: &str) -> Result<String> {
        let settings = &self.recipe.model[name];
        let files = match settings {
            ModelSettings::Scratch(_) => Vec::new(),
            ModelSettings::Pretrained(pretrained) => {
                // What is wrong with a model's folder is told before any work is done.
                let folder = ModelFolder::open(&pretrained.path)?;
                if let Some(adapter) = &pretrained.adapter {
                    adapter::load(adapter, folder.config(), &pretrained.path)?;
                }
                check_template(folder.tokenizer(), pretrained)?;
                source_files(pretrained)?
            }
        };
        let inputs = [self.corpus()?, self.identifier(settings.identifier())?];
        let settings = without_path(self.seeded(settings));
        self.add(StepKind::Model(name.into()), settings, &inputs, &files)
    }

    /// Prompts depend on tokenizer, template and lengths, which the model's step holds, and on the corpus; no
    /// training changes them.
    fn prompts(&mut self, model: &str) -> Result<String> {
        let identifier = self.identifier(self.recipe.model[model].identifier())?;
        let inputs = [self.corpus()?, identifier, self.model(model)?];
        self.add(StepKind::Prompts(model.into()), Value::Null, &inputs, &[])
    }

    fn train(&mut self, name: &str) -> Result<String> {
        let (recipe, Some(settings)) = (self.recipe, self.recipe.training(name)) else {
            return Ok(StepKind::Train(name.into()).name());
        };
        let model = recipe.model_of(settings);
        let identifier = self.identifier(recipe.model[model].identifier())?;
        let start = match &settings.init {
            Some(init) => self.train(init)?,
            None => self.model(model)?,
        };
        let prompts = self.prompts(model)?;
        let mut inputs = vec![self.corpus()?, self.model(model)?, identifier, start, prompts];
        if let ObjectiveSettings::Preference(preference) = &settings.objective {
            let pairs = StepKind::Pairs(name.into());
            let pairs = self.add(pairs, self.seeded(&preference.pairs()), &inputs, &[])?;
            inputs.push(pairs);
            if preference.loss.needs_reference() {
                let reference = StepKind::Reference(name.into());
                let reference = self.add(reference, Value::Null, &inputs, &[])?;
                inputs.push(reference);
            }
        }
        let validates = settings.validation.is_some();
        let mut settings = without_means(self.seeded(&settings.resolved()));
        if validates {
            // What is kept depends on what counts as relevant.
            settings["relevant_grade"] = json!(recipe.evaluation.relevant_grade);
        }
        self.add(StepKind::Train(name.into()), settings, &inputs, &[])
    }

    /// The training of a system that is nobody else's: apart from its answers, so that these can be asked for anew.
    fn fit(&mut self, settings: &SasrecSettings) -> Result<String> {
        let inputs = [self.corpus()?];
        let mut key = self.seeded(settings);
        // What is kept depends on what counts as relevant.
        key["relevant_grade"] = json!(self.recipe.evaluation.relevant_grade);
        self.add(StepKind::Fit(settings.name.clone()), key, &inputs, &[])
    }

    /// An index depends on the vectors and on how it is built; how it is searched is the system's.
    fn index(&mut self, name: &str, vectors: &str, settings: &HnswSettings) -> Result<String> {
        let inputs = [self.vectors(vectors)?];
        let HnswSettings { connectivity, expansion_add, .. } = settings;
        let key = json!({
            "kind": "hnsw", "connectivity": connectivity, "expansion_add": expansion_add,
        });
        self.add(StepKind::Index(name.into()), self.seeded(&key), &inputs, &[])
    }

    fn system(&mut self, system: &SystemSettings) -> Result<String> {
        let inputs = self.system_inputs(system)?;
        // The seed enters only through the choice of test requests, and of what is shown first.
        let draws = matches!(system, SystemSettings::Cascade(CascadeSettings { act: Some(_), .. }));
        let evaluation = &self.recipe.evaluation;
        let mut settings = json!({
            "seed": (draws || evaluation.requests.is_some()).then_some(self.recipe.seed),
            "requests": evaluation.requests,
            "split": evaluation.split,
            "depth": evaluation.depth,
            "settings": system,
            // A system of several asks its parts itself, so that its cost is theirs.
            "parts": self.recipe.whole(system)[1..],
            // Weights are tuned for a metric, which depends on what counts as relevant.
            "relevant_grade": system.tuned_for().map(|_| evaluation.relevant_grade),
        });
        if predict::is_wanted(self.recipe) {
            settings["predictions"] = json!(true);
        }
        // The content of a run file enters the key, and not where it lies.
        let mut files = Vec::new();
        for one in self.recipe.whole(system) {
            if let SystemSettings::Run(run) = one {
                files.push(run.path.clone());
            }
        }
        if matches!(system, SystemSettings::Run(_)) {
            settings = without_path(settings);
        }
        for part in settings["parts"].as_array_mut().into_iter().flatten() {
            if part["kind"] == "run"
                && let Some(part) = part.as_object_mut()
            {
                part.remove("path");
            }
        }
        self.add(StepKind::System(system.name().into()), settings, &inputs, &files)
    }

    /// What a system, and the parts of a fused one, read.
    fn system_inputs(&mut self, system: &SystemSettings) -> Result<Vec<String>> {
        let recipe = self.recipe;
        let mut inputs = vec![self.corpus()?];
        match system {
            SystemSettings::Popularity(_)
            | SystemSettings::Bm25(_)
            | SystemSettings::ItemCf(_)
            | SystemSettings::ItemKnn(_)
            | SystemSettings::Run(_)
            | SystemSettings::Oracle { .. } => {}
            SystemSettings::Sasrec(settings) => inputs.push(self.fit(settings)?),
            SystemSettings::TwoTower { name, vectors, index } => {
                inputs.push(self.vectors(vectors)?);
                if let Some(IndexSettings::Hnsw(settings)) = index {
                    inputs.push(self.index(name, vectors, settings)?);
                }
            }
            SystemSettings::Generative { train, .. } => {
                if let Some(settings) = recipe.training(train) {
                    let model = &recipe.model[recipe.model_of(settings)];
                    inputs.push(self.identifier(model.identifier())?);
                }
                inputs.push(self.train(train)?);
            }
            SystemSettings::Fusion(_) | SystemSettings::Cascade(_) => {
                if let SystemSettings::Cascade(CascadeSettings { rerank: Some(rerank), .. }) =
                    system
                {
                    let RerankSettings::Mmr { vectors, .. } = rerank;
                    inputs.push(self.vectors(vectors)?);
                }
                for part in recipe.parts(system) {
                    inputs.extend(self.system_inputs(part)?);
                    // A tuned part is asked with what its own step chose.
                    if part.tuned_for().is_some() {
                        inputs.push(self.system(part)?);
                    }
                }
            }
        }
        Ok(inputs)
    }

    fn evaluation(&mut self) -> Result<String> {
        let mut inputs = vec![self.corpus()?];
        if let Some(vectors) = self.recipe.vectors_measured() {
            inputs.push(self.vectors(vectors)?);
        }
        for system in &self.recipe.system {
            inputs.push(StepKind::System(system.name().into()).name());
        }
        let settings = self.seeded(&json!({
            "evaluation": self.recipe.evaluation,
            "systems": self.recipe.system.iter().map(SystemSettings::name).collect::<Vec<_>>(),
        }));
        self.add(StepKind::Evaluation, settings, &inputs, &[])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Keys of a small recipe's steps under an override, by name.
    fn keys(overrides: &[&str]) -> BTreeMap<String, String> {
        let text = include_str!("../../tests/it/tiny.toml");
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let loaded = Recipe::parse(text, "tiny.toml", &overrides).unwrap();
        let steps = Plan::new(&loaded.recipe).unwrap().steps;
        steps.into_iter().map(|step| (step.name, step.key)).collect()
    }

    fn changed(by: &str) -> Vec<String> {
        let (before, after) = (keys(&[]), keys(&[by]));
        before.into_iter().filter(|(name, key)| after[name] != *key).map(|(name, _)| name).collect()
    }

    #[test]
    fn prompts_depend_on_corpus_and_model_and_on_no_training() {
        let prompts = "prompts.decoder".to_owned();
        for by in ["model.decoder.prompt_tokens=20", "corpus.requests=801", "seed=6"] {
            let changed = changed(by);
            assert!(changed.contains(&prompts), "{by}");
            assert!(changed.contains(&"train.aligned.pairs".to_owned()), "{by}");
        }
        let changed = changed("train.supervised.optimizer.learning_rate=0.5");
        assert!(changed.contains(&"train.supervised".to_owned()) && !changed.contains(&prompts));
    }

    #[test]
    fn an_index_is_built_anew_for_what_it_is_built_of() {
        let index = |more: &str| format!("system.two-tower.index={{ kind = \"hnsw\"{more} }}");
        let plain = keys(&[&index("")]);
        assert!(!keys(&[]).contains_key("system.two-tower.index"));
        assert_ne!(keys(&[])["system.two-tower"], plain["system.two-tower"]);
        let changes = |more: &str, other: &[&str]| {
            let index = index(more);
            let after = keys(&[&[index.as_str()], other].concat());
            ["vectors.text", "system.two-tower.index", "system.two-tower"]
                .map(|step| after[step] != plain[step])
        };
        assert_eq!(changes(", connectivity = 8", &[]), [false, true, true]);
        assert_eq!(changes(", expansion_add = 99", &[]), [false, true, true]);
        assert_eq!(changes(", expansion_search = 99", &[]), [false, false, true]);
        assert_eq!(changes("", &["evaluation.depth=19"]), [false, false, true]);
        assert_eq!(changes("", &["vectors.text.dim=20"]), [true, true, true]);
        assert_eq!(changes("", &["seed=6"]), [true, true, true]);
    }

    #[test]
    fn trackers_enter_no_key() {
        assert!(changed("train.supervised.log.tensorboard=true").is_empty());
        assert!(changed("train.aligned.log.mlflow=\"http://host:5000\"").is_empty());
    }
}
