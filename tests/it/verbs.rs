//! The small verbs and flags.

use std::path::Path;

use crate::support::{Running, logged, run_args, step_folders, tree};
use crate::support::{TINY, command, copy_of_finished, finished, run, step_folder, trieval};
use crate::verified::Small;

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_version_says_commit_and_features() {
    let answer = trieval(&["--version"]).expect(0);
    assert!(answer.out.starts_with("trieval 0."), "{}", answer.out);
    assert!(answer.out.contains("commit") && answer.out.contains("features: "), "{}", answer.out);
}

#[test]
fn shells_complete_every_verb_and_pages_describe_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = trieval(&["completions", shell]).expect(0).out;
        for word in ["search", "clean", "dry-run"] {
            assert!(text.contains(word), "{shell} does not know {word}");
        }
    }
    trieval(&["completions", "cmd"]).expect(2).says(&["bash", "fish"]);
    let page = trieval(&["man"]).expect(0).out;
    assert!(page.contains(".TH trieval 1") && page.contains("Exit codes"), "{page}");
    let page = trieval(&["man", "search"]).expect(0).out;
    assert!(page.contains("trieval\\-search") && page.contains("history"), "{page}");
    trieval(&["man", "serach"]).expect(2).says(&["search", "compare"]);
}

#[test]
fn a_recipe_is_copied_into_the_working_folder_and_over_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let copy = || {
        let mut command = command(&["recipes", "copy", "quickstart"]);
        command.current_dir(folder.path()).output().unwrap()
    };
    assert!(copy().status.success());
    let file = folder.path().join("quickstart.toml");
    assert!(std::fs::read_to_string(&file).unwrap().contains("name = \"quickstart\""));
    std::fs::write(&file, "mine").unwrap();
    assert_eq!(copy().status.code(), Some(2));
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    #[cfg(unix)]
    {
        // Nor into what a dangling link leads to.
        std::fs::remove_file(&file).unwrap();
        let target = folder.path().join("target");
        std::os::unix::fs::symlink(&target, &file).unwrap();
        assert_eq!(copy().status.code(), Some(2));
        assert!(!target.exists());
    }
}

#[test]
fn an_item_is_asked_for_by_place_or_by_flag() {
    let run = path(finished());
    let flag = trieval(&["ids", run, "--item", "i00000017"]).expect(0).out;
    assert_eq!(trieval(&["ids", run, "i00000017"]).expect(0).out, flag);
    trieval(&["ids", run, "nope"]).expect(2).says(&["item nope"]);
    trieval(&["ids", run, "i00000017", "--tokens", "<a_1>"]).expect(2);
}

#[test]
fn queries_stand_beside_the_judgments() {
    let step = step_folder(finished(), "evaluation").unwrap();
    let queries = std::fs::read_to_string(step.join("queries.tsv")).unwrap();
    let judged = std::fs::read_to_string(step.join("qrels.trec")).unwrap();
    assert!(!queries.is_empty());
    for line in queries.lines() {
        let (id, query) = line.split_once('\t').unwrap();
        assert!(!query.trim().is_empty());
        assert!(judged.lines().any(|line| line.starts_with(&format!("{id} "))), "{id}");
    }
    // Histories have no text.
    let small = Small::finished();
    let step = step_folder(&small.out, "evaluation").unwrap();
    assert!(step.join("qrels.trec").exists() && !step.join("queries.tsv").exists());
}

#[test]
fn what_a_key_names_is_explained() {
    let explain = |key: &str| trieval(&["recipes", "explain", key, "--recipe", TINY]).expect(0).out;
    let text = explain("train.aligned.init");
    assert!(text.contains("[[train]] with name = \"supervised\", kind \"decoder\""), "{text}");
    assert!(text.contains("tiny.toml:"), "{text}");
    let text = explain("model.decoder.identifier");
    assert!(text.contains("[identifier.sid], kind \"residual-k-means\""), "{text}");
    let text = explain("system.fused.runs");
    assert_eq!(text.matches("[[system]] with name").count(), 3, "{text}");
    let text = explain("evaluation.baseline");
    assert!(text.contains("[[system]] with name = \"bm25\", kind \"bm25\""), "{text}");
    assert!(!explain("train.aligned.epochs").contains("names"), "it names nothing");
}

#[test]
fn what_is_left_of_earlier_recipes_is_listed_and_deleted() {
    let small = Small::finished();
    let clean = |more: &[&str]| trieval(&[&["clean", path(&small.out)][..], more].concat());
    assert!(clean(&[]).expect(0).out.contains("nothing is left"));
    let before = tree(&small.out);
    small.run(&["--set", "evaluation.bootstrap=150"]).expect(0);
    let listed = clean(&[]).expect(0);
    assert!(listed.out.contains("steps/evaluation/") && listed.out.contains("in all"));
    listed.says(&["nothing was deleted; --yes"]);
    assert_eq!(step_folders(&small.out, "evaluation").len(), 2);
    // A run that was begun and refused: the report rests on the plan before.
    let data = small.place.path().join("sequences.txt");
    std::fs::write(&data, "u0 i1\n").unwrap();
    small.run(&[]).expect(2);
    clean(&["--yes"]).expect(0).says(&["deleted"]);
    assert_eq!(step_folders(&small.out, "evaluation").len(), 1);
    assert!(clean(&[]).expect(0).out.contains("nothing is left"));
    let report = trieval(&["report", path(&small.out)]).expect(0);
    report.says(&["earlier recipe"]);
    let kept = tree(&small.out);
    let steps = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        files.keys().filter(|name| name.ends_with("step.json")).count()
    };
    assert_eq!(steps(&kept), steps(&before), "all that the report rests on is there");
    // Nothing says what a report rests on: nothing is deleted.
    std::fs::remove_file(small.out.join("finished.json")).unwrap();
    clean(&["--yes"]).expect(2).says(&["nothing says what its last report rests on"]);
    assert_eq!(steps(&tree(&small.out)), steps(&kept));
    trieval(&["clean", path(small.place.path())]).expect(2).says(&["is not a run folder"]);
    assert!(!small.place.path().join("lock").exists());
}

#[test]
fn unfinished_work_of_old_keys_is_left_over_and_that_of_the_present_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let set = ["--set", "train.supervised.optimizer.learning_rate=2e-3"];
    let mut process = Running::start(&run_args(TINY, &out, &set));
    let begun = || {
        let folders = step_folders(&out, "train.supervised");
        folders.iter().any(|one| one.join("work/checkpoint.bin").exists())
    };
    assert!(process.wait_until(begun), "too late");
    process.kill();
    assert!(trieval(&["clean", path(&out)]).expect(0).out.contains("nothing is left"));
    // The old recipe again: what was begun is nobody's.
    run(TINY, &out, &[]).expect(0);
    let listed = trieval(&["clean", path(&out), "--yes"]).expect(0).out;
    assert!(listed.contains("(unfinished)"), "{listed}");
    assert_eq!(step_folders(&out, "train.supervised").len(), 1);
    assert!(logged(&out, "train.supervised") == 0);
    run(TINY, &out, &[]).expect(0).says(&["train.supervised: done before"]);
}
