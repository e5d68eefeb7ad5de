//! The requests that the report of a run shows.

use std::collections::HashMap;

use trieval_eval::Run;
use trieval_eval::contest::Telling;
use trieval_eval::io::{read_trec_qrels, read_trec_run};
use trieval_eval::report::model::ExampleReport;

use crate::corpus::{Catalogue, Corpus};
use crate::error::{Error, Result};
use crate::judging::evidence::ShownEvidence;
use crate::judging::examples::{About, Judging, example};
use crate::judging::runs::RUN_FILE;
use crate::kind::Family;
use crate::pipeline::folder::RunFolder;
use crate::pipeline::locate::finished;
use crate::pipeline::parts::evaluated;
use crate::pipeline::plan::Plan;
use crate::pipeline::step::{EVALUATION, evidence_step, step_name};
use crate::ranker::kinds::SystemSettings;
use crate::recipe::Recipe;
use crate::steps::{Evaluation, Example, QRELS_FILE};

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
    let requests = corpus.requests(evaluated(recipe).split())?;
    let path = finished(plan, folder, EVALUATION)?.join(QRELS_FILE);
    let qrels = read_trec_qrels(&path).map_err(|e| Error::data(&path, e.to_string()))?;
    let (mut runs, mut evidence) = (Vec::new(), HashMap::new());
    for name in recipe.system.iter().map(SystemSettings::name) {
        let path = finished(plan, folder, &step_name(Family::System, name))?.join(RUN_FILE);
        let run = read_trec_run(&path).map_err(|e| Error::data(&path, e.to_string()))?;
        runs.push(run.renamed(name));
        // Runs of earlier versions, and most systems, have none.
        if let Some(step) = plan.step(&evidence_step(name)) {
            let told = ShownEvidence::read(&folder.step_dir(&step.name, &step.key))?;
            evidence.insert(name.to_owned(), told);
        }
    }
    let runs: Vec<&Run> = runs.iter().collect();
    let judging = Judging {
        qrels: &qrels,
        relevant_grade: recipe.evaluation.relevant_grade,
        n_items: EXAMPLE_ITEMS,
        about: Some(&About::new(catalogue, &requests)),
        evidence,
    };
    let telling = |one: &Example| Telling {
        request: one.request.clone(),
        why: one.why.clone(),
        values: one.values.clone(),
    };
    Ok(evaluation.examples.iter().map(|one| example(telling(one), &runs, &judging)).collect())
}
