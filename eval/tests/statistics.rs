//! Tests, corrections, figures of labelled predictions and fusion against SciPy, statsmodels, scikit-learn and ranx
//! (`golden/make_statistics.py` made the values), and the two-level bootstrap against a simulation whose truth is known.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use trieval_eval::fusion::{Fusion, FusionMethod, Normalization, fuse};
use trieval_eval::labelled::{Binning, Predictions, column, reliability};
use trieval_eval::metric::Better;
use trieval_eval::report::model::Comparison;
use trieval_eval::significance::{
    Correction, SeedDraws, SeedGroup, SignificanceOptions, Test, assess_pairs, assess_seeds,
    cohens_d, normal_two_sided, randomization_p_value, student_two_sided, t_p_value,
    wilcoxon_p_value,
};
use trieval_eval::{Column, Run, ScoreCounts, SystemScores, Values};

#[derive(Deserialize)]
struct Golden {
    paired: Vec<Paired>,
    tails: Tails,
    corrections: Vec<Corrections>,
    labelled: Vec<Labelled>,
    fusion: Vec<Fused>,
}

#[derive(Deserialize)]
struct Paired {
    differences: Vec<f64>,
    t: f64,
    wilcoxon: f64,
    cohens_d: f64,
    randomization: Option<f64>,
}

#[derive(Deserialize)]
struct Tails {
    student: Vec<(f64, f64, f64)>,
    normal: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct Corrections {
    p_values: Vec<f64>,
    holm: Vec<f64>,
    benjamini_hochberg: Vec<f64>,
}

#[derive(Deserialize)]
struct Labelled {
    rows: Vec<(String, String, f64, f64)>,
    times: Vec<u32>,
    figures: BTreeMap<String, f64>,
    drawn: BTreeMap<String, f64>,
    width: Calibration,
    mass: Calibration,
}

#[derive(Deserialize)]
struct Calibration {
    bins: u32,
    share_positive: Vec<f64>,
    mean_prediction: Vec<f64>,
    counts: Vec<u64>,
    ece: f64,
}

type Lists = BTreeMap<String, BTreeMap<String, f64>>;

#[derive(Deserialize)]
struct Fused {
    runs: Vec<Lists>,
    weights: Vec<f64>,
    rrf: Lists,
    comb_sum_min_max: Lists,
    comb_mnz_min_max: Lists,
    comb_sum_z_score: Lists,
    comb_mnz_z_score: Lists,
    weighted_min_max: Lists,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/statistics.json")).unwrap()
}

#[track_caller]
fn assert_close(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-9, "{got} instead of {expected}");
}

#[test]
fn paired_tests_equal_scipy() {
    for case in golden().paired {
        let differences = &case.differences;
        assert_close(t_p_value(differences), case.t);
        assert_close(wilcoxon_p_value(differences), case.wilcoxon);
        assert_close(cohens_d(differences).unwrap(), case.cohens_d);
        if let Some(expected) = case.randomization {
            let zeros = vec![0.0; differences.len()];
            assert_close(randomization_p_value(differences, &zeros, 10_000, 1), expected);
        }
    }
}

#[test]
fn tails_equal_scipy() {
    let tails = golden().tails;
    for (t, degrees, expected) in tails.student {
        let got = student_two_sided(t, degrees);
        assert!((got / expected - 1.0).abs() < 1e-9, "t {t}, {degrees}: {got} not {expected}");
    }
    for (z, expected) in tails.normal {
        let got = normal_two_sided(z);
        assert!((got / expected - 1.0).abs() < 1e-9, "z {z}: {got} not {expected}");
    }
}

#[test]
fn corrections_equal_statsmodels() {
    for case in golden().corrections {
        for (correction, expected) in [
            (Correction::Holm, case.holm),
            (Correction::BenjaminiHochberg, case.benjamini_hochberg),
        ] {
            for (got, expected) in correction.adjust(&case.p_values).iter().zip(expected) {
                assert_close(*got, expected);
            }
        }
    }
}

#[test]
fn labelled_figures_equal_scikit_learn() {
    for case in golden().labelled {
        let mut builder = Predictions::builder("golden");
        for (request, item, grade, score) in &case.rows {
            builder.push(request, item, *grade, *score).unwrap();
        }
        let predictions = builder.finish(1.0).unwrap();
        for name in ["auc", "log_loss", "pr_auc", "rmse"] {
            let column = column(&name.parse().unwrap(), &predictions).unwrap();
            assert_close(column.value, case.figures[name]);
            let Values::Pooled(pooled) = column.values else { panic!("{name} is pooled") };
            assert_close(pooled.value(&case.times).unwrap(), case.drawn[name]);
        }
        for (binning, expected) in [(Binning::Width, &case.width), (Binning::Mass, &case.mass)] {
            let bins = reliability(&predictions, expected.bins, binning).unwrap();
            assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), expected.counts);
            for (index, bin) in bins.iter().enumerate() {
                assert_close(bin.share_positive, expected.share_positive[index]);
                assert_close(bin.mean_prediction, expected.mean_prediction[index]);
            }
            let mass = if binning == Binning::Mass { "equal" } else { "width" };
            let metric = format!("ece(bins={},mass={mass})", expected.bins).parse().unwrap();
            assert_close(column(&metric, &predictions).unwrap().value, expected.ece);
        }
    }
}

#[test]
fn fused_scores_equal_ranx() {
    for case in golden().fusion {
        let runs: Vec<Run> = case
            .runs
            .iter()
            .map(|lists| {
                let mut builder = Run::builder("r");
                for (request, items) in lists {
                    let items = items.iter().map(|(item, &score)| (item, score as f32));
                    builder.push_list(request, items).unwrap();
                }
                builder.finish().unwrap()
            })
            .collect();
        let runs: Vec<&Run> = runs.iter().collect();
        let check = |method, normalize, weights: &[f64], expected: &Lists| {
            let fusion =
                Fusion { method, normalize, weights: weights.to_vec(), ..Fusion::default() };
            let fused = fuse(&runs, &fusion).unwrap();
            assert_eq!(fused.len(), expected.len());
            for (request, items) in expected {
                let ranking = fused.get(request).unwrap();
                assert_eq!(ranking.len(), items.len());
                let mut previous = f64::INFINITY;
                for (item, score) in ranking.items() {
                    let expected = items[item];
                    assert!(
                        (f64::from(score) - expected).abs() < 1e-6,
                        "{item}: {score} {expected}"
                    );
                    assert!(expected <= previous + 1e-6, "{item} stands too low");
                    previous = expected;
                }
            }
        };
        use FusionMethod::{CombMnz, CombSum, Rrf};
        use Normalization::{MinMax, ZScore};
        check(Rrf, MinMax, &[], &case.rrf);
        check(CombSum, MinMax, &[], &case.comb_sum_min_max);
        check(CombMnz, MinMax, &[], &case.comb_mnz_min_max);
        check(CombSum, ZScore, &[], &case.comb_sum_z_score);
        check(CombMnz, ZScore, &[], &case.comb_mnz_z_score);
        check(CombSum, MinMax, &case.weights, &case.weighted_min_max);
    }
}

fn scores(system: &str, values: Vec<f64>) -> SystemScores {
    let value = values.iter().sum::<f64>() / values.len() as f64;
    let requests = (0..values.len()).map(|i| format!("{i:05}")).collect();
    let values = Values::PerRequest(values);
    let column = Column { metric: "ndcg@10".to_owned(), better: Better::Higher, value, values };
    SystemScores {
        system: system.to_owned(),
        requests,
        columns: vec![column],
        counts: ScoreCounts::default(),
    }
}

/// About normal: the sum of twelve uniform draws.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

#[test]
fn two_level_intervals_cover_the_truth_and_one_level_ones_do_not() {
    const TRUTH: f64 = 0.5;
    const TRIALS: u64 = 200;
    let options = SignificanceOptions { resamples: 300, confidence: 0.9, ..Default::default() };
    let (mut two_level, mut one_level) = (0, 0);
    for trial in 0..TRIALS {
        let mut rng = ChaCha8Rng::seed_from_u64(trial);
        let of_requests: Vec<f64> = (0..150).map(|_| 0.1 * normal(&mut rng)).collect();
        let seeds: Vec<SystemScores> = (0..8)
            .map(|_| {
                let of_seed = 0.03 * normal(&mut rng);
                let value =
                    |of_request: &f64| TRUTH + of_seed + of_request + 0.05 * normal(&mut rng);
                scores("system", of_requests.iter().map(value).collect())
            })
            .collect();
        let covers = |seeds: Vec<&SystemScores>| {
            let group = SeedGroup { name: "system".to_owned(), seeds };
            let estimate =
                assess_seeds(&[group], &[], SeedDraws::Apart, &options).unwrap().estimates[0][0];
            estimate.low <= TRUTH && TRUTH <= estimate.high
        };
        two_level += u32::from(covers(seeds.iter().collect()));
        one_level += u32::from(covers(vec![&seeds[0]]));
    }
    // 180 of 200 promised. One seed's interval knows a spread of 0.009 of the 0.031 that there is.
    assert!((164..=192).contains(&two_level), "{two_level} of {TRIALS}");
    assert!(one_level < 100, "{one_level} of {TRIALS}");
}

#[test]
fn p_values_under_the_null_hypothesis_are_uniform() {
    for test in [Test::Bootstrap, Test::Randomization, Test::T, Test::Wilcoxon] {
        let options = SignificanceOptions { resamples: 400, test, ..Default::default() };
        let n_small = (0..300)
            .filter(|&trial| {
                let mut rng = ChaCha8Rng::seed_from_u64(trial);
                let mut draw =
                    || (0..60).map(|_| rng.random::<f64>().powi(3)).collect::<Vec<f64>>();
                let systems = [scores("a", draw()), scores("b", draw())];
                assess_pairs(&systems, &[(0, 1)], &options).unwrap().comparisons[0].p_value <= 0.1
            })
            .count();
        // 30 expected, standard deviation 5.2.
        assert!((15..=46).contains(&n_small), "{n_small} of 300");
    }
}

#[test]
fn an_assessment_is_the_same_for_any_number_of_threads() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let systems: Vec<SystemScores> = (0..6)
        .map(|system| scores(&system.to_string(), (0..77).map(|_| rng.random()).collect()))
        .collect();
    let groups = [
        SeedGroup { name: "x".to_owned(), seeds: systems[..3].iter().collect() },
        SeedGroup { name: "y".to_owned(), seeds: systems[3..5].iter().collect() },
        SeedGroup { name: "z".to_owned(), seeds: vec![&systems[5]] },
    ];
    for test in [Test::Bootstrap, Test::Randomization] {
        let options = SignificanceOptions {
            resamples: 777,
            seed: 5,
            test,
            margin: Some(0.01),
            ..Default::default()
        };
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let pairs = [(0, 1), (1, 2), (2, 0)];
                let seeds = assess_seeds(&groups, &pairs, SeedDraws::Apart, &options).unwrap();
                (seeds, assess_pairs(&systems, &[(0, 5), (3, 1)], &options).unwrap())
            })
        };
        assert_eq!(run(1), run(2));
    }
}

#[test]
fn comparisons_of_old_reports_are_read() {
    let old = r#"{"system": "a", "metric": "mrr", "difference": 0.1, "low": 0.0, "high": 0.2, "p_value": 0.04,
        "p_adjusted": 0.08, "significant": false, "verdict": "inconclusive"}"#;
    let one: Comparison = serde_json::from_str(old).unwrap();
    assert_eq!((one.difference, one.test.as_str(), one.wins, one.effect_size), (0.1, "", 0, None));
}
