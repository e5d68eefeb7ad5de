//! The requests that a report shows, with what every system returned for them.

use std::collections::HashMap;

use trieval_eval::io::read_trec_run;
use trieval_eval::report::model::{ExampleItem, ExampleReport, ExampleSystem};

use crate::corpus::{Catalogue, Corpus, Request};
use crate::error::{Error, Result};
use crate::pipeline::folder::RunFolder;
use crate::pipeline::plan::Plan;
use crate::pipeline::runner::finished;
use crate::pipeline::steps::{Evaluation, Example, RUN_FILE, evaluated_split};
use crate::ranker::settings::SystemSettings;
use crate::recipe::Recipe;

/// Items shown per system and example.
const EXAMPLE_ITEMS: usize = 5;

/// The examples that the evaluation chose.
pub(super) fn examples(
    evaluation: &Evaluation,
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
    corpus: &Corpus,
    catalogue: &Catalogue,
) -> Result<Vec<ExampleReport>> {
    let split = evaluated_split(recipe);
    let requests = corpus.requests(split)?;
    let by_id: HashMap<&str, &Request> =
        requests.iter().map(|request| (request.id.as_str(), request)).collect();
    let mut grades: HashMap<u32, Vec<(u32, f32)>> = HashMap::new();
    for (request, item, grade) in corpus.judgements(split)? {
        grades.entry(request).or_default().push((item, grade));
    }
    let mut runs = Vec::new();
    for name in recipe.system.iter().map(SystemSettings::name) {
        let path = finished(plan, folder, &format!("system.{name}"))?.join(RUN_FILE);
        runs.push((name, read_trec_run(&path).map_err(|e| Error::data(&path, e.to_string()))?));
    }
    let relevant_grade = recipe.evaluation.relevant_grade as f32;
    let item = |item: u32, grade: Option<f32>, score: Option<f32>| ExampleItem {
        item: catalogue.ids[item as usize].clone(),
        title: catalogue.title(item).to_owned(),
        grade: grade.map(f64::from),
        score: score.map(f64::from),
    };
    let empty = Vec::new();
    let example = |chosen: &Example| {
        let request = by_id.get(chosen.request.as_str())?;
        let judged = grades.get(&request.idx).unwrap_or(&empty);
        let mut relevant: Vec<&(u32, f32)> =
            judged.iter().filter(|(_, grade)| *grade >= relevant_grade).collect();
        relevant.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let systems = runs.iter().map(|(name, run)| {
            let top = run.get(&request.id).into_iter().flat_map(|ranking| ranking.items());
            let items = top.take(EXAMPLE_ITEMS).filter_map(|(id, score)| {
                let index = catalogue.index_of(id)?;
                let grade = judged.iter().find(|(other, _)| *other == index);
                Some(item(index, grade.map(|(_, grade)| *grade), Some(score)))
            });
            ExampleSystem { system: (*name).to_owned(), items: items.collect() }
        });
        Some(ExampleReport {
            request: request.id.clone(),
            text: request.query.clone().unwrap_or_default(),
            history: request.history.iter().map(|&item| catalogue.title(item).to_owned()).collect(),
            relevant: relevant
                .iter()
                .take(EXAMPLE_ITEMS)
                .map(|(index, grade)| item(*index, Some(*grade), None))
                .collect(),
            relevant_total: relevant.len() as u64,
            systems: systems.collect(),
            values: chosen.values.clone(),
            chosen: chosen.why.clone(),
        })
    };
    Ok(evaluation.examples.iter().filter_map(example).collect())
}
