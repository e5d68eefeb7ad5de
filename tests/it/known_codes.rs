//! Codes that rest on more than vectors: on what was chosen in training, and on what items are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use trieval::corpus::Corpus;

use crate::data::{PAIRS, write_pairs};
use crate::support::{TINY, copy_of_finished, json, run, step_folder, trieval};

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
fn learned_codes_may_rest_on_choices_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let tiny = std::fs::read_to_string(TINY).unwrap();
    let recipe = tiny.replace(
        "kind = \"residual-k-means\"\nvectors = \"text\"\nlevels = 2\ncodes = 16",
        "kind = \"rq-vae\"\nvectors = \"text\"\nlevels = 2\ncodes = 8\ndim = 8\nhidden = [24]\nepochs = 40\nbatch = 50\n\
         fit = \"trained\"\nco_choice = { window = 3 }",
    );
    let path = folder.path().join("recipe.toml");
    std::fs::write(&path, recipe).unwrap();
    let few = ["--set", "corpus.requests=200"];
    run(path.to_str().unwrap(), &out, &few)
        .expect(0)
        .says(&["pairs of items chosen together share their codes to level 1"]);
    let together = described(&out)["diagnostics"]["together"].clone();
    assert_eq!(together["shared"].as_array().unwrap().len(), 2);
    let report = json(&out.join("report.json"));
    assert_eq!(report["identifiers"][0]["together"], together);
    let level = |at: usize| together["shared"][at].as_f64().unwrap();
    assert!(level(0) >= level(1) && level(0) <= 1.0, "{together}");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("items chosen together share codes"));
    let log = step_folder(&out, "identifier.sid").unwrap().join("train.jsonl");
    assert!(std::fs::read_to_string(log).unwrap().contains("\"co_choice\""));
    let told = trieval(&["ids", out.to_str().unwrap()]).expect(0).out;
    assert!(told.contains("items chosen together share their codes"), "{told}");
}

#[test]
fn a_category_is_the_first_code() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let set = ["--set", "identifier.sid.first={ category = 1 }", "--set", "identifier.sid.spare=2"];
    run(TINY, &out, &set).expect(0).says(&["values of category level 1 are the first codes"]);
    let path = out.to_str().unwrap();
    let corpus = Corpus::open(&step_folder(&out, "corpus").unwrap()).unwrap();
    let mut value_of: BTreeMap<String, String> = BTreeMap::new();
    for row in corpus.items().unwrap() {
        let row = row.unwrap();
        value_of.insert(row.id.clone(), row.category[1].clone());
    }
    let values: BTreeSet<&String> = value_of.values().collect();
    let mut first_of: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
    let mut sizes = Vec::new();
    for code in 0..values.len() {
        let token = format!("<a_{code}>");
        let told = trieval(&["ids", path, &token, "--json"]).expect(0).json();
        for item in told["items"].as_array().unwrap() {
            first_of
                .entry(token.clone())
                .or_default()
                .insert(&value_of[item["item"].as_str().unwrap()]);
        }
        sizes.push(told["total"].as_u64().unwrap());
    }
    assert!(
        first_of.len() == values.len() && first_of.values().all(|own| own.len() == 1),
        "{first_of:?}"
    );
    assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1]), "{sizes:?}");
    trieval(&["search", path, "red"]).expect(0);

    // A new item has the first code of its own category, whatever is near; one of no known category the nearest.
    let rarest = first_of[&format!("<a_{}>", values.len() - 1)].iter().next().unwrap().to_string();
    let new = folder.path().join("new.jsonl");
    let lines = [
        serde_json::json!({ "item_id": "own", "title": "red", "category": ["any", rarest] }),
        serde_json::json!({ "item_id": "odd", "title": "red", "category": ["any", "starships"] }),
    ];
    std::fs::write(&new, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let with = folder.path().join("with-new");
    let with = with.to_str().unwrap();
    let told = trieval(&["ids", path, "--assign", new.to_str().unwrap(), "--out", with]).expect(0);
    assert!(
        told.err.contains(
            "1 new items have a category level 1 that no known item has, such as \"starships\""
        ),
        "{}",
        told.err
    );
    let own = trieval(&["ids", with, "own"]).expect(0).out;
    assert!(own.contains(&format!("<a_{}>", values.len() - 1)), "{own}");
}

#[test]
fn what_items_do_not_have_is_no_first_code() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let told = |first: &str| {
        let set = format!("identifier.sid.first={first}");
        run(TINY, &out, &["--set", &set]).expect(2).err
    };
    let both = told("{ category = 0, attribute = \"brand\" }");
    assert!(both.contains("names one thing of an item"), "{both}");
    assert!(told("{}").contains("expected `attribute` or `category`"));
    assert!(!out.exists());
    let unknown = told("{ attribute = \"smell\" }");
    assert!(
        unknown.contains("is attribute `smell`, but the items have none: no item has it"),
        "{unknown}"
    );
    assert!(
        unknown.contains("items have the attributes")
            && unknown.contains("categories of levels 0 to 2"),
        "{unknown}"
    );
    assert!(told("{ category = 3 }").contains("category level 3"));
    // Nothing was learned before that was known.
    assert!(step_folder(&out, "vectors.text").is_none());
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
    let learned = std::fs::read_to_string(&path).unwrap();
    let learned =
        learned.replace("kind = \"residual-k-means\"", "kind = \"rq-vae\"\nco_choice = {}");
    std::fs::write(&path, learned).unwrap();
    assert!(told(&[]).contains("rq-vae `sid` pulls items together that were chosen together"));
}
