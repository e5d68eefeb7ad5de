//! Alignment end to end: other losses over the tiny run, what a changed setting redoes, and what the log says.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{
    Running, TINY, copy_of_finished, finished, logged_in, run, run_args, step_folders,
};

/// The finished tiny run with the alignment changed by overrides, its earlier steps kept.
struct Realigned {
    folder: tempfile::TempDir,
    overrides: Vec<String>,
}

impl Realigned {
    fn new(overrides: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_of_finished(&folder.path().join("run"));
        let overrides = overrides.iter().map(|set| format!("train.aligned.{set}")).collect();
        Self { folder, overrides }
    }

    fn out(&self) -> std::path::PathBuf {
        self.folder.path().join("run")
    }

    fn args(&self) -> Vec<String> {
        let sets: Vec<&str> =
            self.overrides.iter().flat_map(|set| ["--set", set.as_str()]).collect();
        run_args(TINY, &self.out(), &sets)
    }

    fn run(&self) -> crate::support::Answer {
        crate::support::trieval(&self.args()).expect(0)
    }

    /// The folder of a step that the finished run did not have.
    fn new_folder(&self, step: &str) -> Option<std::path::PathBuf> {
        let before: Vec<_> = names(&step_folders(finished(), step));
        step_folders(&self.out(), step)
            .into_iter()
            .find(|folder| !before.contains(&folder.file_name().unwrap().to_owned()))
    }
}

fn names(folders: &[std::path::PathBuf]) -> Vec<std::ffi::OsString> {
    folders.iter().map(|folder| folder.file_name().unwrap().to_owned()).collect()
}

/// The log of a finished alignment, without its clock.
fn log(folder: &Path) -> Vec<BTreeMap<String, f64>> {
    let text = std::fs::read_to_string(folder.join("train.jsonl")).unwrap();
    text.lines()
        .map(|line| {
            let mut record: BTreeMap<String, f64> = serde_json::from_str(line).unwrap();
            record.remove("tokens_per_s");
            record
        })
        .collect()
}

#[test]
fn dpo_starts_at_ln_2_and_logs_what_trl_logs() {
    let records = log(&step_folders(finished(), "train.aligned")[0]);
    let first = &records[0];
    let near = |name: &str, expected: f64| {
        assert!((first[name] - expected).abs() < 1e-4, "{name}: {}", first[name]);
    };
    near("loss/preference", std::f64::consts::LN_2);
    near("rewards/margins", 0.0);
    near("drift/chosen", 0.0);
    for name in [
        "rewards/chosen",
        "rewards/rejected",
        "rewards/accuracies",
        "logps/chosen",
        "logps/rejected",
    ] {
        assert!(records.iter().all(|record| record[name].is_finite()), "{name}");
    }
    let last = records.last().unwrap();
    assert!(last["kl/first_token"] > 0.0, "the weights have moved");
    assert!((0.0..=1.0).contains(&last["mass/illegal"]));
    assert!(last["rewards/margins"] > 0.0, "{}", last["rewards/margins"]);
}

#[test]
fn a_reference_free_list_wise_loss_has_no_reference_step() {
    let realigned = Realigned::new(&["objective.loss=rad-dpo", "objective.probe_steps=3"]);
    let answer = realigned.run().says(&["train.aligned.pairs", "groups"]);
    assert!(!answer.err.contains("train.aligned.reference"), "{}", answer.err);
    assert_eq!(step_folders(&realigned.out(), "train.aligned.reference").len(), 1, "the old one");
    let records = log(&realigned.new_folder("train.aligned").unwrap());
    let probed: Vec<u64> = (1..)
        .zip(&records)
        .filter(|(_, record)| record.contains_key("kl/first_token"))
        .map(|(step, _)| step)
        .collect();
    let n = records.len() as u64;
    let mut expected: Vec<u64> = (1..=n).filter(|step| step % 3 == 0 || *step == n).collect();
    expected.dedup();
    assert_eq!(probed, expected);
    assert!(!records[0].contains_key("drift/chosen"), "nothing to drift from");
    let report: Value = crate::support::json(&realigned.out().join("report.json"));
    let mut points = report["training"].as_array().unwrap().iter();
    let aligned = points.find(|training| training["name"] == "aligned").unwrap();
    let seen = aligned["points"].as_array().unwrap().iter();
    let seen = seen.filter(|point| point["extra"]["mass/illegal"].is_number()).count();
    assert_eq!(seen, probed.len(), "a figure that was not measured is not drawn as 0");
}

#[test]
fn a_killed_list_wise_alignment_resumes_exactly() {
    let overrides = ["objective.loss=s-dpo", "objective.probe_steps=2", "checkpoint_steps=2"];
    let straight = Realigned::new(&overrides);
    straight.run();
    let expected = straight.new_folder("train.aligned").unwrap();
    let killed = Realigned::new(&overrides);
    let mut process = Running::start(&killed.args());
    let alive = process.wait_until(|| {
        killed.new_folder("train.aligned").is_some_and(|folder| logged_in(&folder) >= 3)
    });
    process.kill();
    assert!(alive, "the alignment ended before the kill");
    let answer = killed.run();
    answer.says(&["train.aligned (continuing)"]);
    let found = killed.new_folder("train.aligned").unwrap();
    assert_eq!(log(&found), log(&expected));
    let weights = |folder: &Path| std::fs::read(folder.join("model/model.safetensors")).unwrap();
    assert!(weights(&found) == weights(&expected), "the weights differ");
}

#[test]
fn reference_scores_are_kept_by_data_model_and_template() {
    let status = |set: &str| {
        let plan = run(TINY, finished(), &["--dry-run", "--json", "--set", set]).expect(0).json();
        let steps = plan.as_array().unwrap().clone();
        let step = steps.iter().find(|step| step["step"] == "train.aligned.reference").unwrap();
        step["status"].as_str().unwrap().to_owned()
    };
    for set in [
        "train.aligned.objective.beta=0.3",
        "train.aligned.objective.loss=ipo",
        "train.aligned.objective.anchor=1",
        "train.aligned.epochs=2",
    ] {
        assert_eq!(status(set), "done", "{set}");
    }
    for set in [
        "corpus.requests=700",
        "train.aligned.objective.pairs.beam=9",
        "train.aligned.objective.pairs.group_negatives=4",
        "train.supervised.optimizer.learning_rate=2e-3",
        "model.decoder.prompt_tokens=20",
        "model.decoder.history_items=3",
    ] {
        assert!(status(set).starts_with("again"), "{set}: {}", status(set));
    }
}

#[test]
fn an_alignment_that_takes_from_its_start_keeps_the_start_and_is_told_of_in_every_form() {
    let ruinous = Realigned::new(&["optimizer.learning_rate=0.3"]);
    let first = ruinous.run();
    let told = "on the validation requests was";
    assert!(first.err.contains(told), "{}", first.err);
    let closing = |out: &str| out.replace('\n', " ");
    assert!(closing(&first.out).contains(told), "{}", first.out);
    // The start was the best, and its weights are what comes out.
    let trained = ruinous.new_folder("train.aligned").unwrap();
    let model = |folder: &Path| std::fs::read(folder.join("model/model.safetensors")).unwrap();
    let start = &step_folders(&ruinous.out(), "train.supervised")[0];
    assert!(model(&trained) == model(start), "the start was not kept");
    let records = log(&trained);
    let start = records[0]["start/validation/recall@10"];
    let best = records.iter().filter_map(|one| one.get("validation/recall@10"));
    assert!(best.fold(0.0_f64, |best, one| best.max(*one)) <= start);
    // Whoever finds the step done is told as well.
    let again = ruinous.run();
    assert!(closing(&again.out).contains(told) && again.err.contains("train.aligned: done before"));
    let report = crate::support::json(&ruinous.out().join("report.json"));
    assert!(report["warnings"].to_string().contains(told), "{}", report["warnings"]);
    let training = report["training"].as_array().unwrap();
    let aligned = training.iter().find(|one| one["name"] == "aligned").unwrap();
    assert_eq!(aligned["health"]["course"], "doubtful");
    assert_eq!(aligned["points"][0]["step"], 0);
    for form in ["report.html", "report.md"] {
        let text = std::fs::read_to_string(ruinous.out().join(form)).unwrap();
        assert!(text.contains(told), "{form}");
    }
    // And so is whoever compares it with another.
    let runs = [finished().display().to_string(), ruinous.out().display().to_string()];
    let compared = crate::support::trieval(&["compare", &runs[0], &runs[1], "--json"]).expect(0);
    assert!(compared.json()["warnings"].to_string().contains(told));
}

#[test]
fn an_alignment_is_careful_where_a_recipe_says_nothing() {
    let text = crate::support::trieval(&["recipes", "show", "quickstart"]).expect(0).out;
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("silent.toml");
    let silent = text.replace("[train.optimizer]\nlearning_rate = 2e-5\n", "");
    assert_ne!(silent, text);
    let explain = |recipe: &str, key: &str| {
        crate::support::trieval(&["recipes", "explain", key, "--recipe", recipe]).expect(0).out
    };
    std::fs::write(&recipe, silent).unwrap();
    let path = recipe.display().to_string();
    let rate = explain(&path, "train.aligned.optimizer.learning_rate");
    assert!(rate.contains("2e-5") || rate.contains("0.00002"), "{rate}");
    let rate = explain(&path, "train.supervised.optimizer.learning_rate");
    assert!(rate.contains("0.001"), "{rate}");
    let metric = explain(&path, "train.aligned.validation.metric");
    assert!(metric.contains("recall@10"), "{metric}");
}
