//! A finished run, opened to be asked.

use std::path::{Path, PathBuf};

use trieval_eval::io::read_trec_qrels;
use trieval_eval::metric::Metric;
use trieval_eval::slice::{Slice, SliceBy};
use trieval_eval::{Qrels, Run};

use super::folder::RunFolder;
use super::measured::measured_catalogue;
use super::plan::{Plan, StepKind};
use super::runner::{RECIPE_FILE, finished};
use super::slices::slices;
use super::steps;
use crate::corpus::{Catalogue, Corpus, Request, Split};
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::ranker::settings::SystemSettings;
use crate::recipe::Recipe;

/// A finished run with its catalogue.
pub struct FinishedRun {
    recipe: Recipe,
    plan: Plan,
    folder: RunFolder,
    corpus: Corpus,
    catalogue: Catalogue,
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

/// What was found for a query.
pub struct Found {
    /// Name of the system that answered.
    pub system: String,
    /// Item indices with scores, best first.
    pub items: Vec<(u32, f32)>,
}

impl FinishedRun {
    /// Opens a run folder.
    ///
    /// # Errors
    /// [`Error::Data`] when it holds no finished run.
    pub fn open(root: &Path) -> Result<Self> {
        let folder = RunFolder::open(root)?;
        let recipe = Recipe::load(&root.join(RECIPE_FILE), &[])?.recipe;
        let plan = Plan::read(root)?;
        for step in &plan.steps {
            if folder.manifest(&step.name, &step.key)?.is_none() {
                return Err(Error::data(
                    root,
                    format!("the run is not finished: step {} is missing", step.name),
                )
                .with_help("run the same recipe again to continue it"));
            }
        }
        let corpus = Corpus::open(&finished(&plan, &folder, "corpus")?)?;
        let catalogue = corpus.catalogue()?;
        Ok(Self { recipe, plan, folder, corpus, catalogue })
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
        let path = finished(&self.plan, &self.folder, "evaluation")?.join(steps::QRELS_FILE);
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
        let folder =
            name.map(|name| finished(&self.plan, &self.folder, &format!("vectors.{name}")));
        let folder = folder.transpose()?;
        measured_catalogue(&self.corpus, &self.catalogue, folder.as_deref(), metrics)
    }

    /// The requests that the systems were judged on.
    ///
    /// # Errors
    /// When the corpus cannot be read.
    pub fn evaluated_requests(&self) -> Result<Vec<Request>> {
        steps::evaluated_requests(&self.corpus, &self.recipe)
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
        slices(&self.corpus, &self.catalogue, requests, &wanted)
    }

    /// What every system answered.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn answers(&self) -> Result<Vec<Answers>> {
        let mut answers = Vec::new();
        for system in &self.recipe.system {
            let step = StepKind::System(system.name().to_owned()).name();
            let folder = finished(&self.plan, &self.folder, &step)?;
            let (path, run) = (folder.join(steps::RUN_FILE), steps::read_answers(&folder)?);
            let (system, kind) = (system.name().to_owned(), system.kind().to_owned());
            answers.push(Answers { system, kind, path, run });
        }
        Ok(answers)
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Asks a system, by default the last generative one.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown system or item, or a question the system cannot answer.
    pub fn search(
        &self,
        query: Option<&str>,
        history: &[String],
        system: Option<&str>,
        top: usize,
    ) -> Result<Found> {
        let settings = self.system(system)?;
        if matches!(settings, SystemSettings::Oracle { .. }) {
            let name = settings.name();
            return Err(Error::Usage(format!(
                "system {name} only knows the simulated requests; ask another with --system"
            )));
        }
        let whole = self.recipe.whole(settings);
        if let Some(SystemSettings::Run(run)) =
            whole.into_iter().find(|one| matches!(one, SystemSettings::Run(_)))
        {
            return Err(Error::Usage(format!(
                "system {} is a run file, which only answers the requests it was written for; ask another with \
                 --system",
                run.name
            )));
        }
        self.verify_inputs(settings.name())?;
        let history = history.iter().map(|id| self.item(id)).collect::<Result<Vec<u32>>>()?;
        let request = Request {
            idx: u32::MAX,
            id: "search".into(),
            user: None,
            day: 0,
            query: query.map(str::to_owned),
            history,
            split: Split::Test,
        };
        let ranker = steps::ranker(
            &self.recipe,
            &self.plan,
            &self.folder,
            settings,
            &self.corpus,
            &self.catalogue,
        )?;
        let exclude = request.excluded(self.corpus.summary().remove_history);
        let items = ranker.retrieve(&request, top, &exclude)?;
        Ok(Found { system: settings.name().to_owned(), items })
    }

    /// Index of an item.
    ///
    /// # Errors
    /// [`Error::Usage`] when the catalogue has no such item.
    pub fn item(&self, id: &str) -> Result<u32> {
        self.catalogue.index_of(id).ok_or_else(|| {
            Error::Usage(format!(
                "item {id} is not in the catalogue of {} items",
                self.catalogue.len()
            ))
        })
    }

    /// The identifiers of this name, or the only ones.
    ///
    /// # Errors
    /// [`Error::Usage`] when the name is unknown or several match.
    pub fn identifiers(&self, name: Option<&str>) -> Result<Identifiers> {
        let names: Vec<&str> = self.recipe.identifier.keys().map(String::as_str).collect();
        let name = match (name, names.as_slice()) {
            (Some(name), _) if names.contains(&name) => name,
            (None, [only]) => only,
            (given, _) => {
                let given = given.map_or("none given".into(), |name| format!("got {name}"));
                return Err(Error::Usage(format!(
                    "--identifier must name one of {} ({given})",
                    names.join(", ")
                )));
            }
        };
        Identifiers::load(&finished(&self.plan, &self.folder, &format!("identifier.{name}"))?, None)
    }

    /// Checks the files that a system reads, its corpus excepted: a damaged model answers too.
    fn verify_inputs(&self, system: &str) -> Result<()> {
        let step = self.plan.step(&StepKind::System(system.to_owned()).name());
        for key in step.into_iter().flat_map(|step| step.inputs.values()) {
            if let Some(input) = self.plan.with_key(key)
                && input.kind != StepKind::Corpus
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
                .rfind(|system| matches!(system, SystemSettings::Generative { .. }))
                .or(systems.first()),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = systems.iter().map(SystemSettings::name).collect();
            Error::Usage(format!("--system must name one of {}", names.join(", ")))
        })
    }
}
