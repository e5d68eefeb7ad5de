//! What can happen to a run folder: no permission, no space, damage, company.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Running, TINY, assert_same, copy_of_finished, finished, json, logged, run, run_args,
    step_folder, tree, trieval,
};

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    // Permissions do not bind root, so the path leads through a regular file.
    let below = file.join("run");
    let answer = run(TINY, &below, &[]).expect(3);
    answer.says(&[&below.display().to_string(), "cannot be written", "--out DIR"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    let answer = run(TINY, &file, &[]).expect(3);
    answer.says(&[&file.display().to_string(), "cannot be written", "--out DIR"]);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[test]
fn two_runs_on_one_folder_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut first = Running::start(&run_args(TINY, &out, &[]));
    assert!(first.wait_until(|| out.join("plan.json").exists()));
    let second = run(TINY, &out, &[]);
    second.expect(3).says(&[
        &out.display().to_string(),
        "another trieval process is working in this run folder",
        "--out DIR",
    ]);
    first.finish().expect(0);
    assert_same(&out, finished());
}

/// A small file system that is unmounted again.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount(at: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={kib}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at);
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then(|| Self(at.to_owned()))
    }

    fn resize(&self, kib: u32) {
        let size = format!("remount,size={kib}k");
        let status = Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("disk");
    let Some(disk) = SmallDisk::mount(&at, 64) else {
        eprintln!("SKIPPED: a_full_disk_stops_the_run_and_loses_nothing needs the right to mount");
        return;
    };
    let out = at.join("run");
    let mut refusals = 0;
    let mut finished_steps = 0;
    // From hardly any space to enough, so that it runs out in many places.
    for kib in (1..).map(|round| 64 + round * 320) {
        let answer = run(TINY, &out, &[]);
        if answer.code == 0 {
            break;
        }
        refusals += 1;
        let answer = answer.expect(3).says(&["cannot be written", "No space left"]);
        assert!(
            ["free some disk space", "check the free space"]
                .iter()
                .any(|help| answer.err.contains(help))
        );
        let steps = tree(&out).into_keys().filter(|path| path.ends_with("step.json")).count();
        assert!(steps >= finished_steps, "finished steps are kept");
        finished_steps = steps;
        let partial = tree(&out).into_keys().filter(|path| path.contains(".partial-")).count();
        assert_eq!(partial, 0, "a refused write takes no space");
        assert!(kib < 16_384, "the recipe is meant to be small");
        disk.resize(kib);
    }
    assert!(refusals >= 4, "the disk was full {refusals} times only");
    assert_same(&out, finished());
}

/// Cuts a file, then flips a bit of it, and checks what the next run says; the file is restored.
fn damage(path: &Path, check: impl Fn(&str)) {
    let good = std::fs::read(path).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 4;
    for (kind, bad) in [("cut", good[..good.len() - 7].to_vec()), ("flipped", flipped)] {
        std::fs::write(path, &bad).unwrap();
        check(kind);
        assert!(std::fs::read(path).unwrap() == bad, "the damaged file was touched");
    }
    std::fs::write(path, good).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_named_and_can_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut process = Running::start(&run_args(TINY, &out, &[]));
    assert!(process.wait_until(|| logged(&out, "train.supervised") >= 6), "too late");
    process.interrupt();
    process.finish().expect(130);
    let checkpoint = step_folder(&out, "train.supervised").unwrap().join("work/checkpoint.bin");
    damage(&checkpoint, |kind| {
        let what = if kind == "cut" { "truncated: expected" } else { "altered: the content" };
        let answer = run(TINY, &out, &[]).expect(2);
        answer.says(&[&checkpoint.display().to_string(), what, "delete this file"]);
    });
    // As told: without it the training starts again, and ends with the same weights.
    std::fs::remove_file(&checkpoint).unwrap();
    run(TINY, &out, &[]).expect(0);
    assert_same(&out, finished());
}

#[test]
fn damaged_results_of_finished_steps_are_named_and_redone_when_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let step = step_folder(&out, "train.aligned").unwrap();
    let weights = step.join("model/model.safetensors");
    let before = tree(&out);
    damage(&weights, |_| {
        let parts = [weights.display().to_string(), step.display().to_string()];
        let answer = run(TINY, &out, &[]).expect(2);
        answer.says(&[&parts[0], "altered since step train.aligned wrote it", "delete", &parts[1]]);
        // Nor does a search answer with damaged weights.
        let asked = trieval(&["search".as_ref(), out.as_os_str(), "red".as_ref()]).expect(2);
        asked.says(&[&parts[0], "altered since step train.aligned wrote it"]);
    });
    assert!(tree(&out) == before, "refusals change nothing");
    std::fs::remove_dir_all(&step).unwrap();
    let answer = run(TINY, &out, &[]).expect(0).says(&["train.supervised: done before"]);
    let redone: Vec<&str> = answer.err.lines().filter(|line| *line == "train.aligned").collect();
    assert_eq!(redone.len(), 1, "{}", answer.err);
    assert_same(&out, finished());
}

#[test]
fn what_was_read_is_known_and_alterations_are_found_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let known = out.join("fingerprints.json");
    std::fs::remove_file(&known).unwrap();
    let search = || trieval(&["search".as_ref(), out.as_os_str(), "red".as_ref()]);
    // Files that were written just now are read each time.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    search().expect(0);
    let weights = step_folder(&out, "train.aligned").unwrap().join("model/model.safetensors");
    let path = weights.canonicalize().unwrap().display().to_string();
    let mut kept = json(&known);
    assert!(kept["files"][&path]["bytes"].is_u64(), "{kept}");
    // What is known is believed: the file is not read again.
    kept["files"][&path]["blake3"] = "0".repeat(64).into();
    std::fs::write(&known, kept.to_string()).unwrap();
    search().expect(2).says(&[&path, "found 000000000000"]);
    std::fs::write(&known, "{").unwrap();
    search().expect(0);
    assert!(json(&known)["files"][&path].is_object(), "a damaged file is written anew");
    // A change of size or time is noticed.
    damage(&weights, |_| {
        search().expect(2).says(&[&path, "altered since step train.aligned wrote it"]);
        run(TINY, &out, &[]).expect(2).says(&[&path, "altered"]);
    });
    search().expect(0);
}

#[test]
fn a_missing_result_and_a_damaged_manifest_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let index = step_folder(&out, "identifier.sid").unwrap().join("index.bin");
    let good = std::fs::read(&index).unwrap();
    std::fs::remove_file(&index).unwrap();
    run(TINY, &out, &[]).expect(2).says(&[&index.display().to_string(), "cannot be read"]);
    std::fs::write(&index, good).unwrap();
    let manifest = step_folder(&out, "corpus").unwrap().join("step.json");
    let text = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    let answer = run(TINY, &out, &[]).expect(2);
    answer.says(&[&manifest.display().to_string(), "not a step manifest", "only this step"]);
    std::fs::write(&manifest, text).unwrap();
    run(TINY, &out, &[]).expect(0);
}

#[test]
fn what_is_not_a_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["search", "ids", "report"] {
        let mut args = vec![verb.to_owned(), folder.path().display().to_string()];
        if verb == "search" {
            args.push("red".into());
        }
        let answer = trieval(&args).expect(2);
        answer.says(&[&folder.path().display().to_string(), "trieval run RECIPE --out DIR"]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
