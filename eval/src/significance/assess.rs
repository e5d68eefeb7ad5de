//! From the scores of systems to intervals and verdicts. All comparisons asked for together are one family for the
//! correction. Knows no file and no report beyond the rows it fills.

use rayon::prelude::*;

use super::bootstrap::{Resamples, bootstrap_p_value, interval, resample, resample_seeds};
use super::contenders::{SeedDraws, SeedGroup, check, check_draws};
use super::margin::non_inferiority;
use super::options::{Correction, SignificanceOptions, Test};
use super::paired::{cohens_d, count_wins, t_p_value, wilcoxon_p_value};
use super::randomization::randomization_p_values;
use crate::error::{Error, Result};
use crate::metric::Better;
use crate::report::model::{Comparison, Estimate, Verdict};
use crate::scores::{Column, SystemScores, Values};

/// Most memory for resampled figures held at a time, in bytes; beyond, the metrics are worked through in groups.
const FIGURE_BYTES: usize = 256 << 20;

/// The family of comparisons that every report has.
pub const WITH_BASELINE: &str = "comparisons with the baseline";
/// Name of the test of systems with several seeds.
const TWO_LEVEL: &str = "two-level bootstrap";
/// Forgives the rounding of `1 − confidence`.
const SLACK: f64 = 1e-12;

/// Intervals of all systems and the comparisons asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// `[system][metric]`: figures with percentile intervals.
    pub estimates: Vec<Vec<Estimate>>,
    /// One per pair and metric, pairs in the order given, metrics within.
    pub comparisons: Vec<Comparison>,
    /// What limits the tests, in words.
    pub warnings: Vec<String>,
}

/// Compares every system with the baseline. All must be scored on the same requests and metrics. `baseline` is an index into
/// `scores`.
pub fn assess(
    scores: &[SystemScores],
    baseline: usize,
    options: &SignificanceOptions,
) -> Result<Assessment> {
    if baseline >= scores.len() {
        return Err(Error::Comparison {
            what: format!("baseline {baseline} is none of {} systems", scores.len()),
        });
    }
    let others = (0..scores.len()).filter(|&system| system != baseline);
    let pairs: Vec<(usize, usize)> = others.map(|system| (system, baseline)).collect();
    let mut assessment = assess_pairs(scores, &pairs, options)?;
    assessment.warnings.extend(correct(&mut assessment.comparisons, WITH_BASELINE, options));
    Ok(assessment)
}

/// Compares any pairs of systems: `(system, other)`, indices into `scores`, which must be of the same requests and metrics.
pub fn assess_pairs(
    scores: &[SystemScores],
    pairs: &[(usize, usize)],
    options: &SignificanceOptions,
) -> Result<Assessment> {
    let groups: Vec<SeedGroup<'_>> = scores.iter().map(SeedGroup::single).collect();
    assess_groups(&groups, pairs, SeedDraws::Apart, options)
}

/// Compares systems that were trained with several seeds: figures are means over seeds, and intervals hold the spread over
/// seeds as well as over requests, both of which are drawn anew (a two-level bootstrap). In every resample all systems see
/// the same requests; `draws` says whether they see the same seeds. A system with one seed is said to
/// hold no such spread, unless it stands beside each seed of the others, drawn together. `pairs` are
/// indices into `groups`.
pub fn assess_seeds(
    groups: &[SeedGroup<'_>],
    pairs: &[(usize, usize)],
    draws: SeedDraws,
    options: &SignificanceOptions,
) -> Result<Assessment> {
    let mut assessment = assess_groups(groups, pairs, draws, options)?;
    let of = |wanted: &dyn Fn(usize) -> bool| -> Vec<&str> {
        let wanted = groups.iter().filter(|group| wanted(group.seeds.len()));
        wanted.map(|group| group.name.as_str()).collect()
    };
    let single = of(&|n_seeds| n_seeds == 1);
    if !single.is_empty() && draws == SeedDraws::Apart {
        assessment.warnings.push(format!(
            "one seed only: the intervals of {} hold the spread over requests, not that over trainings",
            single.join(", ")
        ));
    }
    let few = of(&|n_seeds| (2..5).contains(&n_seeds));
    if !few.is_empty() {
        assessment.warnings.push(format!(
            "fewer than five seeds: the intervals of {} tell the spread over trainings roughly, and are rather too narrow",
            few.join(", ")
        ));
    }
    Ok(assessment)
}

fn assess_groups(
    groups: &[SeedGroup<'_>],
    pairs: &[(usize, usize)],
    draws: SeedDraws,
    options: &SignificanceOptions,
) -> Result<Assessment> {
    options.check()?;
    check(groups)?;
    check_draws(groups, draws)?;
    if let Some(&(system, other)) =
        pairs.iter().find(|pair| pair.0.max(pair.1) >= groups.len() || pair.0 == pair.1)
    {
        return Err(Error::Comparison {
            what: format!(
                "the pair ({system}, {other}) does not name two of {} systems",
                groups.len()
            ),
        });
    }
    let first = groups[0].seeds[0];
    let n_metrics = first.columns.len();
    let n_members: usize = groups.iter().map(|group| group.seeds.len()).sum();
    // Figures of the members, and of the systems made of them.
    let bytes = (n_members + groups.len()) * options.resamples as usize * size_of::<f64>();
    let group_size = (FIGURE_BYTES / bytes.max(1)).clamp(1, n_metrics.max(1));

    let mut estimates = vec![Vec::with_capacity(n_metrics); groups.len()];
    let mut by_metric: Vec<Vec<Comparison>> = Vec::with_capacity(n_metrics);
    let mut warnings = Vec::new();
    let metrics: Vec<usize> = (0..n_metrics).collect();
    for metrics in metrics.chunks(group_size) {
        let drawn = draw(groups, metrics, draws, options);
        for &metric in metrics {
            let series = &drawn[metric - metrics[0]];
            for ((group, series), row) in groups.iter().zip(series).zip(&mut estimates) {
                let n_undefined = series.iter().filter(|one| one.is_nan()).count();
                if n_undefined > 0 {
                    warnings.push(format!(
                        "{} of {} is undefined in {n_undefined} of {} resamples, which are left out of its interval",
                        first.columns[metric].metric, group.name, options.resamples
                    ));
                }
                let value = group.value(metric);
                let (low, high) = interval(series, options.confidence).unwrap_or((value, value));
                row.push(Estimate { value, low, high });
            }
        }
        by_metric.par_extend(metrics.par_iter().map(|&metric| {
            let series = &drawn[metric - metrics[0]];
            let one = |&(system, other): &(usize, usize)| {
                compare(groups, metric, (system, other), (&series[system], &series[other]), options)
            };
            pairs.iter().map(one).collect()
        }));
        if options.test == Test::Randomization {
            randomize(groups, metrics, pairs, &mut by_metric, options);
        }
    }
    let mut comparisons: Vec<Comparison> = (0..pairs.len())
        .flat_map(|pair| by_metric.iter().map(move |of_metric| of_metric[pair].clone()))
        .collect();
    // Who makes several families of them corrects each anew, and says what it cannot show.
    correct(&mut comparisons, WITH_BASELINE, options);
    let n_requests = first.requests.len();
    warnings.extend(few_requests(n_requests));
    Ok(Assessment { estimates, comparisons, warnings })
}

/// A warning where there are too few requests for the bootstrap.
pub fn few_requests(n_requests: usize) -> Option<String> {
    let were = if n_requests == 1 { "request was" } else { "requests were" };
    (n_requests < 30).then(|| {
        format!(
            "only {n_requests} {were} evaluated; bootstrap intervals over so few are too narrow"
        )
    })
}

/// `[metric][system][resample]` figures of some metrics.
fn draw(
    groups: &[SeedGroup<'_>],
    metrics: &[usize],
    draws: SeedDraws,
    options: &SignificanceOptions,
) -> Vec<Vec<Vec<f64>>> {
    let columns: Vec<&Values> = metrics
        .iter()
        .flat_map(|&metric| {
            let members = groups.iter().flat_map(|group| &group.seeds);
            members.map(move |member| &member.columns[metric].values)
        })
        .collect();
    let n_requests = groups[0].seeds[0].requests.len();
    let drawn: Resamples = resample(&columns, n_requests, options.resamples, options.seed);
    let mut next = 0..columns.len();
    metrics
        .iter()
        .map(|_| {
            let of_group = |(index, group): (usize, &SeedGroup<'_>)| {
                let members: Vec<&[f64]> = next
                    .by_ref()
                    .take(group.seeds.len())
                    .map(|column| drawn.figures(column))
                    .collect();
                let stream = match draws {
                    SeedDraws::Apart => index,
                    SeedDraws::Together => 0,
                };
                resample_seeds(&members, stream, options.seed)
            };
            groups.iter().enumerate().map(of_group).collect()
        })
        .collect()
}

/// One pair on one metric, but for the verdict. `series` are the resampled figures of both.
fn compare(
    groups: &[SeedGroup<'_>],
    metric: usize,
    pair: (usize, usize),
    series: (&[f64], &[f64]),
    options: &SignificanceOptions,
) -> Comparison {
    let (system, other) = (&groups[pair.0], &groups[pair.1]);
    let Column { metric: name, better, .. } = &system.seeds[0].columns[metric];
    let drawn: Vec<f64> = series.0.iter().zip(series.1).map(|(left, right)| left - right).collect();
    let difference = system.value(metric) - other.value(metric);
    let (low, high) = interval(&drawn, options.confidence).unwrap_or((difference, difference));
    let sign = better.sign();
    let paired = paired_differences(system, other, metric);
    let (test, p_value) = match (&paired, options.test) {
        _ if !single(system, other) => (TWO_LEVEL, bootstrap_p_value(&drawn)),
        (Some(paired), Test::T) => (Test::T.label(), t_p_value(paired)),
        (Some(paired), Test::Wilcoxon) => (Test::Wilcoxon.label(), wilcoxon_p_value(paired)),
        _ => (Test::Bootstrap.label(), bootstrap_p_value(&drawn)),
    };
    let wins = paired.as_deref().map(count_wins).unwrap_or_default();
    let (wins, losses, ties) = match better {
        Better::Higher => (wins.wins, wins.losses, wins.ties),
        Better::Lower => (wins.losses, wins.wins, wins.ties),
    };
    Comparison {
        system: system.name.clone(),
        metric: name.clone(),
        lower_is_better: *better == Better::Lower,
        baseline: other.name.clone(),
        difference,
        low,
        high,
        p_value,
        test: test.to_owned(),
        effect_size: paired.as_deref().and_then(cohens_d),
        wins,
        ties,
        losses,
        margin: options.margin,
        non_inferior: options.margin.and_then(|margin| {
            let gains: Vec<f64> = drawn.iter().map(|one| sign * one).collect();
            non_inferiority(&gains, margin, options.confidence).shown()
        }),
        ..Comparison::default()
    }
}

/// Whether neither system was given with several seeds.
fn single(system: &SeedGroup<'_>, other: &SeedGroup<'_>) -> bool {
    system.seeds.len() == 1 && other.seeds.len() == 1
}

/// `[request]` differences between two systems; none for a pooled figure.
fn paired_differences(
    system: &SeedGroup<'_>,
    other: &SeedGroup<'_>,
    metric: usize,
) -> Option<Vec<f64>> {
    let (left, right) = (system.per_request(metric)?, other.per_request(metric)?);
    Some(left.iter().zip(right.iter()).map(|(left, right)| left - right).collect())
}

/// Replaces the p values of single-seed means by those of the randomization test, all under the same drawn signs.
fn randomize(
    groups: &[SeedGroup<'_>],
    metrics: &[usize],
    pairs: &[(usize, usize)],
    by_metric: &mut [Vec<Comparison>],
    options: &SignificanceOptions,
) {
    let mut places = Vec::new();
    let mut columns = Vec::new();
    for &metric in metrics {
        for (pair, &(system, other)) in pairs.iter().enumerate() {
            let (system, other) = (&groups[system], &groups[other]);
            if single(system, other)
                && let Some(differences) = paired_differences(system, other, metric)
            {
                places.push((metric, pair));
                columns.push(differences);
            }
        }
    }
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let p_values = randomization_p_values(&columns, options.resamples, options.seed);
    for ((metric, pair), p_value) in places.into_iter().zip(p_values) {
        let one = &mut by_metric[metric][pair];
        one.p_value = p_value;
        one.test = Test::Randomization.label().to_owned();
    }
}

/// Corrects the p values of comparisons that are made together and gives each its verdict. Says of which of them no
/// difference could have become significant with so few resamples: marks and this warning come from one rule, so that
/// they cannot contradict each other. `of` names the family.
pub fn correct(
    comparisons: &mut [Comparison],
    of: &str,
    options: &SignificanceOptions,
) -> Option<String> {
    let p_values: Vec<f64> = comparisons.iter().map(|one| one.p_value).collect();
    let is_significant = |adjusted: f64| adjusted <= 1.0 - options.confidence + SLACK;
    for (one, adjusted) in comparisons.iter_mut().zip(options.correction.adjust(&p_values)) {
        one.p_adjusted = adjusted;
        one.significant = is_significant(adjusted) && one.difference != 0.0;
        one.verdict = match one.significant {
            true if (one.difference > 0.0) != one.lower_is_better => Verdict::Better,
            true => Verdict::Worse,
            false => Verdict::Inconclusive,
        };
    }
    // Corrections rise with every p value, so that no difference ends below what the least values give.
    let least: Vec<f64> = comparisons.iter().map(|one| least_p_value(one, options)).collect();
    let reached = options.correction.adjust(&least);
    let open: Vec<&Comparison> = comparisons
        .iter()
        .zip(reached)
        .filter(|(_, least)| !is_significant(*least))
        .map(|(one, _)| one)
        .collect();
    (!open.is_empty()).then(|| shortage(&open, comparisons.len(), of, options))
}

/// The least p value that a comparison's test can give.
fn least_p_value(one: &Comparison, options: &SignificanceOptions) -> f64 {
    fewest_draws(one) / (f64::from(options.resamples) + 1.0)
}

/// Fewest draws that a test counts against a difference; 0 where nothing is drawn.
fn fewest_draws(one: &Comparison) -> f64 {
    match one.test.as_str() {
        test if test == Test::T.label() || test == Test::Wilcoxon.label() => 0.0,
        test if test == Test::Randomization.label() => 1.0,
        _ => 2.0,
    }
}

/// What the number of resamples does not allow to be shown.
fn shortage(
    open: &[&Comparison],
    n_comparisons: usize,
    of: &str,
    options: &SignificanceOptions,
) -> String {
    let level = 1.0 - options.confidence;
    let factor = match options.correction {
        Correction::Holm => n_comparisons as f64,
        Correction::BenjaminiHochberg | Correction::None => 1.0,
    };
    let draws = open.iter().map(|one| fewest_draws(one)).fold(0.0, f64::max);
    let needed = (draws * factor / level - SLACK).ceil();
    let mut metrics: Vec<&str> = open.iter().map(|one| one.metric.as_str()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let on = match open.len() == n_comparisons {
        true => String::new(),
        false => format!(" on {}", metrics.join(", ")),
    };
    format!(
        "with {} resamples and {n_comparisons} {of} no difference{on} can be significant after correction; set `bootstrap` to at least {needed}",
        options.resamples
    )
}

#[cfg(test)]
#[path = "assess_tests.rs"]
mod tests;
