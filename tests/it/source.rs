//! Rust source as the tests of its shape need it: words without comments and strings, and the paths
//! that start at `crate` or climb with `super`. Knows no rule about either.

use std::path::{Path, PathBuf};

/// A source file of the workspace.
pub(crate) struct SourceFile {
    /// Path from the workspace's root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// Root of the workspace.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files below these folders of the workspace, in order of path.
pub(crate) fn rust_files(folders: &[&str]) -> Vec<SourceFile> {
    let root = root();
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = pending.pop() {
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{} cannot be read: {e}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(SourceFile { path: relative(&root, &path), text: read(&path) });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn relative(root: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(root).expect("a path below the root");
    inner.to_string_lossy().replace('\\', "/")
}

/// A text file, or a panic that names it.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()))
}

/// Names and punctuation of Rust source, in order; comments, strings, characters and lifetimes are
/// left out, `::` is one word.
pub(crate) fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            i = after_string(&chars, i);
        } else if c == '\'' {
            // 'x' and '\n' are characters, 'a without a closing mark is a lifetime.
            i = match (at(i + 1), at(i + 2)) {
                ('\\', _) => (i + 3..chars.len()).find(|&j| at(j) == '\'').unwrap_or(i) + 1,
                (_, '\'') => i + 3,
                _ => i + 1,
            };
        } else if is_name(c) {
            let start = i;
            while is_name(at(i)) {
                i += 1;
            }
            let word: String = chars[start..i].iter().collect();
            let raw = matches!(word.as_str(), "r" | "br" | "cr");
            if raw && (at(i) == '"' || (at(i) == '#' && matches!(at(i + 1), '#' | '"'))) {
                i = after_raw_string(&chars, i);
            } else {
                words.push(word);
            }
        } else if c == ':' && at(i + 1) == ':' {
            words.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                words.push(c.to_string());
            }
            i += 1;
        }
    }
    words
}

fn after_string(chars: &[char], open: usize) -> usize {
    let mut i = open + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn after_raw_string(chars: &[char], from: usize) -> usize {
    let hashes = chars[from..].iter().take_while(|&&c| c == '#').count();
    let closes = |i: usize| {
        chars[i] == '"'
            && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    let body = from + hashes + 1;
    (body..chars.len()).find(|&i| closes(i)).map_or(chars.len(), |i| i + 1 + hashes)
}

/// Every path that starts with the name `start`, each as its segments without `start`; groups are
/// spread out: `use crate::{a::B, c}` gives `[a, B]` and `[c]`.
pub(crate) fn paths(text: &str, start: &str) -> Vec<Vec<String>> {
    let words = words(text);
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let begins = i == 0 || words[i - 1] != "::";
        if word == start && begins && words.get(i + 1).is_some_and(|next| next == "::") {
            spread(&words, i + 2, &[], &mut found);
        }
    }
    found
}

/// Reads one path or group from `words[i]` on, and returns the place behind it.
fn spread(
    words: &[String],
    mut i: usize,
    before: &[String],
    found: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match words.get(i).map(String::as_str) {
            Some("{") => {
                i += 1;
                while words.get(i).is_some_and(|word| word != "}") {
                    i = if words[i] == "," { i + 1 } else { spread(words, i, &path, found) };
                }
                return i + 1;
            }
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '*') => {
                path.push(word.to_owned());
                i += 1;
            }
            // A group may hold what no path holds (`<` of generics); step over it.
            _ => {
                i += usize::from(path.len() == before.len());
                break;
            }
        }
        if words.get(i).is_none_or(|word| word != "::") {
            break;
        }
        i += 1;
    }
    if words.get(i).is_some_and(|word| word == "as") {
        i += 2;
    }
    if path.len() > before.len() {
        found.push(path);
    }
    i
}

/// Most `super`s that any path of the source climbs in a row, those spent on climbing out of modules
/// written inside the file not counted.
pub(crate) fn highest_climb(text: &str) -> usize {
    let words = words(text);
    let (mut highest, mut current, mut braces) = (0, 0, 0);
    // Depths of the braces that modules inside the file opened.
    let mut modules: Vec<usize> = Vec::new();
    for (i, word) in words.iter().enumerate() {
        current = match word.as_str() {
            "super" => current + 1,
            "::" => current,
            _ => 0,
        };
        highest = highest.max(usize::saturating_sub(current, modules.len()));
        match word.as_str() {
            "{" => {
                braces += 1;
                if i >= 2 && words[i - 2] == "mod" {
                    modules.push(braces);
                }
            }
            "}" => {
                modules.pop_if(|opened| *opened == braces);
                braces = braces.saturating_sub(1);
            }
            _ => {}
        }
    }
    highest
}

#[test]
fn paths_are_read_from_source_and_from_nothing_else() {
    let text = r##"
        //! [`crate::comment::A`]
        use crate::{seed::Seed, store::{self, Vectors as V}};
        use crate::error::{Error, Result};
        pub(in crate::pipeline) const A: &str = "crate::string::B";
        const B: &str = r#"a " crate::raw::C"#; /* crate::block::D /* nested */ crate::block::E */
        fn f<'a>(c: char) -> crate::model::Decoder { if c == '"' { crate::train::go::<u8>() } }
    "##;
    let found: Vec<String> = paths(text, "crate").iter().map(|path| path.join("::")).collect();
    let expected = [
        "seed::Seed",
        "store::self",
        "store::Vectors",
        "error::Error",
        "error::Result",
        "pipeline",
        "model::Decoder",
        "train::go",
    ];
    assert_eq!(found, expected);
    assert_eq!(highest_climb("use super::a::B; super::super::c(); // super::super::super"), 2);
    assert_eq!(highest_climb("mod tests { use super::A; fn f() { super::super::b() } }"), 1);
    assert_eq!(highest_climb("mod tests { use super::A; } use super::super::B;"), 2);
}
