//! A report of runs that were made anywhere: run files handed in, or the systems of finished runs.

use std::collections::BTreeMap;

use trieval_eval::contest::{Contest, Rules, Seeded, hold, hold_seeds, slice_reports_of_seeds};
use trieval_eval::labelled::OutsideValues;
use trieval_eval::remarks::request_remarks;
use trieval_eval::report::Report;
use trieval_eval::report::model::{
    Counts, EvaluationSummary, Fingerprint, REPORT_FORMAT, SystemReport,
};
use trieval_eval::significance::SeedDraws;
use trieval_eval::slice::Slice;
use trieval_eval::{Qrels, Run};

use super::examples::{About, Judging, example};
use super::machine::machine;
use crate::error::{Error, Result};

/// Largest wins shown per two systems, in each direction.
const WINS: usize = 3;
/// Items shown per system and example.
const EXAMPLE_ITEMS: usize = 10;

/// What is to be known of a report over several seeds.
pub const SEEDS_NOTE: &str = "figures, those over slices and those of single requests are means \
    over the seeds; the lists and scores shown with a request, and the runs that figures lead to, \
    are those of the first seed";

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
    /// What items and requests are called, where that is known.
    pub about: Option<About<'a>>,
    /// What the figures rest on.
    pub fingerprints: Vec<Fingerprint>,
    /// What was said when the runs were made and still holds.
    pub warnings: Vec<String>,
    /// What is to be known of them besides.
    pub notes: Vec<String>,
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
    /// The seeds of the runs, where they are known.
    pub seeds: Vec<u64>,
}

/// Judges everything together. Returns the contest too, for its values per request.
///
/// # Errors
/// [`Error::Data`] for what cannot be judged or compared.
pub fn judge(mut entries: Entries<'_>, rules: &Rules<'_>) -> Result<(Report, Contest)> {
    let unusable = |e: trieval_eval::Error| Error::Usage(e.to_string());
    let seeded = entries.systems.iter().any(|system| system.runs.len() > 1);
    let n_seeds: Vec<usize> = entries.systems.iter().map(|system| system.runs.len()).collect();
    let names: Vec<String> = entries.systems.iter().map(|system| system.name.clone()).collect();
    // The runs move: they may be large.
    let runs: Vec<Run> = entries
        .systems
        .iter_mut()
        .flat_map(|system| {
            let name = &system.name;
            let runs = std::mem::take(&mut system.runs);
            runs.into_iter().map(|run| run.renamed(name.clone())).collect::<Vec<_>>()
        })
        .collect();
    let remarks = request_remarks(&runs, entries.qrels, rules.metrics, &rules.options);
    let remarks = remarks.map_err(unusable)?;
    let entrants = Seeded {
        names: &names,
        n_seeds: &n_seeds,
        runs: &runs,
        draws: SeedDraws::Apart,
        catalogues: &[],
    };
    let contest = if seeded {
        hold_seeds(&entrants, entries.qrels, rules)
    } else {
        hold(&runs, entries.qrels, &entries.outside, rules)
    };
    let contest = contest.map_err(unusable)?;
    let slices = slice_reports_of_seeds(&entrants, entries.qrels, &entries.slices, rules);
    let slices = slices.map_err(unusable)?;
    // Lists cannot be averaged: those of the first seed are shown.
    let first_runs: Vec<&Run> = n_seeds
        .iter()
        .scan(0, |start, &n| {
            let first = runs.get(*start);
            *start += n;
            Some(first)
        })
        .flatten()
        .collect();
    let judging = Judging {
        qrels: entries.qrels,
        relevant_grade: rules.options.relevant_grade,
        n_items: EXAMPLE_ITEMS,
        about: entries.about.as_ref(),
        evidence: std::collections::HashMap::new(),
    };
    let counts: Vec<_> =
        contest.lists.iter().chain(&contest.labels).map(|scores| scores.counts).collect();
    let first = counts.first().copied().unwrap_or_default();
    let mut place = 0;
    let mut seed_values = if seeded { contest.seed_values() } else { Vec::new() }.into_iter();
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
                seed_values: seed_values.next().unwrap_or_default(),
                seeds: if *n_seeds > 1 { system.seeds.clone() } else { Vec::new() },
                ..SystemReport::default()
            }
        })
        .collect();
    let other = [("skipped_requests", first.skipped), ("unjudged_requests", first.unjudged)];
    let examples = contest.telling(WINS);
    let mut notes = if seeded { vec![SEEDS_NOTE.to_owned()] } else { Vec::new() };
    notes.append(&mut entries.notes);
    let mut warnings = entries.warnings;
    warnings.extend(remarks);
    warnings.extend(contest.warnings.iter().cloned());
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
            lower_is_better: contest.lower_is_better(),
            ..EvaluationSummary::default()
        },
        baseline: contest.systems.get(rules.baseline).cloned(),
        systems,
        comparisons: contest.comparisons.clone(),
        pairs: contest.pairs.clone(),
        slices,
        reliability: contest.reliability.clone(),
        examples: examples.into_iter().map(|one| example(one, &first_runs, &judging)).collect(),
        warnings,
        notes,
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
