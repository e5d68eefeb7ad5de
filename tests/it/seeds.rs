//! One recipe under several seeds: what is shared, what the joint report says, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::{
    Answer, Running, TINY, fingerprint, json, logged_in, run, run_args, step_folder, step_folders,
    tree, trieval,
};

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/seeds.toml");

/// A run under seeds 5 and 6 that all tests may read and none may change.
fn replicates() -> &'static Path {
    static RUN: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, out) = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        run(SEEDS, &out, &["--seeds", "5,6"]).expect(0);
        (folder, out)
    });
    out
}

/// The only system of a report that is called so.
fn system<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut systems = report["systems"].as_array().unwrap().iter();
    systems.find(|one| one["name"] == name).unwrap()
}

fn figure(system: &Value, metric: &str) -> f64 {
    system["metrics"][metric]["value"].as_f64().unwrap()
}

/// `[seed]` values of a metric.
fn seed_values(system: &Value, metric: &str) -> Vec<f64> {
    let values = system["seed_values"][metric].as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// Number of finished steps by name.
fn steps(run: &Path) -> BTreeMap<String, usize> {
    let mut steps = BTreeMap::new();
    for path in tree(run).into_keys().filter(|path| path.ends_with("step.json")) {
        *steps.entry(path.split('/').nth(1).unwrap().to_owned()).or_default() += 1;
    }
    steps
}

fn ask(verb: &str, run: &Path, more: &[&str]) -> Answer {
    let run = run.display().to_string();
    trieval(&[&[verb, &run], more].concat())
}

#[test]
fn what_seeds_share_is_done_once_and_the_report_has_means_over_them() {
    let out = replicates();
    let found = steps(out);
    let shared = [
        "corpus",
        "system.popularity",
        "system.bm25",
        "replicates",
        "system.bm25.index",
        "system.popularity.index",
    ];
    for (step, n) in &found {
        assert_eq!(*n, if shared.contains(&step.as_str()) { 1 } else { 2 }, "{step}");
    }
    assert!(found.len() >= 11, "{found:?}");

    // Each seed alone gives the same runs, weights and figures.
    let folder = tempfile::tempdir().unwrap();
    let alone = [5, 6].map(|seed| {
        let out = folder.path().join(seed.to_string());
        run(SEEDS, &out, &["--set", &format!("seed={seed}")]).expect(0);
        out
    });
    for one in &alone {
        let (joint, single) = (fingerprint(out), fingerprint(one));
        let steps = single.iter().filter(|(path, _)| path.starts_with("steps/"));
        let mut n_runs = 0;
        for (path, bytes) in steps {
            assert!(joint.get(path) == Some(bytes), "{path} differs");
            n_runs += usize::from(path.ends_with("run.trec"));
        }
        assert_eq!(n_runs, 5);
    }
    let report = json(&out.join("report.json"));
    let singles = alone.map(|one| json(&one.join("report.json")));
    let metrics = ["recall@10", "ndcg@10", "coverage@10"];
    for name in ["two-tower", "supervised", "fused"] {
        let joint = system(&report, name);
        assert_eq!(joint["seeds"], serde_json::json!([5, 6]));
        let mut differ = false;
        for metric in metrics {
            let own: Vec<f64> =
                singles.iter().map(|one| figure(system(one, name), metric)).collect();
            assert_eq!(seed_values(joint, metric), own, "{name} {metric}");
            assert_eq!(figure(joint, metric), (own[0] + own[1]) / 2.0, "{name} {metric}");
            differ |= own[0] != own[1];
        }
        assert!(differ, "{name} is the same under both seeds");
        assert!(joint["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    }
    for name in ["popularity", "bm25"] {
        let joint = system(&report, name);
        assert!(joint.get("seed_values").is_none() && joint.get("seeds").is_none());
        for metric in metrics {
            assert_eq!(figure(joint, metric), figure(system(&singles[0], name), metric));
        }
    }
    // The spread over seeds is in intervals and tests of what has several.
    for one in report["comparisons"].as_array().unwrap() {
        let two_level = one["system"] != "popularity";
        assert_eq!(one["test"] == "two-level bootstrap", two_level, "{one}");
    }
    let slices = |report: &Value| report["slices"].as_array().unwrap().clone();
    assert_eq!(slices(&report).len(), slices(&singles[0]).len());
    for (at, slice) in slices(&report).iter().enumerate() {
        let of = |report: &Value| figure(system(&slices(report)[at], "fused"), "recall@10");
        assert!((of(&report) - (of(&singles[0]) + of(&singles[1])) / 2.0).abs() < 1e-12, "{slice}");
    }
    let names = |list: &str| -> Vec<String> {
        let list = report[list].as_array().unwrap().iter();
        list.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let courses = ["supervised", "vectors.text"];
    let courses = courses.map(|name| [5, 6].map(|seed| format!("{name} [seed {seed}]"))).concat();
    assert_eq!(names("training"), courses);
    assert_eq!(names("identifiers"), ["sid"]);
    let text = std::fs::read_to_string(out.join("report.md")).unwrap();
    for part in [
        "### By seed",
        "every system was made under seeds 5, 6",
        "no seed changes what these systems answer: popularity, bm25",
        "system fused \\[seed 6\\]: tuned for",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("fewer than five seeds"), "{warnings}");
    assert!(!warnings.contains("one seed only"), "{warnings}");
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("By seed"));
    let recipe = std::fs::read_to_string(out.join("recipe.toml")).unwrap();
    assert!(recipe.starts_with("# Run with --seeds 5,6; `seed = 5` is the first of them.\n"));

    // What one seed made is no earlier version of what another wants.
    let plan = run(SEEDS, out, &["--seeds", "5,6,7", "--dry-run"]).expect(0).out;
    let line = |start: &str| plan.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("vectors.text [seed 6]").contains("done"), "{plan}");
    assert!(line("vectors.text [seed 7]").contains("to do"), "{plan}");
    assert!(line("replicates").contains("again: seeds: [5,6] → [5,6,7]"), "{plan}");

    // Questions go to the first seed unless another is named.
    let asked = |run: &Path, more: &[&str]| {
        ask("search", run, &[&["red sofa", "--json"], more].concat()).expect(0).json()
    };
    let answers = [5, 6].map(|seed| asked(&folder.path().join(seed.to_string()), &[]));
    assert_ne!(answers[0], answers[1]);
    assert_eq!(asked(out, &[]), answers[0]);
    assert_eq!(asked(out, &["--seed", "6"]), answers[1]);
    ask("search", out, &["red", "--seed", "7"]).expect(2).says(&["seed 7; it has 5, 6"]);
    let ids = |run: &Path, more: &[&str]| ask("ids", run, more).expect(0).out;
    assert_eq!(ids(out, &["--seed", "6"]), ids(&folder.path().join("6"), &[]));
    ask("ids", &folder.path().join("6"), &["--seed", "5"]).expect(2).says(&["it has 6"]);
    let compared = ask("compare", out, &["--json"]).expect(0).says(&["--all-seeds takes all"]);
    let one = compared.json();
    assert_eq!(
        figure(system(&one, "fused"), "ndcg@10"),
        figure(system(&singles[0], "fused"), "ndcg@10")
    );
    let all = ask("compare", out, &["--all-seeds", "--json"]).expect(0).json();
    assert_eq!(
        seed_values(system(&all, "fused"), "ndcg@10"),
        seed_values(system(&report, "fused"), "ndcg@10")
    );
}

#[test]
fn figures_by_vectors_of_a_seed_are_measured_by_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let more = ["--set", "evaluation.metrics=[\"diversity@10\"]"];
    let out = folder.path().join("both");
    run(SEEDS, &out, &[&more[..], &["--seeds", "5,6"]].concat()).expect(0);
    let report = json(&out.join("report.json"));
    // The same lists of the same system, measured by the vectors of either seed.
    let bm25 = seed_values(system(&report, "bm25"), "diversity@10");
    assert_ne!(bm25[0], bm25[1]);
    // A run of one seed in the folder of several does only what it reports, and that was done.
    let before = steps(&out);
    for (at, seed) in ["seed=5", "seed=6"].into_iter().enumerate() {
        let answer = run(SEEDS, &out, &[&more[..], &["--set", seed, "--json"]].concat()).expect(0);
        let lines: Vec<&str> = answer.err.lines().collect();
        let done = lines.iter().filter(|line| line.ends_with(": done before")).count();
        assert_eq!(done, before.len() - 1, "{lines:?}");
        assert_eq!(steps(&out), before);
        for name in ["bm25", "fused"] {
            let own = figure(system(&answer.json(), name), "diversity@10");
            assert_eq!(own, seed_values(system(&report, name), "diversity@10")[at]);
        }
    }
    let recipe = std::fs::read_to_string(out.join("recipe.toml")).unwrap();
    assert!(!recipe.contains("--seeds"));
}

#[test]
fn what_makes_no_replicates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let constant = folder.path().join("constant.toml");
    let text = "name = \"constant\"\n[corpus]\nkind = \"simulator\"\nseed = 1\nitems = 100\n\
        [[system]]\nname = \"bm25\"\nkind = \"bm25\"\n[evaluation]\nrelevant_grade = 3\n";
    std::fs::write(&constant, text).unwrap();
    let constant = constant.display().to_string();
    let sampled = "evaluation.requests=20";
    for (recipe, arguments, parts) in [
        (SEEDS, vec!["--seeds", "5"], vec!["two or more", "--set seed=5"]),
        (SEEDS, vec!["--seeds", "5,6,5"], vec!["--seeds names 5 twice"]),
        (SEEDS, vec!["--seeds", "5,six"], vec!["six"]),
        (SEEDS, vec!["--seeds", "5,9223372036854775808"], vec!["9223372036854775808"]),
        (SEEDS, vec!["--set", "seed=5", "--seeds", "5,6"], vec!["--set seed=…", "leave out"]),
        (TINY, vec!["--seeds", "5,6"], vec!["a corpus of kind simulator", "corpus.seed=17"]),
        (SEEDS, vec!["--seeds", "5,6", "--set", sampled], vec!["--set evaluation.seed=17"]),
        (&constant, vec!["--seeds", "5,6"], vec!["no system depends on the seed"]),
    ] {
        run(recipe, &out, &arguments).expect(2).says(&parts);
        run(recipe, &out, &[&arguments[..], &["--dry-run"]].concat()).expect(2).says(&parts);
    }
    assert!(!out.exists());
    let kept = ["--seeds", "5,6", "--set", sampled, "--set", "evaluation.seed=17", "--dry-run"];
    run(SEEDS, &out, &kept).expect(0);
}

#[test]
fn the_plan_of_several_seeds_names_shared_steps_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let more = ["--seeds", "17,18,19", "--dry-run", "--json"];
    let plan = run(SEEDS, &out, &more).expect(0).json();
    let names: Vec<&str> =
        plan.as_array().unwrap().iter().map(|one| one["step"].as_str().unwrap()).collect();
    let distinct: BTreeSet<&&str> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    for shared in ["corpus", "system.popularity", "system.bm25", "replicates"] {
        assert!(names.contains(&shared), "{shared}: {names:?}");
    }
    for own in ["vectors.text", "train.supervised", "system.fused", "evaluation"] {
        for seed in [17, 18, 19] {
            assert!(names.contains(&format!("{own} [seed {seed}]").as_str()), "{own} {names:?}");
        }
        assert!(!names.contains(&own), "{own}");
    }
    assert_eq!(names.last(), Some(&"replicates"));
    assert!(!out.exists());
}

#[test]
fn an_interrupted_run_of_several_seeds_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut process = Running::start(&run_args(SEEDS, &out, &["--seeds", "5,6"]));
    // In the training of the second seed, behind a checkpoint.
    let reached = || {
        let trainings = step_folders(&out, "train.supervised");
        trainings.len() == 2 && trainings.iter().any(|one| logged_in(one) >= 5)
    };
    assert!(process.wait_until(reached), "too late");
    process.interrupt();
    process.finish().expect(130);
    let before = steps(&out);
    assert_eq!((before["train.supervised"], before.get("replicates")), (1, None));
    ask("search", &out, &["red"]).expect(2).says(&["the run is not finished"]);
    let answer = run(SEEDS, &out, &["--seeds", "5,6"]).expect(0);
    let said = |line: &str| answer.err.lines().filter(|one| *one == line).count();
    assert_eq!(said("train.supervised [seed 5]: done before"), 1, "{}", answer.err);
    assert_eq!(said("train.supervised [seed 6] (continuing)"), 1, "{}", answer.err);
    assert_eq!(said("system.supervised [seed 6]"), 1, "{}", answer.err);
    let n_done = answer.err.lines().filter(|line| line.ends_with(": done before")).count();
    assert_eq!(n_done, before.values().sum::<usize>());
    let (found, expected) = (fingerprint(&out), fingerprint(replicates()));
    assert!(found.keys().eq(expected.keys()));
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
    assert!(step_folder(&out, "replicates").is_some());
    // Once more: nothing is left to do.
    let answer = run(SEEDS, &out, &["--seeds", "5,6"]).expect(0);
    let lines = answer.err.lines().filter(|line| line.ends_with(": done before")).count();
    assert_eq!(lines, steps(&out).values().sum::<usize>());
}
