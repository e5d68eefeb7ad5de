//! Rates of clicks: probabilities that are judged by what happened to shown items.

use std::path::Path;

use crate::support::{figure, json, run, step_folder, step_folders};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/click_rate.toml");

/// The probabilities that a system gives the shown items.
fn predicted(run: &Path, system: &str) -> Vec<f64> {
    let folder = step_folder(run, &format!("system.{system}")).unwrap();
    let text = std::fs::read_to_string(folder.join("predictions.trec")).unwrap();
    text.lines().map(|line| line.split_whitespace().nth(4).unwrap().parse().unwrap()).collect()
}

#[test]
fn rates_are_probabilities_of_a_click_and_judged_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    run(RECIPE, &out, &[]).expect(0);
    let report = json(&out.join("report.json"));
    let figure = |system: &str, metric: &str| figure(&report, system, metric);
    assert_eq!(report["systems"][0]["kind"], "click-rate");
    for system in ["click-rate", "bold"] {
        assert!(figure(system, "ndcg@10") > 0.0);
        assert!(figure(system, "auc") > 0.5, "{report}");
    }
    // A guess of a half loses ln 2; a bold one of an item that was hardly shown loses more than a
    // careful one.
    let careful = figure("click-rate", "log_loss");
    assert!(careful < 2.0_f64.ln() && careful < figure("bold", "log_loss"), "{report}");
    let rates = predicted(&out, "click-rate");
    assert!(rates.iter().all(|rate| 0.0 < *rate && *rate < 1.0) && rates.len() > 100);

    // Both systems weigh the same counts, which were counted once.
    let indexes = ["click-rate", "bold"]
        .map(|name| step_folders(&out, &format!("system.{name}.index")).len());
    assert_eq!(indexes.iter().sum::<usize>(), 1);
}

#[test]
fn rates_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let refused = |sets: &[&str], says: &[&str]| {
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        run(RECIPE, &out, &sets).expect(2).says(says);
    };
    let beside = "system.bold={name=\"bm25\",kind=\"bm25\"}";
    refused(&[beside], &["log_loss needs probabilities, and system `bm25` gives scores"]);
    refused(
        &[beside, "evaluation.metrics=[\"ndcg@10\", \"ece\"]"],
        &["ece needs probabilities, and system `bm25` gives scores", "or system `bm25` out"],
    );
    refused(&["system.bold.prior=0"], &["`system.bold.prior` is out of range: 0"]);
    let signal = "system.bold.label.signal=\"saved\"";
    refused(&[signal], &["system `bold` counts `saved` of impressions", "no such signal"]);
    assert!(!out.exists(), "nothing was done");

    let never = "system.bold.label.from=2";
    refused(
        &[never],
        &["`click` is 2 or more for no impression of training", "lower `label.from`"],
    );
}
