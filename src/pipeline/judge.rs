//! A report of runs that were made anywhere: run files handed in, or the systems of finished runs.

use std::collections::{BTreeMap, HashMap};

use trieval_eval::contest::{Contest, Rules, Telling, hold, hold_seeds, slice_reports};
use trieval_eval::labelled::OutsideValues;
use trieval_eval::report::Report;
use trieval_eval::report::model::{
    Counts, EvaluationSummary, ExampleItem, ExampleReport, ExampleSystem, Fingerprint,
    REPORT_FORMAT, SystemReport,
};
use trieval_eval::slice::Slice;
use trieval_eval::{Qrels, Run};

use super::report::machine;
use crate::error::{Error, Result};

/// Kind of a system that is known by its run file alone.
pub const RUN_FILE_KIND: &str = "run-file";
/// Largest wins shown per two systems, in each direction.
const WINS: usize = 3;
/// Items shown per system and example.
const EXAMPLE_ITEMS: usize = 10;

/// What is judged, beside the rules.
pub struct Entries<'a> {
    /// Name of the report.
    pub name: String,
    /// Systems with one run per training seed (most often one), and their kind.
    pub systems: Vec<Entry>,
    /// Judgments.
    pub qrels: &'a Qrels,
    /// Values per request from outside, by index of the system.
    pub outside: Vec<(usize, OutsideValues)>,
    /// Parts of the judgments to look at.
    pub slices: Vec<Slice>,
    /// What the figures rest on.
    pub fingerprints: Vec<Fingerprint>,
}

/// A system to be judged.
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Path of its run file, where it has one.
    pub path: Option<String>,
    /// One run per seed.
    pub runs: Vec<Run>,
}

/// Judges everything together. Returns the contest too, for its values per request.
///
/// # Errors
/// [`Error::Data`] for what cannot be judged or compared.
pub fn judge(mut entries: Entries<'_>, rules: &Rules<'_>) -> Result<(Report, Contest)> {
    let unusable = |e: trieval_eval::Error| Error::Usage(e.to_string());
    let seeded = entries.systems.iter().any(|system| system.runs.len() > 1);
    let n_seeds: Vec<usize> = entries.systems.iter().map(|system| system.runs.len()).collect();
    // The runs move: they may be large.
    let entrants: Vec<(String, Vec<Run>)> = entries
        .systems
        .iter_mut()
        .map(|system| (system.name.clone(), std::mem::take(&mut system.runs)))
        .collect();
    let held = if seeded { Some(hold_seeds(&entrants, entries.qrels, rules)) } else { None };
    let runs: Vec<Run> = entrants
        .into_iter()
        .filter_map(|(name, runs)| Some(runs.into_iter().next()?.renamed(name)))
        .collect();
    let contest = held.unwrap_or_else(|| hold(&runs, entries.qrels, &entries.outside, rules));
    let contest = contest.map_err(unusable)?;
    let slices = slice_reports(&runs, entries.qrels, &entries.slices, rules).map_err(unusable)?;
    let mut warnings = contest.warnings.clone();
    if seeded && !slices.is_empty() {
        warnings.push("slices show the first seed of every system".into());
    }
    let counts: Vec<_> =
        contest.lists.iter().chain(&contest.labels).map(|scores| scores.counts).collect();
    let first = counts.first().copied().unwrap_or_default();
    let mut place = 0;
    let systems = entries
        .systems
        .iter()
        .zip(&n_seeds)
        .zip(&contest.estimates)
        .map(|((system, n_seeds), estimates)| {
            let unanswered = counts.get(place).map_or(0, |counts| counts.unanswered as u64);
            place += n_seeds;
            let metrics: BTreeMap<_, _> =
                contest.metrics.iter().cloned().zip(estimates.iter().copied()).collect();
            SystemReport {
                name: system.name.clone(),
                kind: system.kind.clone(),
                metrics,
                unanswered,
                run: system.path.clone(),
                ..SystemReport::default()
            }
        })
        .collect();
    let other = [("skipped_requests", first.skipped), ("unjudged_requests", first.unjudged)];
    let examples = if seeded { Vec::new() } else { contest.telling(WINS) };
    let report = Report {
        format: REPORT_FORMAT,
        name: entries.name.clone(),
        seed: rules.significance.seed,
        counts: Counts {
            evaluated: first.evaluated as u64,
            without_relevant: first.without_relevant as u64,
            other: other
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(name, count)| (name.to_owned(), count as u64))
                .collect(),
            ..Counts::default()
        },
        evaluation: EvaluationSummary {
            metrics: contest.metrics.clone(),
            relevant_grade: rules.options.relevant_grade,
            depth: deepest(&runs),
            bootstrap: rules.significance.resamples,
            confidence: rules.significance.confidence,
            correction: Some(rules.significance.correction.label().to_owned()),
            ..EvaluationSummary::default()
        },
        baseline: contest.systems.get(rules.baseline).cloned(),
        systems,
        comparisons: contest.comparisons.clone(),
        pairs: contest.pairs.clone(),
        slices,
        reliability: contest.reliability.clone(),
        examples: examples
            .into_iter()
            .map(|one| example(one, &runs, entries.qrels, rules))
            .collect(),
        warnings,
        machine: machine(),
        fingerprints: entries.fingerprints,
        ..Report::default()
    };
    Ok((report, contest))
}

/// Length of the longest list.
fn deepest(runs: &[Run]) -> u32 {
    let lengths = runs.iter().flat_map(|run| run.rankings().map(|ranking| ranking.len()));
    lengths.max().unwrap_or(0) as u32
}

fn example(one: Telling, runs: &[Run], qrels: &Qrels, rules: &Rules<'_>) -> ExampleReport {
    let judgments = qrels.get(&one.request);
    let grades: HashMap<&str, f64> =
        judgments.into_iter().flat_map(|judgments| judgments.grades()).collect();
    let mut relevant: Vec<(&str, f64)> = grades
        .iter()
        .map(|(item, grade)| (*item, *grade))
        .filter(|(_, grade)| *grade >= rules.options.relevant_grade)
        .collect();
    relevant.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let item = |id: &str, score: Option<f32>| ExampleItem {
        item: id.to_owned(),
        title: String::new(),
        grade: grades.get(id).copied(),
        score: score.map(f64::from),
    };
    let systems = runs.iter().map(|run| {
        let ranking = run.get(&one.request);
        let items = ranking.into_iter().flat_map(|ranking| ranking.items());
        ExampleSystem {
            system: run.name().to_owned(),
            items: items.take(EXAMPLE_ITEMS).map(|(id, score)| item(id, Some(score))).collect(),
        }
    });
    ExampleReport {
        systems: systems.collect(),
        relevant_total: relevant.len() as u64,
        relevant: relevant.iter().take(EXAMPLE_ITEMS).map(|(id, _)| item(id, None)).collect(),
        request: one.request,
        values: one.values,
        chosen: one.why,
        ..ExampleReport::default()
    }
}
