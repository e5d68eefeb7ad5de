//! From the components of a recipe to steps: each component's kind says what it uses, reads and draws.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use trieval_eval::metric::Metric;
use trieval_eval::settings::EvaluatedSplit;

use super::outside::Outside;
use super::parts::{evaluated, missing, model, model_of, spoken, system_of, training};
use super::step::{CORPUS, EVALUATION, FOLD, REPLICATES, Replicate, Step, ceiling_step, step_name};
use crate::corpus::Fold;
use crate::decode::settings::DecodeSettings;
use crate::error::{Error, Result};
use crate::generative::{DecoderSizes, n_modes};
use crate::inputs::Inputs;
use crate::judging::predict;
use crate::judging::runs::Evaluated;
use crate::kind::{Answers, Draws, FOLDS, Family, Kind, Role, Use, keyed, learner};
use crate::model::settings::ModelSettings;
use crate::ranker::kinds::{System, SystemSettings};
use crate::recipe::Recipe;
use crate::steps::{
    AnswerRequests, Evaluate, EvaluateSeeds, HoldOut, Judged, MakeCorpus, MakeIdentifier,
    MakeModel, MakeSpans, MakeVectors, MeasureCeiling, PrepareSystem, PrepareTraining,
    RenderPrompts, Teach, TellEvidence, TrainDecoder, Work,
};
use crate::train::settings::TrainSettings;
use crate::trained::kinds::Makes;
use crate::vectors::kinds::VectorsSettings;

/// Stands for the content of a file that was not read; no content has this digest.
const UNREAD: &str = "unread";

/// Keys of steps by the path of their role.
type Reads = BTreeMap<String, String>;

/// What enters the key of a step beside its settings.
struct About {
    /// Part of the key, and purpose of the seed.
    purpose: &'static str,
    format: u32,
    draws: Draws,
    reads: Reads,
    files: Vec<PathBuf>,
}

/// A plan under construction.
pub(super) struct Builder<'a> {
    recipe: &'a Recipe,
    outside: Outside,
    steps: Vec<Step>,
    names: BTreeMap<String, String>,
    /// What is made of tables without some training requests, to answer those: the outermost first.
    held_out: Vec<HeldOut>,
}

/// Tables without some training requests, and how many answers these are given.
#[derive(Clone, Copy)]
struct HeldOut {
    fold: Fold,
    top: u32,
}

impl<'a> Builder<'a> {
    pub(super) fn new(recipe: &'a Recipe, outside: Outside) -> Self {
        let (steps, names, held_out) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { recipe, outside, steps, names, held_out }
    }

    /// Goes on with another recipe, whose steps have these names so far. Steps are kept.
    pub(super) fn turn_to(&mut self, recipe: &'a Recipe, names: BTreeMap<String, String>) {
        (self.recipe, self.names) = (recipe, names);
    }

    /// Keys of the recipe's steps so far, by name.
    pub(super) fn names(&self) -> &BTreeMap<String, String> {
        &self.names
    }

    pub(super) fn finish(self) -> (Vec<Step>, BTreeMap<String, String>) {
        (self.steps, self.names)
    }

    /// All steps of the recipe. What reads outside files comes first: what is wrong with them is told before any work is
    /// done.
    pub(super) fn all(&mut self) -> Result<()> {
        self.corpus()?;
        let recipe = self.recipe;
        for name in recipe.vectors.keys() {
            if self.reads_files(Family::Vectors, name) {
                self.vectors(name)?;
            }
        }
        for name in recipe.model.keys() {
            if self.reads_files(Family::Model, name) {
                self.model(name)?;
            }
        }
        for system in &recipe.system {
            if self.reads_files(Family::System, system.name()) {
                self.system(system)?;
            }
        }
        for system in &recipe.system {
            self.system(system)?;
        }
        self.evaluation()
    }

    fn reads_files(&self, family: Family, name: &str) -> bool {
        !self.outside.files(&step_name(family, name)).is_empty()
    }

    /// What a kind, whose component has a step of this name, says of a step.
    fn about(
        &self,
        component: &str,
        purpose: &'static str,
        kind: &dyn Kind,
        reads: Reads,
    ) -> About {
        let files = self.outside.files(component).to_vec();
        About { purpose, format: kind.format(), draws: kind.draws(), reads, files }
    }

    /// Adds a step, unless there is an equal one, and returns its key.
    fn add<W>(&mut self, name: &str, about: About, work: W) -> Result<String>
    where
        W: Work + Serialize + JsonSchema + 'static,
    {
        let About { purpose, format, draws, reads, files } = about;
        let settings = keyed(&work);
        let seed = draws.under(self.recipe.seed);
        let digest = |path: &PathBuf| self.outside.digest(path).unwrap_or(UNREAD).to_owned();
        let sources: BTreeMap<String, String> =
            files.iter().map(|path| (path.display().to_string(), digest(path))).collect();
        let input = |key: &String| self.steps.iter().find(|step| step.key == *key);
        let is_unread = sources.values().any(|digest| digest == UNREAD)
            || reads.values().filter_map(input).any(|input| input.is_unread);
        let content = json!({
            "format": format,
            "step": purpose,
            "settings": settings,
            "seed": seed,
            "inputs": reads,
            // Where a file lies does not matter, only what is in it.
            "sources": sources.values().collect::<Vec<_>>(),
        });
        let key = blake3::hash(content.to_string().as_bytes()).to_hex().to_string();
        let name = self.scoped(name);
        self.names.insert(name.clone(), key.clone());
        if !self.steps.iter().any(|step| step.key == key) {
            self.steps.push(Step {
                purpose: purpose.into(),
                name,
                key: key.clone(),
                settings,
                seed,
                inputs: reads,
                sources,
                is_unread,
                work: Some(Box::new(work)),
            });
        }
        Ok(key)
    }

    fn known(&self, name: &str) -> Option<String> {
        self.names.get(&self.scoped(name)).cloned()
    }

    /// The name of a step that is made of the tables at hand.
    fn scoped(&self, name: &str) -> String {
        let suffix = |HeldOut { fold, top }: &HeldOut| {
            format!(".fold-{}-of-{}-top-{top}", fold.place + 1, fold.of)
        };
        self.held_out.iter().map(suffix).fold(name.to_owned(), |name, suffix| name + &suffix)
    }

    /// Gives a part the step of a training.
    fn lend(&mut self, part: &str, key: &str) {
        let part = self.scoped(part);
        self.names.insert(part, key.to_owned());
    }

    /// The key of the tables, as the beginning of what a step reads.
    fn corpus(&mut self) -> Result<Reads> {
        let key = match (self.known(CORPUS), self.held_out.pop()) {
            (Some(key), last) => {
                self.held_out.extend(last);
                key
            }
            (None, Some(last)) => {
                let reads = self.corpus();
                self.held_out.push(last);
                let about = About {
                    purpose: FOLD,
                    // 2: parts of equal size.
                    format: 2,
                    draws: Draws::Nothing,
                    reads: reads?,
                    files: Vec::new(),
                };
                self.add(CORPUS, about, HoldOut { fold: last.fold })?
            }
            (None, None) => {
                let settings = &self.recipe.corpus;
                let about = self.about(CORPUS, "corpus", settings.it(), Reads::new());
                let work = MakeCorpus {
                    settings: settings.clone(),
                    evaluated: self.evaluated(),
                    relevant_grade: self.recipe.evaluation.relevant_grade,
                };
                self.add(CORPUS, about, work)?
            }
        };
        Ok([(Role::Corpus.text(), key)].into())
    }

    /// The corpus and what a component uses, by role.
    fn reads(&mut self, uses: &[Use<'_>]) -> Result<Reads> {
        let mut reads = self.corpus()?;
        // A choice among what another input leads to is none of its own.
        for one in uses.iter().filter(|one| one.among.is_none() && !one.is_table) {
            if let Some(key) = self.used(one)? {
                reads.insert(one.role.text(), key);
            }
        }
        Ok(reads)
    }

    /// The key of the step of a component that another uses; none for systems, which are asked and not read.
    fn used(&mut self, one: &Use<'_>) -> Result<Option<String>> {
        Ok(match one.family {
            Family::Vectors => Some(self.vectors(one.name)?),
            Family::Identifier => Some(self.identifier(one.name)?),
            Family::Model => Some(self.model(one.name)?),
            Family::Train => Some(self.train(one.name)?),
            Family::System => match one.answers {
                Some(answers) => Some(self.teacher(one.name, answers)?),
                None => None,
            },
        })
    }

    /// The answers of a system to all training requests, each by one that did not learn from it.
    fn teacher(&mut self, name: &str, Answers { top, folds }: Answers) -> Result<String> {
        let recipe = self.recipe;
        let settings = recipe.named(name).ok_or_else(|| missing(Family::System, name))?;
        let learner = learner(Family::System, name, |family, name| recipe.kind(family, name));
        let folds = learner.map_or(1, |_| folds.unwrap_or(FOLDS));
        let mut reads = self.corpus()?;
        for place in 0..folds {
            self.held_out.push(HeldOut { fold: Fold { place, of: folds }, top });
            let key = self.system(settings);
            self.held_out.pop();
            reads.insert(Role::Answers(place as usize).text(), key?);
        }
        let draws = Draws::Nothing;
        let about = About { purpose: "teacher", format: 1, draws, reads, files: Vec::new() };
        let step = format!("{}.answers-{top}-{folds}", step_name(Family::System, name));
        self.add(&step, about, Teach { top, folds })
    }

    fn vectors(&mut self, name: &str) -> Result<String> {
        let step = step_name(Family::Vectors, name);
        if let Some(key) = self.known(&step) {
            return Ok(key);
        }
        let recipe = self.recipe;
        let settings = recipe.vectors.get(name).ok_or_else(|| missing(Family::Vectors, name))?;
        if let Some(training) = settings.it().table() {
            let key = self.train(training)?;
            self.lend(&step, &key);
            return Ok(key);
        }
        self.vectors_step(&step, settings)
    }

    /// The step that makes vectors: their own, or that of the training whose table they have.
    fn vectors_step(&mut self, step: &str, settings: &VectorsSettings) -> Result<String> {
        let reads = self.reads(&settings.it().uses())?;
        let about = self.about(step, "vectors", settings.it(), reads);
        let grade = self.recipe.evaluation.relevant_grade;
        let relevant_grade = settings.it().is_judged().then_some(grade);
        self.add(step, about, MakeVectors { settings: settings.clone(), relevant_grade })
    }

    fn identifier(&mut self, name: &str) -> Result<String> {
        let step = step_name(Family::Identifier, name);
        if let Some(key) = self.known(&step) {
            return Ok(key);
        }
        let recipe = self.recipe;
        let settings =
            recipe.identifier.get(name).ok_or_else(|| missing(Family::Identifier, name))?;
        let reads = self.reads(&settings.it().uses())?;
        let about = self.about(&step, "identifier", settings.it(), reads);
        let key = self.add(&step, about, MakeIdentifier { settings: settings.clone() })?;
        if self.held_out.is_empty() {
            self.ceiling(name, &key)?;
        }
        Ok(key)
    }

    /// What a search through the codes of an identifier can find, where they are made from vectors.
    fn ceiling(&mut self, name: &str, identifier: &str) -> Result<()> {
        let recipe = self.recipe;
        let uses = recipe.identifier[name].it().uses();
        let Some(used) = uses.iter().find(|one| one.role == Role::Vectors) else { return Ok(()) };
        let vectors = recipe.vectors.get(used.name);
        let vectors = vectors.ok_or_else(|| missing(Family::Vectors, used.name))?;
        let mut reads = self.corpus()?;
        reads.insert(Role::Vectors.text(), self.vectors(used.name)?);
        reads.insert(Role::Identifier(0).text(), identifier.to_owned());
        let evaluation = &recipe.evaluation;
        let beams = recipe.system.iter().filter_map(|one| one.it().beam());
        let cutoff = evaluation.metrics.first().and_then(|metric| metric.parse::<Metric>().ok());
        let cutoff = cutoff.and_then(|metric| metric.cutoff()).unwrap_or(10);
        let work = MeasureCeiling {
            vectors: vectors.clone(),
            beam: beams.max().unwrap_or(DecodeSettings::default().beam),
            metric: format!("recall@{cutoff}"),
            relevant_grade: evaluation.relevant_grade,
            identifier: name.to_owned(),
        };
        let draws = Draws::Seeded(evaluation.seed);
        let about = About { purpose: "ceiling", format: 1, draws, reads, files: Vec::new() };
        self.add(&ceiling_step(name), about, work).map(drop)
    }

    fn model(&mut self, name: &str) -> Result<String> {
        let step = step_name(Family::Model, name);
        if let Some(key) = self.known(&step) {
            return Ok(key);
        }
        let settings = model(self.recipe, name)?;
        let reads = self.reads(&settings.it().uses())?;
        let about = self.about(&step, "model", settings.it(), reads);
        let work = MakeModel { settings: settings.clone(), sizes: self.sizes(settings) };
        self.add(&step, about, work)
    }

    /// What a decoder of a model will be; none where its folder cannot be read, which is told when its files are listed.
    fn sizes(&self, settings: &ModelSettings) -> Option<DecoderSizes> {
        let all = settings.identifiers().into_iter();
        let all = all.map(|name| Some(self.recipe.identifier.get(name)?.it()));
        let all = all.collect::<Option<Vec<_>>>()?;
        let codes: u32 = all.iter().map(|one| one.tokens()).sum();
        let tokens = codes + n_modes(all.iter().map(|one| one.modes()).sum()) as u32;
        let levels = all.iter().map(|one| one.levels()).max()?;
        let config = settings.it().shape(tokens, levels)?;
        Some(DecoderSizes {
            config,
            answer: u64::from(levels),
            identifiers: all.len(),
            history_items: settings.history_items(),
        })
    }

    /// The tables, a model's own step and those of its identifiers at some places.
    fn bundle(&mut self, name: &str, places: Range<usize>) -> Result<Reads> {
        let mut reads = self.corpus()?;
        for place in places {
            reads.insert(Role::Identifier(place).text(), self.spelled(name, place)?);
        }
        reads.insert(Role::Model.text(), self.model(name)?);
        Ok(reads)
    }

    /// The identifier at a place of those of a model, in the model's tokens: its own step where it is made of codes.
    fn spelled(&mut self, model_name: &str, place: usize) -> Result<String> {
        let recipe = self.recipe;
        let identifier = spoken(model(recipe, model_name)?, model_name, place)?;
        let key = self.identifier(identifier)?;
        if recipe.identifier.get(identifier).is_none_or(|one| one.it().spans().is_none()) {
            return Ok(key);
        }
        let step = super::step::spans_step(model_name, identifier);
        if let Some(key) = self.known(&step) {
            return Ok(key);
        }
        let mut reads = self.corpus()?;
        reads.insert(Role::Identifier(place).text(), key);
        reads.insert(Role::Model.text(), self.model(model_name)?);
        let draws = Draws::Nothing;
        let about = About { purpose: "spans", format: 1, draws, reads, files: Vec::new() };
        self.add(&step, about, MakeSpans { place })
    }

    /// The prompts of a model that are answered in its identifier at a place.
    fn prompts(&mut self, name: &str, place: usize) -> Result<String> {
        let step = match place {
            0 => format!("prompts.{name}"),
            _ => format!("prompts.{name}.{}", spoken(model(self.recipe, name)?, name, place)?),
        };
        if let Some(key) = self.known(&step) {
            return Ok(key);
        }
        let reads = self.bundle(name, place..place + 1)?;
        let about = About {
            purpose: "prompts",
            format: 1,
            draws: Draws::Nothing,
            reads,
            files: Vec::new(),
        };
        self.add(&step, about, RenderPrompts { model: model(self.recipe, name)?.clone() })
    }

    fn train(&mut self, name: &str) -> Result<String> {
        let step = step_name(Family::Train, name);
        if let Some(key) = self.known(&step) {
            return Ok(key);
        }
        match training(self.recipe, name)?.it().makes() {
            Makes::Decoder(settings) => self.train_decoder(&step, settings),
            Makes::Vectors(settings) => self.vectors_step(&step, &settings),
            Makes::System(settings) => {
                let system = system_of(self.recipe, &settings)?;
                let (_, key) = self.opened(&system, &step, &step)?;
                key.ok_or_else(|| missing(Family::Train, name))
            }
        }
    }

    fn train_decoder(&mut self, step: &str, training: &TrainSettings) -> Result<String> {
        let recipe = self.recipe;
        let model_name = recipe.model_of(training);
        let settings = model(recipe, model_name)?;
        let learned = training.objective.it().identifiers(settings.identifiers().len());
        let mut reads = self.bundle(model_name, 0..learned)?;
        for place in 0..learned {
            reads.insert(Role::Prompts(place).text(), self.prompts(model_name, place)?);
        }
        reads.extend(self.reads(&training.uses())?);
        let sizes = self.sizes(settings);
        for prepared in training.objective.it().prepared(training) {
            let draws = if prepared.draws { training.draws() } else { Draws::Nothing };
            let about = About {
                purpose: prepared.step,
                format: training.format(),
                draws,
                reads: reads.clone(),
                files: Vec::new(),
            };
            let work = PrepareTraining {
                settings: prepared.settings,
                role: prepared.role,
                training: training.clone(),
                model: settings.clone(),
                sizes: sizes.clone(),
            };
            let key = self.add(&format!("{step}.{}", prepared.step), about, work)?;
            reads.insert(prepared.role.text(), key);
        }
        let about = self.about(step, "train", training, reads);
        let validates = training.course.validation.is_some();
        let taught = training.uses().into_iter().find(|one| one.role == Role::Vectors);
        let vectors = taught.and_then(|one| recipe.vectors.get(one.name));
        let work = TrainDecoder {
            settings: training.resolved(),
            relevant_grade: validates.then_some(recipe.evaluation.relevant_grade),
            model: settings.clone(),
            vectors: vectors.cloned(),
            sizes,
        };
        self.add(step, about, work)
    }

    fn system(&mut self, settings: &SystemSettings) -> Result<String> {
        let step = step_name(Family::System, settings.name());
        if let Some(key) = self.known(&step) {
            return Ok(key);
        }
        let recipe = self.recipe;
        let system = system_of(recipe, settings)?;
        let reads = self.system_reads(&system, false)?;
        let evaluation = &recipe.evaluation;
        let mut files = Vec::new();
        for part in system.all() {
            let part = step_name(Family::System, part.name());
            files.extend_from_slice(self.outside.files(&part));
        }
        let about = About { files, ..self.about(&step, "system", settings.it(), reads) };
        let sizes = system.model.as_ref().and_then(|model| self.sizes(model));
        let labels = predict::is_wanted(&evaluation.metrics).then(|| evaluation.labels.clone());
        let held = Evaluated { split: EvaluatedSplit::Test, sample: None };
        let (evaluated, depth, answers, labels) = match self.held_out.last() {
            // As deep as ever, for what is tuned on the way is tuned on such lists.
            Some(held_out) => (held, evaluation.depth.max(held_out.top), None, None),
            None => (self.evaluated(), evaluation.depth, evaluation.answers.clone(), labels),
        };
        let work = AnswerRequests {
            evaluated,
            depth,
            answers,
            relevant_grade: settings.it().tuned_for().map(|_| evaluation.relevant_grade),
            labels,
            is_evaluated: self.held_out.is_empty(),
            sizes,
            system,
        };
        self.add(&step, about, work)
    }

    /// What a system, and those that it asks, are opened from. `is_part`: another asks it, with what its own step tuned.
    fn system_reads(&mut self, system: &System, is_part: bool) -> Result<Reads> {
        let settings = &system.settings;
        let it = settings.it();
        let component = step_name(Family::System, settings.name());
        let step = it.prepared().map(|prepared| format!("{component}.{}", prepared.step));
        let (mut reads, key) = match (step, it.table()) {
            (Some(step), Some(training)) => {
                let key = self.train(training)?;
                self.lend(&step, &key);
                (self.asked(system)?, Some(key))
            }
            (Some(step), None) => self.opened(system, &component, &step)?,
            (None, _) => (self.asked(system)?, None),
        };
        // What a fit starts from is no input of the answers.
        reads.remove(&Role::Start.text());
        reads.extend(key.map(|key| (Role::Opened.text(), key)));
        if is_part && it.tuned_for().is_some() {
            reads.insert(Role::Tuned.text(), self.system(settings)?);
        }
        Ok(reads)
    }

    /// What a system uses, and what those that it asks are opened from.
    fn asked(&mut self, system: &System) -> Result<Reads> {
        let settings = &system.settings;
        let mut reads = self.reads(&settings.it().uses())?;
        if let Some(model) = model_of(self.recipe, settings) {
            for &place in &system.identifiers {
                reads.insert(Role::Identifier(place).text(), self.spelled(model, place)?);
            }
        }
        for (place, part) in system.asks.iter().enumerate() {
            for (role, key) in self.system_reads(part, true)? {
                reads.insert(Inputs::below(place, &role), key);
            }
        }
        Ok(reads)
    }

    /// The same, and the key of the step that makes what the system is opened from; `component` is whose step it is.
    fn opened(
        &mut self,
        system: &System,
        component: &str,
        step: &str,
    ) -> Result<(Reads, Option<String>)> {
        let reads = self.asked(system)?;
        let it = system.settings.it();
        let Some(prepared) = it.prepared() else { return Ok((reads, None)) };
        if let Some(key) = self.known(step) {
            return Ok((reads, Some(key)));
        }
        let about = self.about(component, prepared.step, it, reads.clone());
        let grade = self.recipe.evaluation.relevant_grade;
        let work = PrepareSystem {
            settings: prepared.settings,
            relevant_grade: prepared.is_judged.then_some(grade),
            asks: system.asks.clone(),
            system: system.clone(),
        };
        let key = self.add(step, about, work)?;
        Ok((reads, Some(key)))
    }

    fn evaluation(&mut self) -> Result<()> {
        let recipe = self.recipe;
        let mut reads = self.corpus()?;
        if let Some(vectors) = recipe.vectors_measured() {
            reads.insert(Role::Vectors.text(), self.vectors(vectors)?);
        }
        for (place, name) in recipe.evaluation.slicing_identifiers().iter().enumerate() {
            reads.insert(Role::Identifier(place).text(), self.identifier(name)?);
        }
        for (place, system) in recipe.system.iter().enumerate() {
            reads.insert(Role::System(place).text(), self.system(system)?);
        }
        let draws = Draws::Seeded(recipe.evaluation.seed);
        // 4: what the log says of the answers. 5: what the truth of a simulated shop says of them. 6: its clicks, too.
        let about = About { purpose: "evaluation", format: 6, draws, reads, files: Vec::new() };
        self.add(EVALUATION, about, self.evaluate()).map(drop)
    }

    /// The step that judges the systems of several seeds together. The recipe is that of the first.
    pub(super) fn replicates(&mut self, seeds: &[Replicate]) -> Result<()> {
        let recipe = self.recipe;
        let mut reads = self.corpus()?;
        let key_of = |one: &Replicate, name: &str| {
            let key = one.names.get(name).cloned();
            key.ok_or_else(|| Error::Failed(format!("seed {} has no step {name}", one.seed)))
        };
        for (place, name) in recipe.evaluation.slicing_identifiers().iter().enumerate() {
            // The same under every seed.
            let Some(one) = seeds.first() else { continue };
            let key = key_of(one, &step_name(Family::Identifier, name))?;
            reads.insert(Role::Identifier(place).text(), key);
        }
        for (place, one) in seeds.iter().enumerate() {
            if let Some(vectors) = recipe.vectors_measured() {
                let key = key_of(one, &step_name(Family::Vectors, vectors))?;
                reads.insert(Role::Part(place).text(), key);
            }
            for (at, system) in recipe.system.iter().enumerate() {
                let key = key_of(one, &step_name(Family::System, system.name()))?;
                let role = EvaluateSeeds::role(at, place, seeds.len());
                reads.insert(role.text(), key);
            }
        }
        let draws = Draws::Seeded(recipe.evaluation.seed);
        // 3, 4: as the evaluation's 4 and 5.
        let about = About { purpose: "replicates", format: 5, draws, reads, files: Vec::new() };
        let seeds = seeds.iter().map(|one| one.seed).collect();
        let work = EvaluateSeeds { each: self.evaluate(), seeds };
        self.add(REPLICATES, about, work).map(drop)
    }

    /// Why the items of the requests that `judged` chose to show are there, for the systems that say so.
    pub(super) fn evidence(&mut self, judged: &str) -> Result<()> {
        let recipe = self.recipe;
        let Some(evaluation) = self.known(judged) else { return Ok(()) };
        // A value that items stand for has no title.
        let systems = recipe.system.iter().filter(|_| recipe.evaluation.answers.is_none());
        for settings in systems {
            let system = system_of(recipe, settings)?;
            if !system.all().iter().any(|one| one.it().says_why()) {
                continue;
            }
            let mut reads = self.system_reads(&system, false)?;
            reads.insert(Role::System(0).text(), self.system(settings)?);
            reads.insert(Role::Evaluation.text(), evaluation.clone());
            let draws = Draws::Nothing;
            let about = About { purpose: "evidence", format: 1, draws, reads, files: Vec::new() };
            let work = TellEvidence { system, evaluated: self.evaluated() };
            self.add(&super::step::evidence_step(settings.name()), about, work)?;
        }
        Ok(())
    }

    fn evaluate(&self) -> Evaluate {
        let judged = |system: &SystemSettings| {
            let kind = system.it().reported_kind().unwrap_or(system.kind());
            Judged { name: system.name().to_owned(), kind: kind.to_owned() }
        };
        Evaluate {
            settings: self.recipe.evaluation.clone(),
            evaluated: self.evaluated(),
            systems: self.recipe.system.iter().map(judged).collect(),
            examples: self.recipe.report.examples,
        }
    }

    /// The requests that systems are evaluated on.
    fn evaluated(&self) -> Evaluated {
        evaluated(self.recipe)
    }
}
