//! Puts together the report of a run from its finished steps, and writes it in three forms.

mod examples;
mod health;
mod systems;
mod training;

use std::path::Path;

use trieval_eval::report::model::{Counts, EvaluationSummary, Fingerprint, REPORT_FORMAT};
use trieval_eval::report::{self, Report};
use trieval_eval::settings::EvaluatedSplit;

use super::added::Added;
use super::folder::RunFolder;
use super::locate::finished;
use super::plan::Plan;
use super::record::{self, Standing};
use super::step::{CORPUS, EVALUATION, REPLICATES, step_name};
use crate::corpus::CorpusSummary;
use crate::error::{Error, Result};
use crate::inputs::Tables;
use crate::judging::judge::SEEDS_NOTE;
use crate::judging::machine::machine;
use crate::kind::Family;
use crate::ranker::tuned::Chosen;
use crate::recipe::{LoadedRecipe, Recipe};
use crate::steps::{Evaluation, VALUES_DIR};
use crate::store::write_atomic;
use crate::text::{visible, visible_json};
use examples::examples;
use systems::{relative, systems};
use training::{identifiers, training};

/// The report as data, inside a run folder.
pub const REPORT_JSON: &str = "report.json";
const REPORT_HTML: &str = "report.html";
const REPORT_MARKDOWN: &str = "report.md";

/// Assembles the report of a finished run and writes `report.json`, `report.html` and `report.md`.
///
/// # Errors
/// When a step's result cannot be read or the disk refuses.
pub fn assemble(
    loaded: &LoadedRecipe,
    plan: &Plan,
    folder: &RunFolder,
    tables: &Tables,
) -> Result<Report> {
    let recipe = &loaded.recipe;
    let has_seeds = !plan.replicates.is_empty();
    let judged = if has_seeds { REPLICATES } else { EVALUATION };
    let evaluation = Evaluation::read(&finished(plan, folder, judged)?)?;
    let corpus_folder = finished(plan, folder, CORPUS)?;
    let (corpus, catalogue) = (tables.corpus(&corpus_folder)?, tables.catalogue(&corpus_folder)?);
    let summary = corpus.summary();
    let identifiers = identifiers(recipe, plan, folder, corpus)?;
    let report = Report {
        format: REPORT_FORMAT,
        name: recipe.name.clone(),
        description: recipe.description.clone(),
        seed: recipe.seed,
        counts: counts(summary, &evaluation),
        evaluation: EvaluationSummary {
            metrics: evaluation.metrics.clone(),
            relevant_grade: recipe.evaluation.relevant_grade,
            depth: recipe.evaluation.depth,
            bootstrap: recipe.evaluation.bootstrap,
            confidence: recipe.evaluation.confidence,
            correction: Some(recipe.evaluation.correction.label().to_owned()),
            lower_is_better: Vec::new(),
            split: Some(match recipe.evaluation.split {
                EvaluatedSplit::Test => recipe.corpus.it().test_split(),
                EvaluatedSplit::Validation => "the validation requests".into(),
            }),
        },
        baseline: Some(evaluation.baseline.clone()),
        systems: systems(&evaluation, plan, folder, summary.items)?,
        comparisons: evaluation.comparisons.clone(),
        pairs: evaluation.pairs.clone(),
        slices: evaluation.slices.clone(),
        leaks: evaluation.leaks.clone(),
        log: evaluation.log.clone(),
        reliability: evaluation.reliability.clone(),
        values_note: values_note(plan, folder),
        training: training(recipe, plan, folder)?,
        index_bytes: Some(identifiers.iter().filter_map(|one| one.index_bytes).sum()),
        identifiers,
        examples: examples(&evaluation, recipe, plan, folder, corpus, catalogue)?,
        warnings: [warnings(plan, folder, summary)?, evaluation.warnings.clone()].concat(),
        notes: notes(summary)
            .into_iter()
            .chain(if has_seeds { of_seeds(plan, &evaluation) } else { Vec::new() })
            .chain(tuned(recipe, plan, folder)?)
            .chain(recipe.system.iter().filter_map(|system| system.it().remark(catalogue)))
            .collect(),
        machine: machine(),
        fingerprints: fingerprints(summary),
        recipe: format!("{}{}", plan.remark(), loaded.resolved_toml()?),
    };
    write(&report, folder.root())?;
    Ok(report)
}

/// Writes down what was written, last of all.
pub(super) fn record(run_folder: &Path, plan: &Plan) -> Result<()> {
    let steps = plan.steps.iter().map(|step| step.key.clone()).collect();
    record::write(run_folder, &[REPORT_JSON, REPORT_HTML, REPORT_MARKDOWN], steps)
}

/// The report of a finished run, the JSON text that it was read from, and what it belongs to.
///
/// # Errors
/// [`Error::Data`] when there is none, or it is damaged or was altered.
pub fn read(run_folder: &Path) -> Result<(Report, String, Standing)> {
    Added::refuse(run_folder)?;
    let path = run_folder.join(REPORT_JSON);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Error::unreadable(&path, &e)
            .with_help("finish the run first: `trieval run RECIPE --out DIR`")
    })?;
    let standing = record::check(run_folder, REPORT_JSON)?;
    let report = Report::from_json(&text)
        .map_err(|e| Error::data(&path, e.to_string()).with_help(record::HELP))?;
    Ok((report, text, standing))
}

fn write(report: &Report, root: &Path) -> Result<()> {
    let failed = |e: trieval_eval::Error| Error::Failed(format!("report: {e}"));
    record::forget(root)?;
    let (json, html) = (report.to_json().map_err(failed)?, report::html(report).map_err(failed)?);
    let markdown = report::markdown(report);
    let forms = [
        (REPORT_JSON, visible_json(&json)),
        (REPORT_HTML, visible(&html)),
        (REPORT_MARKDOWN, visible(&markdown)),
    ];
    for (name, text) in forms {
        let path = root.join(name);
        write_atomic(&path, |writer| {
            std::io::Write::write_all(writer, text.as_bytes())
                .map_err(|e| Error::unwritable(&path, &e))
        })?;
    }
    Ok(())
}

fn counts(summary: &CorpusSummary, evaluation: &Evaluation) -> Counts {
    Counts {
        items: Some(summary.items),
        requests: Some(summary.requests.total()),
        evaluated: evaluation.evaluated,
        without_relevant: evaluation.without_relevant,
        malformed_rows: summary.malformed.rows,
        other: [
            ("training_requests", summary.requests.train),
            ("validation_requests", summary.requests.validation),
            ("test_requests", summary.requests.test),
            ("users", summary.users),
            ("impressions", summary.impressions),
            ("clicks", summary.clicks),
            ("dropped_requests", summary.dropped_requests),
            ("skipped_requests", evaluation.skipped),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect(),
    }
}

fn notes(summary: &CorpusSummary) -> Vec<String> {
    let mut notes = vec![
        "latency is measured per request with as many requests in flight as there are threads; \
         memory is the peak of the whole process while a system answers"
            .to_owned(),
    ];
    let share = |value: f64| format!("{:.1}%", 100.0 * value);
    if let Some(queries) = summary.overlap.queries {
        let share = share(queries);
        notes.push(format!("{share} of test requests have the query text of a training request"));
    }
    if let Some(users) = summary.overlap.users {
        notes.push(format!("{} of test requests come from a user seen in training", share(users)));
    }
    if let Some(items) = summary.overlap.items {
        notes.push(format!("{} of judged test items have training feedback", share(items)));
    }
    notes
}

/// What was said of the corpus, and of every step of the plan while it was done.
///
/// # Errors
/// [`Error::Data`] when a manifest cannot be read.
pub(super) fn warnings(
    plan: &Plan,
    folder: &RunFolder,
    summary: &CorpusSummary,
) -> Result<Vec<String>> {
    let mut warnings = summary.warnings.clone();
    for step in &plan.steps {
        let manifest = folder.manifest(&step.name, &step.key)?;
        // Steps of several seeds, and a corpus that keeps its own, say the same.
        for warning in manifest.into_iter().flat_map(|manifest| manifest.warnings) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Ok(warnings)
}

/// What is to be known of figures over several seeds.
fn of_seeds(plan: &Plan, evaluation: &Evaluation) -> Vec<String> {
    let seeds: Vec<String> = plan.seeds().iter().map(u64::to_string).collect();
    let mut notes = vec![
        format!("every system was made under seeds {}; {SEEDS_NOTE}", seeds.join(", ")),
        "latency is over the requests of all seeds together, memory and size are those of the seed \
         that took most; identifiers and their indexes are those of the first seed"
            .to_owned(),
    ];
    let same = evaluation.systems.iter().filter(|one| one.seeds.is_empty());
    let same: Vec<&str> = same.map(|one| one.name.as_str()).collect();
    if !same.is_empty() {
        notes.push(format!("no seed changes what these systems answer: {}", same.join(", ")));
    }
    notes
}

/// What was chosen on the validation requests, one sentence per tuned system, and per seed where
/// that changes it.
fn tuned(recipe: &Recipe, plan: &Plan, folder: &RunFolder) -> Result<Vec<String>> {
    let systems = recipe.system.iter().filter(|system| system.it().tuned_for().is_some());
    let mut sentences = Vec::new();
    for system in systems {
        let parts = system.it().fused();
        for step in plan.all(&step_name(Family::System, system.name())) {
            let label = plan.labelled(system.name(), step);
            let chosen = Chosen::read(&folder.step_dir(&step.name, &step.key))?;
            sentences.push(chosen.sentence(&label, &parts));
        }
    }
    Ok(sentences)
}

fn values_note(plan: &Plan, folder: &RunFolder) -> String {
    let steps = plan.all(EVALUATION);
    let places = steps.iter().map(|step| {
        let path = folder.step_dir(&step.name, &step.key).join(VALUES_DIR);
        plan.labelled(&format!("{}/", relative(&path, folder)), step)
    });
    let places: Vec<String> = places.collect();
    format!(
        "The value of every metric for every request is in {}, one Parquet file per system.",
        places.join(", ")
    )
}

fn fingerprints(summary: &CorpusSummary) -> Vec<Fingerprint> {
    let file = |name: String, blake3: &str, bytes: u64| Fingerprint {
        name,
        checksum: format!("BLAKE3 {blake3}"),
        bytes: Some(bytes),
    };
    let name = |path: &Path| {
        path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into())
    };
    let sources =
        summary.sources.iter().map(|source| file(name(&source.path), &source.blake3, source.bytes));
    let tables =
        summary.tables.iter().map(|table| file(table.file.clone(), &table.blake3, table.bytes));
    sources.chain(tables).collect()
}
