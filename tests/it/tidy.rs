//! House rules that no compiler checks: every file says what it is for, none grows without bound,
//! nothing is left for later.

use crate::source::{SourceFile, read, root, rust_files};

/// Most lines of a source file; at 600 ask whether it is two.
const MOST_LINES: usize = 700;
/// Files that are tables of data rather than code.
const DATA_FILES: &[&str] = &["src/corpus/simulator/vocabulary.rs"];
/// Most lines of ARCHITECTURE.md: a map that nobody can read is no map.
const MOST_MAP_LINES: usize = 300;
/// Most characters of a line of it.
const MOST_MAP_CHARS: usize = 100;

fn faults(file: &SourceFile) -> Vec<String> {
    let SourceFile { path, text } = file;
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: must open with //! and say what it is for"));
    }
    let n_lines = text.lines().count();
    if n_lines > MOST_LINES && !DATA_FILES.contains(&path.as_str()) {
        faults.push(format!("{path}: {n_lines} lines; most is {MOST_LINES}"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        // Spelt in halves so that this file does not find itself.
        for mark in [concat!("TO", "DO"), concat!("FIX", "ME")] {
            if line.contains(mark) {
                faults.push(format!("{path}:{number}: {mark}: do it, or write it into an issue"));
            }
        }
        if line.ends_with([' ', '\t']) {
            faults.push(format!("{path}:{number}: blanks at the end of the line"));
        }
    }
    faults
}

#[test]
fn source_files_are_tidy() {
    let folders = ["src", "kernels", "eval", "benches", "tests"];
    let faults: Vec<String> = rust_files(&folders).iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn untidy_files_are_found() {
    let count = |text: &str| faults(&SourceFile { path: "a.rs".into(), text: text.into() }).len();
    assert_eq!(count("//! Fine.\n"), 0);
    assert_eq!(count("use a;\n"), 1);
    assert_eq!(count(concat!("//! Fine.\n// TO", "DO: later\n")), 1);
    assert_eq!(count("//! Fine.\nuse a; \n"), 1);
    assert_eq!(count(&"//! Long.\n".repeat(MOST_LINES + 1)), 1);
}

#[test]
fn the_map_is_short_and_names_every_folder() {
    let map = read(&root().join("ARCHITECTURE.md"));
    assert!(map.lines().count() <= MOST_MAP_LINES, "ARCHITECTURE.md has grown too long");
    let wide = map.lines().find(|line| line.chars().count() > MOST_MAP_CHARS);
    assert_eq!(wide, None, "a line of ARCHITECTURE.md is too wide");
    let folders = std::fs::read_dir(root().join("src")).expect("src");
    for entry in folders.map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.path().is_dir();
        assert!(
            !is_folder || map.contains(&format!("src/{name}/")),
            "src/{name}/ is not on the map"
        );
    }
}

#[test]
fn a_change_goes_where_the_map_says() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let table = map.split("## Where does a change go?").nth(1).expect("the table of changes");
    let table = table.split("\n## ").next().expect("its end");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 15, "only {} rows were found", rows.len());
    for row in rows {
        let mut folder = String::new();
        for word in row.split('`').skip(1).step_by(2) {
            // `kinds.rs` is that of the folder before it; without one it is any component's.
            let is_path = word.contains('/') || (word.ends_with(".rs") && !folder.is_empty());
            if !is_path {
                continue;
            }
            // `kinds.rs` behind `src/ranker/` is `src/ranker/kinds.rs`, a file of its parent behind a file.
            let near = root().join(&folder).join(word);
            let beside = root().join(&folder).join("..").join(word);
            let found = [root().join(word), near, beside].into_iter().any(|path| path.exists());
            assert!(found, "ARCHITECTURE.md sends to `{word}`, which is not there: {row}");
            word.clone_into(&mut folder);
        }
    }
}

#[test]
fn every_direct_dependency_is_explained() {
    let page = read(&root().join("docs/dependencies.md"));
    for manifest in ["Cargo.toml", "kernels/Cargo.toml", "eval/Cargo.toml"] {
        let table: toml::Table = read(&root().join(manifest)).parse().expect("a manifest");
        for kind in ["dependencies", "dev-dependencies"] {
            let list = table.get(kind).and_then(|list| list.as_table());
            for name in list.into_iter().flat_map(|list| list.keys()) {
                let known = name.starts_with("trieval") || page.contains(&format!("| `{name}` |"));
                assert!(known, "docs/dependencies.md does not explain {name} of {manifest}");
            }
        }
    }
}
