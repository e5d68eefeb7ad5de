//! Codes that rest on more than vectors: on what was chosen in training.

use std::path::Path;

use serde_json::Value;

use crate::data::{PAIRS, write_pairs};
use crate::support::{TINY, json, run, step_folder, trieval};

/// The description of the identifiers of a fresh run.
fn described(out: &Path) -> Value {
    json(&step_folder(out, "identifier.sid").unwrap().join("identifier.json"))
}

#[test]
fn codes_fitted_on_chosen_items_leave_the_others_cold() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let few = ["--set", "corpus.requests=120", "--set", "identifier.sid.fit=trained"];
    let answer = run(TINY, &out, &few).expect(0);
    let diagnostics = described(&out)["diagnostics"].clone();
    let fitted = diagnostics["fitted"].as_u64().unwrap();
    assert!((10..140).contains(&fitted), "{fitted}");
    let said = format!(
        "codes were fitted on {fitted} items that were chosen in training; {} others",
        150 - fitted
    );
    answer.says(&[&said]);
    assert_eq!(diagnostics["items"], 150);
    let report = json(&out.join("report.json"));
    assert_eq!(report["identifiers"][0]["fitted"], fitted);
    let cold = report["slices"].as_array().unwrap().iter().find(|one| one["value"] == "never seen");
    let meaning =
        cold.unwrap_or_else(|| panic!("{}", report["slices"]))["meaning"].as_str().unwrap();
    assert!(meaning.contains(&format!("{} items", 150 - fitted)), "{meaning}");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("items that codes were fitted on"));
    // Every item has an identifier, and the index leads to it.
    let told = trieval(&["ids", out.to_str().unwrap(), "i00000000", "--json"]).expect(0).json();
    assert_eq!(told["total"], 1);
}

#[test]
fn a_corpus_without_feedback_has_nothing_to_fit_on() {
    let folder = tempfile::tempdir().unwrap();
    write_pairs(folder.path());
    let recipe = std::fs::read_to_string(PAIRS).unwrap();
    let start = recipe.find("[corpus.clicks]").unwrap();
    let end = recipe.find("[vectors.text]").unwrap();
    let path = folder.path().join("recipe.toml");
    std::fs::write(&path, format!("{}{}", &recipe[..start], &recipe[end..])).unwrap();
    let told = |more: &[&str]| {
        trieval(&[&["check", path.to_str().unwrap()][..], more].concat()).expect(2).err
    };
    let message = "residual k-means `sid` is fitted on the items that were chosen in training";
    assert!(told(&["--set", "identifier.sid.fit=trained"]).contains(message));
    assert!(!told(&["--set", "identifier.sid.fit=all"]).contains(message));
}
