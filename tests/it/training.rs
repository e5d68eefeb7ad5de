//! What a training does beside its steps: validation, the best weights, recomputation, a limit of memory.

use serde_json::Value;

use crate::data::{PAIRS, write_pairs};
use crate::support::{Running, TINY, assert_same, finished, logged, run, run_args, step_folder};

#[test]
fn a_training_that_does_not_fit_ends_before_its_first_step_and_recomputing_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let answer = run(TINY, &out, &["--set", "train.supervised.memory_limit=0.01"]).expect(3);
    answer.says(&[
        "training supervised does not fit into memory",
        "in use after layer 1 of 2 of a forward pass, 10.2 MiB allowed",
        "with 32 examples per forward pass; the longest is example",
        "lower `batch` and raise `accumulate` (16 and 2 instead of 32 and 1",
        "set `recompute = true`",
        "raise `memory_limit`",
    ]);
    let training = step_folder(&out, "train.supervised").unwrap();
    assert!(!training.join("work/checkpoint.bin").exists());
    // Neither key changes what comes out: the same step goes on, and ends as if it had never been limited.
    run(TINY, &out, &["--set", "train.supervised.recompute=true"]).expect(0);
    assert_eq!(step_folder(&out, "train.supervised").unwrap(), training);
    run(TINY, &out, &[])
        .expect(0)
        .says(&["train.supervised: done before", "evaluation: done before"]);
    assert_same(&out, finished());
}

#[test]
fn validation_is_logged_reported_and_decides_which_weights_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let validation = [
        "train.supervised.validation.metric=recall@10",
        "train.supervised.validation.every_steps=4",
        "train.supervised.validation.requests=60",
        "train.aligned.validation.keep=last",
        "train.aligned.validation.every_epochs=0.5",
    ];
    let sets: Vec<&str> = validation.iter().flat_map(|set| ["--set", set]).collect();
    let answer = run(TINY, &out, &sets).expect(0);
    answer.says(&[
        "best validation/recall@10",
        "whose weights are kept",
        "aligned: trained for",
        "the last weights are kept",
        "alignment does not try to lower",
    ]);
    let log = step_folder(&out, "train.supervised").unwrap().join("train.jsonl");
    let log = std::fs::read_to_string(log).unwrap();
    let records: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (number, record) in (1..).zip(&records) {
        let is_due = number % 4 == 0 || number == records.len();
        for name in ["validation/recall@10", "validation/loss"] {
            assert_eq!(record[name].is_number(), is_due, "{name} at step {number}: {record}");
        }
    }
    // Cross-entropy falls from about that of guessing.
    let losses: Vec<f64> =
        records.iter().filter_map(|record| record["validation/loss"].as_f64()).collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    assert!(report["training"].to_string().contains("validation/recall@10"), "{report}");
}

#[test]
fn an_encoder_has_the_same_course_as_a_decoder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let sets = [
        "vectors.text.validation.every_steps=3",
        "vectors.text.validation.requests=40",
        "vectors.text.validation.patience=2",
        "vectors.text.optimizer.learning_rate=1e-12",
        "vectors.text.log.tensorboard=true",
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let answer = run(TINY, &out, &sets).expect(0);
    // Nothing is learned at such a rate, so that no validation is better than the first.
    answer.says(&["vectors.text: ended early after step 9 of", "best validation/recall@10"]);
    let log = step_folder(&out, "vectors.text").unwrap().join("train.jsonl");
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 9);
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    let trainings = report["training"].as_array().unwrap();
    let encoder = trainings.iter().find(|one| one["name"] == "vectors.text").unwrap();
    assert_eq!((&encoder["objective"], &encoder["steps"]), (&"contrastive".into(), &9.into()));
    assert!(out.join("tensorboard/vectors.text").is_dir());

    let refused = |set: &str, says: &[&str]| {
        run(TINY, &folder.path().join("no"), &["--set", set]).expect(2).says(says);
    };
    refused("vectors.text.device=cuda", &["two-tower encoder `text` cannot use `device` yet"]);
    refused("vectors.text.learning_rate=1", &["it is called `optimizer.learning_rate` now"]);
    refused("vectors.text.validation.metric=loss", &["cannot be validated by \"loss\""]);
    refused("vectors.text.validation.beam=9", &["searches no beams"]);
    refused("vectors.text.batch=1", &["no negatives within a batch of one"]);
}

#[test]
fn a_corpus_without_validation_requests_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    write_pairs(&data);
    let pairs = data.join("pairs.csv");
    let text = std::fs::read_to_string(&pairs).unwrap();
    std::fs::write(&pairs, text.replace(",valid", ",train")).unwrap();
    let path = format!("corpus.path={}", data.display());
    let sets = ["--set", &path, "--set", "train.supervised.validation.requests=5"];
    let answer = run(PAIRS, &folder.path().join("run"), &sets).expect(2);
    answer.says(&[
        "training supervised cannot be validated: no validation request has a click",
        "leave out the training's [train.validation]",
    ]);
}

/// What happens on a machine with a GPU is not for this suite.
#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_that_is_not_there_is_told_of_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let gpu = ["--set", "train.aligned.device=cuda", "--set", "train.aligned.precision=bf16"];
    let answer = run(TINY, &out, &gpu);
    answer.expect(3).says(&[
        "no GPU can be used",
        "build with --features cuda",
        "device = \"cpu\"",
    ]);
    assert!(!out.exists());
}

#[test]
fn a_dry_run_knows_the_steps_of_every_training_within_a_factor_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("none");
    let told = run(TINY, &out, &["--dry-run", "--json"]).expect(0).json();
    let steps = |name: &str| -> f64 {
        let step = told.as_array().unwrap().iter().find(|one| one["step"] == name).unwrap();
        let figures = step["figures"].as_array().unwrap();
        let figure = figures.iter().find(|figure| figure[0] == "steps").unwrap();
        let digits: String =
            figure[1].as_str().unwrap().chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    for name in ["vectors.text", "train.supervised", "train.aligned"] {
        let log = step_folder(finished(), name).unwrap().join("train.jsonl");
        let done = std::fs::read_to_string(log).unwrap().lines().count() as f64;
        let ratio = steps(name) / done;
        assert!((0.5..=2.0).contains(&ratio), "{name}: {} told, {done} done", steps(name));
    }
    assert!(!out.exists());
}

#[test]
fn what_drops_averages_and_smooths_is_resumed_like_any_training() {
    let folder = tempfile::tempdir().unwrap();
    let shares = [
        "train.supervised.dropout=0.2",
        "train.supervised.average=0.9",
        "train.supervised.objective.label_smoothing=0.1",
        "train.supervised.validation.metric=recall@10",
        "train.supervised.validation.every_steps=4",
        "train.supervised.validation.requests=60",
        "train.aligned.average=0.8",
        "vectors.text.average=0.9",
    ];
    let sets: Vec<&str> = shares.iter().flat_map(|set| ["--set", set]).collect();
    let (straight, stopped) = (folder.path().join("straight"), folder.path().join("stopped"));
    run(TINY, &straight, &sets).expect(0);
    for (step, lines) in [("vectors.text", 5), ("train.supervised", 7), ("train.aligned", 6)] {
        let mut process = Running::start(&run_args(TINY, &stopped, &sets));
        let logged = process.wait_until(|| logged(&stopped, step) >= lines);
        assert!(logged, "{step} ended before the interrupt");
        process.interrupt();
        process.finish().expect(130);
    }
    run(TINY, &stopped, &sets).expect(0).says(&["train.aligned (continuing)"]);
    assert_same(&stopped, &straight);
    // What is kept is not what the same training keeps without them.
    for step in ["vectors.text", "train.supervised", "train.aligned"] {
        let logs = [&straight, finished()].map(|run| step_folder(run, step).unwrap());
        let [own, plain] = logs.map(|folder| std::fs::read(folder.join("train.jsonl")).unwrap());
        assert!(own != plain, "{step}");
    }
}
