//! Trackers of a training: they change no result, follow a resumed run, and are written for finished ones.

use std::path::{Path, PathBuf};

use crate::support::{TINY, assert_same, copy_of_finished, finished, run, step_folder};

/// The event files of a training.
fn boards(out: &Path, step: &str) -> Vec<PathBuf> {
    let folder = out.join("tensorboard").join(step);
    let keys = std::fs::read_dir(folder).into_iter().flatten().flatten();
    keys.flat_map(|key| std::fs::read_dir(key.path()).unwrap().flatten())
        .map(|entry| entry.path())
        .collect()
}

/// Times that a tag stands in a file: once per step.
fn count(path: &Path, tag: &str) -> usize {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(tag.len()).filter(|window| *window == tag.as_bytes()).count()
}

/// Steps of a finished training.
fn steps(out: &Path, step: &str) -> usize {
    let log = step_folder(out, step).unwrap().join("train.jsonl");
    std::fs::read_to_string(log).unwrap().lines().count()
}

#[test]
fn a_tracked_run_has_the_same_bits_though_a_server_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // Nobody listens on the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("train.aligned.log.mlflow=\"http://127.0.0.1:{port}\"");
    let board = "train.supervised.log.tensorboard=true";
    let answer = run(TINY, &out, &["--set", board, "--set", &server]).expect(0);
    let told = format!("aligned: mlflow: http://127.0.0.1:{port}/api/2.0/mlflow/");
    let answer = answer.says(&[&told, "the training goes on, and train.jsonl holds every step"]);
    assert_eq!(answer.err.matches("mlflow: http").count(), 1, "told once:\n{}", answer.err);
    let files = boards(&out, "train.supervised");
    assert_eq!(files.len(), 1);
    assert_eq!(count(&files[0], "learning_rate"), steps(&out, "train.supervised"));
    assert!(boards(&out, "train.aligned").is_empty());
    std::fs::remove_dir_all(out.join("tensorboard")).unwrap();
    // The resolved recipe names the trackers; nothing else does, and nothing is repeated without them.
    let answer = run(TINY, &out, &[]).expect(0);
    answer.says(&["train.supervised: done before", "train.aligned: done before"]);
    assert_same(&out, finished());
}

#[test]
fn finished_trainings_get_event_files_without_being_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let board = "train.aligned.log.tensorboard=true";
    for _ in 0..2 {
        let answer = run(TINY, &out, &["--set", board]).expect(0);
        answer.says(&["train.supervised: done before", "train.aligned: done before"]);
        let files = boards(&out, "train.aligned");
        assert_eq!(files.len(), 1);
        assert_eq!(count(&files[0], "learning_rate"), steps(&out, "train.aligned"));
    }
}

#[test]
fn servers_that_cannot_be_spoken_to_are_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let server = "train.aligned.log.mlflow=\"https://mlflow.example.org\"";
    let answer = run(TINY, &out, &["--set", server]).expect(2);
    answer.says(&["log.mlflow", "https is not supported", "plain http only"]);
    assert!(!out.exists());
}
