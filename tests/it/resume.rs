//! Interrupts and kills: the resumed run ends with the same bits as one that was left alone.

use std::path::Path;

use crate::support::{
    Running, TINY, assert_same, finished, logged, run, run_args, step_folder, trieval,
};

/// Waits until the training `step` has logged `lines` steps.
fn wait_for_log(process: &mut Running, out: &Path, step: &str, lines: usize) -> bool {
    process.wait_until(|| logged(out, step) >= lines)
}

#[test]
fn ctrl_c_writes_a_checkpoint_and_the_resumed_run_equals_the_straight_one() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for step in ["train.supervised", "train.aligned"] {
        let mut process = Running::start(&run_args(TINY, &out, &[]));
        assert!(wait_for_log(&mut process, &out, step, 3), "{step} ended before the interrupt");
        process.interrupt();
        let answer = process.finish().expect(130);
        answer.says(&["interrupted", "run the same command again to continue"]);
        let work = step_folder(&out, step).unwrap().join("work");
        assert!(work.join("checkpoint.bin").exists(), "{step}");
        assert!(!work.join("../step.json").exists(), "{step} is not finished");
        // A run that is not finished cannot be asked, and says how to finish it.
        let asked = trieval(&["search".as_ref(), out.as_os_str(), "red".as_ref()]).expect(2);
        asked.says(&["the run is not finished", "run the same recipe again"]);
    }
    let answer = run(TINY, &out, &[]).expect(0);
    let answer = answer.says(&["train.aligned (continuing)", "train.supervised: done before"]);
    // Continued behind the checkpoint, not started again.
    assert!(!answer.err.contains("train.supervised (again"), "{}", answer.err);
    assert_same(&out, finished());
}

#[test]
fn kill_9_anywhere_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut hits = 0;
    let log = [
        ("vectors.text", 2),
        ("vectors.text", 9),
        ("train.supervised", 1),
        ("train.supervised", 7),
        ("train.supervised", 16),
        ("train.aligned", 2),
        ("train.aligned", 12),
        ("train.aligned", 30),
    ];
    let begun = ["corpus", "identifier.sid", "train.aligned.pairs", "train.aligned.reference"];
    let points = begun.map(|step| (step, 0)).into_iter().chain(log);
    let mut points: Vec<(&str, usize)> = points.collect();
    // In the order in which a run passes them, so that one folder meets all of them.
    let order = ["corpus", "vectors", "identifier", "train.supervised", "train.aligned."];
    let place = |step: &str| order.iter().position(|begin| step.starts_with(begin));
    points.sort_by_key(|(step, lines)| (place(step).unwrap_or(order.len()), *step, *lines));
    for (step, lines) in &points {
        let mut process = Running::start(&run_args(TINY, &out, &[]));
        let alive = process.wait_until(|| match lines {
            0 => step_folder(&out, step).is_some(),
            lines => logged(&out, step) >= *lines,
        });
        process.kill();
        let done = step_folder(&out, step).is_some_and(|folder| folder.join("step.json").exists());
        if alive && !done {
            hits += 1;
        } else {
            eprintln!("note: {step} was finished before the kill at line {lines} arrived");
        }
    }
    assert!(hits * 2 >= points.len(), "only {hits} of {} kills hit their step", points.len());
    run(TINY, &out, &[]).expect(0);
    assert_same(&out, finished());
    // Nothing of the killed processes is left.
    let left: Vec<String> = crate::support::tree(&out)
        .into_keys()
        .filter(|path| path.contains(".partial-") || path.contains("/work/"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_second_straight_run_has_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("elsewhere");
    run(TINY, &out, &["--quiet"]).expect(0);
    assert_same(&out, finished());
}
