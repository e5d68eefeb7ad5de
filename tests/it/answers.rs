//! Lists that are judged by what a column of their items says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::{figure, json, run, step_folder, trieval};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tiny.toml");
const BY_CATEGORY: [&str; 4] = [
    "--set",
    "evaluation.answers=item.category",
    "--set",
    "evaluation.metrics=[\"recall@3\",\"ndcg@5\"]",
];

/// Names behind each request, in the order of a file with the request in the first column and names in the third.
fn names(run: &Path, step: &str, file: &str) -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(step_folder(run, step).unwrap().join(file)).unwrap();
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        all.entry(columns[0].into()).or_default().push(columns[2].into());
    }
    all
}

#[test]
fn lists_and_judgments_name_the_values_of_a_column() {
    let folder = tempfile::tempdir().unwrap();
    let (out, plain) = (folder.path().join("run"), folder.path().join("plain"));
    let told = run(TINY, &out, &BY_CATEGORY).expect(0).out;
    assert!(told.contains("lists are judged by the"), "{told}");
    run(TINY, &plain, &BY_CATEGORY[2..]).expect(0);
    let wanted = names(&out, "evaluation", "qrels.trec");
    let values: BTreeSet<&String> = wanted.values().flatten().collect();
    assert!(values.len() > 3 && values.len() < 120, "{values:?}");
    let lists = names(&out, "system.bm25", "run.trec");
    for (request, list) in &lists {
        let distinct: BTreeSet<&String> = list.iter().collect();
        assert_eq!(distinct.len(), list.len(), "{request}: each value once");
        assert!(list.iter().all(|value| !value.starts_with("item-")), "{list:?}");
    }
    // The truth names the best categories, and a category is easier to meet than an item.
    let [report, items] = [&out, &plain].map(|run| json(&run.join("report.json")));
    assert!((figure(&report, "oracle", "ndcg@5") - 1.0).abs() < 1e-9, "{report}");
    assert!(figure(&report, "popularity", "recall@3") > figure(&items, "popularity", "recall@3"));

    // What was learned is the same; only answers and figures are new, and are not compared with items.
    let again = run(TINY, &out, &BY_CATEGORY[2..]).expect(0);
    again.says(&["train.aligned: done before", "system.bm25.index: done before"]);
    run(TINY, &out, &BY_CATEGORY).expect(0);
    let compare = ["compare".as_ref(), out.as_os_str(), plain.as_os_str()];
    trieval(&compare)
        .expect(2)
        .says(&["was judged by item.category", "by items: give both the same evaluation.answers"]);
    let compare = ["compare".as_ref(), out.as_os_str(), "-m".as_ref(), "coverage@5".as_ref()];
    trieval(&compare).expect(2).says(&["coverage@5 is measured on items", "item.category"]);
}

#[test]
fn what_cannot_answer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let refused = |column: &str, says: &[&str]| {
        let set = format!("evaluation.answers={column}");
        run(TINY, &out, &["--set", &set]).expect(2).says(says);
    };
    refused("user.style", &["`user.style` cannot be what answers", "no column of items"]);
    refused("item.none", &["lists cannot be judged by `item.none`", "no such column"]);
    refused("item.category", &["coverage@10 is measured on items, and `item.category` answers"]);
    assert!(!out.exists(), "nothing was done");
}
