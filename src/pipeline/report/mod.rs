//! Puts together the report of a run from its finished steps, and writes it in three forms.

mod examples;
mod systems;
mod training;

use std::path::Path;

use trieval_eval::report::model::{Counts, EvaluationSummary, Fingerprint, Machine, REPORT_FORMAT};
use trieval_eval::report::{self, Report};
use trieval_eval::settings::EvaluatedSplit;

use super::folder::RunFolder;
use super::plan::{Plan, StepKind};
use super::runner::finished;
use super::steps::{EVALUATION_FILE, Evaluation, VALUES_DIR};
use super::tuning::Tuned;
use crate::corpus::settings::CorpusSettings;
use crate::corpus::{Corpus, CorpusSummary};
use crate::error::{Error, Result};
use crate::ranker::settings::SystemSettings;
use crate::recipe::{LoadedRecipe, Recipe};
use crate::store::write_atomic;
pub use examples::About;
use examples::examples;
pub(super) use examples::{Judging, example};
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
pub fn assemble(loaded: &LoadedRecipe, plan: &Plan, folder: &RunFolder) -> Result<Report> {
    let recipe = &loaded.recipe;
    let path = finished(plan, folder, "evaluation")?.join(EVALUATION_FILE);
    let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
    let evaluation: Evaluation =
        serde_json::from_slice(&text).map_err(|e| Error::data(&path, e.to_string()))?;
    let corpus = Corpus::open(&finished(plan, folder, "corpus")?)?;
    let summary = corpus.summary();
    let catalogue = corpus.catalogue()?;
    let identifiers = identifiers(recipe, plan, folder)?;
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
                EvaluatedSplit::Test => split_in_words(&recipe.corpus),
                EvaluatedSplit::Validation => "the validation requests".into(),
            }),
        },
        baseline: Some(evaluation.baseline.clone()),
        systems: systems(&evaluation, plan, folder, summary.items)?,
        comparisons: evaluation.comparisons.clone(),
        pairs: evaluation.pairs.clone(),
        slices: evaluation.slices.clone(),
        leaks: evaluation.leaks.clone(),
        reliability: Vec::new(),
        values_note: values_note(plan, folder)?,
        training: training(recipe, plan, folder)?,
        index_bytes: Some(identifiers.iter().filter_map(|one| one.index_bytes).sum()),
        identifiers,
        examples: examples(&evaluation, recipe, plan, folder, &corpus, &catalogue)?,
        warnings: summary.warnings.iter().chain(&evaluation.warnings).cloned().collect(),
        notes: notes(summary).into_iter().chain(tuned(recipe, plan, folder)?).collect(),
        machine: machine(),
        fingerprints: fingerprints(summary),
        recipe: loaded.resolved_toml()?,
    };
    write(&report, folder.root())?;
    Ok(report)
}

/// Reads the report of a finished run.
///
/// # Errors
/// [`Error::Data`] when there is none or it is damaged.
pub fn read(run_folder: &Path) -> Result<Report> {
    Ok(read_with_text(run_folder)?.0)
}

/// The report of a finished run, and the JSON text that it was read from.
///
/// # Errors
/// [`Error::Data`] when there is none or it is damaged.
pub fn read_with_text(run_folder: &Path) -> Result<(Report, String)> {
    let path = run_folder.join(REPORT_JSON);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Error::unreadable(&path, &e)
            .with_help("finish the run first: `trieval run RECIPE --out DIR`")
    })?;
    let report = Report::from_json(&text).map_err(|e| Error::data(&path, e.to_string()))?;
    Ok((report, text))
}

fn write(report: &Report, root: &Path) -> Result<()> {
    let failed = |e: trieval_eval::Error| Error::Failed(format!("report: {e}"));
    let forms = [
        (REPORT_JSON, report.to_json().map_err(failed)?),
        (REPORT_HTML, report::html(report).map_err(failed)?),
        (REPORT_MARKDOWN, report::markdown(report)),
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

fn split_in_words(corpus: &CorpusSettings) -> String {
    use crate::corpus::settings::PairSplit;
    match corpus {
        CorpusSettings::Simulator(s) => format!("the last {} of {} days", s.test_days, s.days),
        CorpusSettings::Sequences(_) => "the last item of every user (leave-one-out)".into(),
        CorpusSettings::JudgedPairs(s) => match &s.split {
            PairSplit::Column { column, test, .. } => format!("rows with {column} = {test}"),
            PairSplit::QueryHash { test, .. } => format!("a hash picks {test} of the queries"),
        },
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

/// What was chosen on the validation requests, one sentence per tuned system.
fn tuned(recipe: &Recipe, plan: &Plan, folder: &RunFolder) -> Result<Vec<String>> {
    let systems = recipe.system.iter().filter(|system| system.tuned_for().is_some());
    let sentence = |system: &SystemSettings| {
        let step = StepKind::System(system.name().to_owned()).name();
        Ok(Tuned::read(&finished(plan, folder, &step)?)?.sentence(system.name(), system.runs()))
    };
    systems.map(sentence).collect()
}

fn values_note(plan: &Plan, folder: &RunFolder) -> Result<String> {
    let path = finished(plan, folder, "evaluation")?.join(VALUES_DIR);
    Ok(format!(
        "The value of every metric for every request is in {}/, one Parquet file per system.",
        relative(&path, folder)
    ))
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

/// Where this process runs.
pub fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    Machine {
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".into()),
        threads: rayon::current_num_threads() as u32,
        gpu: None,
        memory_bytes: memory.map(|kib| kib * 1024),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: option_env!("TRIEVAL_COMMIT").map(str::to_owned),
    }
}
