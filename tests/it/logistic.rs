//! A ranker of features: trained on impressions, judged on held-out pages, asked in a cascade.

use crate::data::{PAIRS, write_pairs};
use crate::support::{self, figure, json, run, step_folder, trieval};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/logistic.toml");

#[test]
fn features_beat_the_rate_of_the_item_and_stand_in_a_cascade() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    run(RECIPE, &out, &[]).expect(0);
    let report = json(&out.join("report.json"));
    let figure = |system: &str, metric: &str| figure(&report, system, metric);
    for metric in ["auc", "user_auc", "ndcg@10"] {
        assert!(figure("ctr", metric) > figure("rate", metric), "{metric}: {report}");
    }
    assert!(figure("ctr", "log_loss") < figure("rate", "log_loss"), "{report}");
    // The cascade scores given items by the ranker, and lists what the ranker would, of fewer.
    assert_eq!(figure("cascade", "auc"), figure("ctr", "auc"));
    assert!(figure("cascade", "ndcg@10") > figure("rate", "ndcg@10"), "{report}");
    assert!(!report["reliability"].as_array().unwrap().is_empty());
    let curves = report["training"].as_array().map_or(0, Vec::len);
    assert!(curves > 0, "no curve of the training");
    let fit = step_folder(&out, "system.ctr.fit").unwrap();
    for file in ["logistic.json", "features.bin", "weights.safetensors", "train.jsonl"] {
        assert!(fit.join(file).is_file(), "{file}");
    }
    let args = ["search", out.to_str().unwrap(), "red lamp", "--system", "ctr", "--json"];
    let plain = trieval(&args).expect(0).json();
    let styled = [&args[..], &["--feature", "user.style=style-3"]].concat();
    let styled = trieval(&styled).expect(0).json();
    assert!(plain["items"][0]["score"].as_f64() > Some(0.0));
    assert_ne!(plain["items"], styled["items"], "the style of the user is read");
    for (feature, says) in
        [("style=3", "columns of questions are user.style"), ("style", "write COLUMN=VALUE")]
    {
        let args = [&args[..], &["--feature", feature]].concat();
        trieval(&args).expect(2).says(&[says]);
    }
    // A comparison judges by the labels of the run, not by its judgments.
    let compared = trieval(&["compare", out.to_str().unwrap(), "--json"]).expect(0).json();
    for system in ["rate", "ctr"] {
        assert_eq!(support::figure(&compared, system, "auc"), figure(system, "auc"));
    }
}

/// The recipe with a ranker that reads the scores of another system, behind that and alone.
fn stacked(folder: &std::path::Path) -> String {
    let systems = r#"
[[system]]
name = "words"
kind = "bm25"

[[system]]
name = "stacked"
kind = "logistic"
features = [
  { column = "impression.position", as = "category" },
  { column = "item.past_rate", as = "number" },
]
scores = ["words"]
epochs = 4
batch = 128

[[system]]
name = "behind"
kind = "cascade"
retrieve = "words"
candidates = 120
rank = "stacked"

[evaluation]"#;
    let text = std::fs::read_to_string(RECIPE).unwrap();
    let text = text.replace("[evaluation]", systems).replace(", \"log_loss\", \"ece\"", "");
    let recipe = folder.join("stacked.toml");
    std::fs::write(&recipe, text).unwrap();
    recipe.display().to_string()
}

#[test]
fn scores_of_another_system_are_features_in_training_and_in_a_cascade() {
    let folder = tempfile::tempdir().unwrap();
    let (recipe, out) = (stacked(folder.path()), folder.path().join("run"));
    run(&recipe, &out, &[]).expect(0);
    let report = json(&out.join("report.json"));
    let figure = |system: &str, metric: &str| figure(&report, system, metric);
    // Words and the past of an item say more than either.
    assert!(figure("stacked", "auc") > figure("words", "auc"), "{report}");
    assert!(figure("stacked", "auc") > figure("rate", "auc"), "{report}");
    assert_eq!(figure("behind", "auc"), figure("stacked", "auc"));
    // The retriever found all that its scores tell from others: behind it the list is the same.
    assert!(figure("behind", "ndcg@10") > 0.0);
    // A constant that leaves the other system's index as it is changes what is learned from.
    let more = ["--set", "system.words.b=0.1", "--dry-run", "--json"];
    let told = run(&recipe, &out, &more).expect(0).json();
    let status = |name: &str| {
        let step = told.as_array().unwrap().iter().find(|one| one["step"] == name).unwrap();
        step["status"].as_str().unwrap().to_owned()
    };
    assert!(status("system.stacked.fit").starts_with("again"), "{told}");
    assert_eq!([status("system.words.index"), status("system.ctr.fit")], ["done", "done"]);
    // What learned from the training requests knows their answers.
    let learned = run(&recipe, &out, &["--set", "system.stacked.scores=[\"rate\"]"]).expect(2);
    learned.says(&["system `rate` learned from the training requests", "it knows their answers"]);
    let cascade = run(&recipe, &out, &["--set", "system.stacked.scores=[\"cascade\"]"]).expect(2);
    cascade.says(&["cannot score given items"]);
}

#[test]
fn features_that_cannot_be_read_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let refused = |set: &str, says: &[&str]| {
        run(RECIPE, &out, &["--set", set]).expect(2).says(says);
    };
    let features = |column: &str, reads: &str| {
        format!("system.ctr.features=[{{column=\"{column}\",as=\"{reads}\"}}]")
    };
    let alone = |column: &str| {
        let text = std::fs::read_to_string(RECIPE).unwrap();
        let kept: String = text
            .lines()
            .filter(|line| !line.starts_with("crosses") && !line.starts_with("overlaps"))
            .map(|line| format!("{line}\n"))
            .collect();
        let recipe = folder.path().join("alone.toml");
        std::fs::write(&recipe, kept).unwrap();
        run(recipe.to_str().unwrap(), &out, &["--set", &features(column, "category")])
    };
    alone("item.color").expect(2).says(&["system `ctr` reads `item.color`", "no such column"]);
    alone("item.clicks").expect(2).says(&["cannot read `item.clicks`", "item.past_rate"]);
    alone("impression.click").expect(2).says(&["cannot read `impression.click`", "afterwards"]);
    alone("shop.name").expect(2).says(&["cannot read `shop.name`", "entities are item, user"]);
    refused("system.ctr.label={signal=\"saved\"}", &["predicts `saved`", "no such signal"]);
    refused(
        "system.ctr.crosses=[{of=[\"item.price\",\"user.style\"]}]",
        &["`item.price` cannot be combined so"],
    );
    refused(
        "system.ctr.overlaps=[[\"request.query\",\"item.text\"]]",
        &["`item.text` is no feature"],
    );
    refused("system.ctr.validation.beam=4", &["searches no beams"]);
    refused("system.ctr.validation.metric=\"ndcg@10\"", &["cannot be validated by", "the loss"]);
    refused("system.ctr.features=[]", &["has nothing to predict from"]);
    refused("system.ctr.crosses=[{of=[\"user.style\"]}]", &["expected 2 or 3"]);
    refused("system.ctr.label.from=0", &["every impression is positive"]);
    refused("evaluation.labels.from=-1", &["every shown item would be positive"]);
    assert!(!out.exists(), "nothing was done");

    // What only the data can tell is told before anything is learned.
    refused("evaluation.labels.from=9", &["0 of 4500 items that were shown for test requests"]);
    alone("item.text").expect(2).says(&["no training impression has a value in `item.text`"]);
}

#[test]
fn without_held_out_pages_a_tenth_of_the_training_requests_is_held_out() {
    let folder = tempfile::tempdir().unwrap();
    write_pairs(folder.path());
    let text = std::fs::read_to_string(PAIRS).unwrap();
    let (head, _) = text.split_once("[vectors.text]").unwrap();
    let system = r#"
[[system]]
name = "ctr"
kind = "logistic"
features = [
  { column = "request.query", as = "words" },
  { column = "item.title", as = "words" },
]
overlaps = [["request.query", "item.title"]]
epochs = 3
batch = 16

[evaluation]
metrics = ["ndcg@10"]
depth = 10
relevant_grade = 2
bootstrap = 100
slices = []
"#;
    let recipe = folder.path().join("pairs.toml");
    std::fs::write(&recipe, format!("{head}{system}")).unwrap();
    let (out, data) = (folder.path().join("run"), folder.path().display().to_string());
    let data = format!("corpus.path={data}");
    let answer = run(recipe.to_str().unwrap(), &out, &["--set", &data]).expect(0);
    answer.says(&["nothing was shown on the validation days; every tenth training request"]);
    // Labels of pages that nobody was shown cannot be asked for.
    let labels = "evaluation.labels={kind=\"impressions\"}";
    let auc = "evaluation.metrics=[\"auc\"]";
    let sets = ["--set", &data, "--set", labels, "--set", auc];
    run(recipe.to_str().unwrap(), &out, &sets)
        .expect(2)
        .says(&["pages are simulated for training requests alone"]);
}
