//! One decoder that answers in codes and in words: trained, aligned, tuned and fused, and refused where
//! what it answers with was altered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::{json, run, step_folder, trieval};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/spans.toml");

/// Requests and items of a system's run.
fn answers(run: &Path, system: &str) -> Vec<(String, String)> {
    let step = step_folder(run, &format!("system.{system}")).unwrap();
    let file = json(&step.join("system.json"));
    assert_eq!((&file["invalid"], &file["duplicates"]), (&0.into(), &0.into()), "{system}");
    let text = std::fs::read_to_string(step.join("run.trec")).unwrap();
    let pair = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[0].to_owned(), words[2].to_owned())
    };
    text.lines().map(pair).collect()
}

#[test]
fn one_decoder_answers_in_codes_in_words_and_in_both() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let answer = run(RECIPE, &out, &[]).expect(0);
    let answer =
        answer.says(&["spans.decoder.spans", "groups of spans that the model says itself"]);
    assert!(!answer.err.contains("panicked"));

    // Prompts that are answered in spans end with no mode token: each view has its own.
    let spans = json(&step_folder(&out, "spans.decoder.spans").unwrap().join("spans.json"));
    let (counts, items) = (&spans["counts"], 150);
    assert_eq!(counts["items"].as_u64().unwrap() + counts["silent"].as_u64().unwrap(), items);
    assert!(counts["texts"].as_u64().unwrap() >= items, "titles and categories: {counts}");

    let systems =
        ["sid-supervised", "span-supervised", "fused-supervised", "sid-aligned", "span-aligned"];
    let lists = systems.map(|system| answers(&out, system));
    for (number, list) in lists.iter().enumerate() {
        assert!(list.len() > 500, "{}", systems[number]);
        assert!(lists[..number].iter().all(|other| other != list), "two systems answer alike");
    }
    // What both found is in the fused list, and nothing that neither found.
    let [sid, span, fused, ..] = lists.map(|list| list.into_iter().collect::<BTreeSet<_>>());
    assert!(fused.iter().any(|pair| !sid.contains(pair)), "it is more than its codes");
    assert!(fused.iter().any(|pair| !span.contains(pair)), "and more than its words");

    let tuned = |system: &str| {
        json(&step_folder(&out, &format!("system.{system}")).unwrap().join("tuned.json"))
    };
    let chosen = tuned("span-supervised");
    assert_eq!(chosen["tried"], 4, "{chosen}");
    assert!(chosen["chosen"]["spans.exponent"].is_number(), "{chosen}");
    assert!(tuned("fused-supervised")["chosen"]["runs.1"].is_number());

    let chosen = tuned("fused-tuned");
    assert!(chosen["chosen"]["ranking.weight"].is_number(), "{chosen}");
    assert_eq!(chosen["tried"], 11, "{chosen}");
    // Vectors alone order items alike, whoever found them.
    let lists = |system: &str| {
        let mut lists = BTreeMap::<String, Vec<String>>::new();
        for (request, item) in answers(&out, system) {
            lists.entry(request).or_default().push(item);
        }
        lists
    };
    let (ranked, fused) = (lists("sid-ranked"), lists("fused-ranked"));
    let mut n_both = 0;
    for (request, list) in &ranked {
        let place = |item: &String| fused[request].iter().position(|other| other == item);
        let places: Vec<usize> = list.iter().filter_map(place).collect();
        assert!(places.is_sorted(), "{request}: {places:?}");
        n_both += places.len();
    }
    assert!(n_both > ranked.len(), "{n_both}");
    assert_ne!(ranked, lists("sid-supervised"));

    // Everything that is served is checked: a byte of texts or index, and nothing is answered.
    let root = out.display().to_string();
    let asked = |system: &str| trieval(&["search", &root, "red", "--system", system]);
    for system in ["span-supervised", "fused-supervised", "span-aligned"] {
        asked(system).expect(0);
    }
    let step = step_folder(&out, "spans.decoder.spans").unwrap();
    for file in ["index.bin", "texts.bin", "spans.json"] {
        let path = step.join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        let told = asked("span-supervised").expect(2);
        assert!(told.err.contains(file), "{file}: {}", told.err);
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        asked("span-supervised").expect(2);
        std::fs::write(&path, &whole).unwrap();
    }
    asked("span-supervised").expect(0);
}

#[test]
fn spans_need_words() {
    let sequences = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sequences.toml");
    let text = std::fs::read_to_string(sequences).unwrap();
    assert!(text.contains("kind = \"sequences\""));
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("recipe.toml");
    let spans = "\n[identifier.words]\nkind = \"spans\"\n";
    std::fs::write(&recipe, text + spans).unwrap();
    let told = trieval(&["check", &recipe.display().to_string()]).expect(2);
    assert!(told.err.contains("sequences of users ask nothing"), "{}", told.err);
}
