//! Recipes and data that cannot be used: one clear message, exit code 2, nothing damaged.

use std::path::{Path, PathBuf};

use crate::data::{ITEMS, PAIRS, SEQUENCES, write_npy, write_pairs, write_sequences};
use crate::support::{Answer, TINY, run, tree, trieval};

/// Runs the tiny recipe with overrides that must be refused before anything is started.
#[track_caller]
fn refused(overrides: &[&str], says: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/run");
    let more: Vec<&str> = overrides.iter().flat_map(|set| ["--set", set]).collect();
    run(TINY, &out, &more).expect(2).says(says).says(&["nothing was started"]);
    assert!(!folder.path().join("deep").exists(), "a run folder was left");
    // `check` and `--dry-run` say the same.
    let check: Vec<&str> = ["check", TINY].iter().chain(&more).copied().collect();
    trieval(&check).expect(2).says(says);
    let dry: Vec<&str> = more.iter().copied().chain(["--dry-run"]).collect();
    run(TINY, &out, &dry).expect(2).says(says);
    assert!(!folder.path().join("deep").exists(), "a run folder was left");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name() {
    refused(
        &["train.aligned.objective.betta=1"],
        &["unknown key `betta`", "--set:1:25", "did you mean `beta`?", "1 fault"],
    );
}

#[test]
fn keys_that_a_loss_would_ignore_are_refused_together() {
    let objective = |key: &str| format!("train.aligned.objective.{key}");
    let sets = ["loss=ipo", "gamma=1", "dpo_positive=2", "label_smoothing=0.1"].map(objective);
    refused(
        &sets.each_ref().map(String::as_str),
        &[
            "loss \"ipo\" does not read `gamma`",
            "loss \"ipo\" does not read `dpo_positive`",
            "loss \"ipo\" does not read `label_smoothing`",
            "only simpo has a margin: set loss = \"simpo\"",
            "3 faults",
        ],
    );
    refused(&[&objective("loss=dpoo")], &["dpoo", "\"s-dpo\""]);
    let sets = ["loss=robust", "label_smoothing=0.5"].map(objective);
    refused(&sets.each_ref().map(String::as_str), &["1 - 2 label_smoothing", "less than 0.5"]);
    refused(&[&objective("label_smoothing=0.6")], &["label_smoothing` is out of range: 0.6"]);
}

#[test]
fn a_wrong_type_is_refused_with_the_expected_one() {
    refused(
        &["train.aligned.epochs=\"two\""],
        &["`train.aligned.epochs` has the wrong type", "expected number", "got the text \"two\""],
    );
}

#[test]
fn faults_in_the_file_are_all_shown_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("faulty.toml");
    let text = std::fs::read_to_string(TINY).unwrap();
    let faulty = text
        .replace("requests = 800", "reqests = 800")
        .replace("levels = 2", "levels = \"two\"")
        .replace("baseline = \"bm25\"", "baseline = \"bm52\"");
    std::fs::write(&recipe, &faulty).unwrap();
    let out = folder.path().join("run");
    let answer = run(recipe.to_str().unwrap(), &out, &[]).expect(2).says(&[
        "unknown key `reqests`",
        "did you mean `requests`?",
        "`identifier.sid.levels` has the wrong type",
        "bm52",
        "3 faults in",
    ]);
    let place = |needle: &str| {
        let line = faulty.lines().position(|line| line.starts_with(needle)).unwrap();
        format!("faulty.toml:{}:", line + 1)
    };
    for needle in ["reqests", "levels", "baseline"] {
        assert!(answer.err.contains(&place(needle)), "{needle}: {}", answer.err);
    }
    assert!(!out.exists());
}

#[test]
fn a_system_needs_a_model_that_somebody_trains() {
    refused(
        &["system.aligned.train=nobody"],
        &["`system.aligned.train` names \"nobody\", which does not exist", "\"supervised\""],
    );
    refused(
        &["system.aligned.train=decoder"],
        &["names the model `decoder`, not a training", "supervised"],
    );
}

#[test]
fn trainings_must_not_start_from_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("ring.toml");
    let text = std::fs::read_to_string(TINY).unwrap();
    std::fs::write(&recipe, text.replace("model = \"decoder\"", "init = \"aligned\"")).unwrap();
    let out = folder.path().join("run");
    let answer = run(recipe.to_str().unwrap(), &out, &[]).expect(2);
    answer.says(&["trainings start from each other", "supervised ← aligned ← supervised"]);
    assert!(!out.exists());
}

#[test]
fn a_split_without_days_for_training_is_refused() {
    refused(
        &["corpus.test_days=8"],
        &["no day is left for training: 8 days in all", "hold out fewer days"],
    );
    refused(&["corpus.test_days=0"], &["`corpus.test_days` is out of range: 0"]);
}

#[test]
fn a_recipe_that_is_not_there_or_not_toml_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let recipe = folder.path().join("recipe.toml");
    let name = recipe.to_str().unwrap();
    run(name, &out, &[]).expect(2).says(&[name, "cannot be read", "trieval recipes list"]);
    std::fs::write(&recipe, "name = \"x\"\n[corpus\n").unwrap();
    run(name, &out, &[]).expect(2).says(&["recipe.toml:2:"]);
    std::fs::write(&recipe, b"name = \"\xff\"\n").unwrap();
    run(name, &out, &[]).expect(2).says(&[name, "UTF-8"]);
    std::fs::write(&recipe, "").unwrap();
    run(name, &out, &[]).expect(2).says(&["missing key `corpus`", "missing key `name`"]);
    assert!(!out.exists());
}

/// The judged pairs with a change to their folder, run up to the refusal.
struct Spoilt {
    folder: tempfile::TempDir,
}

impl Spoilt {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        write_pairs(&folder.path().join("data"));
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    fn edit(&self, name: &str, change: impl Fn(String) -> String) {
        let text = std::fs::read_to_string(self.file(name)).unwrap();
        std::fs::write(self.file(name), change(text)).unwrap();
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let text = std::fs::read(self.file(name)).unwrap();
        std::fs::write(self.file(name), [&text[..], bytes].concat()).unwrap();
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn run(&self, more: &[&str]) -> Answer {
        let path = format!("corpus.path={}", self.folder.path().join("data").display());
        let args: Vec<&str> = ["--set", &path].iter().chain(more).copied().collect();
        run(PAIRS, &self.out(), &args)
    }

    /// Data refused by the corpus: no folder stays, and the data are as they were.
    #[track_caller]
    fn refused(&self, says: &[&str]) {
        let before = tree(&self.folder.path().join("data"));
        self.run(&[]).expect(2).says(says);
        assert!(!self.out().exists(), "a run folder was left");
        assert!(tree(&self.folder.path().join("data")) == before, "the data were touched");
    }
}

#[test]
fn missing_and_empty_files_are_named() {
    let spoilt = Spoilt::new();
    std::fs::remove_file(spoilt.file("pairs.csv")).unwrap();
    spoilt.refused(&["pairs.csv: cannot be read", "--set corpus.path=DIR"]);
    std::fs::write(spoilt.file("pairs.csv"), "").unwrap();
    spoilt.refused(&["pairs.csv: the file is empty; expected a header line"]);
    std::fs::write(spoilt.file("pairs.csv"), "query,item_id,grade,split\n").unwrap();
    spoilt.refused(&["pairs.csv: holds no judged pairs"]);
    std::fs::remove_dir_all(spoilt.folder.path().join("data")).unwrap();
    spoilt.refused(&["items.csv: cannot be read", "--set corpus.path=DIR"]);
}

#[test]
fn wrong_columns_are_named_with_the_nearest() {
    let spoilt = Spoilt::new();
    spoilt.edit("pairs.csv", |text| text.replacen("query", "Query text", 1));
    spoilt.refused(&[
        "pairs.csv:1: no column `query`",
        "`Query text`, `item_id`, `grade`, `split`",
        "set corpus.columns.query = \"Query text\"",
    ]);
}

#[test]
fn broken_utf_8_is_named_by_line_and_field() {
    let spoilt = Spoilt::new();
    spoilt.append("items.csv", b"p99,\xff\xfe sofa\n");
    spoilt.refused(&["items.csv:42: field 2 is not UTF-8", "1 of 41 rows", "malformed_share"]);
}

#[test]
fn duplicate_ids_are_named_with_both_lines() {
    let spoilt = Spoilt::new();
    spoilt.append("items.csv", b"p3,the same again\n");
    spoilt.refused(&["items.csv:42: item id `p3` again; it was first in line 5"]);
    // With a stated share they are counted, left out and reported.
    let answer = spoilt.run(&["--set", "corpus.malformed_share=0.05"]).expect(0);
    let warning = "rows are malformed and were left out; the first: ";
    assert_eq!(answer.err.matches(warning).count(), 1, "warned once: {}", answer.err);
    answer.says(&["items.csv:42: item id `p3` again"]);
}

#[test]
fn a_request_whose_items_are_all_unknown_is_refused_or_counted() {
    let spoilt = Spoilt::new();
    spoilt.append("pairs.csv", b"odd query,zz1,2,test\nodd query,zz2,3,test\n");
    spoilt.refused(&["item id `zz1` is not in the items file", "2 of ", "malformed_share"]);
    let answer = spoilt.run(&["--set", "corpus.malformed_share=0.05", "--json"]).expect(0);
    let report = answer.json();
    assert_eq!(report["counts"]["malformed_rows"], 2);
    assert_eq!(report["counts"]["evaluated"], 4, "the odd query is not among them");
}

#[test]
fn data_without_a_test_split_are_refused_before_any_training() {
    let spoilt = Spoilt::new();
    spoilt.edit("pairs.csv", |text| text.replace(",test\n", ",train\n"));
    spoilt.refused(&["pairs.csv: no test request with a judged item", "check corpus.split"]);
    let spoilt = Spoilt::new();
    let answer = spoilt.run(&["--set", "evaluation.relevant_grade=9"]).expect(2);
    answer.says(&["the best grade of a test request is 3, below the 9", "relevant_grade"]);
    assert!(!spoilt.out().exists());
}

#[test]
fn vectors_must_be_numbers_and_fit_the_items() {
    let spoilt = Spoilt::new();
    let path = spoilt.folder.path().join("vectors.npy");
    let set = format!("vectors.text={{kind=\"file\",path=\"{}\"}}", path.display());
    let run = || spoilt.run(&["--set", &set]);
    run().expect(2).says(&["vectors.npy: cannot be read"]);
    assert!(!spoilt.out().exists());
    write_npy(&path, ITEMS, true);
    run().expect(2).says(&["vectors.npy: row 3, column 1 (from 0) is NaN", "help:"]);
    write_npy(&path, ITEMS - 1, false);
    run().expect(2).says(&["vectors.npy: 39 vectors for 40 items", "in the order of the items"]);
    // Repaired, the same command goes on.
    write_npy(&path, ITEMS, false);
    run().expect(0).says(&["corpus: done before"]);
}

#[test]
fn a_million_characters_of_title_are_cut_and_counted() {
    let spoilt = Spoilt::new();
    let row = format!("p99,{}\n", "very long title ".repeat(62_500));
    spoilt.append("items.csv", row.as_bytes());
    let answer = spoilt.run(&[]).expect(0);
    answer.says(&["1 items had a title or text of more than 32768 bytes, which was cut"]);
}

#[test]
fn spoilt_sequences_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let out = folder.path().join("run");
    let set = format!("corpus.path={}", data.display());
    let refused = |says: &[&str]| {
        run(SEQUENCES, &out, &["--set", &set]).expect(2).says(says);
        assert!(!out.exists(), "a run folder was left");
    };
    refused(&["cannot be read", "--set corpus.path=DIR"]);
    let write = |name: &str, bytes: &[u8]| std::fs::write(data.join(name), bytes).unwrap();
    write_sequences(&data);
    write("users.json", b"");
    refused(&["users.json: the file is empty"]);
    write("users.json", br#"{"u1": ["p1", "p2", "p3", "p4"#);
    refused(&["users.json:1: is not a JSON object"]);
    write("users.json", br#"{"u1": ["x1", "x2", "x3", "x4"]}"#);
    refused(&["users.json:1: item `x1` and 3 more of user `u1` not in the items file"]);
    write("users.json", br#"{"u1": ["p1", "p2"], "u2": ["p3"]}"#);
    refused(&["users.json: no user has 3 known items or more"]);
    write_sequences(&data);
    write("items.json", br#"{"p1": {"title": "x"}, "p1": {"title": "y"}}"#);
    refused(&["items.json", "item id `p1` again"]);
    write("items.json", b"{\n\"p1\": {\xff");
    refused(&["items.json:2: is not UTF-8"]);
    assert!(Path::new(&data).exists());
}
