//! Contests of a few small systems, with figures that can be told by hand.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::metric::parse_metrics;
use crate::report::model::Verdict;
use crate::slice::Keep;

/// Ten requests with one relevant item `r`, which `good` ranks first always, `half` every second time, `bad` never; all
/// score an irrelevant item as well.
fn contest(metrics: &str) -> (Vec<Run>, Qrels, Vec<Metric>) {
    let mut qrels = Qrels::builder();
    let mut runs = ["half", "good", "bad"].map(Run::builder);
    for request in 0..10 {
        let id = request.to_string();
        qrels.push(&id, "r", 1.0).unwrap();
        qrels.push(&id, "x", 0.0).unwrap();
        for (run, first) in runs.iter_mut().zip([request % 2 == 0, true, false]) {
            let (r, x) = if first { (0.9, 0.1) } else { (0.1, 0.9) };
            run.push_list(&id, [("r", r), ("x", x)]).unwrap();
        }
    }
    let runs = runs.into_iter().map(|run| run.finish().unwrap()).collect();
    (runs, qrels.finish().unwrap(), parse_metrics(&[metrics]).unwrap())
}

fn rules(metrics: &[Metric]) -> Rules<'_> {
    Rules {
        metrics,
        options: Options::default(),
        significance: SignificanceOptions { resamples: 500, ..SignificanceOptions::default() },
        labels: None,
        users: None,
        baseline: 0,
    }
}

#[test]
fn lists_labels_and_outside_values_stand_in_one_table() {
    let (runs, qrels, metrics) = contest("auc,recall@1,rmse");
    let utility = |text: &str| {
        let path = std::path::Path::new("u");
        OutsideValues::parse(text.as_bytes(), path, "utility", Better::Higher).unwrap()
    };
    let lines: String = (0..10).map(|i| format!("{i} {i}\n")).collect();
    let outside = [(0, utility(&lines)), (1, utility(&lines)), (2, utility(&lines))];
    let held = hold(&runs, &qrels, &outside, &rules(&metrics)).unwrap();
    assert_eq!(held.metrics, ["auc", "recall@1", "rmse", "utility"]);
    let figures = |system: usize| -> Vec<f64> {
        held.estimates[system].iter().map(|one| (one.value * 1e4).round() / 1e4).collect()
    };
    assert_eq!(figures(0), [0.5, 0.5, 0.6403, 4.5]);
    assert_eq!(figures(1), [1.0, 1.0, 0.1, 4.5]);
    assert_eq!(figures(2), [0.0, 0.0, 0.9, 4.5]);
    let names = |family: &[Comparison]| -> Vec<String> {
        family.iter().map(|one| format!("{}-{}:{}", one.system, one.baseline, one.metric)).collect()
    };
    let comparisons = names(&held.comparisons);
    assert_eq!(comparisons.len(), 8);
    assert_eq!(comparisons[..2], ["good-half:auc", "good-half:recall@1"]);
    assert_eq!(names(&held.pairs)[1], "good-bad:recall@1");
    // The family of eight is corrected together.
    let smallest = held.comparisons.iter().map(|one| one.p_value).fold(1.0, f64::min);
    let adjusted = held.comparisons.iter().map(|one| one.p_adjusted).fold(1.0, f64::min);
    assert!((adjusted - (smallest * 8.0).min(1.0)).abs() < 1e-12);
}

#[test]
fn values_from_outside_are_better_the_way_the_caller_says() {
    let (runs, qrels, metrics) = contest("recall@1,rmse");
    let path = std::path::Path::new("u");
    let values = |system: usize| -> String {
        (0..10).map(|i| format!("{i} {}\n", system * 10 + i)).collect()
    };
    let held = |better| {
        let read = |system| {
            OutsideValues::parse(values(system).as_bytes(), path, "regret", better).unwrap()
        };
        let outside = [(0, read(0)), (1, read(1)), (2, read(2))];
        hold(&runs, &qrels, &outside, &rules(&metrics)).unwrap()
    };
    let (low, high) = (held(Better::Lower), held(Better::Higher));
    assert_eq!((low.lower_is_better(), high.lower_is_better()), (vec!["regret".into()], vec![]));
    let verdict = |held: &Contest| held.comparisons[2].verdict;
    assert_eq!(low.comparisons[2].metric, "regret");
    assert_eq!((verdict(&low), verdict(&high)), (Verdict::Worse, Verdict::Better));
}

#[test]
fn slices_are_judged_by_themselves_and_undefined_figures_left_out() {
    let (runs, qrels, metrics) = contest("recall@1,auc");
    let slice = |value: &str, keep| Slice {
        by: "part".into(),
        value: value.into(),
        meaning: String::new(),
        keep,
    };
    let even = (0..10).step_by(2).map(|i: i32| i.to_string()).collect();
    let slices = [
        slice("even", Keep::Requests(even)),
        slice("relevant items", Keep::Items(["r".to_owned()].into())),
        slice("nothing relevant", Keep::Items(["x".to_owned()].into())),
    ];
    let reports = slice_reports(&runs, &qrels, &slices, &rules(&metrics)).unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!((reports[0].requests, reports[0].systems[0].metrics["recall@1"].value), (5, 1.0));
    assert_eq!(reports[0].systems[0].metrics["auc"].value, 1.0);
    // Without an item that is not relevant there is no AUC.
    assert_eq!(reports[1].systems[0].metrics.keys().collect::<Vec<_>>(), ["recall@1"]);
    assert_eq!(reports[1].requests, 10);
}

#[test]
fn a_slice_that_a_run_does_not_answer_is_left_out_where_such_requests_are_skipped() {
    let (mut runs, qrels, metrics) = contest("recall@1");
    let mut partial = Run::builder("partial");
    partial.push_list("1", [("r", 1.0)]).unwrap();
    runs.push(partial.finish().unwrap());
    let slice = |request: &str| Slice {
        by: "request".into(),
        value: request.into(),
        meaning: String::new(),
        keep: Keep::Requests([request.to_owned()].into()),
    };
    let slices = [slice("0"), slice("1")];
    let zero = rules(&metrics);
    let skip = Rules { options: Options { missing: Missing::Skip, ..zero.options }, ..zero };
    assert_eq!(slice_reports(&runs, &qrels, &slices, &zero).unwrap().len(), 2);
    let reports = slice_reports(&runs, &qrels, &slices, &skip).unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].value, "1");
}

#[test]
fn telling_requests_are_the_largest_differences() {
    let (runs, qrels, metrics) = contest("recall@1");
    let held = hold(&runs, &qrels, &[], &rules(&metrics)).unwrap();
    let telling = held.telling(2);
    let shown: Vec<(&str, &str)> =
        telling.iter().map(|one| (one.request.as_str(), one.why.as_str())).collect();
    assert_eq!(shown[0], ("0", "among the largest wins of half over bad"));
    assert_eq!(shown[2], ("1", "among the largest wins of good over half"));
    assert_eq!(telling[2].values["good"], 1.0);
    assert_eq!(telling[2].values["half"], 0.0);
    let requests: std::collections::HashSet<&str> = shown.iter().map(|one| one.0).collect();
    assert_eq!(requests.len(), shown.len());
}

#[test]
fn seeds_of_one_system_are_one_entrant() {
    let (runs, qrels, metrics) = contest("recall@1");
    let names = ["base".to_owned(), "mixed".to_owned()];
    let draws = SeedDraws::Together;
    let entrants = Seeded { names: &names, n_seeds: &[1, 2], runs: &runs, draws, catalogues: &[] };
    let held = hold_seeds(&entrants, &qrels, &rules(&metrics)).unwrap();
    let values = held.seed_values();
    assert_eq!((&values[0]["recall@1"], &values[1]["recall@1"]), (&vec![0.5], &vec![1.0, 0.0]));
    assert_eq!(held.systems, ["base", "mixed"]);
    assert_eq!(held.estimates[1][0].value, 0.5);
    // The seeds differ as much as can be, which the interval must hold.
    assert!(held.estimates[1][0].low <= 0.1 && held.estimates[1][0].high >= 0.9);
    assert_eq!(held.comparisons.len(), 1);
    // Requests are told by means over seeds, and so are slices.
    let telling = held.telling(1);
    let values = |one: &Telling| (one.values["base"], one.values["mixed"]);
    assert_eq!(telling.iter().map(values).collect::<Vec<_>>(), [(1.0, 0.5), (0.0, 0.5)]);
    assert_eq!(telling[0].why, "among the largest wins of base over mixed, by means over 2 seeds");
    let even = (0..10).step_by(2).map(|request| request.to_string()).collect();
    let texts = ["number", "even", ""].map(str::to_owned);
    let [by, value, meaning] = texts;
    let slice = Slice { by, value, meaning, keep: Keep::Requests(even) };
    let slices = slice_reports_of_seeds(&entrants, &qrels, &[slice], &rules(&metrics)).unwrap();
    let value = |system: usize| slices[0].systems[system].metrics["recall@1"].value;
    assert_eq!((slices[0].requests, value(0), value(1)), (5, 1.0, 0.5));
    assert!(!held.comparisons[0].significant);
    assert!(held.warnings.iter().any(|warning| warning.contains("seed")), "{:?}", held.warnings);
}

#[test]
fn labelled_figures_over_different_pairs_are_warned_of() {
    let (mut runs, qrels, metrics) = contest("auc");
    assert!(hold(&runs, &qrels, &[], &rules(&metrics)).unwrap().warnings.len() <= 1);
    let mut fewer = Run::builder("fewer");
    fewer.push_list("3", [("r", 1.0), ("x", 0.5)]).unwrap();
    runs.push(fewer.finish().unwrap());
    let held = hold(&runs, &qrels, &[], &rules(&metrics)).unwrap();
    let warning = held.warnings.iter().find(|one| one.contains("fewer 2 of 20"));
    assert!(warning.is_some_and(|one| one.contains("half 20 of 20")), "{:?}", held.warnings);
}

#[test]
fn calibration_brings_its_bins() {
    let (runs, qrels, metrics) = contest("ece(bins=2)");
    let held = hold(&runs, &qrels, &[], &rules(&metrics)).unwrap();
    let good = &held.reliability[1];
    assert_eq!((good.system.as_str(), good.bins.len()), ("good", 2));
    assert_eq!((good.bins[0].share_positive, good.bins[1].share_positive), (0.0, 1.0));
    assert_eq!((good.bins[0].count, good.bins[1].count), (10, 10));
}

#[test]
fn one_name_for_two_systems_is_refused() {
    let (mut runs, qrels, metrics) = contest("recall@1");
    runs[2] = runs[2].clone().renamed("good");
    let message = hold(&runs, &qrels, &[], &rules(&metrics)).unwrap_err().to_string();
    assert!(message.contains("two systems are called good"), "{message}");
}

#[test]
fn every_seed_is_judged_by_its_own_catalogue() {
    let (runs, qrels, metrics) = contest("diversity@2");
    let catalogue = |vectors: [f32; 4]| {
        let items = Catalogue::new(["r", "x"]).unwrap();
        items.with_vectors(vectors.to_vec(), 2).unwrap()
    };
    let (alike, unlike) = (catalogue([1.0, 0.0, 1.0, 0.0]), catalogue([1.0, 0.0, 0.0, 1.0]));
    let names = ["half".to_owned(), "good".to_owned()];
    let runs = [&runs[0], &runs[0], &runs[1], &runs[1]].map(Clone::clone);
    let draws = SeedDraws::Together;
    let catalogues = [&alike, &unlike];
    let entrants =
        Seeded { names: &names, n_seeds: &[2, 2], runs: &runs, draws, catalogues: &catalogues };
    let held = hold_seeds(&entrants, &qrels, &rules(&metrics)).unwrap();
    for values in held.seed_values() {
        assert_eq!(values["diversity@2"], [0.0, 1.0]);
    }
    assert_eq!(held.estimates[1][0].value, 0.5);
    let uneven = Seeded { n_seeds: &[1, 3], ..entrants };
    let fault = hold_seeds(&uneven, &qrels, &rules(&metrics)).unwrap_err().to_string();
    assert!(fault.contains("half has 1 seeds, but there are 2 catalogues"), "{fault}");
}

#[test]
fn each_family_is_judged_by_its_own_number() {
    // Nine systems beside the baseline: nine comparisons with it, 36 among them.
    let mut qrels = Qrels::builder();
    let requests: Vec<String> = (0..40).map(|at| at.to_string()).collect();
    for request in &requests {
        qrels.push(request, "r", 1.0).unwrap();
    }
    let run = |at: usize| {
        let mut run = Run::builder(format!("s{at}"));
        for request in &requests {
            let list = if at == 0 { [("x", 2.0), ("r", 1.0)] } else { [("r", 2.0), ("x", 1.0)] };
            run.push_list(request, list).unwrap();
        }
        run.finish().unwrap()
    };
    let runs: Vec<Run> = (0..10).map(run).collect();
    let metrics = parse_metrics(&["mrr"]).unwrap();
    let significance = SignificanceOptions { resamples: 400, ..SignificanceOptions::default() };
    let rules = Rules { significance, ..rules(&metrics) };
    let held = hold(&runs, &qrels.finish().unwrap(), &[], &rules).unwrap();
    assert!(held.comparisons.iter().all(|one| one.significant), "{:?}", held.comparisons[0]);
    let said: Vec<&String> = held.warnings.iter().filter(|one| one.contains("resamples")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("36 comparisons among the other systems"), "{said:?}");
}
