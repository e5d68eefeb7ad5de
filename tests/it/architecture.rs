//! The arrows of ARCHITECTURE.md: which folder may use which, and where `unsafe` may stand.
//!
//! Knows the order of the folders and nothing of what is in them.

use std::collections::BTreeSet;

use crate::source::{SourceFile, highest_climb, paths, read, root, rust_files, words};

/// Folders and single files of `src/`, from the bottom up. Each may use only those of earlier rows.
const LAYERS: &[&[&str]] = &[
    &["error", "text"],
    &["seed", "progress"],
    &["memory", "store"],
    &["kind"],
    &["corpus", "identifier"],
    &["inputs"],
    &["model"],
    &["decode"],
    &["train"],
    &["vectors"],
    &["quantizer", "generative"],
    &["ranker"],
    &["trained"],
    &["judging"],
    &["bench", "recipe"],
    &["steps"],
    &["pipeline"],
    &["cli"],
];

/// Rows of components: their settings and lists of kinds are what a recipe is composed of.
const COMPONENTS: std::ops::RangeInclusive<usize> = 4..=13;

/// Arrows that the order would allow and that are forbidden all the same.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    ("quantizer", &["corpus", "decode"], "codes are made from vectors"),
    ("model", &["corpus"], "a model knows tokens, not data"),
    ("decode", &["corpus"], "decoding knows prompts, not tables"),
    ("steps", &["recipe"], "a step sees the settings in its key and no others"),
];

/// Folders that may use the crate of metrics and reports: nothing that is judged is among them.
const JUDGES: &[&str] = &["judging", "recipe", "steps", "pipeline", "cli"];
/// What a system may use of that crate: how lists are fused, and how run files are read.
const LENT_TO_SYSTEMS: &[&str] = &["fusion", "io", "Error", "Run"];
/// Folders that need no kernels.
const WITHOUT_KERNELS: &[&str] = &[
    "error", "seed", "progress", "text", "memory", "kind", "corpus", "inputs", "recipe", "steps",
    "cli",
];
/// The one folder outside the corpus that may know the truth of the simulated shop.
const ORACLE: &str = "src/ranker/oracle/";

/// Files that may hold `unsafe`, each block with a SAFETY note.
const UNSAFE_FILES: &[&str] = &[
    "kernels/src/gpu.rs",
    "kernels/src/index/fm/bits.rs",
    "kernels/src/map.rs",
    "kernels/src/ops/buffer.rs",
    "kernels/src/ops/cuda/adamw.rs",
    "kernels/src/ops/cuda/attention.rs",
    "kernels/src/ops/cuda/dropout.rs",
    "kernels/src/ops/cuda/embedding.rs",
    "kernels/src/ops/cuda/launch.rs",
    "kernels/src/ops/cuda/log_probs.rs",
    "kernels/src/ops/cuda/norm.rs",
    "kernels/src/ops/cuda/rms_norm.rs",
    "kernels/src/ops/cuda/rope.rs",
    "kernels/src/ops/cuda/swiglu.rs",
    "kernels/src/ops/matmul.rs",
    "kernels/src/ops/simd.rs",
    "kernels/src/threads.rs",
    "src/ranker/nearest/hnsw/metric.rs",
];

fn layer(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&folder))
}

/// The folder of `src/` that a file belongs to: `src/model/decoder.rs` and `src/model.rs` are `model`.
fn folder_of(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let first = inner.split('/').next().unwrap_or(inner);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// What a file of `src/` does against the order, one line each.
fn violations(file: &SourceFile) -> Vec<String> {
    let SourceFile { path, text } = file;
    let own = folder_of(path);
    if matches!(own, "lib" | "main") {
        return Vec::new();
    }
    let Some(own_layer) = layer(own) else {
        return vec![format!("{path}: folder `{own}` has no place in the order of layers")];
    };
    let mut faults = BTreeSet::new();
    for used in paths(text, "crate") {
        let target = used[0].as_str();
        // `crate::Error` and `crate::Result` are the error module's, re-exported; a macro stands at the
        // root, and the folder that it is for re-exports it.
        let is_macro = own == "kind" && matches!(target, "keys" | "kinds");
        if target == own || is_macro || matches!(target, "Error" | "Result") {
            continue;
        }
        let shown = format!("crate::{}", used.join("::"));
        let Some(target_layer) = layer(target) else {
            faults.insert(format!("{path}: `{shown}` names no folder of the order of layers"));
            continue;
        };
        if own_layer <= target_layer {
            faults.insert(format!("{path}: `{own}` may not use `{target}` (`{shown}`)"));
        }
        for (from, to, reason) in FORBIDDEN {
            if own == *from && to.contains(&target) {
                faults.insert(format!("{path}: `{own}` may not use `{target}`: {reason}"));
            }
        }
        let is_component = COMPONENTS.contains(&target_layer);
        let module = used.get(1).map(String::as_str);
        let is_settings = used.iter().any(|module| matches!(module.as_str(), "settings" | "kinds"));
        if is_component && !is_settings && (own == "recipe" || path.ends_with("/settings.rs")) {
            faults.insert(format!("{path}: `{shown}` is more than settings"));
        }
        if target == "corpus" && module == Some("simulator") && !path.starts_with(ORACLE) {
            faults.insert(format!("{path}: only the oracle may know the truth (`{shown}`)"));
        }
    }
    let lent = |used: &Vec<String>| {
        used.first().is_some_and(|module| LENT_TO_SYSTEMS.contains(&module.as_str()))
    };
    let is_lent = own == "ranker" && paths(text, "trieval_eval").iter().all(lent);
    for (package, allowed) in [
        // Settings of a system may be composed of settings of the crate, as those of a fused one are.
        ("trieval_eval", JUDGES.contains(&own) || path.ends_with("/settings.rs") || is_lent),
        ("trieval_kernels", !WITHOUT_KERNELS.contains(&own)),
    ] {
        if !allowed && words(text).iter().any(|word| word == package) {
            faults.insert(format!("{path}: `{own}` may not use `{package}`"));
        }
    }
    // `src/a/b/c.rs` is module a::b::c: three climbs reach the crate's root, where arrows hide.
    let depth = path.trim_end_matches("/mod.rs").matches('/').count();
    if highest_climb(text) >= depth {
        faults.insert(format!("{path}: climbs out of `{own}` with super; write crate::…"));
    }
    faults.into_iter().collect()
}

/// Names of everything that a package depends on, dev- and build-dependencies included.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let table: toml::Table = manifest.parse().expect("a manifest");
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| table.get(*kind)?.as_table())
        .flat_map(|list| list.keys().cloned())
        .collect()
}

fn check(path: &str, text: &str) -> Vec<String> {
    violations(&SourceFile { path: path.to_owned(), text: text.to_owned() })
}

#[test]
fn arrows_point_downwards() {
    let files = rust_files(&["src"]);
    assert!(files.len() > 50, "only {} files found", files.len());
    let faults: Vec<String> = files.iter().flat_map(violations).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_planted_arrow_is_found() {
    let fine = "use crate::{error::Result, store};\n// crate::cli::main\nuse super::rows::Row;";
    assert_eq!(check("src/corpus/table.rs", fine), Vec::<String>::new());
    let planted = [
        ("src/corpus/table.rs", "use crate::{error::Result, model::Decoder};"),
        ("src/seed.rs", "fn f() { crate::store::hash_file(p); }"),
        ("src/quantizer/mod.rs", "use crate::decode::Prompt;"),
        ("src/identifier/artifact.rs", "use crate::ranker::Retrieve;"),
        ("src/recipe/load.rs", "use crate::corpus::Corpus;"),
        ("src/ranker/settings.rs", "use crate::decode::Retriever;"),
        ("src/ranker/bm25.rs", "use trieval_eval::Qrels;"),
        ("src/vectors/file.rs", "use trieval_eval::Run;"),
        ("src/steps/train.rs", "use crate::recipe::Recipe;"),
        ("src/judging/runs.rs", "use crate::recipe::Recipe;"),
        ("src/ranker/bm25/mod.rs", "use crate::corpus::simulator::World;"),
        ("src/corpus/rows.rs", "use trieval_kernels::index::SidIndex;"),
        ("src/corpus/rows.rs", "use super::super::train::World;"),
        ("src/seed.rs", "use super::cli::main;"),
        ("src/corpus/rows.rs", "use crate::nowhere::World;"),
        ("src/nowhere/mod.rs", ""),
    ];
    for (path, text) in planted {
        assert_eq!(check(path, text).len(), 1, "{path}: {text}: {:?}", check(path, text));
    }
}

#[test]
fn kernels_and_eval_know_neither_each_other_nor_the_root() {
    let manifest = |package: &str| dependencies(&read(&root().join(package).join("Cargo.toml")));
    let (kernels, eval) = (manifest("kernels"), manifest("eval"));
    assert!(kernels.contains("candle-core"), "the manifest was not understood: {kernels:?}");
    for (package, list) in [("kernels", &kernels), ("eval", &eval)] {
        let ours: Vec<&String> = list.iter().filter(|name| name.starts_with("trieval")).collect();
        assert!(ours.is_empty(), "{package}/Cargo.toml depends on {ours:?}");
    }
    let tensors: Vec<&String> =
        eval.iter().filter(|name| name.starts_with("candle") || *name == "tokenizers").collect();
    assert!(tensors.is_empty(), "evaluation never sees a model, but depends on {tensors:?}");
}

#[test]
fn unsafe_stands_only_in_the_audited_files() {
    let holders: Vec<String> = rust_files(&["src", "kernels/src", "eval/src"])
        .into_iter()
        .filter(|file| words(&file.text).iter().any(|word| word == "unsafe"))
        .map(|file| {
            assert!(file.text.contains("SAFETY:"), "{} has no SAFETY note", file.path);
            file.path
        })
        .collect();
    assert_eq!(holders, UNSAFE_FILES, "compare ARCHITECTURE.md, \"Unsafe code\"");
}
