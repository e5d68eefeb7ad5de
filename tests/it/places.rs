//! Where paths of a recipe begin, what `check` looks at, and what is said while work goes on.

use std::path::Path;

use crate::data::{PAIRS, write_npy, write_pairs};
use crate::support::{Answer, command, run, run_args, trieval};
use crate::verified::Small;

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the binary in a folder.
fn there(folder: &Path, args: &[&str]) -> Answer {
    let output = command(args).current_dir(folder).output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn paths_of_a_recipe_begin_at_its_folder_and_then_at_the_working_folder() {
    let place = tempfile::tempdir().unwrap();
    let recipes = place.path().join("recipes");
    std::fs::create_dir_all(recipes.join("near")).unwrap();
    std::fs::create_dir_all(place.path().join("far")).unwrap();
    write_pairs(&recipes.join("near"));
    write_pairs(&place.path().join("far"));
    let text = std::fs::read_to_string(PAIRS).unwrap();
    let recipe = |data: &str| {
        let kind = "kind = \"judged-pairs\"\n";
        let with = format!("{kind}path = \"{data}\"\n");
        let lines = text.lines().filter(|line| !line.starts_with("path ="));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        std::fs::write(recipes.join("r.toml"), text.replace(kind, &with)).unwrap();
    };
    recipe("near");
    there(place.path(), &["run", "recipes/r.toml", "--out", "one"]).expect(0);
    there(&recipes, &["check", "r.toml"]).expect(0);
    let elsewhere = tempfile::tempdir().unwrap();
    there(elsewhere.path(), &["check", path(&recipes.join("r.toml"))]).expect(0);
    // Nothing of this name is beside the recipe.
    recipe("far");
    there(place.path(), &["run", "recipes/r.toml", "--out", "two"]).expect(0);
    there(&recipes, &["check", "r.toml"]).expect(2).says(&["far/items.csv"]);
    // What is typed begins where it is typed.
    let set = ["check", "recipes/r.toml", "--set", "corpus.path=near"];
    there(place.path(), &set).expect(2).says(&["near/items.csv"]);
    let set = ["check", "r.toml", "--set", "corpus.path=near"];
    there(&recipes, &set).expect(0);
    // The same data from either place are the same steps.
    recipe("near");
    let out = path(&place.path().join("one")).to_owned();
    let again = there(&recipes, &["run", "r.toml", "--out", &out]).expect(0);
    assert!(!again.err.contains("(again"), "{}", again.err);
    // The recipe of a run is run again from where it was run.
    there(&recipes, &["run", "../one/recipe.toml", "--out", &out]).expect(0);
}

#[test]
fn check_looks_at_paths_and_headers_and_reads_no_rows() {
    let place = tempfile::tempdir().unwrap();
    let set = format!("corpus.path={}", place.path().display());
    let check = |more: &[&str]| trieval(&[&["check", PAIRS, "--set", &set][..], more].concat());
    check(&[]).expect(2).says(&["items.csv: cannot be read"]);
    check(&["--recipe-only"]).expect(0);
    write_pairs(place.path());
    check(&[]).expect(0);
    let missing = check(&["--set", "corpus.columns.title=titel"]).expect(2);
    missing.says(&["items.csv", "titel", "corpus.columns.title"]);
    let pairs = place.path().join("pairs.csv");
    let good = std::fs::read_to_string(&pairs).unwrap();
    std::fs::write(&pairs, good.replacen("grade", "mark", 1)).unwrap();
    check(&[]).expect(2).says(&["pairs.csv", "grade"]);
    // A row that cannot be used is not looked at.
    std::fs::write(&pairs, format!("{good}lamp,nobody,many,never\n")).unwrap();
    check(&[]).expect(0);
    std::fs::remove_file(&pairs).unwrap();
    std::fs::create_dir(&pairs).unwrap();
    check(&[]).expect(2).says(&["pairs.csv: is a folder, expected a file"]);
    // Vectors: the shape is looked at, a number that is none is not. All components are told at once.
    let npy = place.path().join("v.npy");
    write_npy(&npy, 40, true);
    let recipe = place.path().join("v.toml");
    let text = std::fs::read_to_string(crate::support::TINY).unwrap();
    let own = |name: &str| format!("[vectors.{name}]\nkind = \"file\"\npath = \"v.npy\"\n");
    let text = text
        .replacen("vectors = \"text\"", "vectors = \"own\"", 1)
        .replace("[vectors.text]", &format!("{}[vectors.text]", own("own")));
    std::fs::write(&recipe, text).unwrap();
    let checked = trieval(&["check", path(&recipe)]);
    assert!(!checked.err.contains("v.npy"), "{}", checked.err);
    let bytes = std::fs::read(&npy).unwrap();
    std::fs::write(&npy, &bytes[..bytes.len() - 4]).unwrap();
    trieval(&["check", path(&recipe)]).expect(2).says(&["v.npy", "does not fit"]);
}

#[test]
fn every_step_says_its_place_and_its_time() {
    let small = Small::new();
    let answer = small.run(&[]).expect(0);
    let n_steps = 6;
    for place in 1..=n_steps {
        let says = format!(": step {place} of {n_steps}, ");
        let line = answer.err.lines().find(|line| line.contains(&says));
        assert!(line.is_some_and(|line| line.ends_with(" s")), "{}", answer.err);
    }
    assert!(answer.err.contains("system.item-knn: step 5 of 6, "), "{}", answer.err);
}

#[test]
fn silence_is_broken_every_five_seconds() {
    // A query that does not come: nothing to do and nothing said. A search that reads a slow pipe as its corpus would be
    // work; the clock is tried on the library itself.
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use trieval::progress::Context;
    let ctx = Context::new(true, Arc::new(AtomicBool::new(false)));
    // Quiet contexts start no clock.
    drop(ctx.working("nothing"));
    drop(ctx.step("nothing"));
    let small = Small::new();
    let args = run_args(path(&small.recipe), &small.out, &["--quiet"]);
    let output = command(&args).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("step "), "quiet says warnings alone: {text}");
    run(path(&small.recipe), &small.out, &[]).expect(0);
}
