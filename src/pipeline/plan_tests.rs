//! Keys of the steps of a small recipe under changes: what enters them, and what does not.
#![allow(clippy::unwrap_used)]

use super::*;

/// Keys of a small recipe's steps under overrides, by name.
fn keys(overrides: &[&str]) -> BTreeMap<String, String> {
    keys_of(include_str!("../../tests/it/tiny.toml"), overrides)
}

fn keys_of(text: &str, overrides: &[&str]) -> BTreeMap<String, String> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let loaded = Recipe::parse(text, "tiny.toml", &overrides).unwrap();
    Plan::new(&loaded.recipe).unwrap().names
}

fn changed(by: &str) -> Vec<String> {
    let (before, after) = (keys(&[]), keys(&[by]));
    before.into_iter().filter(|(name, key)| after[name] != *key).map(|(name, _)| name).collect()
}

#[test]
fn names_enter_no_key() {
    let text = include_str!("../../tests/it/tiny.toml");
    let names = ["supervised", "aligned", "text", "sid", "decoder", "bm25", "popularity"];
    let mut renamed = text.to_owned();
    for name in names {
        renamed = renamed
            .replace(&format!("\"{name}\""), &format!("\"{name}-2\""))
            .replace(&format!(".{name}]"), &format!(".{name}-2]"))
            // Kinds stay what they are.
            .replace(&format!("kind = \"{name}-2\""), &format!("kind = \"{name}\""));
    }
    let (before, after) = (keys_of(text, &[]), keys_of(&renamed, &[]));
    assert_eq!(before.len(), after.len());
    let mut n_renamed = 0;
    for (name, key) in &before {
        let other = after.iter().find(|(_, other)| *other == key).map(|(other, _)| other);
        // The judge holds the names of what it judges.
        assert_eq!(other.is_some(), name != "evaluation", "{name}");
        n_renamed += usize::from(other.is_some_and(|other| other != name));
    }
    assert!(n_renamed >= 10, "{n_renamed}");
}

#[test]
fn equal_parts_share_a_step_and_seeds_tell_them_apart() {
    let text = include_str!("../../tests/it/tiny.toml");
    let two = |seed: &str| {
        let twin = format!(
            "[vectors.twin]\nkind = \"two-tower\"\ndim = 16\nvocabulary = 400\nepochs = 3\nbatch = 64\n\
             uniform_negatives = 32\ncheckpoint_steps = 9\n{seed}\n[[system]]\nname = \"twin\"\n\
             kind = \"two-tower\"\nvectors = \"twin\"\n"
        );
        let keys = keys_of(&format!("{text}{twin}"), &[]);
        ["vectors", "system"].map(|what| {
            let own = if what == "vectors" { "text" } else { "two-tower" };
            keys[&format!("{what}.twin")] == keys[&format!("{what}.{own}")]
        })
    };
    assert_eq!(two(""), [true, true]);
    assert_eq!(two("seed = 5"), [true, true], "the recipe's own seed, written out");
    assert_eq!(two("seed = 6"), [false, false]);
    assert!(changed("train.aligned.seed=9").contains(&"train.aligned.pairs".to_owned()));
    assert!(!changed("train.aligned.seed=9").contains(&"train.supervised".to_owned()));
}

#[test]
fn prompts_depend_on_corpus_and_model_and_on_no_training() {
    let prompts = "prompts.decoder".to_owned();
    for by in ["model.decoder.prompt_tokens=20", "corpus.requests=801", "seed=6"] {
        let changed = changed(by);
        assert!(changed.contains(&prompts), "{by}");
        assert!(changed.contains(&"train.aligned.pairs".to_owned()), "{by}");
    }
    let changed = changed("train.supervised.optimizer.learning_rate=0.5");
    assert!(changed.contains(&"train.supervised".to_owned()) && !changed.contains(&prompts));
}

#[test]
fn an_index_is_built_anew_for_what_it_is_built_of() {
    let index = |more: &str| format!("system.two-tower.index={{ kind = \"hnsw\"{more} }}");
    let plain = keys(&[&index("")]);
    assert!(!keys(&[]).contains_key("system.two-tower.index"));
    assert_ne!(keys(&[])["system.two-tower"], plain["system.two-tower"]);
    let changes = |more: &str, other: &[&str]| {
        let index = index(more);
        let after = keys(&[&[index.as_str()], other].concat());
        ["vectors.text", "system.two-tower.index", "system.two-tower"]
            .map(|step| after[step] != plain[step])
    };
    assert_eq!(changes(", connectivity = 8", &[]), [false, true, true]);
    assert_eq!(changes(", expansion_add = 99", &[]), [false, true, true]);
    assert_eq!(changes(", expansion_search = 99", &[]), [false, false, true]);
    assert_eq!(changes("", &["evaluation.depth=19"]), [false, false, true]);
    assert_eq!(changes("", &["vectors.text.dim=20"]), [true, true, true]);
    assert_eq!(changes("", &["seed=6"]), [true, true, true]);
}

#[test]
fn trackers_enter_no_key() {
    assert!(changed("train.supervised.log.tensorboard=true").is_empty());
    assert!(changed("train.aligned.log.mlflow=\"http://host:5000\"").is_empty());
}
