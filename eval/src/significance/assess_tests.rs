//! Intervals and verdicts of made-up scores against theory and against each other.
#![allow(clippy::unwrap_used)]

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
    let assessment = assess_seeds(&groups, &[(0, 1)], SeedDraws::Apart, &options(2_000)).unwrap();
    let one = &assessment.comparisons[0];
    assert_eq!(one.test, "two-level bootstrap");
    // Every seed shifts all requests alike, so only the spread over seeds is left: mean 0.05, deviation of the mean
    // √(0.0014 / 6) = 0.0153.
    assert!((one.difference - 0.05).abs() < 1e-12);
    assert!((one.high - one.low - 2.0 * 1.96 * 0.0153).abs() < 0.006, "{} {}", one.low, one.high);
    let [warning] = &assessment.warnings[..] else { panic!("one warning") };
    assert!(warning.contains("one seed only") && warning.contains("bm25"), "{warning}");
    // Beside the seeds of another, drawn together, stands a system that no seed changes.
    let together = assess_seeds(&groups, &[(0, 1)], SeedDraws::Together, &options(100)).unwrap();
    assert!(together.warnings.is_empty(), "{:?}", together.warnings);
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
    let (apart, together) = (found(SeedDraws::Apart).unwrap(), found(SeedDraws::Together).unwrap());
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
fn a_mark_never_stands_beside_a_warning_that_denies_it() {
    // As many systems as there are, all far above the baseline; some figures tested without draws.
    for n_systems in 2..12 {
        for resamples in [20, 39, 40, 100, 200, 400] {
            for correction in [Correction::Holm, Correction::BenjaminiHochberg, Correction::None] {
                for n_drawn in 0..n_systems {
                    let options = SignificanceOptions { correction, ..options(resamples) };
                    let least = 2.0 / (f64::from(resamples) + 1.0);
                    let one = |at: usize| Comparison {
                        metric: if at < n_drawn { "drawn" } else { "exact" }.to_owned(),
                        difference: 0.3,
                        p_value: if at < n_drawn { least } else { 0.0 },
                        test: if at < n_drawn { Test::Bootstrap } else { Test::T }
                            .label()
                            .to_owned(),
                        ..Comparison::default()
                    };
                    let mut family: Vec<Comparison> = (0..n_systems).map(one).collect();
                    let said = correct(&mut family, "comparisons", &options).unwrap_or_default();
                    let marked = |metric: &str| {
                        family.iter().any(|one| one.metric == metric && one.significant)
                    };
                    let denies_all = said.contains("no difference can");
                    let denies_drawn = denies_all || said.contains("no difference on drawn can");
                    assert!(!(denies_all && (marked("drawn") || marked("exact"))), "{said}");
                    assert_eq!(n_drawn > 0 && !marked("drawn"), denies_drawn, "{said}");
                }
            }
        }
    }
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
    assert!(message.contains("the figure of broken on mrr is not a finite number"), "{message}");
}
