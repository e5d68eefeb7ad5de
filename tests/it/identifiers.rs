//! One decoder that answers in several identifiers: a system for each, and what names and places of
//! identifiers redo.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::{TINY, copy_of_finished, finished, json, run, step_folder, tree, trieval};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/identifiers.toml");

/// The last token of every prompt that a step rendered.
fn last_tokens(run: &Path, step: &str) -> BTreeSet<u64> {
    let bytes = std::fs::read(step_folder(run, step).unwrap().join("prompts.bin")).unwrap();
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    // Magic and version (16 bytes); tokens; per request begin and length, twice; two sizes.
    let (n_tokens, n_requests) = (number(bytes.len() - 16), number(bytes.len() - 8));
    assert!(n_requests > 100, "{n_requests}");
    let last = |request: usize| {
        let entry = 16 + 4 * n_tokens + 32 * request;
        let at = 16 + 4 * (number(entry) + number(entry + 8) - 1);
        u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()))
    };
    (0..n_requests).map(last).collect()
}

/// Id of a token of a model's tokenizer.
fn token(run: &Path, text: &str) -> u64 {
    let tokenizer = json(&step_folder(run, "model.decoder").unwrap().join("tokenizer.json"));
    let added = tokenizer["added_tokens"].as_array().unwrap();
    let found = added.iter().find(|token| token["content"] == text);
    found.unwrap_or_else(|| panic!("no {text}"))["id"].as_u64().unwrap()
}

#[test]
fn one_decoder_answers_in_two_identifiers_and_names_nothing_that_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let answer = run(RECIPE, &out, &[]).expect(0).says(&["prompts.decoder.dealt"]);
    assert!(!answer.err.contains("panicked"));
    let modes = ["<|as:1|>", "<|as:2|>"].map(|text| token(&out, text));
    assert_eq!(last_tokens(&out, "prompts.decoder"), BTreeSet::from([modes[0]]));
    assert_eq!(last_tokens(&out, "prompts.decoder.dealt"), BTreeSet::from([modes[1]]));
    assert!(token(&out, "<2:a_0>") > token(&out, "<c_0>"), "tokens of their own");

    let lists = ["in-sid", "in-dealt", "aligned", "both"].map(|system| {
        let step = step_folder(&out, &format!("system.{system}")).unwrap();
        let file = json(&step.join("system.json"));
        assert_eq!((&file["invalid"], &file["duplicates"]), (&0.into(), &0.into()), "{system}");
        assert!(file["returned"].as_u64().unwrap() > 1_000, "{system}: {file}");
        let run = std::fs::read_to_string(step.join("run.trec")).unwrap();
        let pair = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0].to_owned(), words[2].to_owned())
        };
        run.lines().map(pair).collect::<Vec<_>>()
    });
    for (number, list) in lists.iter().enumerate() {
        assert!(lists[..number].iter().all(|other| other != list), "two systems answer alike");
    }
    let root = out.display().to_string();
    let asked = |system: &str| trieval(&["search", &root, "red", "--system", system]).expect(0).out;
    assert_ne!(asked("in-sid"), asked("in-dealt"));
    // The same item has a path in each: two levels and one that tells items apart, or two alone.
    let spelled = |identifier: &str| {
        let item = &lists[1][0].1;
        trieval(&["ids", &root, "--identifier", identifier, "--item", item]).expect(0).out
    };
    assert_eq!([spelled("sid"), spelled("dealt")].map(|path| path.matches('<').count()), [3, 2]);

    // Places enter keys, names do not: nothing is done again under other names.
    let text = std::fs::read_to_string(RECIPE).unwrap();
    let renamed = text.replace("\"dealt\"", "\"chance\"").replace(".dealt]", ".chance]");
    let recipe = folder.path().join("renamed.toml");
    std::fs::write(&recipe, &renamed).unwrap();
    let again = run(&recipe.display().to_string(), &out, &[]).expect(0);
    again.says(&["model.decoder: done before", "system.in-dealt: done before"]);
    let swapped = renamed.replace("[\"sid\", \"chance\"]", "[\"chance\", \"sid\"]");
    std::fs::write(&recipe, swapped).unwrap();
    let plan = run(&recipe.display().to_string(), &out, &["--dry-run", "--json"]).expect(0).json();
    let status = |step: &str| {
        let found = plan.as_array().unwrap().iter().find(|one| one["step"] == step);
        found.unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status("identifier.chance"), "done");
    for step in ["model.decoder", "train.supervised", "system.in-sid"] {
        assert!(status(step).starts_with("again"), "{step}: {}", status(step));
    }
}

#[test]
fn a_list_of_one_identifier_is_that_identifier() {
    let folder = tempfile::tempdir().unwrap();
    let (out, recipe) = (folder.path().join("run"), folder.path().join("list.toml"));
    copy_of_finished(&out);
    let text = std::fs::read_to_string(TINY).unwrap();
    let list = text.replacen("identifier = \"sid\"", "identifiers = [\"sid\"]", 1);
    std::fs::write(&recipe, list).unwrap();
    let answer = run(&recipe.display().to_string(), &out, &[]).expect(0);
    answer.says(&["evaluation: done before", "train.aligned: done before"]);
    let tokenizer = step_folder(&out, "model.decoder").unwrap().join("tokenizer.json");
    assert!(!std::fs::read_to_string(tokenizer).unwrap().contains("<|as:"));
    let steps = |run: &Path| -> Vec<String> {
        tree(&run.join("steps")).into_keys().filter(|path| path.ends_with("step.json")).collect()
    };
    assert_eq!(steps(&out), steps(finished()));
}

/// Lists of a system's run, by request: items in order, with their scores.
fn lists(run: &Path, system: &str) -> BTreeMap<String, Vec<(String, f64)>> {
    let step = step_folder(run, &format!("system.{system}")).unwrap();
    let mut lists: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for line in std::fs::read_to_string(step.join("run.trec")).unwrap().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let one = (words[2].to_owned(), words[4].parse().unwrap());
        lists.entry(words[0].to_owned()).or_default().push(one);
    }
    lists
}

/// What a decoder finds is ordered by it, by vectors, or by both; the ceiling says beforehand what that can come to.
#[test]
fn vectors_order_what_a_decoder_finds_and_the_ceiling_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (out, recipe) = (folder.path().join("run"), folder.path().join("ranked.toml"));
    copy_of_finished(&out);
    let ranked = |name: &str, more: &str| {
        format!(
            "[[system]]\nname = \"{name}\"\nkind = \"generative\"\ntrain = \"supervised\"\n\
             decode = {{ beam = 20 }}\nranking = {{ vectors = \"text\"{more} }}\n\n"
        )
    };
    let systems = [
        ranked("by-decoder", ", weight = 0"),
        ranked("by-vectors", ", weight = 1"),
        ranked("by-both", ", tune = \"ndcg@10\""),
    ];
    let text = std::fs::read_to_string(TINY).unwrap();
    let text = text.replacen("[evaluation]", &format!("{}[evaluation]", systems.concat()), 1);
    std::fs::write(&recipe, &text).unwrap();
    let recipe = recipe.display().to_string();
    run(&recipe, &out, &[]).expect(0).says(&["train.supervised: done before"]);
    let [plain, by_decoder, by_vectors, by_both] =
        ["supervised", "by-decoder", "by-vectors", "by-both"].map(|system| lists(&out, system));
    let nearest = lists(&out, "two-tower");
    let items = |list: &[(String, f64)]| list.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
    for (request, list) in &plain {
        assert_eq!(items(list), items(&by_decoder[request]));
        let sorted = |list: &[(String, f64)]| items(list).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(sorted(list), sorted(&by_vectors[request]), "the same items in another order");
        // The order among those that exact search lists too is that of exact search.
        let of_all: Vec<String> = items(&nearest[request]);
        let place = |item: &String| of_all.iter().position(|one| one == item);
        let places: Vec<usize> = items(&by_vectors[request]).iter().filter_map(place).collect();
        assert!(places.is_sorted(), "{request}: {places:?}");
    }
    assert_ne!(by_vectors, by_decoder);
    let report = json(&out.join("report.json"));
    let note = report["notes"].as_array().unwrap().iter().find_map(|note| {
        note.as_str().filter(|note| note.starts_with("system by-both: tuned for ndcg@10"))
    });
    let note = note.expect("what was chosen is told");
    assert!(note.contains("ranking.weight") && note.contains("11 settings tried"), "{note}");
    assert!(by_both.len() == plain.len());
    let figure = |system: &str| {
        let all = report["systems"].as_array().unwrap();
        let one = all.iter().find(|one| one["name"] == system).unwrap();
        one["metrics"]["recall@10"]["value"].as_f64().unwrap()
    };
    assert!(figure("by-vectors") > figure("by-decoder"), "a weak decoder, and trained vectors");

    let ceiling = &report["identifiers"][0]["ceiling"];
    assert_eq!(ceiling["metric"], "recall@10");
    assert_eq!(ceiling["beam"], 20);
    let [exact, codes, ranked] =
        ["exact", "codes", "ranked"].map(|name| ceiling[name].as_f64().unwrap());
    assert!(0.0 < codes && codes <= exact && ranked <= exact + 0.05, "{ceiling}");
    let root = out.display().to_string();
    let told = trieval(&["ids", &root]).expect(0).out;
    assert!(told.contains("by exact search over the vectors"), "{told}");
    let told = trieval(&["ids", &root, "--json"]).expect(0).json();
    assert_eq!(told["ceiling"]["exact"], ceiling["exact"]);

    let check = |from: &str, to: &str| {
        std::fs::write(&recipe, text.replacen(from, to, 1)).unwrap();
        trieval(&["check", &recipe]).expect(2)
    };
    check("weight = 1", "weight = 1, tune = \"ndcg@10\"").says(&["none is chosen"]);
    check("weight = 1", "weight = 2").says(&["weight"]);
    check("vectors = \"text\", weight = 1", "vectors = \"none\"").says(&["none"]);
}
