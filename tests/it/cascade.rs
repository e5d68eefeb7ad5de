//! Stages behind each other, and what every system says of the judged pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::data::write_pairs;
use crate::support::{run, step_folder, trieval};

const CASCADE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cascade.toml");

/// A file of a system's step.
fn text(run: &Path, system: &str, file: &str) -> Option<String> {
    let folder = step_folder(run, &format!("system.{system}")).unwrap();
    std::fs::read_to_string(folder.join(file)).ok()
}

/// Items per request, best first.
fn lists(run: &Path, system: &str) -> BTreeMap<String, Vec<String>> {
    let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text(run, system, "run.trec").unwrap().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        lists.entry(fields[0].into()).or_default().push(fields[2].into());
    }
    lists
}

fn pairs(run: &Path, system: &str, file: &str) -> BTreeSet<(String, String)> {
    let text = text(run, system, file).unwrap();
    let pair = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields[0].to_owned(), fields[2].to_owned())
    };
    text.lines().map(pair).collect()
}

#[test]
fn a_cascade_runs_from_candidates_to_choices() {
    let folder = tempfile::tempdir().unwrap();
    write_pairs(folder.path());
    let out = folder.path().join("run");
    let data = format!("corpus.path={}", folder.path().display());
    let report = run(CASCADE, &out, &["--set", &data, "--json"]).expect(0).json();

    // The second stage reorders what the first found, and nothing else.
    let (ranked, both) = (lists(&out, "ranked"), lists(&out, "both"));
    assert_eq!(ranked.len(), both.len());
    assert_ne!(ranked, both);
    let dense = text(&out, "dense", "predictions.trec").unwrap();
    let of_ranked = text(&out, "ranked", "predictions.trec").unwrap();
    assert_eq!(of_ranked.replace(" ranked\n", " dense\n"), dense);

    // Systems that can score given items said something of all judged pairs; a fusion cannot.
    let evaluation = step_folder(&out, "evaluation").unwrap();
    let judged: BTreeSet<(String, String)> = std::fs::read_to_string(evaluation.join("qrels.trec"))
        .unwrap()
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields[0].to_owned(), fields[2].to_owned())
        })
        .collect();
    for system in ["bm25", "dense", "ranked", "cascade"] {
        assert_eq!(pairs(&out, system, "predictions.trec"), judged, "{system}");
    }
    assert_eq!(text(&out, "both", "predictions.trec"), None);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("pairwise and its like are over the judged pairs"), "{warnings}");
    let systems = report["systems"].as_array().unwrap();
    let accuracy = |name: &str| {
        let system = systems.iter().find(|one| one["name"] == name).unwrap();
        system["metrics"]["pairwise"]["value"].clone()
    };
    assert!(accuracy("dense").as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(accuracy("dense"), accuracy("ranked"));

    // Every list begins with what was chosen, with the probability of that.
    let chosen = lists(&out, "cascade");
    let choices = text(&out, "cascade", "choices.jsonl").unwrap();
    let choices: Vec<Value> =
        choices.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(choices.len(), chosen.len());
    let mut others = 0;
    for choice in &choices {
        let list = &chosen[choice["request"].as_str().unwrap()];
        assert_eq!(choice["item"].as_str(), Some(list[0].as_str()));
        // .5 / 4 for any place, and .5 more for the first.
        match choice["propensity"].as_f64().unwrap() {
            0.125 => others += 1,
            propensity => assert_eq!(propensity, 0.625),
        }
    }
    assert!(others > 0 && others < choices.len());
    assert_eq!(text(&out, "ranked", "choices.jsonl"), None);

    // Runs that are compared bring what their systems said of the judged pairs.
    let path = out.to_str().unwrap();
    let compared = trieval(&["compare", path, "--json"]).expect(0).json();
    let systems = compared["systems"].as_array().unwrap();
    let dense = systems.iter().find(|one| one["name"] == "dense").unwrap();
    assert_eq!(dense["metrics"]["pairwise"]["value"], accuracy("dense"));

    let args = ["search", path, "red table", "--system", "cascade", "--json"];
    let found = trieval(&args).expect(0).json();
    assert_eq!(found["items"].as_array().map(Vec::is_empty), Some(false), "{found}");
}

#[test]
fn cascades_that_cannot_be_are_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    write_pairs(folder.path());
    let data = format!("corpus.path={}", folder.path().display());
    let refused = |set: &str, says: &[&str]| {
        let out = folder.path().join("run");
        run(CASCADE, &out, &["--set", &data, "--set", set]).expect(2).says(says);
        assert!(!out.exists());
    };
    refused("system.ranked.rank=both", &["system both cannot score given items", "two-tower"]);
    refused("system.ranked.retrieve=bm52", &["bm52", "did you mean \"bm25\"?"]);
    refused(
        "system.ranked.retrieve=cascade",
        &["system cascade cannot find the candidates of another cascade"],
    );
    refused("system.both.runs=[\"bm25\",\"ranked\"]", &["system ranked cannot be fused"]);
    refused(
        "system.ranked={name=\"ranked\",kind=\"cascade\",retrieve=\"bm25\"}",
        &["cascade `ranked` only repeats bm25", "`rank`, `rerank` or `act`"],
    );
    refused("system.cascade.rerank.vectors=txt", &["txt", "did you mean \"text\"?"]);
    refused("system.cascade.act.epsilon=2", &["out of range: 2"]);
}
