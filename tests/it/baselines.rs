//! The systems that count and match words, tuned settings and run files, from recipe to report.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::data::{PAIRS, USERS, write_pairs, write_sequences};
use crate::support::{Answer, TINY, json, run, step_folder, trieval};

/// The recipe of the baselines.
const BASELINES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/baselines.toml");

const CASCADE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cascade.toml");

/// Sequences and a place for runs.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        write_sequences(&folder.path().join("data"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the recipe with further text behind it.
    fn run(&self, out: &str, further: &str, more: &[&str]) -> Answer {
        let recipe = self.path("recipe.toml");
        let text = std::fs::read_to_string(BASELINES).unwrap();
        std::fs::write(&recipe, format!("{text}\n{further}")).unwrap();
        let data = format!("corpus.path={}", self.path("data").display());
        let args: Vec<&str> = ["--set", &data].iter().chain(more).copied().collect();
        run(recipe.to_str().unwrap(), &self.path(out), &args)
    }

    /// A system of kind run.
    fn outside(&self, file: &str) -> String {
        let path = self.path(file);
        format!("[[system]]\nname = \"outside\"\nkind = \"run\"\npath = \"{}\"\n", path.display())
    }
}

fn system<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["systems"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
}

fn answers(run: &Path, system: &str) -> String {
    let folder = step_folder(run, &format!("system.{system}")).unwrap();
    std::fs::read_to_string(folder.join("run.trec")).unwrap()
}

#[test]
fn what_was_tuned_is_kept_shown_and_used() {
    let place = Place::new();
    let answer = place.run("run", "", &["--json"]).expect(0);
    answer.says(&["system bm25: tuned for ndcg@10 on 40 validation requests", "7 settings tried"]);
    let out = place.path("run");
    let tuned = json(&step_folder(&out, "system.bm25").unwrap().join("tuned.json"));
    assert!(tuned["value"].as_f64() >= tuned["untuned"].as_f64());
    let weights = json(&step_folder(&out, "system.both").unwrap().join("tuned.json"));
    let chosen = weights["chosen"].as_object().unwrap();
    assert_eq!(chosen.keys().collect::<Vec<_>>(), ["runs.0", "runs.1"]);
    let report = json(&out.join("report.json"));
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("system bm25: tuned") && notes.contains("system both: tuned"),
        "{notes}"
    );
    // The constants that were chosen, given as they are, return the same lists.
    let (k1, b) = (&tuned["chosen"]["k1"], &tuned["chosen"]["b"]);
    let fixed = format!(
        "system.bm25={{name=\"bm25\",kind=\"bm25\",k1={k1},b={b},fields=[{{field=\"title\",weight=2}},\
         {{field=\"brand\",b=0}}]}}"
    );
    place
        .run(
            "fixed",
            "",
            &["--set", &fixed, "--set", "system.both.runs=[\"item-cf\",\"item-knn\"]"],
        )
        .expect(0);
    assert_eq!(answers(&place.path("fixed"), "bm25"), answers(&out, "bm25"));
    // A finished run answers with what was chosen.
    let args = ["search", out.to_str().unwrap(), "red table", "--system", "bm25", "--json"];
    let found = trieval(&args).expect(0).json();
    assert_eq!(found["items"].as_array().map(Vec::is_empty), Some(false), "{found}");
}

#[test]
fn a_run_file_is_a_system_without_time() {
    let place = Place::new();
    place.run("run", "", &[]).expect(0);
    let lists = answers(&place.path("run"), "item-cf");
    std::fs::write(place.path("outside.run"), &lists).unwrap();
    place.run("again", &place.outside("outside.run"), &[]).expect(0);
    let report = json(&place.path("again/report.json"));
    let (own, outside) = (system(&report, "item-cf"), system(&report, "outside"));
    assert_eq!(own["metrics"], outside["metrics"]);
    assert!(own["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert!(outside["latency_ms"].is_null() && outside["peak_bytes"].is_null(), "{outside}");
    assert_eq!(outside["kind"], "run-file");
    assert!(outside["operational"].get("qps").is_none());
    assert!(outside["operational"].get("qps_batch").is_none());
    assert!(outside["bytes"].as_u64() == Some(lists.len() as u64), "{outside}");
    // Other content is another step; the same content elsewhere is not.
    std::fs::copy(place.path("outside.run"), place.path("moved.run")).unwrap();
    let answer = place.run("again", &place.outside("moved.run"), &[]).expect(0);
    answer.says(&["system.outside: done before", "evaluation: done before"]);
    // Lists that lack requests are told, and the figures count them.
    let half: String = lists
        .lines()
        .filter(|line| !line.starts_with("u1"))
        .fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(place.path("moved.run"), half).unwrap();
    let answer = place.run("again", &place.outside("moved.run"), &[]).expect(0);
    answer.says(&[
        "system.outside (again: ",
        "moved.run has no answer to 11 of 40 evaluated requests, the first being `u1-test`",
    ]);
    let report = json(&place.path("again/report.json"));
    assert_eq!(system(&report, "outside")["unanswered"], 11);
    // It cannot be asked anything new.
    let out = place.path("again");
    let args = ["search", out.to_str().unwrap(), "--history", "p1", "--system", "outside"];
    trieval(&args).expect(2).says(&["system outside is a run file", "--system"]);
}

#[test]
fn run_files_of_other_data_are_refused() {
    let place = Place::new();
    let refused = |content: &str, says: &[&str]| {
        std::fs::write(place.path("outside.run"), content).unwrap();
        place.run("run", &place.outside("outside.run"), &[]).expect(2).says(says);
    };
    place.run("none", &place.outside("nothing.run"), &[]).expect(2).says(&["nothing.run", "read"]);
    assert!(!place.path("none").exists());
    refused(
        "q1 Q0 p1 1 3 s\nu1-test Q0 p1 1 3 s\nq2 Q0 p2 1 3 s\n",
        &["outside.run: 2 of 3 requests are not in the corpus; the first: `q1`, `q2`", "help:"],
    );
    refused(
        "u1-test Q0 x9 1 3 s\nu1-test Q0 p1 2 2 s\n",
        &["outside.run: 1 of 2 entries are not of the catalogue; the first: `x9`"],
    );
    refused("u1-valid", &["outside.run:1: expected 6 fields"]);
    refused(
        "u1-validation Q0 p1 1 3 s\n",
        &["answers none of the 40 evaluated requests", "evaluation.split"],
    );
    assert_eq!(USERS, 40);
    refused("u1-test Q0 p1 1 high s\n", &["outside.run:1: the score must be a number"]);
    // Alone, an infinite score is a place in a list; what computes with it refuses it.
    let lists = (0..USERS).map(|user| format!("u{user}-test Q0 p1 1 inf s\n")).collect::<String>();
    std::fs::write(place.path("outside.run"), &lists).unwrap();
    place.run("alone", &place.outside("outside.run"), &[]).expect(0);
    let fused = format!(
        "{}[[system]]\nname = \"sum\"\nkind = \"fusion\"\nruns = [\"item-cf\", \"outside\"]\nmethod = \"comb-sum\"\n",
        place.outside("outside.run")
    );
    place
        .run("fused", &fused, &[])
        .expect(2)
        .says(&["request `u0-test` has an item whose score is infinite", "leave such items out"]);
}

#[test]
fn systems_that_lack_what_they_need_are_refused_before_any_work() {
    let place = Place::new();
    let refused = |more: &[&str], says: &[&str]| {
        let sets: Vec<&str> = more.iter().flat_map(|set| ["--set", set]).collect();
        place.run("run", "", &sets).expect(2).says(says).says(&["nothing was started"]);
        assert!(!place.path("run").exists());
    };
    refused(
        &["system.popularity.days=3", "system.popularity.half_life=2"],
        &["system `popularity` looks at days, but the corpus has none", "2 faults"],
    );
    refused(&["system.bm25.tune.budget=5"], &["6 settings, of 5 at most"]);
    refused(&["system.bm25.tune.b=[]"], &["`system.bm25.tune.b` is empty"]);
    refused(&["system.bm25.tune.k1=[-1]"], &["`system.bm25.tune.k1` is out of range: -1"]);
    refused(&["system.bm25.tune.metric=auc"], &["constants cannot be tuned for \"auc\""]);
    refused(
        &["evaluation.split=validation"],
        &["constants would be tuned on the requests", "weights would be tuned on the requests"],
    );
    refused(
        &["system.bm25.fields=[{field=\"title\"},{field=\"title\"}]"],
        &["field \"title\" is searched twice"],
    );
    refused(&["system.item-cf.recency=1.5"], &["`system.item-cf.recency` is out of range: 1.5"]);
    // Judged pairs know no histories, and the tiny shop was not asked for any.
    for recipe in [PAIRS, TINY] {
        let set = "system.popularity={name=\"popularity\",kind=\"item-knn\"}";
        let answer = run(recipe, &place.path("run"), &["--set", set]).expect(2);
        answer.says(&["of kind item-knn answers histories, but requests of this corpus have none"]);
    }
    // Texts that nobody has, for every encoder.
    let data = place.path("data").display().to_string();
    let remove =
        format!(r#"corpus={{kind="sequences",path="{data}",sequences_file="users.json"}}"#);
    for (kind, name) in [
        ("kind=\"encoder\",path=\"x\"", "encoder"),
        ("kind=\"decoder\",path=\"x\"", "decoder"),
        ("kind=\"mmse\"", "mmse"),
        ("kind=\"two-tower\"", "two-tower encoder"),
    ] {
        let vectors = format!("vectors.text={{{kind}}}");
        let answer = place.run("run", "", &["--set", &remove, "--set", &vectors]).expect(2);
        answer.says(&[&format!("{name} `text` reads text, but the items have none")]);
    }
}

#[test]
fn a_sequence_model_learns_from_the_clicks_of_users() {
    let folder = tempfile::tempdir().unwrap();
    let (out, place) = (folder.path().join("run"), folder.path().join("recipe.toml"));
    let sasrec = "[[system]]\nname = \"next\"\nkind = \"sasrec\"\ndim = 16\nlayers = 1\nheads = 1\nlength = 8\nepochs = 2\nbatch = 16\n";
    let text = std::fs::read_to_string(TINY).unwrap();
    let (corpus, _) = text.split_once("[vectors.text]").unwrap();
    let recipe = format!(
        "{corpus}history = 5\n[[system]]\nname = \"popularity\"\nkind = \"popularity\"\n[[system]]\nname = \"knn\"\nkind = \"item-knn\"\n{sasrec}"
    );
    std::fs::write(&place, recipe).unwrap();
    run(place.to_str().unwrap(), &out, &[]).expect(0);
    let report = json(&out.join("report.json"));
    assert!(system(&report, "next")["metrics"]["recall@10"]["value"].as_f64().unwrap() > 0.0);
    let [next, knn] = ["next", "knn"].map(|name| answers(&out, name).lines().count());
    assert!(next >= knn && knn > 0, "{next} {knn}");
    // Figures of the requests that ended the training flatter it.
    let flattered = ["--set", "evaluation.split=validation", "--dry-run"];
    let answer = run(place.to_str().unwrap(), &folder.path().join("other"), &flattered).expect(0);
    answer.says(&["system `next` keeps the weights that are best on the requests it is judged by"]);
}

#[test]
fn popularity_without_a_choice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_pairs(folder.path());
    let data = format!("corpus.path={}", folder.path().display());
    // Nobody clicks what no grade reaches.
    let none = ["--set", &data, "--set", "corpus.clicks.click_grade=9"];
    run(CASCADE, &folder.path().join("none"), &none).expect(2);
    let popular = "system.bm25={name=\"bm25\",kind=\"popularity\"}";
    let sets = [&none[..], &["--set", popular]].concat();
    let text = std::fs::read_to_string(CASCADE).unwrap();
    let (head, rest) = text.split_once("[vectors.text]").unwrap();
    let (_, evaluation) = rest.split_once("[evaluation]").unwrap();
    let recipe = folder.path().join("popular.toml");
    let system = "[[system]]\nname = \"bm25\"\nkind = \"popularity\"\n";
    std::fs::write(&recipe, format!("{head}{system}[evaluation]{evaluation}")).unwrap();
    let answer = run(recipe.to_str().unwrap(), &folder.path().join("popular"), &sets).expect(2);
    answer.says(&["learns from clicks, but the corpus has none: nothing was chosen in training"]);
    let (head, _) = head.split_once("[corpus.clicks]").unwrap();
    std::fs::write(&recipe, format!("{head}{system}[evaluation]{evaluation}")).unwrap();
    let answer = run(recipe.to_str().unwrap(), &folder.path().join("clicks"), &["--set", &data]);
    answer.expect(2).says(&["system `bm25` learns from clicks, but the corpus has none"]);
}

#[test]
fn without_a_click_titles_ask_for_their_items() {
    let folder = tempfile::tempdir().unwrap();
    write_pairs(folder.path());
    let data = format!("corpus.path={}", folder.path().display());
    let text = std::fs::read_to_string(PAIRS).unwrap();
    let (head, rest) = text.split_once("[corpus.clicks]").unwrap();
    let (_, rest) = rest.split_once("[vectors.text]").unwrap();
    let (before, rest) = rest.split_once("[[train]]\nname = \"aligned\"").unwrap();
    let (_, rest) = rest.split_once("[[system]]\nname = \"bm25\"").unwrap();
    let (systems, rest) = rest.split_once("[[system]]\nname = \"aligned\"").unwrap();
    let (_, evaluation) = rest.split_once("[evaluation]").unwrap();
    let recipe = folder.path().join("titles.toml");
    let text = format!(
        "{head}[vectors.text]{before}[[system]]\nname = \"bm25\"{systems}[evaluation]{evaluation}"
    );
    std::fs::write(&recipe, text).unwrap();
    let out = folder.path().join("run");
    let recipe = recipe.to_str().unwrap();
    run(recipe, &out, &["--set", &data]).expect(2).says(&[
        "training `supervised` learns from clicks, but the corpus has none",
        "or train on pseudo-requests",
    ]);
    let alone = [
        "--set",
        &data,
        "--set",
        "train.supervised.objective.pseudo_requests=1",
        "--set",
        "vectors.text.pseudo_requests=1",
    ];
    run(recipe, &out, &alone).expect(0);
    assert!(!answers(&out, "supervised").is_empty());
}

#[test]
fn what_only_the_data_can_tell_is_told_with_the_legal_names() {
    let place = Place::new();
    let set = "system.bm25.fields=[{field=\"brnd\"}]";
    place.run("run", "", &["--set", set]).expect(2).says(&[
        "no item has a word in the field `brnd`",
        "fields of this corpus: title, text, category, brand",
    ]);
    place
        .run("run", "", &["--set", "system.popularity.category_items=2"])
        .expect(2)
        .says(&["no item has a category", "category_items"]);
    // Items without a word of text.
    let bare = r#"{"p0": {"title": ""}, "p1": {"title": "-"}, "p2": {"title": "!"}}"#;
    std::fs::write(place.path("data/items.json"), bare).unwrap();
    std::fs::write(place.path("data/users.json"), r#"{"u": ["p0", "p1", "p2"]}"#).unwrap();
    let set = "system.bm25={name=\"bm25\",kind=\"bm25\"}";
    let fused = "system.both.runs=[\"item-cf\",\"popularity\"]";
    place.run("bare", "", &["--set", set, "--set", fused]).expect(2).says(&[
        "chose two different items, so there is nothing to count",
        "vectors of kind collaborative need users' sequences",
    ]);
    let bm25 = "system.item-cf={name=\"item-cf\",kind=\"bm25\"}";
    place.run("bare", "", &["--set", bm25]).expect(2).says(&["no item has a word of text"]);
}
