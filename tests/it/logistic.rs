//! A ranker of features: trained on impressions, judged on held-out pages, asked in a cascade.

use crate::support::{json, run, step_folder, trieval};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/logistic.toml");

#[test]
fn features_beat_the_rate_of_the_item_and_stand_in_a_cascade() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    run(RECIPE, &out, &[]).expect(0);
    let report = json(&out.join("report.json"));
    let figure = |place: usize, metric: &str| {
        let value = &report["systems"][place]["metrics"][metric]["value"];
        value.as_f64().unwrap_or_else(|| panic!("{metric} is not in {report}"))
    };
    for metric in ["auc", "user_auc", "ndcg@10"] {
        assert!(figure(1, metric) > figure(0, metric), "{metric}: {report}");
    }
    assert!(figure(1, "log_loss") < figure(0, "log_loss"), "{report}");
    // The cascade scores given items by the ranker, and lists what the ranker would, of fewer.
    assert_eq!(figure(2, "auc"), figure(1, "auc"));
    assert!(figure(2, "ndcg@10") > figure(0, "ndcg@10"), "{report}");
    assert!(!report["reliability"].as_array().unwrap().is_empty());
    let curves = report["training"].as_array().map_or(0, Vec::len);
    assert!(curves > 0, "no curve of the training");
    let fit = step_folder(&out, "system.ctr.fit").unwrap();
    for file in ["logistic.json", "features.bin", "weights.safetensors", "train.jsonl"] {
        assert!(fit.join(file).is_file(), "{file}");
    }
    let args = ["search", out.to_str().unwrap(), "red lamp", "--system", "cascade", "--json"];
    assert!(trieval(&args).expect(0).json().to_string().contains("score"));
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
    assert!(!out.exists(), "nothing was done");
}
