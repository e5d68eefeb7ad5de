//! Judges all systems: means, intervals, comparisons.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use trieval_eval::io::{read_trec_run, write_trec_qrels};
use trieval_eval::metric::{Metric, Needs, parse_metrics};
use trieval_eval::report::model::{Comparison, Estimate};
use trieval_eval::significance::{SignificanceOptions, assess};
use trieval_eval::{Catalogue, Options, Qrels, evaluate_all};

use super::system::evaluated_requests;
use super::{RUN_FILE, SYSTEM_FILE, SystemFile, evaluated_split, unwritten};
use crate::corpus::{Corpus, RequestIdx};
use crate::error::{Error, Result};
use crate::pipeline::runner::StepEnv;
use crate::ranker::popularity::Popularity;
use crate::ranker::settings::SystemSettings;
use crate::store::{write_atomic, write_json};

/// The result inside the step's folder.
pub(in crate::pipeline) const EVALUATION_FILE: &str = "evaluation.json";
const QRELS_FILE: &str = "qrels.trec";

/// Content of [`EVALUATION_FILE`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) struct Evaluation {
    /// Version of this layout.
    pub format: u32,
    /// Metric names as reports spell them.
    pub metrics: Vec<String>,
    /// Baseline's name.
    pub baseline: String,
    /// Requests that the figures are means over.
    pub evaluated: u64,
    /// Test requests without a relevant item.
    pub without_relevant: u64,
    /// Systems in the order of the recipe.
    pub systems: Vec<SystemResult>,
    /// Each system against the baseline.
    pub comparisons: Vec<Comparison>,
    /// What limits the tests.
    pub warnings: Vec<String>,
}

/// One system's figures.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) struct SystemResult {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// One estimate per metric.
    pub estimates: Vec<Estimate>,
    /// Median and 99th percentile in milliseconds.
    pub milliseconds: Vec<f64>,
    /// Peak resident memory.
    pub peak_bytes: Option<u64>,
    /// Evaluated requests without an answer.
    pub unanswered: u64,
}

pub(super) fn execute(env: &StepEnv<'_>) -> Result<()> {
    let recipe = &env.loaded.recipe;
    let settings = &recipe.evaluation;
    let failed = |e: trieval_eval::Error| Error::Failed(format!("evaluation: {e}"));
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let catalogue = corpus.catalogue()?;
    let split = evaluated_split(recipe);
    let metrics = parse_metrics(&settings.metrics).map_err(|e| Error::Usage(e.to_string()))?;

    let names: Vec<&str> = recipe.system.iter().map(SystemSettings::name).collect();
    let mut runs = Vec::new();
    let mut files = Vec::new();
    for name in &names {
        let folder = env.input(&format!("system.{name}"))?;
        let path = folder.join(RUN_FILE);
        let run = read_trec_run(&path).map_err(|e| Error::data(&path, e.to_string()))?;
        runs.push(run.renamed(*name));
        let path = folder.join(SYSTEM_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        let file: SystemFile =
            serde_json::from_slice(&text).map_err(|e| Error::data(&path, e.to_string()))?;
        files.push(file);
    }

    // Requests that no system was asked (a sample was drawn) are not judged either; one that was
    // asked and got no answer is.
    let asked: HashSet<RequestIdx> =
        evaluated_requests(&corpus, recipe)?.iter().map(|request| request.idx).collect();
    let requests = corpus.requests(split)?;
    let first = corpus.request_range(split).start;
    let mut qrels = Qrels::builder();
    let mut judged = 0u64;
    for (request, item, grade) in corpus.judgements(split)? {
        if asked.contains(&request) {
            let request = &requests[(request - first) as usize];
            judged += 1;
            let item = &catalogue.ids[item as usize];
            qrels.push(&request.id, item, f64::from(grade)).map_err(failed)?;
        }
    }
    if judged == 0 {
        return Err(Error::data(
            corpus.folder(),
            "no request of the evaluated split has a judged item, so nothing can be evaluated",
        )
        .with_help("check the split and the grades of the corpus"));
    }
    let qrels = qrels.finish().map_err(failed)?;
    let path = env.out.join(QRELS_FILE);
    write_atomic(&path, |writer| {
        write_trec_qrels(&qrels, writer).map_err(|e| unwritten(&path, e))
    })?;

    let known = known_items(&corpus, &catalogue.ids, &metrics)?;
    let options = Options {
        relevant_grade: settings.relevant_grade,
        ties: settings.ties,
        missing: settings.missing,
        catalogue: known.as_ref(),
    };
    let scores = evaluate_all(&runs, &qrels, &metrics, &options).map_err(|e| match e {
        trieval_eval::Error::Qrels { .. } => Error::data(corpus.folder(), e.to_string()),
        other => failed(other),
    })?;
    let baseline =
        settings.baseline.as_deref().unwrap_or_else(|| names.first().copied().unwrap_or(""));
    let options = SignificanceOptions {
        resamples: settings.bootstrap,
        confidence: settings.confidence,
        seed: env.seed().to_u64(),
        ..SignificanceOptions::default()
    };
    let baseline_idx = names.iter().position(|name| *name == baseline).unwrap_or(0);
    let assessment = assess(&scores, baseline_idx, &options).map_err(failed)?;

    let systems = names
        .iter()
        .zip(files)
        .zip(scores.iter().zip(assessment.estimates))
        .map(|((name, file), (score, estimates))| SystemResult {
            name: (*name).to_owned(),
            kind: file.kind,
            estimates,
            milliseconds: file.cost.milliseconds,
            peak_bytes: file.cost.peak_bytes,
            unanswered: score.counts.unanswered as u64,
        })
        .collect();
    let counts = scores.first().map(|score| &score.counts);
    let unjudged = (asked.len() - qrels.len()) as u64;
    let evaluation = Evaluation {
        format: 1,
        metrics: metrics.iter().map(ToString::to_string).collect(),
        baseline: baseline.to_owned(),
        evaluated: counts.map_or(0, |counts| counts.evaluated as u64),
        without_relevant: counts.map_or(0, |counts| counts.without_relevant as u64) + unjudged,
        systems,
        comparisons: assessment.comparisons,
        warnings: assessment.warnings,
    };
    write_json(&env.out.join(EVALUATION_FILE), &evaluation)
}

/// What metrics beyond accuracy look at, if one is asked for: all items, and how often training showed them clicked.
fn known_items(corpus: &Corpus, ids: &[String], metrics: &[Metric]) -> Result<Option<Catalogue>> {
    let needs = metrics.iter().map(Metric::needs).max().unwrap_or(Needs::Nothing);
    if needs == Needs::Nothing {
        return Ok(None);
    }
    let failed = |e: trieval_eval::Error| Error::Failed(format!("evaluation: {e}"));
    let mut known = Catalogue::new(ids).map_err(failed)?;
    if needs >= Needs::Exposures {
        let counts = Popularity::fit(corpus, ids.len())?;
        // Counts of clicks: whole and not negative.
        let counts = counts.counts().iter().map(|&count| count as u64).collect();
        known = known.with_exposures(counts).map_err(failed)?;
    }
    Ok(Some(known))
}
