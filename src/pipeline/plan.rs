//! The plan: which steps a recipe needs, in what order, and the content key of each.
//!
//! A key hashes the step's resolved settings, the keys of its inputs, the content of the outside
//! files it reads, the seed and the step's format version, and no name of a component. Equal keys
//! mean equal results: equal parts share a step, and a renamed part keeps its step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::folder::{Manifest, hash_file, previous, read_manifest, step_dir};
use super::{keyed::keyed, predict};
use crate::corpus;
use crate::decode::prompt::check_template;
use crate::error::{Error, Result};
use crate::model::encoder::{self, EncoderFolder};
use crate::model::folder::{model_files, source_files};
use crate::model::settings::ModelSettings;
use crate::model::{ModelFolder, adapter};
use crate::quantizer::settings::IdentifierSettings;
use crate::ranker::settings::{
    CascadeSettings, HnswSettings, IndexSettings, RerankSettings, SasrecSettings, SystemSettings,
};
use crate::recipe::Recipe;
use crate::store::write_json;
use crate::train::settings::ObjectiveSettings;
use crate::vectors::encoder::{check_decoder, choices};
use crate::vectors::mmse;
use crate::vectors::settings::VectorsSettings;

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

    /// What is done, whoever it is done for: part of the key, and the purpose of the seed.
    pub fn purpose(&self) -> &'static str {
        match self {
            Self::Corpus => "corpus",
            Self::Vectors(_) => "vectors",
            Self::Identifier(_) => "identifier",
            Self::Model(_) => "model",
            Self::Prompts(_) => "prompts",
            Self::Pairs(_) => "pairs",
            Self::Reference(_) => "reference",
            Self::Train(_) => "train",
            Self::Fit(_) => "fit",
            Self::Index(_) => "index",
            Self::System(_) => "system",
            Self::Evaluation => "evaluation",
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
}

/// All steps of a recipe in an order in which each comes after its inputs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The steps; equal ones are one step.
    pub steps: Vec<Step>,
    /// Key of the step of every component, by the name that the step would have alone.
    pub names: BTreeMap<String, String>,
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
        let mut builder = Builder { recipe, steps: Vec::new(), names: BTreeMap::new() };
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
        Ok(Self { steps: builder.steps, names: builder.names })
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
        let folder = step_dir(run_folder, &step.name, &step.key);
        if read_manifest(&folder)?.is_some_and(|manifest| manifest.key == step.key) {
            return Ok(Status::Cached);
        }
        if folder.exists() {
            return Ok(Status::Unfinished);
        }
        Ok(match previous(run_folder, &step.name, &step.key) {
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

/// What enters the key of a step beside its kind.
struct Content {
    settings: Value,
    seed: Option<u64>,
}

impl Content {
    fn unseeded(settings: Value) -> Self {
        Self { settings, seed: None }
    }
}

/// What a step reads: its role for the step, and the key of what was done.
type Inputs = Vec<(String, String)>;

struct Builder<'a> {
    recipe: &'a Recipe,
    steps: Vec<Step>,
    names: BTreeMap<String, String>,
}

impl Builder<'_> {
    /// Adds a step, unless there is an equal one, and returns its key.
    fn add(
        &mut self,
        kind: StepKind,
        content: Content,
        inputs: Inputs,
        files: &[PathBuf],
    ) -> Result<String> {
        let name = kind.name();
        if let Some(key) = self.names.get(&name) {
            return Ok(key.clone());
        }
        let inputs: BTreeMap<String, String> = inputs.into_iter().collect();
        let sources: BTreeMap<String, String> = files
            .iter()
            .map(|path| Ok((path.display().to_string(), hash_file(path)?)))
            .collect::<Result<_>>()?;
        let Content { settings, seed } = content;
        let content = json!({
            "format": kind.format(),
            "step": kind.purpose(),
            "settings": settings,
            "seed": seed,
            "inputs": inputs,
            // Where a file lies does not matter, only what is in it.
            "sources": sources.values().collect::<Vec<_>>(),
        });
        let key = blake3::hash(content.to_string().as_bytes()).to_hex().to_string();
        self.names.insert(name.clone(), key.clone());
        if !self.steps.iter().any(|step| step.key == key) {
            let step = Step { kind, name, key: key.clone(), settings, seed, inputs, sources };
            self.steps.push(step);
        }
        Ok(key)
    }

    /// A part with its own seed, or the recipe's.
    fn seeded(&self, settings: Value, own: Option<u64>) -> Content {
        Content { settings, seed: Some(own.unwrap_or(self.recipe.seed)) }
    }

    fn corpus(&mut self) -> Result<(String, String)> {
        let seed = self.recipe.corpus_seed();
        let content = Content { settings: keyed(&self.recipe.corpus), seed };
        let files = corpus::input_files(&self.recipe.corpus);
        Ok(("corpus".into(), self.add(StepKind::Corpus, content, Vec::new(), &files)?))
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
        for (number, part) in settings.parts().iter().enumerate() {
            inputs.push((format!("parts.{number}"), self.vectors(part)?));
        }
        let key = keyed(settings);
        let content = match settings {
            VectorsSettings::Mmse(s) => self.seeded(key, s.seed),
            VectorsSettings::TwoTower(s) => self.seeded(key, s.seed),
            VectorsSettings::Collaborative(s) => self.seeded(key, s.seed),
            VectorsSettings::Encoder(_)
            | VectorsSettings::Decoder(_)
            | VectorsSettings::Joined(_)
            | VectorsSettings::File(_) => Content::unseeded(key),
        };
        self.add(StepKind::Vectors(name.into()), content, inputs, &files)
    }

    fn identifier(&mut self, name: &str) -> Result<String> {
        let settings = &self.recipe.identifier[name];
        let IdentifierSettings::ResidualKMeans(inner) = settings;
        let inputs = vec![self.corpus()?, ("vectors".into(), self.vectors(&inner.vectors)?)];
        let content = self.seeded(keyed(settings), inner.seed);
        self.add(StepKind::Identifier(name.into()), content, inputs, &[])
    }

    fn model(&mut self, name: &str) -> Result<String> {
        let settings = &self.recipe.model[name];
        let (files, seed) = match settings {
            ModelSettings::Scratch(scratch) => (Vec::new(), scratch.seed),
            ModelSettings::Pretrained(pretrained) => {
                // What is wrong with a model's folder is told before any work is done.
                let folder = ModelFolder::open(&pretrained.path)?;
                if let Some(adapter) = &pretrained.adapter {
                    adapter::load(adapter, folder.config(), &pretrained.path)?;
                }
                check_template(folder.tokenizer(), pretrained)?;
                (source_files(pretrained)?, pretrained.seed)
            }
        };
        let identifier = self.identifier(settings.identifier())?;
        let inputs = vec![self.corpus()?, ("identifier".into(), identifier)];
        let content = self.seeded(keyed(settings), seed);
        self.add(StepKind::Model(name.into()), content, inputs, &files)
    }

    /// A model's own step and that of its identifier.
    fn bundle(&mut self, model: &str) -> Result<Inputs> {
        let identifier = self.identifier(self.recipe.model[model].identifier())?;
        Ok(vec![("identifier".into(), identifier), ("model".into(), self.model(model)?)])
    }

    /// Prompts depend on tokenizer, template and lengths, which the model's step holds, and on the corpus; no
    /// training changes them.
    fn prompts(&mut self, model: &str) -> Result<String> {
        let mut inputs = self.bundle(model)?;
        inputs.push(self.corpus()?);
        self.add(StepKind::Prompts(model.into()), Content::unseeded(Value::Null), inputs, &[])
    }

    fn train(&mut self, name: &str) -> Result<String> {
        let recipe = self.recipe;
        let Some(settings) = recipe.training(name) else {
            return Err(Error::Failed(format!("the recipe has no training {name}")));
        };
        let model = recipe.model_of(settings);
        let mut inputs = self.bundle(model)?;
        inputs.push(self.corpus()?);
        inputs.push(("prompts".into(), self.prompts(model)?));
        let start = match &settings.init {
            Some(init) => self.train(init)?,
            None => self.model(model)?,
        };
        inputs.push(("start".into(), start));
        if let ObjectiveSettings::Preference(preference) = &settings.objective {
            let content = self.seeded(keyed(&preference.pairs()), settings.seed);
            let pairs = StepKind::Pairs(name.into());
            let pairs = self.add(pairs, content, inputs.clone(), &[])?;
            inputs.push(("pairs".into(), pairs));
            if preference.loss.needs_reference() {
                let means = json!({ "device": settings.device, "precision": settings.precision });
                let reference = StepKind::Reference(name.into());
                let content = Content::unseeded(means);
                let reference = self.add(reference, content, inputs.clone(), &[])?;
                inputs.push(("reference".into(), reference));
            }
        }
        let mut key = keyed(&settings.resolved());
        if settings.validation.is_some() {
            // What is kept depends on what counts as relevant.
            key["relevant_grade"] = json!(recipe.evaluation.relevant_grade);
        }
        let content = self.seeded(key, settings.seed);
        self.add(StepKind::Train(name.into()), content, inputs, &[])
    }

    /// The training of a system that is nobody else's: apart from its answers, so that these can be asked for anew.
    fn fit(&mut self, settings: &SasrecSettings) -> Result<String> {
        let inputs = vec![self.corpus()?];
        let mut key = keyed(settings);
        // What is kept depends on what counts as relevant.
        key["relevant_grade"] = json!(self.recipe.evaluation.relevant_grade);
        let content = self.seeded(key, settings.seed);
        self.add(StepKind::Fit(settings.name.clone()), content, inputs, &[])
    }

    /// An index depends on the vectors and on how it is built; how it is searched is the system's.
    fn index(&mut self, name: &str, vectors: &str, settings: &HnswSettings) -> Result<String> {
        let inputs = vec![("vectors".into(), self.vectors(vectors)?)];
        let HnswSettings { connectivity, expansion_add, .. } = settings;
        let key = json!({
            "kind": "hnsw", "connectivity": connectivity, "expansion_add": expansion_add,
        });
        let content = self.seeded(key, settings.seed);
        self.add(StepKind::Index(name.into()), content, inputs, &[])
    }

    fn system(&mut self, system: &SystemSettings) -> Result<String> {
        let inputs = self.system_inputs(system, "")?;
        let evaluation = &self.recipe.evaluation;
        let mut settings = json!({
            // The sample of requests is the recipe's, whatever seed a system has.
            "sample": evaluation.requests.map(|n| json!({ "requests": n, "seed": self.recipe.seed })),
            "split": evaluation.split,
            "depth": evaluation.depth,
            "settings": keyed(system),
            // A system of several asks its parts itself, so that its cost is theirs.
            "parts": self.recipe.whole(system)[1..].iter().map(|part| keyed(*part)).collect::<Vec<_>>(),
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
        let content = match system {
            SystemSettings::Cascade(CascadeSettings { act: Some(_), seed, .. }) => {
                self.seeded(settings, *seed)
            }
            // An index is compared with exact search on requests that are drawn.
            SystemSettings::TwoTower { index: Some(IndexSettings::Hnsw(index)), .. } => {
                self.seeded(settings, index.seed)
            }
            // The truth is that of the corpus, whose seed its own step holds.
            _ => Content::unseeded(settings),
        };
        self.add(StepKind::System(system.name().into()), content, inputs, &files)
    }

    /// What a system, and the parts of a fused one, read; roles of parts lie under that of the whole, `under`.
    fn system_inputs(&mut self, system: &SystemSettings, under: &str) -> Result<Inputs> {
        let recipe = self.recipe;
        let role = |name: &str| format!("{under}{name}");
        let mut inputs = vec![self.corpus()?];
        match system {
            SystemSettings::Popularity(_)
            | SystemSettings::Bm25(_)
            | SystemSettings::ItemCf(_)
            | SystemSettings::ItemKnn(_)
            | SystemSettings::Run(_)
            | SystemSettings::Oracle { .. } => {}
            SystemSettings::Sasrec(settings) => inputs.push((role("fit"), self.fit(settings)?)),
            SystemSettings::TwoTower { name, vectors, index } => {
                inputs.push((role("vectors"), self.vectors(vectors)?));
                if let Some(IndexSettings::Hnsw(settings)) = index {
                    inputs.push((role("index"), self.index(name, vectors, settings)?));
                }
            }
            SystemSettings::Generative { train, .. } => {
                if let Some(settings) = recipe.training(train) {
                    let model = &recipe.model[recipe.model_of(settings)];
                    inputs.push((role("identifier"), self.identifier(model.identifier())?));
                }
                inputs.push((role("train"), self.train(train)?));
            }
            SystemSettings::Fusion(_) | SystemSettings::Cascade(_) => {
                if let SystemSettings::Cascade(CascadeSettings { rerank: Some(rerank), .. }) =
                    system
                {
                    let RerankSettings::Mmr { vectors, .. } = rerank;
                    inputs.push((role("rerank.vectors"), self.vectors(vectors)?));
                }
                for (number, part) in recipe.parts(system).into_iter().enumerate() {
                    let under = format!("{under}parts.{number}.");
                    inputs.extend(self.system_inputs(part, &under)?);
                    // A tuned part is asked with what its own step chose.
                    if part.tuned_for().is_some() {
                        inputs.push((format!("{under}tuned"), self.system(part)?));
                    }
                }
            }
        }
        Ok(inputs)
    }

    fn evaluation(&mut self) -> Result<String> {
        let recipe = self.recipe;
        let mut inputs = vec![self.corpus()?];
        if let Some(vectors) = recipe.vectors_measured() {
            inputs.push(("vectors".into(), self.vectors(vectors)?));
        }
        for system in &recipe.system {
            inputs.push((format!("system.{}", system.name()), self.system(system)?));
        }
        let settings = json!({
            "evaluation": recipe.evaluation,
            "systems": recipe.system.iter().map(SystemSettings::name).collect::<Vec<_>>(),
            "examples": recipe.report.examples,
        });
        let content = self.seeded(settings, None);
        self.add(StepKind::Evaluation, content, inputs, &[])
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
