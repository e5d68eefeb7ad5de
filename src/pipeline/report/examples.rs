//! The requests that a report shows, with what every system returned for them.

use std::collections::HashMap;

use trieval_eval::contest::Telling;
use trieval_eval::io::{read_trec_qrels, read_trec_run};
use trieval_eval::report::model::{ExampleItem, ExampleReport, ExampleSystem};
use trieval_eval::{Qrels, Run};

use crate::corpus::{Catalogue, Corpus, Request};
use crate::error::{Error, Result};
use crate::pipeline::folder::RunFolder;
use crate::pipeline::plan::Plan;
use crate::pipeline::runner::finished;
use crate::pipeline::steps::{Evaluation, Example, QRELS_FILE, RUN_FILE, evaluated_split};
use crate::ranker::settings::SystemSettings;
use crate::recipe::Recipe;

/// Items shown per system and example.
const EXAMPLE_ITEMS: usize = 5;

/// What items and requests are called.
pub struct About<'a> {
    catalogue: &'a Catalogue,
    requests: HashMap<&'a str, &'a Request>,
}

impl<'a> About<'a> {
    /// Of a catalogue and the requests that were evaluated.
    pub fn new(catalogue: &'a Catalogue, requests: &'a [Request]) -> Self {
        let requests = requests.iter().map(|request| (request.id.as_str(), request)).collect();
        Self { catalogue, requests }
    }
}

/// What an example is shown by.
pub(in crate::pipeline) struct Judging<'a> {
    /// Judgments.
    pub qrels: &'a Qrels,
    /// Items from this grade on are relevant.
    pub relevant_grade: f64,
    /// Items shown per system.
    pub n_items: usize,
    /// Names, where they are known.
    pub about: Option<&'a About<'a>>,
}

/// One request with what every run returned, and what is relevant to it.
pub(in crate::pipeline) fn example(
    one: Telling,
    runs: &[&Run],
    judging: &Judging<'_>,
) -> ExampleReport {
    let about = judging.about;
    let place = |id: &str| about.and_then(|about| about.catalogue.index_of(id));
    let title = |item: u32| about.map_or("", |about| about.catalogue.title(item)).to_owned();
    let judgments = judging.qrels.get(&one.request);
    let grades: HashMap<&str, f64> =
        judgments.into_iter().flat_map(|judgments| judgments.grades()).collect();
    let mut relevant: Vec<(&str, f64)> = grades
        .iter()
        .map(|(item, grade)| (*item, *grade))
        .filter(|(_, grade)| *grade >= judging.relevant_grade)
        .collect();
    // Best grade first, then in the order of the catalogue, or of the ids where there is none.
    relevant.sort_by(|a, b| {
        b.1.total_cmp(&a.1).then_with(|| (place(a.0), a.0).cmp(&(place(b.0), b.0)))
    });
    let item = |id: &str, score: Option<f32>| ExampleItem {
        item: id.to_owned(),
        title: place(id).map(title).unwrap_or_default(),
        grade: grades.get(id).copied(),
        score: score.map(f64::from),
    };
    let systems = runs.iter().map(|run| {
        let items = run.get(&one.request).into_iter().flat_map(|ranking| ranking.items());
        ExampleSystem {
            system: run.name().to_owned(),
            items: items.take(judging.n_items).map(|(id, score)| item(id, Some(score))).collect(),
        }
    });
    let request = about.and_then(|about| about.requests.get(one.request.as_str()));
    let history = request.into_iter().flat_map(|request| &request.history);
    ExampleReport {
        systems: systems.collect(),
        relevant_total: relevant.len() as u64,
        relevant: relevant.iter().take(judging.n_items).map(|(id, _)| item(id, None)).collect(),
        text: request.and_then(|request| request.query.clone()).unwrap_or_default(),
        history: history.map(|&item| title(item)).collect(),
        request: one.request,
        values: one.values,
        chosen: one.why,
    }
}

/// The examples that the evaluation chose.
pub(super) fn examples(
    evaluation: &Evaluation,
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
    corpus: &Corpus,
    catalogue: &Catalogue,
) -> Result<Vec<ExampleReport>> {
    let requests = corpus.requests(evaluated_split(recipe))?;
    let path = finished(plan, folder, "evaluation")?.join(QRELS_FILE);
    let qrels = read_trec_qrels(&path).map_err(|e| Error::data(&path, e.to_string()))?;
    let mut runs = Vec::new();
    for name in recipe.system.iter().map(SystemSettings::name) {
        let path = finished(plan, folder, &format!("system.{name}"))?.join(RUN_FILE);
        let run = read_trec_run(&path).map_err(|e| Error::data(&path, e.to_string()))?;
        runs.push(run.renamed(name));
    }
    let runs: Vec<&Run> = runs.iter().collect();
    let judging = Judging {
        qrels: &qrels,
        relevant_grade: recipe.evaluation.relevant_grade,
        n_items: EXAMPLE_ITEMS,
        about: Some(&About::new(catalogue, &requests)),
    };
    let telling = |one: &Example| Telling {
        request: one.request.clone(),
        why: one.why.clone(),
        values: one.values.clone(),
    };
    Ok(evaluation.examples.iter().map(|one| example(telling(one), &runs, &judging)).collect())
}
