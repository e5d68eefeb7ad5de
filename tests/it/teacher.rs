//! A system that teaches: its answers to training requests, by one that did not learn from them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{json, run, step_folder, step_folders};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tiny.toml");
const TEACHER: &str = "train.supervised.objective.teacher={system=\"two-tower\",folds=3,top=2}";

/// The requests that a system answered.
fn answered(run: &Path, step: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(step_folder(run, step).unwrap().join("run.trec")).unwrap();
    text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// A number in `corpus.json`.
fn requests(run: &Path, step: &str, split: &str) -> u64 {
    json(&step_folder(run, step).unwrap().join("corpus.json"))["requests"][split].as_u64().unwrap()
}

/// Steps of a training.
fn steps(run: &Path, step: &str) -> usize {
    let log = step_folder(run, step).unwrap().join("train.jsonl");
    std::fs::read_to_string(log).unwrap().lines().count()
}

#[test]
fn a_learned_teacher_answers_each_training_request_out_of_fold() {
    let folder = tempfile::tempdir().unwrap();
    let (out, plain) = (folder.path().join("run"), folder.path().join("plain"));
    let told = run(TINY, &out, &["--set", TEACHER]).expect(0);
    told.says(&["system.two-tower.answers-2-3: answers to 500 of 500 training requests"]);
    let all = requests(&out, "corpus", "train");
    let mut taught = BTreeSet::new();
    for place in 1..=3 {
        let scoped = |step: &str| format!("{step}.fold-{place}-of-3-top-2");
        let (kept, held) =
            (requests(&out, &scoped("corpus"), "train"), requests(&out, &scoped("corpus"), "test"));
        assert_eq!(kept + held, all);
        // The encoder of this fold was trained on the requests that are kept, and asked the others.
        let encoder = step_folder(&out, &scoped("vectors.text")).unwrap();
        let made_of = json(&encoder.join("step.json"))["inputs"]["corpus"].clone();
        let tables = step_folder(&out, &scoped("corpus")).unwrap();
        assert_eq!(made_of, json(&tables.join("step.json"))["key"]);
        let answered = answered(&out, &scoped("system.two-tower"));
        assert_eq!(answered.len() as u64, held);
        assert!(answered.is_disjoint(&taught));
        taught.extend(answered);
    }
    assert_eq!(taught.len() as u64, all);

    // The student has more to learn, and what it is judged by is what it was.
    run(TINY, &plain, &[]).expect(0);
    assert!(steps(&out, "train.supervised") > steps(&plain, "train.supervised"));
    assert_eq!(answered(&out, "system.supervised"), answered(&plain, "system.supervised"));
    let report = json(&out.join("report.json"));
    let trained = report["training"].as_array().unwrap();
    assert_eq!(trained.len(), 3, "helpers of a teacher are no trainings of the recipe");

    // A second run has nothing to do; other folds make the teacher anew and nothing before it.
    run(TINY, &out, &["--set", TEACHER]).expect(0).says(&["train.supervised: done before"]);
    let other = TEACHER.replace("folds=3", "folds=2");
    let again = run(TINY, &out, &["--set", &other]).expect(0);
    again.says(&["vectors.text: done before", "system.two-tower.answers-2-2: answers to 500 of"]);
}

#[test]
fn a_teacher_that_learned_nothing_answers_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let teacher = "vectors.text.teacher={system=\"bm25\",requests=\"unanswered\"}";
    let told = run(TINY, &out, &["--set", teacher]).expect(0);
    assert!(!told.err.contains("no training requests"), "{}", told.err);
    told.says(&["500 training requests are asked, 0 are learned from"]);
    assert_eq!(step_folders(&out, "system.bm25.fold-1-of-1-top-3").len(), 1);
}

#[test]
fn teachers_that_cannot_teach_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let refused = |set: &str, says: &[&str]| {
        run(TINY, &out, &["--set", set]).expect(2).says(says);
    };
    let by = |system: &str| format!("vectors.text.teacher={{system=\"{system}\"}}");
    refused(&by("oracle"), &["system `oracle` cannot answer training requests"]);
    refused(&by("bm52"), &["did you mean \"bm25\"?"]);
    refused(&by("aligned"), &["teacher and student start from each other", "vectors `text`"]);
    refused(&by("two-tower"), &["system `two-tower`", "without its student"]);
    let folds = by("bm25").replace('}', ",folds=3}");
    refused(&folds, &["learns nothing from the training requests", "leave `folds` out"]);
    assert!(!out.exists(), "nothing was done");
}

#[test]
fn a_teacher_may_be_taught_by_one_that_learned() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let [encoder, decoder] = [
        "vectors.text.teacher={system=\"popularity\",folds=2}",
        "train.supervised.objective.teacher={system=\"two-tower\",folds=2}",
    ];
    let told = run(TINY, &out, &["--set", encoder, "--set", decoder]).expect(0);
    told.says(&["answers of system two-tower are learned", "answers of system popularity are"]);
    // Parts of parts are parts, too: each of their models learns from some requests and answers others.
    for outer in 1..=2 {
        for inner in 1..=2 {
            let step = format!("corpus.fold-{outer}-of-2-top-3.fold-{inner}-of-2-top-3");
            let [kept, held] = ["train", "test"].map(|split| requests(&out, &step, split));
            assert!((100..=150).contains(&kept) && (100..=150).contains(&held), "{kept}, {held}");
        }
    }
}

#[test]
fn users_that_cannot_be_divided_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let few = ["--set", "corpus.users=2", "--set", TEACHER];
    run(TINY, &out, &few).expect(2).says(&["are of 2 users", "needs 3 parts", "lower `folds`"]);
}
