//! Several systems judged together: scored on the same requests, with intervals, compared with the baseline and with each
//! other, over everything and over slices. Puts together what the other modules compute; knows no file.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use crate::error::{Error, Result};
use crate::evaluate::{evaluate_all, evaluate_by};
use crate::labelled::{self, Absent, LabelledMetric, OutsideValues, Predictions};
use crate::metric::{Better, Catalogue, Metric, better_of};
use crate::qrels::Qrels;
use crate::report::model::{Comparison, Estimate, ReliabilityReport, SliceReport, SliceSystem};
use crate::run::Run;
use crate::scores::{Column, Options, SystemScores, Values};
use crate::settings::Missing;
use crate::significance::{
    Assessment, SeedDraws, SeedGroup, SignificanceOptions, WITH_BASELINE, assess_pairs,
    assess_seeds, correct,
};
use crate::slice::Slice;

/// The grade of a positive label.
const LABELLED: f64 = 1.0;
/// The family of comparisons of two systems of which none is the baseline.
const AMONG_OTHERS: &str = "comparisons among the other systems";

/// How a contest is held.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What is measured, in the order of the columns.
    pub metrics: &'a [Metric],
    /// How lists are judged.
    pub options: Options<'a>,
    /// How differences are tested.
    pub significance: SignificanceOptions,
    /// Index of the system that the others are compared with.
    pub baseline: usize,
    /// Labels of single items, positive from grade 1 on, where they are not the judgments.
    pub labels: Option<&'a Qrels>,
    /// The user of every request that has one, for figures per user.
    pub users: Option<&'a HashMap<String, String>>,
}

impl Rules<'_> {
    /// What labelled predictions are judged by.
    fn labels<'a>(&'a self, judgments: &'a Qrels) -> &'a Qrels {
        self.labels.unwrap_or(judgments)
    }

    /// What a run predicts of the labels.
    fn predictions(&self, run: &Run, judgments: &Qrels) -> Result<Predictions> {
        let grade = self.labels.map_or(self.options.relevant_grade, |_| LABELLED);
        let labels = self.labels(judgments);
        match self.users {
            Some(users) => Predictions::of_users(run, labels, grade, users),
            None => Predictions::from_run(run, labels, grade),
        }
    }
}

/// Systems that were trained with several seeds.
#[derive(Debug, Clone, Copy)]
pub struct Seeded<'a> {
    /// `[system]`: names.
    pub names: &'a [String],
    /// `[system]`: how many seeds each has.
    pub n_seeds: &'a [usize],
    /// `[system, seed]`: one run per seed, those of a system together.
    pub runs: &'a [Run],
    /// Whether seed s of all systems belongs together.
    pub draws: SeedDraws,
    /// `[seed]`: the catalogue, where part of it (its vectors) was made under the seed; every
    /// system then has as many seeds. Empty where that of the options holds for all.
    pub catalogues: &'a [&'a Catalogue],
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Contest {
    /// Names of the systems, in the order of the runs.
    pub systems: Vec<String>,
    /// `[system]`: how many seeds each has, most often one.
    pub n_seeds: Vec<usize>,
    /// Names of the metrics, those from outside last.
    pub metrics: Vec<String>,
    /// `[system, seed]`: values of metrics of lists and from outside; empty where none was asked for.
    pub lists: Vec<SystemScores>,
    /// `[system, seed]`: figures of labelled predictions, over all judged requests; empty where none was asked for.
    pub labels: Vec<SystemScores>,
    /// `[system][metric]`: figures with intervals.
    pub estimates: Vec<Vec<Estimate>>,
    /// Every system but the baseline against the baseline: one family for the correction.
    pub comparisons: Vec<Comparison>,
    /// Any two systems other than the baseline: a family of their own.
    pub pairs: Vec<Comparison>,
    /// Bins behind the calibration error, where it was asked for; empty for systems given with seeds.
    pub reliability: Vec<ReliabilityReport>,
    /// What limits the tests, in words.
    pub warnings: Vec<String>,
}

/// Judges runs. `outside` holds values per request that were measured elsewhere, as `(system, values)`; each name must be
/// given for every system.
///
/// # Errors
/// Where nothing can be evaluated, two runs have one name, or values are missing.
pub fn hold(
    runs: &[Run],
    qrels: &Qrels,
    outside: &[(usize, OutsideValues)],
    rules: &Rules<'_>,
) -> Result<Contest> {
    let names: Vec<String> = runs.iter().map(|run| run.name().to_owned()).collect();
    let lists = score_lists(runs, qrels, outside, &[], rules)?;
    let labels = score_labels(runs, qrels, rules)?;
    let mut contest = decide(Field::single(&names, &vec![1; runs.len()]), lists, labels, rules)?;
    contest.warnings.extend(unlike_pairs(runs, qrels, rules)?);
    contest.warnings.extend(users_used(runs, qrels, rules)?);
    contest.reliability = reliability_reports(runs, qrels, rules)?;
    Ok(contest)
}

/// Judges systems that were trained with several seeds: figures are means over seeds, and intervals and tests hold the spread
/// over seeds as well as over requests (a two-level bootstrap). [`Contest::seed_values`] has the values of every seed.
///
/// # Errors
/// As [`hold`].
pub fn hold_seeds(entrants: &Seeded<'_>, qrels: &Qrels, rules: &Rules<'_>) -> Result<Contest> {
    entrants.check()?;
    let lists = score_lists(entrants.runs, qrels, &[], entrants.catalogues, rules)?;
    let labels = score_labels(entrants.runs, qrels, rules)?;
    let field = Field { names: entrants.names, sizes: entrants.n_seeds, draws: entrants.draws };
    let mut contest = decide(field, lists, labels, rules)?;
    contest.warnings.extend(unlike_pairs(entrants.runs, qrels, rules)?);
    contest.warnings.extend(users_used(entrants.runs, qrels, rules)?);
    if entrants.n_seeds.iter().all(|&n_seeds| n_seeds == 1) {
        contest.reliability = reliability_reports(entrants.runs, qrels, rules)?;
    }
    Ok(contest)
}

impl Seeded<'_> {
    /// Refuses catalogues that are not one for each seed.
    fn check(&self) -> Result<()> {
        let Self { names, n_seeds, catalogues, .. } = *self;
        let wants = |n: usize| catalogues.is_empty() || n == catalogues.len();
        match names.iter().zip(n_seeds).find(|&(_, &n)| !wants(n)) {
            None => Ok(()),
            Some((name, n)) => Err(Error::Comparison {
                what: format!(
                    "{name} has {n} seeds, but there are {} catalogues; give one for each seed",
                    catalogues.len()
                ),
            }),
        }
    }
}

/// Who takes part, without their runs.
#[derive(Clone, Copy)]
struct Field<'a> {
    /// `[system]`: names.
    names: &'a [String],
    /// `[system]`: number of seeds.
    sizes: &'a [usize],
    draws: SeedDraws,
}

impl<'a> Field<'a> {
    /// Systems with one run each.
    fn single(names: &'a [String], sizes: &'a [usize]) -> Self {
        Self { names, sizes, draws: SeedDraws::Apart }
    }
}

/// From scores (`[system and seed]`, `sizes[system]` seeds each) to figures and verdicts.
fn decide(
    field: Field<'_>,
    lists: Vec<SystemScores>,
    labels: Vec<SystemScores>,
    rules: &Rules<'_>,
) -> Result<Contest> {
    let Field { names, sizes, .. } = field;
    let refuse = |what: String| Err(Error::Comparison { what });
    if rules.baseline >= names.len() {
        return refuse(format!("baseline {} is none of {} systems", rules.baseline, names.len()));
    }
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return refuse(format!("two systems are called {name}; give one another name"));
        }
    }
    let mut contest = Contest {
        systems: names.to_vec(),
        n_seeds: sizes.to_vec(),
        estimates: vec![Vec::new(); names.len()],
        ..Contest::default()
    };
    let others: Vec<usize> = (0..names.len()).filter(|&one| one != rules.baseline).collect();
    let with_baseline: Vec<_> = others.iter().map(|&other| (other, rules.baseline)).collect();
    let among_others: Vec<_> = others
        .iter()
        .enumerate()
        .flat_map(|(at, &left)| others[at + 1..].iter().map(move |&right| (left, right)))
        .collect();
    let pairs = [with_baseline.clone(), among_others].concat();
    let mut found: Vec<(usize, usize, Comparison)> = Vec::new();
    let mut figures: Vec<BTreeMap<usize, Estimate>> = vec![BTreeMap::new(); names.len()];
    for scores in [&lists, &labels] {
        let Some(first) = scores.first() else { continue };
        let places: Vec<usize> = first
            .columns
            .iter()
            .map(|column| place(rules.metrics, &mut contest.metrics, &column.metric))
            .collect();
        let assessment = assess(field, scores, &pairs, rules)?;
        for (system, estimates) in assessment.estimates.into_iter().enumerate() {
            figures[system].extend(places.iter().copied().zip(estimates));
        }
        for (at, comparison) in assessment.comparisons.into_iter().enumerate() {
            found.push((at / places.len(), places[at % places.len()], comparison));
        }
        for warning in assessment.warnings {
            if !contest.warnings.contains(&warning) {
                contest.warnings.push(warning);
            }
        }
    }
    contest.estimates =
        figures.into_iter().map(|by_place| by_place.into_values().collect()).collect();
    let mut names: Vec<String> = rules.metrics.iter().map(ToString::to_string).collect();
    names.append(&mut contest.metrics);
    contest.metrics = names;
    found.sort_by_key(|&(pair, place, _)| (pair, place));
    for (pair, _, comparison) in found {
        let family =
            if pair < with_baseline.len() { &mut contest.comparisons } else { &mut contest.pairs };
        family.push(comparison);
    }
    for (family, of) in
        [(&mut contest.comparisons, WITH_BASELINE), (&mut contest.pairs, AMONG_OTHERS)]
    {
        contest.warnings.extend(correct(family, of, &rules.significance));
    }
    (contest.lists, contest.labels) = (lists, labels);
    Ok(contest)
}

/// Intervals and comparisons, over requests, and over seeds where a system has several.
fn assess(
    field: Field<'_>,
    scores: &[SystemScores],
    pairs: &[(usize, usize)],
    rules: &Rules<'_>,
) -> Result<Assessment> {
    let Field { names, sizes, draws } = field;
    if sizes.iter().all(|&n_seeds| n_seeds == 1) {
        return assess_pairs(scores, pairs, &rules.significance);
    }
    assess_seeds(&groups(names, sizes, scores), pairs, draws, &rules.significance)
}

/// Scores by system, each with its seeds.
fn groups<'a>(names: &[String], sizes: &[usize], scores: &'a [SystemScores]) -> Vec<SeedGroup<'a>> {
    let mut rest = scores.iter();
    let group = |(name, &n_seeds): (&String, &usize)| SeedGroup {
        name: name.clone(),
        seeds: rest.by_ref().take(n_seeds).collect(),
    };
    names.iter().zip(sizes).map(group).collect()
}

/// Where a column stands: among the metrics asked for, or behind them, where its name is kept.
fn place(metrics: &[Metric], outside: &mut Vec<String>, name: &str) -> usize {
    if let Some(at) = metrics.iter().position(|metric| metric.to_string() == name) {
        return at;
    }
    let at = outside.iter().position(|one| one == name).unwrap_or_else(|| {
        outside.push(name.to_owned());
        outside.len() - 1
    });
    metrics.len() + at
}

fn score_lists(
    runs: &[Run],
    qrels: &Qrels,
    outside: &[(usize, OutsideValues)],
    catalogues: &[&Catalogue],
    rules: &Rules<'_>,
) -> Result<Vec<SystemScores>> {
    let metrics: Vec<Metric> =
        rules.metrics.iter().copied().filter(|metric| metric.labelled().is_none()).collect();
    if metrics.is_empty() && outside.is_empty() {
        return Ok(Vec::new());
    }
    let of_seeds: Vec<Option<&Catalogue>> = catalogues.iter().copied().map(Some).collect();
    let mut scores = match of_seeds.as_slice() {
        [] => evaluate_all(runs, qrels, &metrics, &rules.options)?,
        of_seeds => evaluate_by(runs, qrels, &metrics, &rules.options, of_seeds)?,
    };
    // Sorted by name, so that the columns of all systems stand in one order.
    let mut outside: Vec<&(usize, OutsideValues)> = outside.iter().collect();
    outside.sort_by_key(|(_, values)| values.name());
    for (system, values) in outside {
        let one = &mut scores[*system];
        let (column, _) = values.column(&one.requests, Absent::Refuse)?;
        if one.columns.iter().any(|other| other.metric == column.metric) {
            return Err(Error::Comparison {
                what: format!("{} is given twice for {}", column.metric, one.system),
            });
        }
        one.columns.push(column);
    }
    Ok(scores)
}

fn score_labels(runs: &[Run], qrels: &Qrels, rules: &Rules<'_>) -> Result<Vec<SystemScores>> {
    let metrics: Vec<Metric> =
        rules.metrics.iter().copied().filter(|metric| metric.labelled().is_some()).collect();
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let score = |run: &Run| {
        let predictions = rules.predictions(run, qrels)?;
        labelled::score(run, rules.labels(qrels), &metrics, &predictions)
    };
    runs.iter().map(score).collect()
}

/// The bins of every system, as the first calibration error asked for cuts them.
fn reliability_reports(
    runs: &[Run],
    qrels: &Qrels,
    rules: &Rules<'_>,
) -> Result<Vec<ReliabilityReport>> {
    let asked = rules.metrics.iter().find_map(|metric| match metric.labelled() {
        Some(LabelledMetric::CalibrationError { bins, binning }) => Some((bins, binning)),
        _ => None,
    });
    let Some((n_bins, binning)) = asked else { return Ok(Vec::new()) };
    let report = |run: &Run| {
        let predictions = rules.predictions(run, qrels)?;
        let bins = labelled::reliability(&predictions, n_bins, binning)?;
        Ok(ReliabilityReport { system: run.name().to_owned(), bins })
    };
    runs.iter().map(report).collect()
}

/// How many users figures per user rest on, where some have one class only.
fn users_used(runs: &[Run], qrels: &Qrels, rules: &Rules<'_>) -> Result<Option<String>> {
    let per_user = |metric: &&Metric| matches!(metric.labelled(), Some(LabelledMetric::UserAuc(_)));
    let (Some(metric), Some(run)) = (rules.metrics.iter().find(per_user), runs.first()) else {
        return Ok(None);
    };
    let counts = labelled::user_counts(&rules.predictions(run, qrels)?);
    Ok((counts.one_class > 0).then(|| {
        format!(
            "{metric} is over the {} users that have both labels; {} with one label are left out",
            counts.used, counts.one_class
        )
    }))
}

/// Says so where figures of labelled predictions are over different pairs: a system scores only what it returns.
fn unlike_pairs(runs: &[Run], qrels: &Qrels, rules: &Rules<'_>) -> Result<Option<String>> {
    let is_labelled = |metric: &&Metric| metric.labelled().is_some();
    let Some(metric) = rules.metrics.iter().find(is_labelled) else { return Ok(None) };
    let all = runs.iter().map(|run| rules.predictions(run, qrels));
    let all: Vec<Predictions> = all.collect::<Result<_>>()?;
    if all.iter().all(|one| all[0].check_same_pairs(one).is_ok()) {
        return Ok(None);
    }
    let counts: Vec<String> = all
        .iter()
        .map(|one| {
            let counts = one.counts();
            format!("{} {} of {}", one.name(), counts.scored, counts.scored + counts.unscored)
        })
        .collect();
    Ok(Some(format!(
        "{metric} and its like are over the judged pairs that a system scores, which differ: {}; compare them only between systems that score the same pairs",
        counts.join(", ")
    )))
}

/// Whether any request enters the figures: it has a relevant item, and is answered by all where others are skipped.
fn has_requests(runs: &[Run], qrels: &Qrels, rules: &Rules<'_>) -> bool {
    let answered = |run: &Run, request: &str| run.get(request).is_some_and(|one| !one.is_empty());
    qrels.judgments().any(|one| {
        one.grades().any(|(_, grade)| grade >= rules.options.relevant_grade)
            && (rules.options.missing != Missing::Skip
                || runs.iter().all(|run| answered(run, one.request())))
    })
}

/// Figures of all systems over each slice: [`slice_reports_of_seeds`] with one run per system.
///
/// # Errors
/// Where a metric cannot be computed.
pub fn slice_reports(
    runs: &[Run],
    qrels: &Qrels,
    slices: &[Slice],
    rules: &Rules<'_>,
) -> Result<Vec<SliceReport>> {
    let names: Vec<String> = runs.iter().map(|run| run.name().to_owned()).collect();
    let n_seeds = vec![1; runs.len()];
    let draws = SeedDraws::Apart;
    let entrants = Seeded { names: &names, n_seeds: &n_seeds, runs, draws, catalogues: &[] };
    slice_reports_of_seeds(&entrants, qrels, slices, rules)
}

/// Figures of all systems over each slice, means over their seeds. A slice of which no request enters the figures is left out; figures that are
/// undefined over a slice are left out of it.
///
/// # Errors
/// Where a metric cannot be computed.
pub fn slice_reports_of_seeds(
    entrants: &Seeded<'_>,
    qrels: &Qrels,
    slices: &[Slice],
    rules: &Rules<'_>,
) -> Result<Vec<SliceReport>> {
    entrants.check()?;
    let &Seeded { names, n_seeds, runs, draws, catalogues } = entrants;
    let field = Field { names, sizes: n_seeds, draws };
    let mut reports = Vec::new();
    for slice in slices {
        let part = slice.cut(qrels)?;
        let labels = rules.labels.map(|labels| slice.cut(labels)).transpose()?;
        let rules = Rules { labels: labels.as_ref(), ..*rules };
        if !has_requests(runs, &part, &rules) {
            continue;
        }
        // Labelled figures may be undefined over a part: each is tried by itself.
        let is_defined = |metric: &Metric| {
            metric.labelled().is_none()
                || score_labels(runs, &part, &Rules { metrics: &[*metric], ..rules }).is_ok()
        };
        let defined: Vec<Metric> = rules.metrics.iter().copied().filter(is_defined).collect();
        let rules = Rules { metrics: &defined, ..rules };
        let lists = score_lists(runs, &part, &[], catalogues, &rules)?;
        let scores = [lists, score_labels(runs, &part, &rules)?];
        let mut systems: Vec<SliceSystem> = names
            .iter()
            .map(|name| SliceSystem { name: name.clone(), ..SliceSystem::default() })
            .collect();
        let mut n_requests = 0;
        for scores in scores.iter().filter(|scores| !scores.is_empty()) {
            n_requests = n_requests.max(scores[0].requests.len());
            let assessment = assess(field, scores, &[], &rules)?;
            for (system, estimates) in systems.iter_mut().zip(assessment.estimates) {
                // Every run has the same columns.
                let metrics = scores[0].columns.iter().map(|column| column.metric.clone());
                system.metrics.extend(metrics.zip(estimates));
            }
        }
        reports.push(SliceReport {
            by: slice.by.clone(),
            value: slice.value.clone(),
            meaning: slice.meaning.clone(),
            requests: n_requests as u64,
            systems,
        });
    }
    Ok(reports)
}

/// A request worth looking at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Telling {
    /// Id of the request.
    pub request: String,
    /// Why it was chosen, in words.
    pub why: String,
    /// The first metric's value by name of system.
    pub values: BTreeMap<String, f64>,
}

impl Contest {
    /// `[system]`: by metric, the figure of every seed, in the order of the runs; estimates are their means.
    pub fn seed_values(&self) -> Vec<BTreeMap<String, Vec<f64>>> {
        let mut found = vec![BTreeMap::new(); self.systems.len()];
        for scores in [&self.lists, &self.labels].into_iter().filter(|scores| !scores.is_empty()) {
            let mut seeds = scores.iter();
            for (by_metric, &n_seeds) in found.iter_mut().zip(&self.n_seeds) {
                for column in seeds.by_ref().take(n_seeds).flat_map(|one| &one.columns) {
                    let values: &mut Vec<f64> = by_metric.entry(column.metric.clone()).or_default();
                    values.push(column.value);
                }
            }
        }
        found
    }

    /// Metrics of which less is better and that the table does not know: values from outside.
    pub fn lower_is_better(&self) -> Vec<String> {
        let columns = self.lists.first().map_or(&[][..], |one| &one.columns);
        let is_own = |column: &&Column| {
            column.better == Better::Lower && better_of(&column.metric) != Some(Better::Lower)
        };
        columns.iter().filter(is_own).map(|column| column.metric.clone()).collect()
    }

    /// Requests on which systems differ most by the first metric, by means over seeds: for any two systems, the `most` largest
    /// wins of either over the other. Ties go to the request that comes first; no request is listed twice. Empty where the
    /// first metric is no value per request.
    pub fn telling(&self, most: usize) -> Vec<Telling> {
        let columns = self.values_per_request();
        let n_seeds = self.n_seeds.iter().max().copied().unwrap_or(1);
        let of_seeds =
            if n_seeds > 1 { format!(", by means over {n_seeds} seeds") } else { String::new() };
        let mut chosen: Vec<Telling> = Vec::new();
        for (at, (winner, left)) in columns.iter().enumerate() {
            for (other_at, (loser, right)) in columns.iter().enumerate() {
                if at == other_at {
                    continue;
                }
                let mut wins: Vec<(usize, f64)> = left
                    .iter()
                    .zip(right.iter())
                    .map(|(left, right)| left - right)
                    .enumerate()
                    .filter(|&(_, gain)| gain > 0.0)
                    .collect();
                wins.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                for (request, _) in wins.into_iter().take(most) {
                    let why = format!("among the largest wins of {winner} over {loser}{of_seeds}");
                    chosen.push(self.tell(request, why));
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        chosen.retain(|one| seen.insert(one.request.clone()));
        chosen
    }

    /// The first metric's values by system, means over its seeds; systems of which it is no value per request are left out.
    fn values_per_request(&self) -> Vec<(&str, Cow<'_, [f64]>)> {
        let mut found: Vec<(&str, Cow<'_, [f64]>)> = Vec::new();
        for (name, seeds) in self.by_system() {
            let values: Option<Vec<&[f64]>> = seeds.iter().map(first_values).collect();
            match values.as_deref() {
                Some(&[one]) => found.push((name, Cow::Borrowed(one))),
                Some([first, others @ ..]) => {
                    let mut sums = first.to_vec();
                    for other in others {
                        sums.iter_mut().zip(*other).for_each(|(sum, value)| *sum += value);
                    }
                    sums.iter_mut().for_each(|sum| *sum /= seeds.len() as f64);
                    found.push((name, Cow::Owned(sums)));
                }
                _ => {}
            }
        }
        found
    }

    /// Scores of lists by system, each with its seeds.
    fn by_system(&self) -> impl Iterator<Item = (&str, &[SystemScores])> {
        let mut rest = self.lists.as_slice();
        self.systems.iter().zip(&self.n_seeds).map(move |(name, &n_seeds)| {
            let (seeds, others) = rest.split_at(n_seeds.min(rest.len()));
            rest = others;
            (name.as_str(), seeds)
        })
    }

    /// What the systems' values are on one evaluated request, by its number; means over their seeds.
    pub fn tell(&self, request: usize, why: String) -> Telling {
        let value = |(name, seeds): (&str, &[SystemScores])| {
            let values: Option<Vec<f64>> =
                seeds.iter().map(|one| first_values(one)?.get(request).copied()).collect();
            let values = values.filter(|values| !values.is_empty())?;
            Some((name.to_owned(), values.iter().sum::<f64>() / values.len() as f64))
        };
        let names = self.lists.first().map_or(&[][..], |one| one.requests.as_slice());
        Telling {
            request: names.get(request).cloned().unwrap_or_default(),
            why,
            values: self.by_system().filter_map(value).collect(),
        }
    }
}

/// The first metric's value for every request.
fn first_values(scores: &SystemScores) -> Option<&[f64]> {
    match &scores.columns.first()?.values {
        Values::PerRequest(values) => Some(values),
        Values::Pooled(_) => None,
    }
}

#[cfg(test)]
#[path = "contest_tests.rs"]
mod tests;
