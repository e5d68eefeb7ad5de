//! Trainings that are named: lent to vectors and systems, and started from each other.

use std::path::Path;

use crate::support::{json, run, step_folder, step_folders, trieval};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/trainings.toml");
const TEXT: &str = include_str!("trainings.toml");

/// The answers of a system, without its name.
fn answers(run: &Path, system: &str) -> Vec<String> {
    let folder = step_folder(run, &format!("system.{system}")).unwrap();
    let text = std::fs::read_to_string(folder.join("run.trec")).unwrap();
    let line = |line: &str| line.rsplit_once(' ').map(|(answer, _)| answer.to_owned());
    text.lines().filter_map(line).collect()
}

#[test]
fn a_training_is_done_once_whoever_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    run(RECIPE, &out, &[]).expect(0);
    let steps = |name: &str| step_folders(&out, name).len();
    assert_eq!((steps("train.clicks-further"), steps("system.ctr")), (1, 1));
    let equal = ["system.ctr.fit", "system.ctr-again.fit", "system.ctr-again"];
    for none in ["vectors.text", "vectors.stages"].into_iter().chain(equal) {
        assert_eq!(steps(none), 0, "{none}");
    }
    let report = json(&out.join("report.json"));
    let trained = report["training"].as_array().unwrap();
    let trained: Vec<&str> = trained.iter().map(|one| one["name"].as_str().unwrap()).collect();
    let all = ["titles", "tower", "stages", "stages-further", "clicks", "clicks-further"];
    assert_eq!(trained, all);

    // The recipe that a run keeps, and the same tables spelt in the parts, ask for nothing new.
    let kept = out.join("recipe.toml");
    run(kept.to_str().unwrap(), &out, &[]).expect(0).says(&["train.tower: done before"]);
    let inline = TEXT
        .replace("[vectors.text]\nkind = \"two-tower\"\ntrain = \"tower\"", "")
        .replace("[[train]]\nname = \"tower\"", "[vectors.text]");
    let recipe = folder.path().join("inline.toml");
    std::fs::write(&recipe, inline).unwrap();
    let again = run(recipe.to_str().unwrap(), &out, &[]);
    again.expect(0).says(&["vectors.text: done before", "system.two-tower: done before"]);
}

#[test]
fn a_training_goes_on_from_the_weights_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    // Steps of no size: what is trained further answers as what it starts from.
    let still = ["tower", "stages-further", "clicks-further"]
        .map(|name| format!("train.{name}.optimizer.learning_rate=0"));
    let mut sets: Vec<&str> = still.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let first = ["vectors.text.train=titles", "vectors.stages.train=stages"];
    sets.extend(first.iter().flat_map(|set| ["--set", set]));
    sets.extend(["--set", "system.ctr-again.train=clicks"]);
    let more = "
[vectors.further]
kind = \"two-tower\"
train = \"tower\"

[vectors.stages-further]
kind = \"mmse\"
train = \"stages-further\"

[[system]]
name = \"two-tower-further\"
kind = \"two-tower\"
vectors = \"further\"

[[system]]
name = \"mmse-further\"
kind = \"two-tower\"
vectors = \"stages-further\"
";
    let recipe = folder.path().join("further.toml");
    std::fs::write(&recipe, format!("{TEXT}{more}")).unwrap();
    run(recipe.to_str().unwrap(), &out, &sets).expect(0);
    for (first, further) in
        [("two-tower", "two-tower-further"), ("mmse", "mmse-further"), ("ctr-again", "ctr")]
    {
        let (first, further) = (answers(&out, first), answers(&out, further));
        assert!(first.len() > 1_000, "{}", first.len());
        assert_eq!(first, further);
    }
}

#[test]
fn what_cannot_be_named_is_refused_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let refused = |set: &str, says: &[&str]| {
        run(RECIPE, &out, &["--set", set]).expect(2).says(says);
    };
    refused("vectors.text.epochs=3", &["`epochs` stands beside `train`", "[[train]] `tower`"]);
    refused("vectors.text.train=clicks", &["is of kind = \"logistic\", not \"two-tower\""]);
    refused("vectors.text.train=tover", &["no training \"tover\"", "did you mean \"tower\"?"]);
    refused("train.tower.train=titles", &["unknown key `train`"]);
    refused("train.tower.init=clicks", &["no weights that this one could start from"]);
    refused("train.tower.init=text", &["names the vectors `text`, not a training"]);
    let ring = "trainings start from each other: tower ← tower";
    refused("train.tower.init=tower", &[ring, "1 fault"]);
    refused("train.tower.dim=8", &["`train.tower.dim` is that of what it starts from"]);
    refused("system.ctr.features=[]", &["`features` stands beside `train`"]);
    refused("train.clicks.batch=0", &["`train.clicks.batch` is out of range", "1 fault"]);
    let decoder = "system.ctr={name=\"ctr\",kind=\"generative\",train=\"clicks\"}";
    refused(decoder, &["training `clicks` is of kind = \"logistic\" and no decoder"]);
    assert!(!out.exists(), "nothing was done");
}

#[test]
fn explanations_lead_to_the_training_that_says_it() {
    let explained = |key: &str, says: &str| {
        let out = trieval(&["recipes", "explain", key, "--recipe", RECIPE]).expect(0).out;
        assert!(out.contains(says), "`{says}` is not in:\n{out}");
    };
    explained("vectors.text.epochs", "train.tower.epochs = 1");
    explained("vectors.text.dim", "train.tower.dim is that of training `titles`");
    explained("train.tower.kind", "default  \"decoder\"");
}

#[test]
fn what_a_ranker_leaves_behind_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let other = "train.clicks-further.features=[{column=\"item.price\",as=\"number\"}]";
    let told = run(RECIPE, &out, &["--set", other]).expect(0);
    let left = "what it starts from has `request.query`, `item.category`, `item.price`, of which";
    told.says(&[left, "begins with other probabilities"]);
}
