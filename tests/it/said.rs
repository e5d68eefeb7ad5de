//! Which spans earned an item its place, wherever a person looks: `search`, the report, `ids`.

use std::path::Path;

use serde_json::Value;

use crate::support::{json, run, step_folder, trieval};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/said.toml");

#[test]
fn spans_are_shown_wherever_a_person_looks() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    run(RECIPE, &out, &[]).expect(0).says(&["system.said.evidence", "system.both.evidence"]);
    run(RECIPE, &out, &[]).expect(0).says(&["system.said.evidence: done before"]);
    let root = out.display().to_string();
    assert!(step_folder(&out, "system.coded.evidence").is_none(), "codes do not say why");
    the_report(&out);
    the_search(&root);
    the_identifiers(&root, folder.path());
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn the_report(out: &Path) {
    let report = json(&out.join("report.json"));
    let named = |name: &str| {
        let all = list(&report["identifiers"]).iter();
        all.clone().find(|one| one["name"] == name).unwrap().clone()
    };
    let (codes, words) = (named("sid"), named("words"));
    assert!(codes["distinct"].is_u64() && codes.get("spans").is_none());
    for key in ["distinct", "collision_rate", "path_density"] {
        assert!(words.get(key).is_none(), "{key} is of codes: {words}");
    }
    let one = &words["spans"][0];
    assert_eq!(one["model"], "decoder");
    assert_eq!(one["views"], serde_json::json!(["spans", "title", "category"]));
    let counts = json(&step_folder(out, "spans.decoder.words").unwrap().join("spans.json"));
    for key in ["items", "silent", "texts", "tokens", "index_bytes"] {
        assert_eq!(one[key], counts["counts"][key], "{key}");
    }
    assert_eq!((&words["items"], &words["index_bytes"]), (&one["items"], &one["index_bytes"]));

    let mut marked = 0;
    for example in list(&report["examples"]) {
        for system in list(&example["systems"]) {
            let says_why = ["said", "both"].iter().any(|name| system["system"] == *name);
            for item in list(&system["items"]) {
                let (title, spans) = (item["title"].as_str().unwrap(), list(&item["spans"]));
                assert!(says_why || spans.is_empty(), "{system}");
                let mut last = 0;
                for span in spans {
                    let at = |key: &str| span[key].as_u64().unwrap() as usize;
                    let text = title.get(at("start")..at("end")).unwrap();
                    assert!(at("start") >= last && !text.is_empty() && text.trim() == text);
                    assert!(span["worth"].as_f64().unwrap() > 0.0);
                    last = at("end");
                    marked += 1;
                }
            }
        }
    }
    assert!(marked > 20, "{marked} spans are marked");
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<mark title=\"adds ") && page.contains("items without a token"));
    let markdown = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(markdown.contains("words, said by decoder: spans of at most 6 tokens"), "{markdown}");
    assert!(markdown.contains("; first: "), "{markdown}");
}

fn the_search(root: &str) {
    let ask = |system: &str| {
        let answer = trieval(&["search", root, "red table", "--json", "--system", system]);
        answer.expect(0).json()
    };
    assert!(list(&ask("coded")["items"]).iter().all(|item| item.get("spans").is_none()));
    for system in ["said", "both"] {
        let answer = ask(system);
        let items = list(&answer["items"]);
        assert!(items.iter().any(|item| !list(&item["spans"]).is_empty()), "{system}: {answer}");
        for item in items {
            let spans = list(&item["spans"]);
            let worth = |span: &Value| span["worth"].as_f64().unwrap();
            assert!(spans.windows(2).all(|pair| worth(&pair[0]) >= worth(&pair[1])));
            for span in spans.iter().filter(|span| span["field"] == "title") {
                let at = |key: &str| span[key].as_u64().unwrap() as usize;
                let title = item["title"].as_str().unwrap();
                assert_eq!(&title[at("start")..at("end")], span["text"].as_str().unwrap());
            }
        }
    }
    let told = trieval(&["search", root, "red table", "--system", "said", "--top", "3"]).expect(0);
    let (first, below) = told.out.split_once('\n').unwrap();
    assert!(first.starts_with("  1  ") && below.starts_with(&" ".repeat(15)), "{}", told.out);
    assert!(below.lines().next().unwrap().contains('"'), "{}", told.out);
    assert!(!told.out.contains("\"\""), "a blank says nothing: {}", told.out);
    assert!(!told.out.contains('\u{1b}'), "marks are for terminals: {:?}", told.out);
    let spans = told.out.lines().filter(|line| line.starts_with("     "));
    assert!(spans.clone().count() >= 3 && spans.into_iter().all(|line| line.chars().count() <= 80));
}

fn the_identifiers(root: &str, folder: &Path) {
    // Those of codes are the only ones.
    let only = trieval(&["ids", root, "i00000017"]).expect(0);
    assert_eq!(only.out, trieval(&["ids", root, "i00000017", "--identifier", "sid"]).expect(0).out);
    let refused = trieval(&["ids", root, "--identifier", "words"]).expect(2);
    refused.says(&[
        "words and not codes",
        "trieval search",
        "which spans earned an item its place",
    ]);

    let new = folder.join("new.jsonl");
    std::fs::write(
        &new,
        "{\"item_id\": \"n1\", \"title\": \"red lamp\", \"text\": \"of brass\"}\n",
    )
    .unwrap();
    let (new, added) = (new.display().to_string(), folder.join("added").display().to_string());
    let assign = ["ids", root, "--assign", &new, "--out", &added];
    let refused = trieval(&[&assign[..], &["--identifier", "words"]].concat()).expect(2);
    refused.says(&["new items cannot be found by spans yet", "--identifier sid"]);
    trieval(&assign).expect(0).says(&["both cannot be asked for the new items"]);
    trieval(&["search", &added, "red lamp"]).expect(0).says(&["coded (generative) answers"]);
    let refused = trieval(&["search", &added, "red lamp", "--system", "both"]).expect(2);
    refused.says(&["both answers in spans (words)", "do not find new items yet"]);
}
