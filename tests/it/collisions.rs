//! Items that share a path and identifiers that lose a token, from recipe to ranking.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{TINY, copy_of_finished, json, run, trieval};

/// The folder of a step that a run was last made of.
fn current(out: &Path, step: &str) -> PathBuf {
    let plan = json(&out.join("plan.json"));
    let steps = plan["steps"].as_array().unwrap();
    let found = steps.iter().find(|one| one["name"] == step).unwrap();
    out.join("steps").join(step).join(&found["key"].as_str().unwrap()[..16])
}

/// Runs the tiny recipe with other keys of its identifier, and gives what became of it.
fn with(out: &Path, keys: &[&str]) -> Value {
    copy_of_finished(out);
    let keys: Vec<String> = keys.iter().map(|key| format!("identifier.sid.{key}")).collect();
    let overrides: Vec<&str> = keys.iter().flat_map(|key| ["--set", key.as_str()]).collect();
    let answer = run(TINY, out, &overrides).expect(0).says(&["vectors.text: done before"]);
    assert!(!answer.err.contains("panicked"), "{}", answer.err);
    let description = json(&current(out, "identifier.sid").join("identifier.json"));
    let report = json(&out.join("report.json"));
    assert_eq!(
        report["identifiers"][0]["outcome"]["leaves"],
        description["diagnostics"]["outcome"]["leaves"]
    );
    description
}

/// Items by request, best first, of a system's run.
fn lists(out: &Path, system: &str) -> BTreeMap<String, Vec<String>> {
    let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = std::fs::read_to_string(current(out, system).join("run.trec")).unwrap();
    for line in text.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        lists.entry(columns[0].into()).or_default().push(columns[2].into());
    }
    assert!(lists.len() > 20, "{}", lists.len());
    for (request, items) in &lists {
        let different: BTreeSet<&String> = items.iter().collect();
        assert_eq!(different.len(), items.len(), "an item twice for {request}");
    }
    lists
}

/// Tokens by item, from the command line.
fn spelled(out: &Path) -> BTreeMap<String, String> {
    let path = out.to_str().unwrap();
    let mut all = BTreeMap::new();
    for first in 0..40 {
        let prefix = format!("<a_{first}>");
        let answer = trieval(&["ids", path, &prefix, "--json"]);
        if answer.err.contains("is not a token of level 1") {
            break;
        }
        let found: Value = serde_json::from_str(&answer.out).unwrap();
        for one in found["items"].as_array().unwrap() {
            let text = |key: &str| one[key].as_str().unwrap().to_owned();
            all.insert(text("item"), text("tokens"));
        }
    }
    assert_eq!(all.len(), 150);
    all
}

#[test]
fn items_that_share_an_identifier_are_answered_together() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let made = with(&out, &["levels=1", "collisions=shared"]);
    assert_eq!(
        (made["levels"].to_string(), made["format"].to_string()),
        ("[16]".into(), "2".into())
    );
    let outcome = &made["diagnostics"]["outcome"];
    assert!(outcome["leaves"].as_u64().unwrap() <= 16);
    assert!(outcome["most_items_per_leaf"].as_u64().unwrap() > 5);
    let spelled = spelled(&out);
    let (item, tokens) = spelled.iter().next().unwrap();
    let told = trieval(&["ids", out.to_str().unwrap(), item]).expect(0).out;
    let others = spelled.values().filter(|other| *other == tokens).count() - 1;
    assert!(told.contains(&format!("the same identifier: {others} others, ")), "{told}");
    for system in ["system.supervised", "system.aligned"] {
        for items in lists(&out, system).values() {
            // Leaves follow each other whole: no item of another comes between two of one.
            let mut leaves: Vec<&String> = items.iter().map(|item| &spelled[item]).collect();
            leaves.dedup();
            let different: BTreeSet<&&String> = leaves.iter().collect();
            assert_eq!(different.len(), leaves.len(), "{items:?}");
        }
    }
}

#[test]
fn moved_items_have_identifiers_of_their_own_and_no_token_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut left = Vec::new();
    for how in ["nearest", "matching"] {
        let out = folder.path().join(how);
        let made = with(&out, &["codes=40", &format!("collisions={how}")]);
        assert_eq!(made["levels"].to_string(), "[40,40]");
        let outcome = &made["diagnostics"]["outcome"];
        assert_eq!((&outcome["leaves"], &outcome["most_items_per_leaf"]), (&150.into(), &1.into()));
        let different: BTreeSet<String> = spelled(&out).into_values().collect();
        assert_eq!(different.len(), 150);
        lists(&out, "system.aligned");
        left.push(outcome["residual"].as_f64().unwrap());
    }
    assert!(left[1] <= left[0], "a matching leaves over no more: {left:?}");
}

#[test]
fn identifiers_may_lose_the_head_of_the_second_level() {
    let folder = tempfile::tempdir().unwrap();
    for length in ["skip", "sum", "mean"] {
        let out = folder.path().join(length);
        let keys = [
            "levels=3",
            "codes=8",
            r#"remove={ kind = "top-share", share = 0.4 }"#,
            &format!("length={length}"),
        ];
        let made = with(&out, &keys);
        assert_eq!(made["levels"][1], 9, "a code that stands for those removed");
        let removed = made["removed"]["tokens"].as_array().unwrap().len();
        assert!((1..8).contains(&removed), "{removed}");
        let n_short = spelled(&out).values().filter(|tokens| !tokens.contains("<b_")).count();
        match length {
            "skip" => assert_eq!(n_short, 0),
            _ => assert!((60..150).contains(&n_short), "{n_short}"),
        }
        lists(&out, "system.aligned");
    }
    // What compares means over tokens, or teaches every level, takes identifiers of one length.
    let keys =
        ["levels=3", "codes=8", r#"remove={ kind = "top-share", share = 0.4 }"#, "length=sum"];
    let keys = keys.map(|key| format!("identifier.sid.{key}"));
    let mut overrides: Vec<&str> = keys.iter().flat_map(|key| ["--set", key.as_str()]).collect();
    overrides.extend(["--set", "train.aligned.objective.loss=simpo"]);
    let told = run(TINY, &folder.path().join("sum"), &overrides).expect(2).err;
    assert!(told.contains("cannot compare identifiers of different lengths"), "{told}");
    let out = folder.path().join("whole");
    let made = with(
        &out,
        &["levels=3", "codes=8", r#"remove={ kind = "second-level" }"#, "collisions=sinkhorn"],
    );
    assert_eq!((made["levels"][0].clone(), made["levels"][1].clone()), (8.into(), 8.into()));
    lists(&out, "system.aligned");
}

#[test]
fn keys_that_do_not_fit_are_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let told = |keys: &[&str]| {
        let keys: Vec<String> = keys.iter().map(|key| format!("identifier.sid.{key}")).collect();
        let overrides: Vec<&str> = keys.iter().flat_map(|key| ["--set", key.as_str()]).collect();
        let answer = run(TINY, &out, &overrides).expect(2);
        assert!(!out.exists(), "{}", answer.err);
        answer.err
    };
    let few = told(&["levels=1", "collisions=nearest"]);
    assert!(
        few.contains("leaves items without a path") && few.contains("16 paths for 150 items"),
        "{few}"
    );
    let levels = told(&[r#"remove={ kind = "second-level" }"#]);
    assert!(levels.contains("takes at least three levels"), "{levels}");
    assert!(told(&["length=sum"]).contains("all of these have one"));
    let whole = told(&["levels=3", r#"remove={ kind = "second-level" }"#, "length=sum"]);
    assert!(whole.contains("all of these have one"), "{whole}");
    let spare = told(&["collisions=shared", "spare=4"]);
    assert!(spare.contains("identifiers that items share"), "{spare}");
    assert!(told(&[r#"remove={ kind = "top", codes = 0 }"#]).contains("codes"));
    for all in
        [r#"remove={ kind = "top", codes = 16 }"#, r#"remove={ kind = "top-share", share = 1.0 }"#]
    {
        let told = told(&["levels=3", all]);
        assert!(told.contains("takes all codes of the second level away"), "{told}");
    }
    assert!(told(&[r#"remove={ kind = "first-level" }"#]).contains("second-level"));
    assert!(told(&["collisions=closest"]).contains("nearest"));
}

#[test]
fn spare_codes_are_counted_before_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let told = |more: &[&str]| run(TINY, &out, &[&["--dry-run"][..], more].concat()).expect(0).out;
    assert!(!told(&[]).contains("spare"));
    let told = told(&["--set", "identifier.sid.spare=30"]);
    assert!(told.contains("3 × 16, 30 spare"), "{told}");
}

/// A file of new items with these ids, all with one vector of the width of the tiny recipe's.
fn new_items(folder: &Path, ids: impl Iterator<Item = String>) -> PathBuf {
    let path = folder.join("new.jsonl");
    let vector = vec!["0.25"; 16].join(",");
    let line = |id: String| format!("{{\"item_id\": {id:?}, \"vector\": [{vector}]}}\n");
    std::fs::write(&path, ids.map(line).collect::<String>()).unwrap();
    path
}

#[test]
fn spare_codes_name_items_that_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let made = with(&out, &["spare=3"]);
    let (path, with_new) = (out.to_str().unwrap(), folder.path().join("with-new"));
    let to = with_new.to_str().unwrap();
    let file = new_items(folder.path(), (0..3).map(|i| format!("n{i}")));
    let assign = |file: &Path| {
        let file = file.to_str().unwrap();
        trieval(&["ids", path, "--assign", file, "--out", to])
    };
    let answer = assign(&file).expect(0);
    assert!(
        answer.out.contains("3 new items have identifiers beside 150 known ones"),
        "{}",
        answer.out
    );
    let description = json(&with_new.join("identifier.json"));
    assert_eq!((&description["items"], &description["levels"]), (&153.into(), &made["levels"]));
    assert_ne!(description["catalogue"], made["catalogue"]);
    let index = trieval_kernels::index::SidIndex::open(&with_new.join("index.bin")).unwrap();
    assert_eq!(index.n_items(), 153);
    let lines = std::fs::read_to_string(with_new.join("items.jsonl")).unwrap();
    for (line, item) in lines.lines().zip(150u32..) {
        let line: Value = serde_json::from_str(line).unwrap();
        let codes: Vec<u32> = serde_json::from_value(line["codes"].clone()).unwrap();
        assert_eq!(index.find(&codes), Some(item), "{line}");
    }
    assert_eq!(lines.lines().count(), 3);
    // A folder that exists is not written into.
    assert!(assign(&file).expect(2).err.contains("exists; name a folder that does not"));
    std::fs::remove_dir_all(&with_new).unwrap();

    // All have one path: its spare codes do not suffice for so many.
    let many = new_items(folder.path(), (0..160).map(|i| format!("n{i}")));
    let told = assign(&many).expect(2).err;
    assert!(
        told.contains("of 160 new items find no identifier") && told.contains(" fit; the first"),
        "{told}"
    );
    assert!(!with_new.exists());
    let first = spelled(&out).into_keys().next().unwrap();
    let known = new_items(folder.path(), [first].into_iter());
    assert!(assign(&known).expect(2).err.contains("has an identifier already"));
    let twice = new_items(folder.path(), ["n", "n"].map(str::to_owned).into_iter());
    assert!(assign(&twice).expect(2).err.contains("is named in line 1 too"));
    for (line, told) in [
        ("{\"item_id\": \"n\", \"vector\": [1.0]}", "codes were made from vectors of 16"),
        ("{\"item_id\": \"n\"}", "neither `title` nor `vector`"),
        ("", "no new item is in it"),
    ] {
        std::fs::write(&twice, line).unwrap();
        let answer = assign(&twice).expect(2);
        assert!(answer.err.contains(told), "{}", answer.err);
    }
}
