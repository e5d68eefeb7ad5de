//! A system answers the test requests: a TREC run file, and what answering cost.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use trieval_eval::Run;
use trieval_eval::fusion::{Fusion, FusionSettings, tune_weights};
use trieval_eval::io::{read_trec_run, write_trec_run};
use trieval_eval::settings::EvaluatedSplit;

use super::identifier::INDEX_FILE;
use super::index;
use super::model::LoadedModel;
use super::train::MODEL_DIR;
use super::{sasrec, unwritten};
use crate::corpus::{Catalogue, Corpus, Request, Split};
use crate::error::{Error, Result};
use crate::model::checkpoint::WEIGHTS;
use crate::pipeline::acting::act;
use crate::pipeline::answer::{Asking, Cost, answer};
use crate::pipeline::folder::RunFolder;
use crate::pipeline::fused::Fused;
use crate::pipeline::judge::RUN_FILE_KIND;
use crate::pipeline::oracle::Oracle;
use crate::pipeline::outside::RunFile;
use crate::pipeline::plan::{Plan, StepKind};
use crate::pipeline::predict;
use crate::pipeline::runner::{StepEnv, finished};
use crate::pipeline::tuning::{Tuned, Tuning};
use crate::ranker::Retrieve;
use crate::ranker::bm25::settings::{Bm25Settings, Bm25Tuning};
use crate::ranker::bm25::{Bm25, Index};
use crate::ranker::cascade::{Cascade, Mmr, policy};
use crate::ranker::collaborative::{ItemCf, ItemKnn};
use crate::ranker::generative::Generative;
use crate::ranker::harness::Rerank;
use crate::ranker::hnsw::{self, Comparison};
use crate::ranker::nearest::Nearest;
use crate::ranker::popularity::Popularity;
use crate::ranker::sasrec::{Sasrec, WEIGHTS_FILE};
use crate::ranker::settings::{CascadeSettings, IndexSettings, RerankSettings, SystemSettings};
use crate::recipe::Recipe;
use crate::seed::Seed;
use crate::store::{write_atomic, write_json};
use crate::vectors::settings::VectorsSettings;
use crate::vectors::{VECTORS_FILE, encoder, mmse, two_tower};

/// The run in TREC format inside the step's folder.
pub(in crate::pipeline) const RUN_FILE: &str = "run.trec";
/// Scores of the judged pairs in TREC format inside the step's folder, where they were asked for.
const PREDICTIONS_FILE: &str = "predictions.trec";
/// What answering cost, inside the step's folder.
pub(in crate::pipeline) const SYSTEM_FILE: &str = "system.json";

/// Content of [`SYSTEM_FILE`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) struct SystemFile {
    /// Version of this layout.
    pub format: u32,
    /// Kind of the system.
    pub kind: String,
    /// Time and memory.
    pub cost: Cost,
    /// Bytes of the files that the system is made of (model, vectors, index); null where it keeps none.
    pub bytes: Option<u64>,
    /// Returned items in all.
    pub returned: u64,
    /// Returned items that the catalogue does not hold.
    pub invalid: u64,
    /// Returned items that the same list held before.
    pub duplicates: u64,
    /// What the index that it searches loses and gains; none where it searches none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approximate: Option<Comparison>,
}

/// Trains what a system answers with.
pub(super) fn fit(env: &StepEnv<'_>, name: &str) -> Result<()> {
    match named(&env.loaded.recipe, name)? {
        SystemSettings::Sasrec(settings) => sasrec::execute(env, settings),
        other => {
            Err(Error::Failed(format!("system {name} of kind {} is not trained", other.kind())))
        }
    }
}

fn named<'a>(recipe: &'a Recipe, name: &str) -> Result<&'a SystemSettings> {
    recipe.named(name).ok_or_else(|| Error::Failed(format!("the recipe has no system {name}")))
}

pub(super) fn execute(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let recipe = &env.loaded.recipe;
    let settings = named(recipe, name)?;
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let catalogue = corpus.catalogue()?;
    let requests = evaluated_requests(&corpus, recipe)?;
    if let Some(metric) = settings.tuned_for() {
        let tuning = Tuning::new(env, name, metric, &corpus, &catalogue)?;
        let tuned = match settings {
            SystemSettings::Bm25(bm25) => tune_bm25(&tuning, bm25, &corpus, &catalogue)?,
            SystemSettings::Fusion(fusion) => {
                tune_fusion(&tuning, env, fusion, &corpus, &catalogue)?
            }
            _ => None,
        };
        if let Some(tuned) = tuned {
            env.ctx.say(tuned.sentence(name, settings.runs()));
            tuned.write(&env.out)?;
        }
    }
    for part in recipe.whole(settings) {
        if let SystemSettings::Run(run) = part {
            let file = RunFile::read(&run.path, &corpus, &catalogue)?;
            file.compare(&run.name, &run.path, &requests, env.ctx)?;
            if !std::ptr::eq(part, settings) {
                file.check_finite(&run.path)?;
            }
        }
    }
    // A system with an index is compared with exact search afterwards.
    let nearest = match settings {
        SystemSettings::TwoTower { index: Some(_), .. } => {
            Some(nearest(recipe, env.plan, env.folder, settings, &catalogue)?)
        }
        _ => None,
    };
    let other: Box<dyn Retrieve>;
    let ranker: &dyn Retrieve = match &nearest {
        Some(nearest) => nearest,
        None => {
            other = ranker(recipe, env.plan, env.folder, settings, &corpus, &catalogue)?;
            other.as_ref()
        }
    };
    let asking = Asking {
        label: name,
        depth: recipe.evaluation.depth as usize,
        exclude_history: corpus.summary().remove_history,
        work: &env.work,
    };
    let mut answers = answer(ranker, &requests, &asking, env.ctx)?;
    if !is_measured(recipe, settings) {
        answers.cost = Cost { in_flight: answers.cost.in_flight, ..Cost::default() };
    }

    if let SystemSettings::Cascade(CascadeSettings { act: Some(settings), .. }) = settings {
        let policy = policy(*settings, env.seed().purpose("act"));
        act(policy.as_ref(), &requests, &mut answers.lists, &catalogue, &env.out)?;
    }
    let (invalid, duplicates) = faults(&answers.lists, catalogue.len());
    if invalid + duplicates > 0 {
        return Err(Error::Failed(format!(
            "system {name} returned {invalid} items that do not exist and {duplicates} twice: \
             this is a fault of trieval, please report it"
        )));
    }
    let run = to_run(name, &requests, &answers.lists, &catalogue)?;
    write_run(&run, &env.out.join(RUN_FILE))?;
    if predict::is_wanted(recipe)
        && let Some(rank) = ranker.as_rank()
    {
        let about = (&corpus, &catalogue);
        let predictions = predict::predict(name, rank, &requests, about, recipe, env.ctx)?;
        write_run(&predictions, &env.out.join(PREDICTIONS_FILE))?;
    }
    let approximate = match &nearest {
        Some(nearest) => index::measure(nearest, &requests, &asking, env)?,
        None => None,
    };
    let file = SystemFile {
        format: 2,
        kind: match settings {
            SystemSettings::Run(_) => RUN_FILE_KIND.into(),
            other => other.kind().into(),
        },
        cost: answers.cost,
        bytes: bytes(env, settings)?,
        returned: answers.lists.iter().map(|list| list.len() as u64).sum(),
        invalid,
        duplicates,
        approximate,
    };
    write_json(&env.out.join(SYSTEM_FILE), &file)
}

fn write_run(run: &Run, path: &Path) -> Result<()> {
    write_atomic(path, |writer| write_trec_run(run, writer).map_err(|e| unwritten(path, e)))
}

/// What a system returned, and what it said of the judged pairs where it was asked.
pub(in crate::pipeline) fn read_answers(folder: &Path) -> Result<Run> {
    let read = |name: &str| {
        let path = folder.join(name);
        read_trec_run(&path).map_err(|e| Error::data(&path, e.to_string()))
    };
    let run = read(RUN_FILE)?;
    Ok(match folder.join(PREDICTIONS_FILE).exists() {
        true => run.with_predictions(read(PREDICTIONS_FILE)?),
        false => run,
    })
}

/// Whether what answering costs can be known: looking lists up in a run file is not what their system took.
fn is_measured(recipe: &Recipe, settings: &SystemSettings) -> bool {
    !recipe.whole(settings).into_iter().any(|one| matches!(one, SystemSettings::Run(_)))
}

/// Items that are none of the catalogue, and items listed twice.
fn faults(lists: &[Vec<(u32, f32)>], n_items: usize) -> (u64, u64) {
    let (mut invalid, mut duplicates) = (0, 0);
    let mut seen = HashSet::new();
    for list in lists {
        seen.clear();
        for &(item, _) in list {
            invalid += u64::from(item as usize >= n_items);
            duplicates += u64::from(!seen.insert(item));
        }
    }
    (invalid, duplicates)
}

/// Size of the files that a system serves from, each counted once; none for systems built from the catalogue's text.
fn bytes(env: &StepEnv<'_>, settings: &SystemSettings) -> Result<Option<u64>> {
    let mut files = BTreeSet::new();
    for part in env.loaded.recipe.whole(settings) {
        served(env, part, &mut files)?;
    }
    let size = |path: &PathBuf| {
        path.metadata().map(|file| file.len()).map_err(|e| Error::unreadable(path, &e))
    };
    let total = files.iter().map(size).sum::<Result<u64>>()?;
    Ok((!files.is_empty()).then_some(total))
}

/// Files that a system itself serves from, without its parts.
fn served(env: &StepEnv<'_>, system: &SystemSettings, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let recipe = &env.loaded.recipe;
    match system {
        SystemSettings::Popularity(_)
        | SystemSettings::Bm25(_)
        | SystemSettings::ItemCf(_)
        | SystemSettings::ItemKnn(_)
        | SystemSettings::Run(_)
        | SystemSettings::Fusion(_)
        | SystemSettings::Oracle { .. } => {}
        SystemSettings::Sasrec(settings) => {
            let fit = env.input(&StepKind::Fit(settings.name.clone()).name())?;
            files.insert(fit.join(WEIGHTS_FILE));
        }
        SystemSettings::TwoTower { name, vectors, index } => {
            if index.is_some() {
                files.extend(hnsw::files(&env.input(&StepKind::Index(name.clone()).name())?));
            }
            let mut folders = vec![env.input(&format!("vectors.{vectors}"))?];
            while let Some(folder) = folders.pop() {
                let unreadable = |e: std::io::Error| Error::unreadable(&folder, &e);
                for file in std::fs::read_dir(&folder).map_err(unreadable)? {
                    let path = file.map_err(unreadable)?.path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|kind| kind == "safetensors") {
                        files.insert(path);
                    }
                }
            }
        }
        SystemSettings::Generative { train, .. } => {
            let Some(training) = recipe.training(train) else { return Ok(()) };
            let model = &recipe.model[recipe.model_of(training)];
            files
                .insert(env.input(&format!("identifier.{}", model.identifier()))?.join(INDEX_FILE));
            files.insert(env.input(&format!("train.{train}"))?.join(MODEL_DIR).join(WEIGHTS));
        }
        SystemSettings::Cascade(cascade) => {
            if let Some(RerankSettings::Mmr { vectors, .. }) = &cascade.rerank {
                files.insert(env.input(&format!("vectors.{vectors}"))?.join(VECTORS_FILE));
            }
        }
    }
    Ok(())
}

/// What a system returned, as a run.
pub(in crate::pipeline) fn to_run(
    name: &str,
    requests: &[Request],
    lists: &[Vec<(u32, f32)>],
    catalogue: &Catalogue,
) -> Result<Run> {
    let failed = |e: trieval_eval::Error| Error::Failed(format!("system {name}: {e}"));
    let mut run = Run::builder(name);
    for (request, list) in requests.iter().zip(lists) {
        let items =
            list.iter().map(|&(item, score)| (catalogue.ids[item as usize].as_str(), score));
        run.push_list(&request.id, strictly_falling(items)).map_err(failed)?;
    }
    run.finish().map_err(failed)
}

/// Tunes the weights of a fused system on the validation requests, which its parts answer for it.
fn tune_fusion(
    tuning: &Tuning<'_>,
    env: &StepEnv<'_>,
    fusion: &FusionSettings,
    corpus: &Corpus,
    catalogue: &Catalogue,
) -> Result<Option<Tuned>> {
    let recipe = &env.loaded.recipe;
    let failed = |e: trieval_eval::Error| Error::Failed(format!("system {}: {e}", fusion.name));
    let mut runs = Vec::new();
    for name in &fusion.runs {
        let part = named(recipe, name)?;
        let ranker = ranker(recipe, env.plan, env.folder, part, corpus, catalogue)?;
        runs.push(tuning.run(ranker.as_ref(), name)?);
    }
    let runs: Vec<&Run> = runs.iter().collect();
    let relevant = tuning.relevant_grade();
    let found = tune_weights(&runs, &Fusion::from(fusion), &tuning.qrels, &tuning.metric, relevant);
    let found = found.map_err(failed)?;
    let chosen = found.weights.into_iter().enumerate();
    let chosen = chosen.map(|(place, weight)| (Tuned::of_part(place), weight)).collect();
    Ok(Some(tuning.tuned(chosen, found.value, found.equal, found.tried)))
}

/// Tunes the constants of BM25 on the validation requests; texts are indexed once.
fn tune_bm25(
    tuning: &Tuning<'_>,
    settings: &Bm25Settings,
    corpus: &Corpus,
    catalogue: &Catalogue,
) -> Result<Option<Tuned>> {
    let grid = settings.tune.as_ref().map(Bm25Tuning::grid).unwrap_or_default();
    let index = Arc::new(Index::build(corpus, catalogue, &settings.fields, settings.stem)?);
    let weigh = |&(k1, b): &(f64, f64)| -> Box<dyn Retrieve> {
        Box::new(Bm25::weigh(&index, &settings.with(k1, b)))
    };
    let names = |&(k1, b): &(f64, f64)| [("k1".to_owned(), k1), ("b".to_owned(), b)].into();
    Ok(Some(tuning.grid(&(settings.k1, settings.b), &grid, weigh, names)?))
}

/// Scores that keep a system's own order under the evaluator's tie rule: an equal or higher score
/// than the one before becomes the next smaller `f32`.
pub(in crate::pipeline) fn strictly_falling<T>(
    items: impl Iterator<Item = (T, f32)>,
) -> impl Iterator<Item = (T, f32)> {
    let mut last = f32::INFINITY;
    items.map(move |(item, score)| {
        last = if score < last { score } else { last.next_down() };
        (item, last)
    })
}

/// The requests that all systems answer.
pub(in crate::pipeline) fn evaluated_requests(
    corpus: &Corpus,
    recipe: &Recipe,
) -> Result<Vec<Request>> {
    let mut requests = corpus.requests(evaluated_split(recipe))?;
    if let Some(limit) = recipe.evaluation.requests
        && requests.len() > limit as usize
    {
        requests.shuffle(&mut Seed::new(recipe.seed).purpose("test-requests").rng());
        requests.truncate(limit as usize);
        requests.sort_by_key(|request| request.idx);
    }
    Ok(requests)
}

/// The split that the recipe evaluates.
pub(in crate::pipeline) fn evaluated_split(recipe: &Recipe) -> Split {
    match recipe.evaluation.split {
        EvaluatedSplit::Validation => Split::Validation,
        EvaluatedSplit::Test => Split::Test,
    }
}

/// The nearest-neighbor search of a system of kind two-tower, over its index where it has one.
fn nearest(
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
    settings: &SystemSettings,
    catalogue: &Catalogue,
) -> Result<Nearest> {
    let SystemSettings::TwoTower { name, vectors, index } = settings else {
        let message = format!("system {} searches no vectors", settings.name());
        return Err(Error::Failed(message));
    };
    let step_folder = finished(plan, folder, &format!("vectors.{vectors}"))?;
    let nearest = Nearest::new(match &recipe.vectors[vectors] {
        VectorsSettings::TwoTower(_) => two_tower::load(&step_folder, catalogue)?,
        VectorsSettings::Mmse(_) => mmse::load(&step_folder, catalogue)?,
        VectorsSettings::Encoder(_) | VectorsSettings::Decoder(_) => {
            encoder::load(&step_folder, catalogue)?
        }
        VectorsSettings::Collaborative(_)
        | VectorsSettings::Joined(_)
        | VectorsSettings::File(_) => {
            let message = format!("system {name}: [vectors.{vectors}] has no encoder");
            return Err(Error::Failed(message));
        }
    });
    match index {
        Some(IndexSettings::Hnsw(settings)) => {
            let index = finished(plan, folder, &StepKind::Index(name.clone()).name())?;
            nearest.with_index(&index, settings.expansion_search)
        }
        None => Ok(nearest),
    }
}

/// Builds the ranker of a system from the finished steps of a run.
pub(in crate::pipeline) fn ranker(
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
    settings: &SystemSettings,
    corpus: &Corpus,
    catalogue: &Catalogue,
) -> Result<Box<dyn Retrieve>> {
    let input = |name: String| finished(plan, folder, &name);
    Ok(match settings {
        SystemSettings::Popularity(settings) => Box::new(Popularity::fit(corpus, settings)?),
        SystemSettings::Bm25(bm25) => {
            let mut bm25 = bm25.clone();
            if bm25.tune.is_some() {
                let tuned = Tuned::read(&input(StepKind::System(bm25.name.clone()).name())?)?;
                (bm25.k1, bm25.b) = (tuned.chosen("k1")?, tuned.chosen("b")?);
            }
            Box::new(Bm25::fit(corpus, catalogue, &bm25)?)
        }
        SystemSettings::ItemCf(settings) => Box::new(ItemCf::fit(corpus, settings)?),
        SystemSettings::ItemKnn(settings) => Box::new(ItemKnn::fit(corpus, settings)?),
        SystemSettings::Run(run) => Box::new(RunFile::read(&run.path, corpus, catalogue)?),
        SystemSettings::Sasrec(settings) => {
            let fit = input(StepKind::Fit(settings.name.clone()).name())?;
            Box::new(Sasrec::load(&fit, catalogue.len())?)
        }
        SystemSettings::TwoTower { .. } => {
            Box::new(nearest(recipe, plan, folder, settings, catalogue)?)
        }
        SystemSettings::Oracle { .. } => Box::new(Oracle::new(recipe)?),
        SystemSettings::Generative { train, decode, .. } => {
            let training = recipe.training(train);
            let training = training
                .ok_or_else(|| Error::Failed(format!("the recipe has no training {train}")))?;
            let settings = &recipe.model[recipe.model_of(training)];
            let identifier = input(format!("identifier.{}", settings.identifier()))?;
            let model_folder = input(format!("train.{train}"))?.join(MODEL_DIR);
            let model = LoadedModel::load(&model_folder, &identifier, settings)?;
            let (prompts, retriever) = model.into_retriever(&identifier, decode)?;
            Box::new(Generative { prompts, retriever })
        }
        SystemSettings::Fusion(fusion) => {
            let mut parts = Vec::new();
            for part in recipe.parts(settings) {
                let ranker = ranker(recipe, plan, folder, part, corpus, catalogue)?;
                parts.push((part.name().to_owned(), ranker));
            }
            let mut how = Fusion::from(fusion);
            if fusion.tune.is_some() {
                let tuned = Tuned::read(&input(StepKind::System(fusion.name.clone()).name())?)?;
                let weights = (0..fusion.runs.len()).map(|place| tuned.weight(place));
                how.weights = weights.collect::<Result<_>>()?;
            }
            Box::new(Fused::new(parts, how))
        }
        SystemSettings::Cascade(cascade) => {
            let stage =
                |name: &str| ranker(recipe, plan, folder, named(recipe, name)?, corpus, catalogue);
            let rerank = match &cascade.rerank {
                None => None,
                Some(RerankSettings::Mmr { vectors, relevance }) => {
                    let step = input(StepKind::Vectors(vectors.clone()).name())?;
                    let vectors = super::vectors::read(&step, catalogue)?;
                    Some(Box::new(Mmr::new(vectors, *relevance)) as Box<dyn Rerank>)
                }
            };
            Box::new(Cascade {
                retrieve: stage(&cascade.retrieve)?,
                retrieve_name: cascade.retrieve.clone(),
                candidates: cascade.candidates as usize,
                rank: cascade.rank.as_deref().map(stage).transpose()?,
                rerank,
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::strictly_falling;

    #[test]
    fn ties_keep_the_order_of_the_list() {
        let list = [("a", 2.0f32), ("b", 2.0), ("c", 2.0), ("d", -1.0)];
        let scores: Vec<f32> = strictly_falling(list.into_iter()).map(|(_, score)| score).collect();
        assert_eq!(scores[0], 2.0);
        assert!(scores.windows(2).all(|pair| pair[1] < pair[0]));
        assert!(scores[2] > 1.999);
    }
}
