//! A system that searches an index: built once, compared with exact search, asked again, refused when it does not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::{TINY, copy_of_finished, finished, json, run, step_folders, trieval};

const PLAIN: &str = "system.two-tower.index={ kind = \"hnsw\" }";
const WIDER: &str = "system.two-tower.index={ kind = \"hnsw\", expansion_search = 200 }";
const DENSER: &str = "system.two-tower.index={ kind = \"hnsw\", connectivity = 24 }";

/// The folder of a step that a run was last made of.
fn current(out: &Path, step: &str) -> std::path::PathBuf {
    let plan = json(&out.join("plan.json"));
    let steps = plan["steps"].as_array().unwrap();
    let found = steps.iter().find(|one| one["name"] == step).unwrap();
    out.join("steps").join(step).join(&found["key"].as_str().unwrap()[..16])
}

/// Items by request of a run file.
fn lists(file: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut lists: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        lists.entry(columns[0].into()).or_default().insert(columns[2].into());
    }
    lists
}

#[test]
fn an_index_is_built_once_compared_and_asked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let done = |answer: &str, step: &str| {
        let again = format!("{step} (again: ");
        answer.lines().any(|line| line == step || line.starts_with(&again))
    };
    let answer = run(TINY, &out, &["--set", PLAIN]).expect(0).says(&["vectors.text: done before"]);
    for step in ["system.two-tower.index", "system.two-tower", "system.fused"] {
        assert!(done(&answer.err, step), "{step} was not done:\n{}", answer.err);
    }
    let system = json(&current(&out, "system.two-tower").join("system.json"));
    let exact = json(&current(finished(), "system.two-tower").join("system.json"));
    let index = current(&out, "system.two-tower.index");
    let files =
        ["index.usearch", "index.json"].map(|name| index.join(name).metadata().unwrap().len());
    let bytes = |file: &serde_json::Value| file["bytes"].as_u64().unwrap();
    assert_eq!(bytes(&system), bytes(&exact) + files[0] + files[1]);
    assert!(exact.get("approximate").is_none());
    let measured = &system["approximate"];
    assert!(measured["recall_at_10"].as_f64().unwrap() >= 0.95, "{measured}");
    assert!(measured["speedup"].as_f64().unwrap() > 0.0);
    let files = [finished(), &out].map(|run| current(run, "system.two-tower").join("run.trec"));
    let [exact, found] = files.map(|file| lists(&file));
    assert_eq!(measured["requests"].as_u64().unwrap() as usize, exact.len());
    assert_eq!(exact.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    let mut same = 0;
    for (request, items) in &exact {
        assert_eq!(items.len(), found[request].len(), "{request}");
        same += items.intersection(&found[request]).count();
    }
    let all: usize = exact.values().map(BTreeSet::len).sum();
    assert!(same as f64 >= 0.95 * all as f64, "{same} of {all}");
    let report = json(&out.join("report.json"));
    let systems = report["systems"].as_array().unwrap();
    let told = systems.iter().find(|one| one["name"] == "two-tower").unwrap();
    assert_eq!(told["operational"]["index_recall_at_10"], measured["recall_at_10"]);
    assert_eq!(told["operational"]["index_speedup"], measured["speedup"]);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("speed-up over exact search"));
    // Nothing to do the second time; another search of the same index; another index.
    let again = run(TINY, &out, &["--set", PLAIN]).expect(0);
    assert!(!done(&again.err, "system.two-tower"), "{}", again.err);
    run(TINY, &out, &["--set", WIDER]).expect(0).says(&["system.two-tower.index: done before"]);
    assert_eq!(step_folders(&out, "system.two-tower.index").len(), 1);
    run(TINY, &out, &["--set", DENSER]).expect(0);
    assert_eq!(step_folders(&out, "system.two-tower.index").len(), 2);
    // `search` asks the index too.
    let args = ["search", out.to_str().unwrap(), "red", "--system", "two-tower", "--json"];
    assert!(trieval(&args).expect(0).out.contains("two-tower"));
    // The step's own files are looked at before they are used.
    let path = current(&out, "system.two-tower.index").join("index.usearch");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[..good.len() - 9]).unwrap();
    let refused = trieval(&args).expect(2);
    refused.says(&[path.to_str().unwrap(), "system.two-tower.index"]);
}

#[test]
fn an_index_that_cannot_be_built_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (set, says) in [
        ("system.two-tower.index={ kind = \"flat\" }", "expected one of \"hnsw\""),
        ("system.two-tower.index={ kind = \"hnsw\", connectivity = 1 }", "connectivity"),
        (
            "system.two-tower.index={ kind = \"hnsw\", connectivity = 64, expansion_add = 10 }",
            "too few candidates",
        ),
        ("system.bm25.index={ kind = \"hnsw\" }", "index"),
    ] {
        run(TINY, &out, &["--set", set]).expect(2).says(&[says]);
        assert!(!out.exists());
    }
}

#[test]
fn the_index_is_measured_without_a_recipe() {
    let args = "bench index --items 600 --dim 8 --queries 20 --connectivity 8 --seed 4";
    let args: Vec<&str> = args.split(' ').collect();
    let told = trieval(&args).expect(0);
    for part in ["600 of 8 numbers", "recall@10", "speed-up", "MB"] {
        assert!(told.out.contains(part), "{}", told.out);
    }
    let figures = trieval(&[args.as_slice(), &["--json"]].concat()).expect(0).json();
    assert!(figures["recall_at_10"].as_f64().unwrap() > 0.9, "{figures}");
    assert_eq!(figures["requests"], 20);
    for key in ["build_seconds", "bytes", "exact_us", "approximate_us", "speedup"] {
        assert!(figures[key].as_f64().unwrap() > 0.0, "{key}: {figures}");
    }
    let missing = trieval(&["bench", "index", "--vectors", "nowhere.npy"]).expect(2);
    missing.says(&["nowhere.npy", "cannot be read"]);
    trieval(&["bench", "index", "--query-vectors", "q.npy"]).expect(2);
}
