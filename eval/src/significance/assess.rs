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
use crate::evaluate::{Column, SystemScores, Values};
use crate::metric::Better;
use crate::report::model::{Comparison, Estimate, Verdict};

/// Most memory for resampled figures held at a time, in bytes; beyond, the metrics are worked through in groups.
const FIGURE_BYTES: usize = 256 << 20;

/// Name of the test of systems with several seeds.
const TWO_LEVEL: &str = "two-level bootstrap";

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
    assess_pairs(scores, &pairs, options)
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
/// the same requests; `draws` says whether they see the same seeds. A system with one seed is said to hold no such spread.
/// `pairs` are indices into `groups`.
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
    if !single.is_empty() {
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
    correct(&mut comparisons, options);
    warnings.extend(limits(&comparisons, first.requests.len(), options));
    Ok(Assessment { estimates, comparisons, warnings })
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

/// Corrects the p values of a family of comparisons, and draws the verdicts. The family may be put together from several
/// assessments.
pub fn correct(comparisons: &mut [Comparison], options: &SignificanceOptions) {
    let p_values: Vec<f64> = comparisons.iter().map(|one| one.p_value).collect();
    let level = 1.0 - options.confidence;
    for (one, adjusted) in comparisons.iter_mut().zip(options.correction.adjust(&p_values)) {
        one.p_adjusted = adjusted;
        // The slack forgives the rounding of `1 − confidence`.
        one.significant = adjusted <= level + 1e-12 && one.difference != 0.0;
        one.verdict = match one.significant {
            true if (one.difference > 0.0) != one.lower_is_better => Verdict::Better,
            true => Verdict::Worse,
            false => Verdict::Inconclusive,
        };
    }
}

/// What the number of resamples, comparisons and requests does not allow to be shown.
fn limits(
    comparisons: &[Comparison],
    n_requests: usize,
    options: &SignificanceOptions,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let n_comparisons = comparisons.len();
    let level = 1.0 - options.confidence;
    // Fewest counts that a test by draws can find, times what the correction makes of them.
    let counts = comparisons.iter().map(|one| match one.test.as_str() {
        test if test == Test::T.label() || test == Test::Wilcoxon.label() => 0.0,
        test if test == Test::Randomization.label() => 1.0,
        _ => 2.0,
    });
    let counts = counts.fold(0.0, f64::max);
    let factor = match options.correction {
        Correction::Holm => n_comparisons as f64,
        Correction::BenjaminiHochberg | Correction::None => 1.0,
    };
    if counts * factor / (f64::from(options.resamples) + 1.0) > level {
        let needed = (counts * factor / level).ceil();
        warnings.push(format!(
            "with {} resamples and {n_comparisons} comparisons no difference can be significant after correction; set `bootstrap` to at least {needed}",
            options.resamples
        ));
    }
    if n_requests < 30 {
        warnings.push(format!(
            "only {n_requests} requests were evaluated; bootstrap intervals over so few are too narrow"
        ));
    }
    warnings
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::metric::{Pooled, better_of};

    fn scores(system: &str, metric: &str, value: impl Fn(usize) -> f64) -> SystemScores {
        let values: Vec<f64> = (0..200).map(value).collect();
        let column = Column {
            metric: metric.to_owned(),
            better: better_of(metric).unwrap(),
            value: values.iter().sum::<f64>() / 200.0,
            values: Values::PerRequest(values),
        };
        SystemScores {
            system: system.to_owned(),
            requests: (0..200).map(|i| format!("{i:03}")).collect(),
            columns: vec![column],
            counts: Default::default(),
        }
    }

    /// The mean of values as a pooled figure.
    struct PooledMean(Vec<f64>);

    impl Pooled for PooledMean {
        fn value(&self, times: &[u32]) -> Option<f64> {
            let sum: f64 = self.0.iter().zip(times).map(|(value, &n)| value * f64::from(n)).sum();
            Some(sum / f64::from(times.iter().sum::<u32>()))
        }
    }

    fn base(i: usize) -> f64 {
        (i * 37 % 101) as f64 / 101.0
    }

    fn systems(metric: &str) -> [SystemScores; 5] {
        [
            scores("worse", metric, |i| base(i) * 0.8),
            scores("base", metric, base),
            scores("better", metric, |i| base(i).sqrt()),
            scores("same", metric, base),
            scores("noise", metric, |i| if i % 2 == 0 { base(i) } else { 1.0 - base(i) }),
        ]
    }

    fn options(resamples: u32) -> SignificanceOptions {
        SignificanceOptions { resamples, seed: 1, ..SignificanceOptions::default() }
    }

    fn verdicts(assessment: &Assessment) -> Vec<(&str, Verdict)> {
        assessment.comparisons.iter().map(|one| (one.system.as_str(), one.verdict)).collect()
    }

    #[test]
    fn verdicts_follow_the_corrected_test() {
        let systems = systems("mrr");
        for test in [Test::Bootstrap, Test::Randomization, Test::T, Test::Wilcoxon] {
            for correction in [Correction::Holm, Correction::BenjaminiHochberg, Correction::None] {
                let options = SignificanceOptions { test, correction, ..options(1_000) };
                let assessment = assess(&systems, 1, &options).unwrap();
                assert_eq!(
                    verdicts(&assessment),
                    [
                        ("worse", Verdict::Worse),
                        ("better", Verdict::Better),
                        ("same", Verdict::Inconclusive),
                        ("noise", Verdict::Inconclusive),
                    ],
                );
                assert!(assessment.warnings.is_empty());
                for (one, row) in systems.iter().zip(&assessment.estimates) {
                    let value = one.columns[0].value;
                    assert!(row[0].low <= value && value <= row[0].high);
                }
                for one in &assessment.comparisons {
                    assert!(one.p_value <= one.p_adjusted && one.low <= one.difference + 1e-12);
                    assert_eq!(one.test, test.label());
                    assert_eq!(one.wins + one.ties + one.losses, 200);
                    assert_eq!(one.baseline, "base");
                }
                let better = &assessment.comparisons[1];
                assert!(better.effect_size.unwrap() > 0.5 && better.wins > 190);
                assert_eq!(assessment.comparisons[2].ties, 200);
            }
        }
    }

    #[test]
    fn lower_is_better_on_errors() {
        let options = SignificanceOptions { margin: Some(0.02), ..options(1_000) };
        let assessment = assess(&systems("rmse"), 1, &options).unwrap();
        assert_eq!(verdicts(&assessment)[0], ("worse", Verdict::Better));
        assert_eq!(verdicts(&assessment)[1], ("better", Verdict::Worse));
        assert!(assessment.comparisons[0].difference < 0.0);
        assert!(assessment.comparisons[0].wins > 190 && assessment.comparisons[1].losses > 190);
        let shown: Vec<_> = assessment.comparisons.iter().map(|one| one.non_inferior).collect();
        assert_eq!(shown, [Some(true), Some(false), Some(true), None]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Turning all values and the direction changes nothing but signs; turning one of the two turns the verdicts.
        #[test]
        fn verdicts_turn_with_the_sign_or_the_direction(
            shift in -0.2_f64..0.2,
            test in prop::sample::select(vec![Test::Bootstrap, Test::Randomization, Test::T, Test::Wilcoxon]),
            seed in any::<u64>(),
            margin in prop::option::of(0.01_f64..0.2),
        ) {
            let held = |sign: f64, better: Better| {
                let mut pair = [
                    scores("base", "mrr", |i| sign * base(i)),
                    scores("other", "mrr", |i| sign * (base(i * 7 + 3) + shift)),
                ];
                pair.iter_mut().for_each(|one| one.columns[0].better = better);
                let options = SignificanceOptions { test, seed, margin, ..options(400) };
                assess(&pair, 0, &options).unwrap().comparisons.remove(0)
            };
            let one = held(1.0, Better::Higher);
            let turned = held(-1.0, Better::Lower);
            prop_assert_eq!(
                (one.verdict, one.wins, one.ties, one.losses, one.non_inferior),
                (turned.verdict, turned.wins, turned.ties, turned.losses, turned.non_inferior)
            );
            prop_assert_eq!((one.p_value, one.difference), (turned.p_value, -turned.difference));
            prop_assert!((one.low + turned.high).abs() < 1e-12 && (one.high + turned.low).abs() < 1e-12);
            prop_assert!(!one.lower_is_better && turned.lower_is_better);
            for half in [held(-1.0, Better::Higher), held(1.0, Better::Lower)] {
                prop_assert_eq!((half.wins, half.losses), (one.losses, one.wins));
                prop_assert_eq!(half.significant, one.significant);
                let mirrored = match one.verdict {
                    Verdict::Better => Verdict::Worse,
                    Verdict::Worse => Verdict::Better,
                    Verdict::Inconclusive => Verdict::Inconclusive,
                };
                prop_assert_eq!(half.verdict, mirrored);
            }
        }
    }

    #[test]
    fn systems_that_say_opposite_directions_are_refused() {
        let mut systems = systems("mrr");
        systems[2].columns[0].better = Better::Lower;
        let message = assess(&systems, 1, &options(100)).unwrap_err().to_string();
        assert!(message.contains("mrr: less is better for one of worse and better"), "{message}");
    }

    #[test]
    fn any_two_systems_can_be_compared() {
        let systems = systems("mrr");
        let pairs = assess_pairs(&systems, &[(2, 0), (0, 2)], &options(500)).unwrap();
        let [one, other] = &pairs.comparisons[..] else { panic!("two comparisons") };
        assert_eq!((one.system.as_str(), one.baseline.as_str()), ("better", "worse"));
        assert_eq!((one.difference, one.wins), (-other.difference, other.losses));
        assert!((one.low + other.high).abs() < 1e-12);
        assert!(assess_pairs(&systems, &[(2, 2)], &options(500)).is_err());
        assert!(assess_pairs(&systems, &[(2, 5)], &options(500)).is_err());
        assert!(assess_pairs(&systems, &[], &options(500)).unwrap().comparisons.is_empty());
    }

    #[test]
    fn pooled_figures_are_bootstrapped_whatever_the_test() {
        let mut systems = systems("mrr");
        for one in &mut systems {
            let Values::PerRequest(values) = one.columns[0].values.clone() else { panic!("means") };
            let pooled = Values::Pooled(Arc::new(PooledMean(values)));
            let (metric, better) = ("auc".to_owned(), Better::Higher);
            let value = one.columns[0].value;
            let column = Column { metric, better, value, values: pooled };
            one.columns.push(column);
        }
        let options = SignificanceOptions { test: Test::T, ..options(400) };
        let assessment = assess(&systems, 1, &options).unwrap();
        for (system, row) in assessment.estimates.iter().enumerate() {
            assert!((row[0].low - row[1].low).abs() < 1e-12, "system {system}");
        }
        for pair in assessment.comparisons.chunks(2) {
            assert_eq!(
                (pair[0].test.as_str(), pair[1].test.as_str()),
                ("paired t", "paired bootstrap")
            );
            assert!((pair[0].low - pair[1].low).abs() < 1e-12);
            assert_eq!((pair[1].effect_size, pair[1].wins + pair[1].ties), (None, 0));
        }
    }

    #[test]
    fn seeds_widen_the_interval_and_one_seed_is_said() {
        let seeds: Vec<SystemScores> = (0..6)
            .map(|seed| scores("two-tower", "mrr", move |i| base(i) * 0.9 + 0.02 * f64::from(seed)))
            .collect();
        let alone = scores("bm25", "mrr", |i| base(i) * 0.9);
        let groups = [
            SeedGroup { name: "two-tower".to_owned(), seeds: seeds.iter().collect() },
            SeedGroup { name: "bm25".to_owned(), seeds: vec![&alone] },
        ];
        let assessment =
            assess_seeds(&groups, &[(0, 1)], SeedDraws::Apart, &options(2_000)).unwrap();
        let one = &assessment.comparisons[0];
        assert_eq!(one.test, "two-level bootstrap");
        // Every seed shifts all requests alike, so only the spread over seeds is left: mean 0.05, deviation of the mean
        // √(0.0014 / 6) = 0.0153.
        assert!((one.difference - 0.05).abs() < 1e-12);
        assert!(
            (one.high - one.low - 2.0 * 1.96 * 0.0153).abs() < 0.006,
            "{} {}",
            one.low,
            one.high
        );
        let [warning] = &assessment.warnings[..] else { panic!("one warning") };
        assert!(warning.contains("one seed only") && warning.contains("bm25"), "{warning}");
        let few = [SeedGroup { name: "x".to_owned(), seeds: seeds.iter().take(2).collect() }];
        let assessment = assess_seeds(&few, &[], SeedDraws::Apart, &options(100)).unwrap();
        assert!(assessment.warnings[0].contains("fewer than five"));
        let none = [SeedGroup { name: "x".to_owned(), seeds: vec![] }];
        assert!(assess_seeds(&none, &[], SeedDraws::Apart, &options(100)).is_err());
    }

    /// Two systems of three seeds on three requests, whose values have no pattern.
    fn tiny() -> Vec<SystemScores> {
        let of = |system: usize, seed: usize| {
            let values: Vec<f64> = (0..3)
                .map(|request| base(5 * system + 11 * seed + 17 * request + 29 * system * seed))
                .collect();
            let column = Column {
                metric: "mrr".to_owned(),
                better: Better::Higher,
                value: values.iter().sum::<f64>() / 3.0,
                values: Values::PerRequest(values),
            };
            SystemScores {
                system: format!("{system}"),
                requests: ["a", "b", "c"].map(str::to_owned).to_vec(),
                columns: vec![column],
                counts: Default::default(),
            }
        };
        (0..6).map(|at| of(at / 3, at % 3)).collect()
    }

    /// The difference of the two systems in every one of the equally likely draws: three requests of
    /// three, and two seeds of three for each system, or for both.
    fn enumerated(all: &[SystemScores], draws: SeedDraws) -> Vec<f64> {
        let value = |member: usize, request: usize| match &all[member].columns[0].values {
            Values::PerRequest(values) => values[request],
            Values::Pooled(_) => panic!("means"),
        };
        let mut differences = Vec::new();
        for requests in 0..27 {
            let drawn = [requests % 3, requests / 3 % 3, requests / 9];
            let mean = |member: usize| drawn.map(|r| value(member, r)).iter().sum::<f64>() / 3.0;
            for left in 0..9 {
                let of_left = (mean(left % 3) + mean(left / 3)) / 2.0;
                for right in 0..9 {
                    if draws == SeedDraws::Apart || left == right {
                        let of_right = (mean(3 + right % 3) + mean(3 + right / 3)) / 2.0;
                        differences.push(of_left - of_right);
                    }
                }
            }
        }
        differences
    }

    #[test]
    fn the_two_level_bootstrap_equals_the_enumeration_of_all_draws() {
        let all = tiny();
        let group = |name: &str, seeds: &'static [usize]| SeedGroup {
            name: name.to_owned(),
            seeds: seeds.iter().map(|&at| &all[at]).collect(),
        };
        let groups = [group("left", &[0, 1, 2]), group("right", &[3, 4, 5])];
        let options = options(100_000);
        let mut widths = Vec::new();
        for draws in [SeedDraws::Apart, SeedDraws::Together] {
            let mut exact = enumerated(&all, draws);
            exact.sort_by(f64::total_cmp);
            let n_draws = exact.len() as f64;
            assert_eq!(n_draws, if draws == SeedDraws::Apart { 2187.0 } else { 243.0 });
            let series = draw(&groups, &[0], draws, &options).remove(0);
            let mut drawn: Vec<f64> =
                series[0].iter().zip(&series[1]).map(|(left, right)| left - right).collect();
            drawn.sort_by(f64::total_cmp);
            // The two distributions differ nowhere by more than drawing makes them: 4 deviations.
            let below = |sorted: &[f64], at: f64| {
                sorted.partition_point(|&one| one <= at + 1e-9) as f64 / sorted.len() as f64
            };
            for &at in &exact {
                let (one, other) = (below(&drawn, at), below(&exact, at));
                assert!((one - other).abs() < 4.0 * 0.5 / 100_000_f64.sqrt(), "{one} {other}");
            }
            // Every draw that happens is one of those enumerated.
            for one in drawn.iter().step_by(997) {
                let at = exact.partition_point(|&other| other < one - 1e-9);
                assert!(exact.get(at).is_some_and(|other| (other - one).abs() < 1e-9), "{one}");
            }
            let found = assess_seeds(&groups, &[(0, 1)], draws, &options).unwrap();
            let one = &found.comparisons[0];
            let at_least = 1.0 - below(&exact, -2e-9);
            let exact_p = (2.0 * at_least.min(below(&exact, 0.0))).min(1.0);
            assert!((one.p_value - exact_p).abs() < 0.015, "{} and {exact_p}", one.p_value);
            let mean = |members: std::ops::Range<usize>| {
                all[members].iter().map(|member| member.columns[0].value).sum::<f64>() / 3.0
            };
            assert!((one.difference - (mean(0..3) - mean(3..6))).abs() < 1e-12);
            let low = exact[(0.025 * n_draws) as usize];
            let high = exact[(0.975 * n_draws) as usize];
            assert!((one.low - low).abs() < 0.03 && (one.high - high).abs() < 0.03);
            widths.push(one.high - one.low);
            assert_eq!(found, assess_seeds(&groups, &[(0, 1)], draws, &options).unwrap());
        }
        assert_ne!(widths[0], widths[1]);
    }

    #[test]
    fn what_a_seed_does_to_both_systems_cancels_when_seeds_are_drawn_together() {
        let of = |name: &'static str, gain: f64| -> Vec<SystemScores> {
            let shift = |seed: i32| 0.02 * f64::from(seed) + gain;
            (0..4).map(|seed| scores(name, "mrr", move |i| base(i) * 0.8 + shift(seed))).collect()
        };
        let (left, right) = (of("left", 0.01), of("right", 0.0));
        let alone = scores("bm25", "mrr", |i| base(i) * 0.8);
        let group = |seeds: &'static str, of: &[SystemScores]| (seeds.to_owned(), of.to_vec());
        let owned = [group("left", &left), group("right", &right), group("bm25", &[alone])];
        let groups: Vec<SeedGroup<'_>> = owned
            .iter()
            .map(|(name, seeds)| SeedGroup { name: name.clone(), seeds: seeds.iter().collect() })
            .collect();
        let found = |draws| assess_seeds(&groups, &[(0, 1), (0, 2)], draws, &options(1_000));
        let (apart, together) =
            (found(SeedDraws::Apart).unwrap(), found(SeedDraws::Together).unwrap());
        let one = &together.comparisons[0];
        assert!((one.low - 0.01).abs() < 1e-9 && (one.high - 0.01).abs() < 1e-9);
        assert_eq!(one.verdict, Verdict::Better);
        let one = &apart.comparisons[0];
        assert!(one.low < 0.0 && one.high > 0.02 && one.verdict == Verdict::Inconclusive);
        // Beside a system with one seed nothing cancels.
        let [one, other] = [&together, &apart].map(|one| &one.comparisons[1]);
        assert!((one.high - one.low - (other.high - other.low)).abs() < 0.01);
        assert_eq!((one.difference, one.test.as_str()), (other.difference, TWO_LEVEL));
        let uneven =
            [groups[0].clone(), SeedGroup { name: "few".into(), seeds: vec![&left[0], &left[1]] }];
        let fault = assess_seeds(&uneven, &[(0, 1)], SeedDraws::Together, &options(100));
        let message = fault.unwrap_err().to_string();
        assert!(message.contains("left has 4 seeds and few has 2"), "{message}");
        assert!(assess_seeds(&uneven, &[(0, 1)], SeedDraws::Apart, &options(100)).is_ok());
    }

    #[test]
    fn too_few_resamples_are_said() {
        let systems: Vec<_> = (0..9).map(|i| scores(&i.to_string(), "mrr", |_| 0.5)).collect();
        let warnings = assess(&systems, 0, &options(100)).unwrap().warnings;
        assert!(warnings[0].contains("set `bootstrap` to at least 320"), "{}", warnings[0]);
        let options = SignificanceOptions { test: Test::T, ..options(100) };
        assert!(assess(&systems, 0, &options).unwrap().warnings.is_empty());
    }

    #[test]
    fn systems_that_cannot_be_compared_are_refused() {
        let mut other = scores("other", "mrr", |_| 0.1);
        other.requests[3] = "x".to_owned();
        let base = scores("base", "mrr", |_| 0.1);
        let error = assess(&[base.clone(), other], 0, &options(100)).unwrap_err();
        assert!(error.to_string().contains("other and base"));
        assert!(assess(&[], 0, &options(100)).is_err());
        let broken = scores("broken", "mrr", |i| if i == 7 { f64::NAN } else { 0.0 });
        let message = assess(&[base, broken], 0, &options(100)).unwrap_err().to_string();
        assert!(
            message.contains("the figure of broken on mrr is not a finite number"),
            "{message}"
        );
    }
}
