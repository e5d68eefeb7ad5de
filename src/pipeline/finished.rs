//! A finished run, opened to be asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trieval_eval::io::read_trec_qrels;
use trieval_eval::metric::Metric;
use trieval_eval::report::model::CeilingReport;
use trieval_eval::slice::{Slice, SliceBy};
use trieval_eval::{Qrels, Run};

use super::added::Added;
use super::folder::{RECIPE_FILE, RunFolder};
use super::locate::inputs;
use super::parts::{evaluated, system_of};
use super::plan::Plan;
use super::report::warnings;
use super::step::{CORPUS, EVALUATION, Step, ceiling_step, step_name};
use crate::corpus::{
    Ask, Catalogue, Cell, ColumnName, Corpus, Entity, ItemName, Names, OpenColumn, Request,
};
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::inputs::Tables;
use crate::judging::ceiling;
use crate::judging::measured::measured_catalogue;
use crate::judging::runs::{RUN_FILE, read_answers};
use crate::judging::slices::slices;
use crate::kind::{Family, Role};
use crate::ranker::Retrieve;
use crate::ranker::harness::Evidence;
use crate::ranker::kinds::SystemSettings;
use crate::recipe::Recipe;
use crate::steps::{LABELS_FILE, QRELS_FILE};
use crate::store::known_digest;

/// A finished run with its catalogue.
pub struct FinishedRun {
    recipe: Recipe,
    plan: Plan,
    folder: RunFolder,
    tables: Arc<Tables>,
    corpus_folder: PathBuf,
    /// Items that came after it, where they were asked for.
    added: Option<Added>,
}

/// What a system of a finished run answered.
pub struct Answers {
    /// Name of the system.
    pub system: String,
    /// Its kind.
    pub kind: String,
    /// Where the answers lie.
    pub path: PathBuf,
    /// The answers.
    pub run: Run,
}

impl FinishedRun {
    /// Opens a run folder; of a run under several seeds, the replicate of `seed`, by default the
    /// first.
    ///
    /// # Errors
    /// [`Error::Data`] when it holds no finished run, [`Error::Usage`] when it has no such seed.
    pub fn open(root: &Path, seed: Option<u64>) -> Result<Self> {
        Added::refuse(root)?;
        Self::open_run(root, seed)
    }

    /// Opens a run folder as [`FinishedRun::open`] does, or a folder of items that were added to one: the run with these
    /// items behind its own.
    ///
    /// # Errors
    /// As [`FinishedRun::open`]; [`Error::Data`] when the run is no longer the one that the items were added to.
    pub fn open_with_added(root: &Path, seed: Option<u64>) -> Result<Self> {
        let Some(added) = Added::find(root)? else { return Self::open_run(root, seed) };
        let (of, own) = added.run();
        if seed.is_some_and(|seed| seed != own) {
            let root = root.display();
            let message =
                format!("the items of {root} were added under seed {own}: leave --seed out");
            return Err(Error::Usage(message));
        }
        let mut run = Self::open_run(of, Some(own)).map_err(|error| {
            let root = root.display();
            error.with_help(format!("{root} holds items that were added to this run, and needs it"))
        })?;
        added.check(&run.plan)?;
        run.tables = Arc::new(Tables::with(added.items.clone()));
        run.added = Some(added);
        Ok(run)
    }

    fn open_run(root: &Path, seed: Option<u64>) -> Result<Self> {
        let folder = RunFolder::open(root)?;
        let mut plan = Plan::read(root)?;
        let recipe_file = root.join(RECIPE_FILE);
        let found = known_digest(&recipe_file)?.blake3;
        if plan.recipe.as_ref().is_some_and(|written| *written != found) {
            return Err(Error::data(&recipe_file, "altered since the run wrote it").with_help(
                "run the recipe again: what is finished is kept; a change belongs into the recipe that was run",
            ));
        }
        let mut recipe = Recipe::load(&recipe_file, &[])?.recipe;
        if let Some(seed) = seed.filter(|seed| *seed != recipe.seed) {
            plan.turn_to(seed).map_err(|has| {
                let has = if has.is_empty() { vec![recipe.seed] } else { has };
                let has: Vec<String> = has.iter().map(u64::to_string).collect();
                let (root, has) = (root.display(), has.join(", "));
                Error::Usage(format!("{root} was not run under seed {seed}; it has {has}"))
            })?;
            recipe.seed = seed;
        }
        if let Some(step) = missing(&plan, &folder)? {
            let message = format!("the run is not finished: step {step} is missing");
            return Err(
                Error::data(root, message).with_help("run the same recipe again to continue it")
            );
        }
        let corpus_folder = intact(&plan, &folder, CORPUS)?;
        Ok(Self { recipe, plan, folder, tables: Arc::default(), corpus_folder, added: None })
    }

    /// Folder of the step of a component, every file of which is what the step wrote.
    pub(super) fn intact(&self, name: &str) -> Result<PathBuf> {
        intact(&self.plan, &self.folder, name)
    }

    /// The seeds of the run.
    pub fn seeds(&self) -> Vec<u64> {
        let seeds = self.plan.seeds();
        if seeds.is_empty() { vec![self.recipe.seed] } else { seeds }
    }

    /// Items that came after the run.
    pub fn added(&self) -> Option<&Added> {
        self.added.as_ref()
    }

    /// Its folder, the plan, and the seed of the replicate.
    pub(super) fn replicate(&self) -> (&Path, &Plan, u64) {
        (self.folder.root(), &self.plan, self.recipe.seed)
    }

    /// The recipe that was run.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The judgments that the systems were judged by.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn qrels(&self) -> Result<Qrels> {
        let path = self.intact(EVALUATION)?.join(QRELS_FILE);
        read_trec_qrels(&path).map_err(|e| Error::data(&path, e.to_string()))
    }

    /// What `metrics` need to know of the catalogue; item vectors are the recipe's first.
    ///
    /// # Errors
    /// When corpus or vectors cannot be read, or vectors are asked for and there are none.
    pub fn measured_catalogue(
        &self,
        metrics: &[Metric],
    ) -> Result<Option<trieval_eval::Catalogue>> {
        let name = self.recipe.vectors.keys().next();
        let step = name.map(|name| step_name(Family::Vectors, name));
        let folder = step.map(|step| self.intact(&step)).transpose()?;
        measured_catalogue(self.corpus()?, self.catalogue()?, folder.as_deref(), metrics)
    }

    /// A question of a text, ids of items, the id of a user, and features as in `user.style=style-3`.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown item or feature.
    pub fn ask(
        &self,
        query: Option<&str>,
        history: &[String],
        user: Option<&str>,
        features: &[String],
    ) -> Result<Ask> {
        let history = history.iter().map(|id| self.item(id)).collect::<Result<Vec<u32>>>()?;
        let corpus = self.corpus()?;
        let features = features.iter().map(|text| feature(text, corpus)).collect::<Result<_>>()?;
        let (query, user) = (query.map(str::to_owned), user.map(str::to_owned));
        Ok(Ask { query, history, user, features, row: None })
    }

    /// The labels of shown items that predictions were judged by, where they were not the judgments.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn labels(&self) -> Result<Option<Qrels>> {
        let step = self.plan.expect(EVALUATION, self.folder.root())?;
        let written = self.folder.manifest(&step.name, &step.key)?;
        if !written.is_some_and(|one| one.files.contains_key(LABELS_FILE)) {
            return Ok(None);
        }
        let path = self.intact(EVALUATION)?.join(LABELS_FILE);
        read_trec_qrels(&path).map(Some).map_err(|e| Error::data(&path, e.to_string()))
    }

    /// The requests that the systems were judged on.
    ///
    /// # Errors
    /// When the corpus cannot be read.
    pub fn evaluated_requests(&self) -> Result<Vec<Request>> {
        evaluated(&self.recipe).requests(self.corpus()?)
    }

    /// The parts that the recipe divides `requests` into.
    ///
    /// # Errors
    /// When the corpus cannot be read.
    pub fn slices(&self, requests: &[Request]) -> Result<Vec<Slice>> {
        let by = |text: &String| {
            text.parse().map_err(|e: trieval_eval::Error| Error::Usage(e.to_string()))
        };
        let wanted: Vec<SliceBy> =
            self.recipe.evaluation.slices.iter().map(by).collect::<Result<_>>()?;
        let named = self.recipe.evaluation.slicing_identifiers().into_iter();
        let folder = |name: String| {
            let folder = self.intact(&step_name(Family::Identifier, &name))?;
            Ok((name, folder))
        };
        let folders = named.map(folder).collect::<Result<_>>()?;
        slices(self.corpus()?, self.catalogue()?, requests, &wanted, &folders)
    }

    /// What every system answered.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn answers(&self) -> Result<Vec<Answers>> {
        let mut answers = Vec::new();
        for system in &self.recipe.system {
            let step = step_name(Family::System, system.name());
            let folder = self.intact(&step)?;
            let (path, run) = (folder.join(RUN_FILE), read_answers(&folder)?);
            let (system, kind) = (system.name().to_owned(), system.kind().to_owned());
            answers.push(Answers { system, kind, path, run });
        }
        Ok(answers)
    }

    /// The step of every system: its name and key. Equal keys are equal answers.
    pub fn system_keys(&self) -> Vec<(&str, &str)> {
        let named = |system: &'_ SystemSettings| {
            let step = self.plan.step(&step_name(Family::System, system.name()))?;
            Some(step.key.as_str())
        };
        let systems = self.recipe.system.iter();
        systems.filter_map(|system| Some((system.name(), named(system)?))).collect()
    }

    /// What was said of the corpus when the run was made, and of every step of it.
    ///
    /// # Errors
    /// [`Error::Data`] when a manifest or the corpus cannot be read.
    pub fn warnings(&self) -> Result<Vec<String>> {
        warnings(&self.plan, &self.folder, self.corpus()?.summary())
    }

    /// The tables.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn corpus(&self) -> Result<&Corpus> {
        self.tables.corpus(&self.corpus_folder)
    }

    /// The items.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn catalogue(&self) -> Result<&Catalogue> {
        self.tables.catalogue(&self.corpus_folder)
    }

    /// Ids and titles of the items.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn names(&self) -> Result<&Names> {
        self.tables.names(&self.corpus_folder)
    }

    /// Ids and titles of some items, in the order of `items`; who asks often asks for
    /// [`FinishedRun::names`] first, so that nothing is read any more.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn some_names(&self, items: &[u32]) -> Result<Vec<ItemName>> {
        self.tables.some_names(&self.corpus_folder, items)
    }

    /// Opens a system, by default the last generative one, to be asked any number of times.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown system, or one that only answers the requests of its corpus; [`Error::Data`] when a
    /// file of it is missing or damaged.
    pub fn open_system(&self, name: Option<&str>) -> Result<OpenSystem<'_>> {
        let settings = self.system(name)?;
        let system = system_of(&self.recipe, settings)?;
        let place = self.added.as_ref().map(|added| self.place_of(added, settings)).transpose()?;
        if let Some(why) = system.all().iter().find_map(|one| one.it().refuses_questions()) {
            return Err(Error::Usage(format!("{why}; ask another with --system")));
        }
        let name = step_name(Family::System, settings.name());
        let step = self.plan.expect(&name, self.folder.root())?;
        self.intact(&name)?;
        self.verify_inputs(step)?;
        let mut inputs = inputs(&self.plan, &self.folder, step, &self.tables)?;
        // What was tuned for the system lies beside its answers.
        inputs.put(Role::Tuned, &self.folder.step_dir(&step.name, &step.key));
        if let Some((added, place)) = self.added.as_ref().zip(place) {
            inputs.put(Role::Identifier(place), added.root());
            if let Some(vectors) = self.ranking_of(settings) {
                let file = added.vectors(vectors).ok_or_else(|| lacking(settings, vectors))?;
                inputs.put(Role::Added, &file);
            }
        }
        let retrieve = system.open(&inputs)?;
        let at_most = settings.it().at_most().map(|(most, key)| {
            let key: Vec<String> = key.iter().map(ToString::to_string).collect();
            (most, format!("{name}.{}", key.join(".")))
        });
        let (name, kind) = (settings.name().to_owned(), settings.kind());
        let says_why = system.all().iter().any(|one| one.it().says_why());
        Ok(OpenSystem { run: self, name, kind, at_most, says_why, retrieve })
    }

    /// Names of the other systems that can be asked.
    pub fn others_to_ask(&self, name: &str) -> Vec<&str> {
        let others = self.recipe.system.iter().filter(|one| one.name() != name);
        let can = |one: &&SystemSettings| {
            if self.added.as_ref().is_some_and(|added| self.place_of(added, one).is_err()) {
                return false;
            }
            let whole = system_of(&self.recipe, one);
            whole.is_ok_and(|it| it.all().iter().all(|one| one.it().refuses_questions().is_none()))
        };
        others.filter(can).map(SystemSettings::name).collect()
    }

    /// Index of an item.
    ///
    /// # Errors
    /// [`Error::Usage`] when the catalogue has no such item.
    pub fn item(&self, id: &str) -> Result<u32> {
        let names = self.names()?;
        names.index_of(id).ok_or_else(|| {
            let n = names.ids().len();
            let id = if id.trim().is_empty() { format!("{id:?}") } else { id.to_owned() };
            Error::Usage(format!("item {id} is not in the catalogue of {n} items"))
        })
    }

    /// The identifiers of this name, or the only ones.
    ///
    /// # Errors
    /// [`Error::Usage`] when the name is unknown or several match.
    pub fn identifiers(&self, name: Option<&str>) -> Result<Identifiers> {
        let name = self.identifier_name(name)?;
        if let Some(added) = &self.added {
            return Identifiers::load(added.root(), None);
        }
        let step = step_name(Family::Identifier, name);
        Identifiers::load(&self.intact(&step)?, None)
    }

    /// What a search through these identifiers' codes finds; none where it was not measured.
    ///
    /// # Errors
    /// As [`FinishedRun::identifiers`].
    pub fn ceiling(&self, name: Option<&str>) -> Result<Option<CeilingReport>> {
        let step = ceiling_step(self.identifier_name(name)?);
        if self.added.is_some() {
            return Ok(None);
        }
        // Runs of earlier versions have none.
        match self.plan.step(&step) {
            Some(_) => ceiling::read(&self.intact(&step)?),
            None => Ok(None),
        }
    }

    /// The name of the identifiers of this name, or of the only ones: spans give no item a code, and are none of them.
    ///
    /// # Errors
    /// As [`FinishedRun::identifiers`]; [`Error::Usage`] for the name of spans, or when there is nothing else.
    pub fn identifier_name<'s>(&'s self, name: Option<&'s str>) -> Result<&'s str> {
        let all: Vec<&str> = match &self.added {
            Some(added) => vec![added.identifier()],
            None => self.recipe.identifier.keys().map(String::as_str).collect(),
        };
        let (spans, names): (Vec<&str>, Vec<&str>) =
            all.into_iter().partition(|name| self.is_spans(name));
        match (name, names.as_slice()) {
            (Some(name), _) if names.contains(&name) => Ok(name),
            (None, [only]) => Ok(only),
            (Some(name), _) if spans.contains(&name) => Err(self.no_codes(name)),
            (None, []) if !spans.is_empty() => Err(self.no_codes(&spans.join(", "))),
            (given, _) => {
                let given = given.map_or("none given".into(), |name| format!("got {name}"));
                let names = names.join(", ");
                Err(Error::Usage(format!("--identifier must name one of {names} ({given})")))
            }
        }
    }

    /// Whether an identifier of the recipe is made of spans.
    pub fn is_spans(&self, identifier: &str) -> bool {
        let settings = self.recipe.identifier.get(identifier);
        settings.is_some_and(|settings| settings.it().spans().is_some())
    }

    /// Names of the identifiers that a system answers in; none of a system that answers in none.
    ///
    /// # Errors
    /// [`Error::Failed`] when the recipe lacks a part: a fault of this program.
    pub fn answers_in<'s>(&'s self, settings: &SystemSettings) -> Result<Vec<&'s str>> {
        let system = system_of(&self.recipe, settings)?;
        let Some(model) = system.model.as_ref() else { return Ok(Vec::new()) };
        let names = model.identifiers();
        let name = |place: &usize| self.recipe.identifier.get_key_value(*names.get(*place)?);
        let all = system.identifiers.iter().filter_map(name);
        Ok(all.map(|(name, _)| name.as_str()).collect())
    }

    /// Why codes of spans are not shown.
    fn no_codes(&self, spans: &str) -> Error {
        let run = self.folder.root().display();
        Error::Usage(format!(
            "identifier {spans} is of spans, which are words and not codes: an item has none of its own; `trieval search {run} \
             \"QUERY\"` shows which spans earned an item its place"
        ))
    }

    /// The place, among the identifiers of its model, of the one that items were added to, which a system answers in.
    ///
    /// # Errors
    /// [`Error::Usage`] when it does not: it knows nothing of these items.
    fn place_of(&self, added: &Added, settings: &SystemSettings) -> Result<usize> {
        let identifier = added.identifier();
        let system = system_of(&self.recipe, settings)?;
        let model = system.model.filter(|_| matches!(settings, SystemSettings::Generative(_)));
        let names = model.as_ref().map(|model| model.identifiers());
        if let (Some(names), [place]) = (names, system.identifiers.as_slice())
            && names.get(*place) == Some(&identifier)
        {
            return Ok(*place);
        }
        let (name, kind) = (settings.name(), settings.kind());
        if let Some(spans) = self.answers_in(settings)?.into_iter().find(|one| self.is_spans(one)) {
            return Err(Error::Usage(format!(
                "system {name} answers in spans ({spans}), which do not find new items yet: ask one that answers in \
                 {identifier} alone with --system, or name the run itself"
            )));
        }
        Err(Error::Usage(format!(
            "system {name} (kind {kind}) does not answer in identifier {identifier}, which new items were added to: ask one \
             that does with --system, or name the run itself"
        )))
    }

    /// The vectors that a generative system puts what it finds in order by.
    fn ranking_of<'s>(&self, settings: &'s SystemSettings) -> Option<&'s str> {
        match settings {
            SystemSettings::Generative(own) => Some(&own.ranking.as_ref()?.vectors),
            _ => None,
        }
    }

    /// The systems that answer in an identifier and put what they find in order by vectors, with the names of these.
    ///
    /// # Errors
    /// [`Error::Failed`] when the recipe lacks a part: a fault of this program.
    pub fn rankings(&self, identifier: &str) -> Result<Vec<(&str, &str)>> {
        let mut rankings = Vec::new();
        for settings in &self.recipe.system {
            let model = system_of(&self.recipe, settings)?;
            let answers = model.model.as_ref().map(|one| one.identifiers());
            let answers = answers.and_then(|names| names.get(*model.identifiers.first()?).copied());
            let ranking = self.ranking_of(settings).filter(|_| answers == Some(identifier));
            rankings.extend(ranking.map(|vectors| (settings.name(), vectors)));
        }
        Ok(rankings)
    }

    /// Checks the files that a system reads: a damaged model answers too.
    fn verify_inputs(&self, step: &Step) -> Result<()> {
        for key in step.inputs.values() {
            if let Some(input) = self.plan.with_key(key)
                && let Some(manifest) = self.folder.manifest(&input.name, key)?
            {
                self.folder.verify(&manifest)?;
            }
        }
        Ok(())
    }

    fn system(&self, name: Option<&str>) -> Result<&SystemSettings> {
        let systems = &self.recipe.system;
        let found = match name {
            Some(name) => systems.iter().find(|system| system.name() == name),
            None => systems
                .iter()
                .rfind(|system| match &self.added {
                    Some(added) => self.place_of(added, system).is_ok(),
                    None => matches!(system, SystemSettings::Generative(_)),
                })
                .or(systems.first()),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = systems.iter().map(SystemSettings::name).collect();
            Error::Usage(format!("--system must name one of {}", names.join(", ")))
        })
    }
}

impl Drop for FinishedRun {
    /// What was read need not be read by the next process.
    fn drop(&mut self) {
        self.folder.keep_digests();
    }
}

fn intact(plan: &Plan, folder: &RunFolder, name: &str) -> Result<PathBuf> {
    let step = plan.expect(name, folder.root())?;
    if let Some(manifest) = folder.manifest(&step.name, &step.key)? {
        folder.verify(&manifest)?;
    }
    Ok(folder.step_dir(&step.name, &step.key))
}

/// A step that a run folder still lacks of what it was last worked on for.
///
/// # Errors
/// [`Error::Data`] when it is no run folder.
pub fn unfinished(root: &Path) -> Result<Option<String>> {
    missing(&Plan::read(root)?, &RunFolder::open(root)?)
}

/// Why a system cannot be asked for new items.
fn lacking(settings: &SystemSettings, vectors: &str) -> Error {
    let name = settings.name();
    Error::Usage(format!(
        "system {name} puts what it finds in order by vectors {vectors}, which the new items lack: assign them with `title` \
         and `text`, or ask another with --system"
    ))
}

fn missing(plan: &Plan, folder: &RunFolder) -> Result<Option<String>> {
    for step in &plan.steps {
        if folder.manifest(&step.name, &step.key)?.is_none() {
            return Ok(Some(step.name.clone()));
        }
    }
    Ok(None)
}

/// A system of a finished run, loaded once.
pub struct OpenSystem<'a> {
    run: &'a FinishedRun,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Most items that it finds, and the key that says so, where one does.
    pub at_most: Option<(u32, String)>,
    /// Whether it tells what speaks for the items that it finds.
    pub says_why: bool,
    retrieve: Box<dyn Retrieve>,
}

impl OpenSystem<'_> {
    /// What of a question it leaves aside, one sentence each.
    pub fn remarks(&self, ask: &Ask) -> Vec<String> {
        self.retrieve.hears(ask).remarks(&self.name, ask)
    }

    /// What speaks for each of some items that it found, the strongest first, `[items]`; nothing where it does not say why.
    ///
    /// # Errors
    /// As [`OpenSystem::search`].
    pub fn evidence(&self, ask: &Ask, items: &[u32]) -> Result<Vec<Vec<Evidence>>> {
        self.retrieve.evidence(ask, items)
    }

    /// Items for a question, with scores, best first.
    ///
    /// # Errors
    /// [`Error::Usage`] for a question that the system cannot answer.
    pub fn search(&self, ask: &Ask, top: usize) -> Result<Vec<(u32, f32)>> {
        let exclude = ask.excluded(self.run.corpus()?.summary().remove_history);
        self.retrieve.retrieve(ask, top, &exclude)
    }
}

/// A column of a question and its value, as in `user.style=style-3`.
fn feature(text: &str, corpus: &Corpus) -> Result<(ColumnName, Cell)> {
    let refuse = |what: String| Err(Error::Usage(format!("--feature {text}: {what}")));
    let Some((name, value)) = text.split_once('=') else {
        return refuse("write COLUMN=VALUE, such as user.style=style-3".into());
    };
    let open: Vec<&OpenColumn> = corpus.summary().columns.iter().filter(is_asked).collect();
    let Some(column) = open.iter().find(|one| one.column.to_string() == name) else {
        let known: Vec<String> = open.iter().map(|one| one.column.to_string()).collect();
        return refuse(match known.is_empty() {
            true => "the corpus has no open columns of requests, users and sessions".into(),
            false => format!("columns of questions are {}", known.join(", ")),
        });
    };
    match column.holds.parse(value) {
        Some(cell) => Ok((column.column.clone(), cell)),
        None => refuse(format!("{name} is a number")),
    }
}

/// Whether a column is one that questions carry.
fn is_asked(column: &&OpenColumn) -> bool {
    !column.is_signal && !matches!(column.column.of, Entity::Item | Entity::Impression)
}
