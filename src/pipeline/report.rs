//! Puts together the report of a run from its finished steps, and writes it in three forms.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use trieval_eval::io::read_trec_run;
use trieval_eval::report::model::{
    Counts, EvaluationSummary, ExampleItem, ExampleReport, ExampleSystem, Fingerprint,
    IdentifierReport, Latency, LevelReport, Machine, REPORT_FORMAT, SystemReport, TrainingPoint,
    TrainingReport, finite,
};
use trieval_eval::report::{self, Report};
use trieval_eval::settings::EvaluatedSplit;

use super::folder::RunFolder;
use super::plan::{Plan, StepKind};
use super::runner::finished;
use super::steps::{
    EVALUATION_FILE, Evaluation, INDEX_FILE, MODEL_DIR, RUN_FILE, VALUES_DIR, evaluated_split,
    log_path,
};
use crate::corpus::settings::CorpusSettings;
use crate::corpus::{Catalogue, Corpus, CorpusSummary, Request};
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::model::DecoderConfig;
use crate::model::folder::CONFIG;
use crate::ranker::settings::SystemSettings;
use crate::recipe::{LoadedRecipe, Recipe};
use crate::store::write_atomic;
use crate::train::log;
use crate::train::settings::ObjectiveSettings;

/// The report as data, inside a run folder.
pub const REPORT_JSON: &str = "report.json";
const REPORT_HTML: &str = "report.html";
const REPORT_MARKDOWN: &str = "report.md";
/// Items shown per system and example.
const EXAMPLE_ITEMS: usize = 5;
/// Points drawn per training curve.
const CURVE_POINTS: usize = 200;

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
            ..EvaluationSummary::default()
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
        notes: notes(summary),
        machine: machine(),
        fingerprints: fingerprints(summary),
        recipe: loaded.resolved_toml()?,
        ..Report::default()
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

fn systems(
    evaluation: &Evaluation,
    plan: &Plan,
    folder: &RunFolder,
    n_items: u64,
) -> Result<Vec<SystemReport>> {
    let system = |one: &super::steps::SystemResult| {
        let cost = &one.file.cost;
        let run =
            finished(plan, folder, &StepKind::System(one.name.clone()).name())?.join(RUN_FILE);
        let share = |count: u64| count as f64 / one.file.returned.max(1) as f64;
        let mut operational: BTreeMap<String, f64> = [
            ("invalid_rate".to_owned(), share(one.file.invalid)),
            ("duplicate_rate".to_owned(), share(one.file.duplicates)),
        ]
        .into();
        if cost.seconds > 0.0 {
            let qps = cost.milliseconds.len() as f64 / cost.seconds;
            operational.insert("qps".into(), qps);
        }
        if let Some(bytes) = one.file.bytes {
            operational.insert("bytes_per_item".into(), bytes as f64 / n_items.max(1) as f64);
        }
        Ok(SystemReport {
            name: one.name.clone(),
            kind: one.kind.clone(),
            metrics: evaluation
                .metrics
                .iter()
                .cloned()
                .zip(one.estimates.iter().copied())
                .collect(),
            latency_ms: Latency::from_milliseconds(&cost.milliseconds),
            peak_bytes: cost.peak_bytes,
            unanswered: one.unanswered,
            run: Some(relative(&run, folder)),
            operational,
            bytes: one.file.bytes,
        })
    };
    evaluation.systems.iter().map(system).collect()
}

/// A path inside the run folder as a link of the report, which lies at its root.
fn relative(path: &Path, folder: &RunFolder) -> String {
    path.strip_prefix(folder.root()).unwrap_or(path).display().to_string()
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

fn training(recipe: &Recipe, plan: &Plan, folder: &RunFolder) -> Result<Vec<TrainingReport>> {
    let mut reports = Vec::new();
    for settings in &recipe.train {
        let Some(step) = plan.step(&StepKind::Train(settings.name.clone()).name()) else {
            continue;
        };
        let step_folder = folder.step_dir(&step.name, &step.key);
        let records = log::read(&log_path(&step_folder))?;
        let every = records.len().div_ceil(CURVE_POINTS).max(1);
        let points = records.chunks(every).filter_map(curve_point).collect();
        let objective = match settings.objective {
            ObjectiveSettings::Supervised(_) => "supervised",
            ObjectiveSettings::Preference(_) => "preference",
        };
        let manifest = folder.manifest(&step.name, &step.key)?;
        reports.push(TrainingReport {
            name: settings.name.clone(),
            objective: objective.into(),
            steps: records.len() as u64,
            seconds: manifest.map(|manifest| manifest.seconds),
            parameters: Some(
                DecoderConfig::read(&step_folder.join(MODEL_DIR).join(CONFIG))?.parameter_count()
                    as u64,
            ),
            diverged: false,
            points,
        });
    }
    Ok(reports)
}

/// The mean of a stretch of steps, named by its last.
fn curve_point(records: &[log::StepRecord]) -> Option<TrainingPoint> {
    let last = records.last()?;
    let mean = |value: &dyn Fn(&log::StepRecord) -> f64| {
        records.iter().map(value).sum::<f64>() / records.len() as f64
    };
    let extra = last.metrics.keys().map(|name| {
        (name.clone(), mean(&|record| record.metrics.get(name).copied().unwrap_or(0.0)))
    });
    Some(TrainingPoint {
        step: last.step,
        loss: finite(mean(&|record| record.loss)),
        learning_rate: Some(last.learning_rate),
        extra: extra.collect(),
    })
}

fn identifiers(recipe: &Recipe, plan: &Plan, folder: &RunFolder) -> Result<Vec<IdentifierReport>> {
    let mut reports = Vec::new();
    for name in recipe.identifier.keys() {
        let Some(step) = plan.step(&format!("identifier.{name}")) else { continue };
        let step_folder = folder.step_dir(&step.name, &step.key);
        let identifiers = Identifiers::load(&step_folder, None)?;
        let index = step_folder.join(INDEX_FILE);
        let index_bytes = index.metadata().map_err(|e| Error::unreadable(&index, &e))?.len();
        let diagnostics = &identifiers.diagnostics;
        reports.push(IdentifierReport {
            name: name.clone(),
            kind: "residual-k-means".into(),
            items: diagnostics.items as u64,
            distinct: diagnostics.distinct as u64,
            collision_rate: diagnostics.collision_rate,
            largest_group: Some(diagnostics.most_items_per_path as u64),
            index_bytes: Some(index_bytes),
            distortion: None,
            levels: (1..)
                .zip(&diagnostics.levels)
                .map(|(depth, level)| LevelReport {
                    codes: u64::from(level.codes),
                    used: u64::from(level.used),
                    entropy_bits: level.entropy,
                    normalized_entropy: level.normalized_entropy,
                    gini: level.gini,
                    collision_rate: Some(shared_prefixes(&identifiers, depth)),
                    usage: level.usage.iter().map(|&n| u64::from(n)).collect(),
                })
                .collect(),
            findings: Vec::new(),
        });
    }
    Ok(reports)
}

/// Share of items whose first `depth` codes are also another item's.
fn shared_prefixes(identifiers: &Identifiers, depth: usize) -> f64 {
    let mut items_below: HashMap<&[u32], u64> = HashMap::new();
    for codes in identifiers.codes.chunks_exact(identifiers.n_levels()) {
        *items_below.entry(&codes[..depth]).or_default() += 1;
    }
    let shared: u64 = items_below.values().filter(|&&n| n > 1).sum();
    shared as f64 / identifiers.n_items().max(1) as f64
}

fn examples(
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
    let example = |chosen: &super::steps::Example| {
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
        ..Machine::default()
    }
}
