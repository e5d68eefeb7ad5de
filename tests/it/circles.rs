//! No circle of imports between files: reading one never needs another that needs it. A `mod.rs` is
//! the face of its folder, so what the files below it take from it counts as their own.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{SourceFile, paths, rust_files, words};

/// Roots of the packages; `crate` means one of them.
const PACKAGES: &[&str] = &["src", "kernels/src", "eval/src"];

/// Files by path, each with its own code: neither its tests nor what it hands on.
struct House {
    code: BTreeMap<String, String>,
    /// Of each file, the names that it hands on and where they come from.
    handed_on: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl House {
    fn new(files: Vec<SourceFile>) -> Self {
        let (mut code, mut handed_on) = (BTreeMap::new(), BTreeMap::new());
        for SourceFile { path, text } in files {
            let (own, handed) = parted(&words(&text));
            let names = ["crate", "self", "super"]
                .into_iter()
                .flat_map(|start| {
                    let of = move |path: Vec<String>| [vec![start.to_owned()], path].concat();
                    paths(&handed, start).into_iter().map(of)
                })
                .chain(children(&path, &handed))
                .filter_map(|path| Some((path.last()?.clone(), path.clone())));
            handed_on.insert(path.clone(), names.collect());
            code.insert(path, own);
        }
        Self { code, handed_on }
    }

    /// The file of a module, as `["src", "corpus", "rows"]`.
    fn file(&self, module: &[String]) -> Option<String> {
        let stem = module.join("/");
        [format!("{stem}.rs"), format!("{stem}/mod.rs"), format!("{stem}/lib.rs")]
            .into_iter()
            .find(|path| self.code.contains_key(path))
    }

    /// The file in which what a path of `module` names is written.
    fn resolve(&self, package: usize, module: &[String], path: &[String]) -> Option<String> {
        let mut at = module.to_vec();
        for (i, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => at.truncate(package),
                "self" => {}
                "super" => drop(at.pop()),
                _ => {
                    let below = [&at[..], std::slice::from_ref(name)].concat();
                    if self.file(&below).is_some() {
                        at = below;
                        continue;
                    }
                    let file = self.file(&at)?;
                    return match self.handed_on[&file].get(name) {
                        Some(from) if from[..] != path[i..] => self.resolve(package, &at, from),
                        _ => Some(file),
                    };
                }
            }
        }
        self.file(&at)
    }

    /// The files that the code of each file names.
    fn arrows(&self) -> BTreeMap<&str, BTreeSet<String>> {
        self.code
            .iter()
            .map(|(path, code)| {
                let package = PACKAGES.iter().find(|root| path.starts_with(&format!("{root}/")));
                let depth = package.map_or(0, |root| root.split('/').count());
                let module = module(path);
                let named = ["crate", "self", "super"].into_iter().flat_map(|start| {
                    let of = move |path: Vec<String>| [vec![start.to_owned()], path].concat();
                    paths(code, start).into_iter().map(of)
                });
                let used = named
                    .chain(children(path, code))
                    .filter_map(|named| self.resolve(depth, &module, &named))
                    .filter(|used| used != path && !is_face_of(used, path));
                (path.as_str(), used.collect())
            })
            .collect()
    }

    /// A circle of files, if there is one.
    fn circle(&self) -> Option<Vec<String>> {
        let arrows = self.arrows();
        // Files without an arrow to a file that is left are on no circle.
        let mut left: BTreeSet<&str> = arrows.keys().copied().collect();
        let target = |file: &str, left: &BTreeSet<&str>| {
            arrows[file].iter().find(|used| left.contains(used.as_str())).cloned()
        };
        while let Some(done) = left.iter().copied().find(|file| target(file, &left).is_none()) {
            left.remove(done);
        }
        let mut walk = vec![(*left.first()?).to_owned()];
        loop {
            let next = target(walk.last()?, &left)?;
            if let Some(start) = walk.iter().position(|file| *file == next) {
                return Some(walk.split_off(start));
            }
            walk.push(next);
        }
    }
}

/// Own code and what is handed on (`pub use …;`), without the tests at the end.
fn parted(words: &[String]) -> (String, String) {
    let (mut own, mut handed) = (Vec::new(), Vec::new());
    let mut i = 0;
    while i < words.len() {
        let is = |at: usize, word: &str| words.get(at).is_some_and(|found| found == word);
        if is(i, "mod") && is(i + 1, "tests") && is(i + 2, "{") {
            break;
        }
        let mut uses = i + 1;
        if is(i + 1, "(") {
            uses += words[i..].iter().position(|word| word == ")").unwrap_or(0);
        }
        if is(i, "pub") && is(uses, "use") {
            let end = words[i..].iter().position(|word| word == ";").map_or(words.len(), |n| i + n);
            handed.extend_from_slice(&words[i..end]);
            i = end;
        } else {
            own.push(words[i].clone());
        }
        i += 1;
    }
    (own.join(" "), handed.join(" "))
}

/// The module of a file: `src/a/b.rs` is `["src", "a", "b"]`, `src/a/mod.rs` is `["src", "a"]`.
fn module(path: &str) -> Vec<String> {
    let mut module: Vec<String> =
        path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// Whether `face` is the `mod.rs` of a folder that holds `file`, or the root of its package.
fn is_face_of(face: &str, file: &str) -> bool {
    let folder = face.strip_suffix("mod.rs").or_else(|| face.strip_suffix("lib.rs"));
    folder.is_some_and(|folder| file.starts_with(folder))
}

/// Paths that begin with a module that the file itself declares.
fn children(path: &str, text: &str) -> Vec<Vec<String>> {
    let words = words(text);
    let is_face = path.ends_with("mod.rs") || path.ends_with("lib.rs");
    let declared: BTreeSet<&str> = words
        .windows(3)
        .filter(|three| three[0] == "mod" && three[2] == ";")
        .map(|three| three[1].as_str())
        .collect();
    // What is handed on is read apart from the declarations: every path of a face may be a child's.
    let first_words: BTreeSet<&str> = words
        .windows(2)
        .filter(|two| two[1] == "::" && !matches!(two[0].as_str(), "crate" | "self" | "super"))
        .map(|two| two[0].as_str())
        .filter(|name| declared.contains(name) || is_face)
        .collect();
    first_words
        .into_iter()
        .flat_map(|name| {
            let of = move |path: Vec<String>| [vec![name.to_owned()], path].concat();
            paths(text, name).into_iter().map(of)
        })
        .collect()
}

fn is_test(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    path.contains("/tests/") || file == "testing.rs" || file.ends_with("tests.rs")
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = rust_files(PACKAGES).into_iter().filter(|file| !is_test(&file.path)).collect();
    let house = House::new(files);
    let arrows: usize = house.arrows().values().map(BTreeSet::len).sum();
    assert!(arrows > 800, "only {arrows} arrows were found");
    assert_eq!(house.circle(), None, "each file takes something from the next");
}

#[test]
fn a_planted_circle_is_found() {
    let circle = |files: &[(&str, &str)]| {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        House::new(files.iter().map(file).collect()).circle()
    };
    let face = ("src/a/mod.rs", "mod b; mod c; pub use c::C; pub struct A; fn f() { b::g() }");
    let fine = [
        face,
        ("src/a/b.rs", "use super::{A, C}; mod tests { use crate::d::D; }"),
        ("src/a/c.rs", "use super::A; pub struct C;"),
        ("src/d.rs", "use crate::a::C; pub struct D;"),
    ];
    assert_eq!(circle(&fine), None);
    let siblings = [face, fine[1], ("src/a/c.rs", "use super::b::g; pub struct C;")];
    assert_eq!(circle(&siblings).unwrap(), ["src/a/b.rs", "src/a/c.rs"]);
    let through_a_face = [face, fine[1], ("src/a/c.rs", "use crate::d::D;"), fine[3]];
    assert_eq!(circle(&through_a_face).unwrap(), ["src/a/c.rs", "src/d.rs"]);
    let of_a_face = [
        ("src/a/mod.rs", "mod b; fn f() { b::g() }"),
        ("src/a/b.rs", "use crate::d::D;"),
        ("src/d.rs", "use crate::a::f;"),
    ];
    assert_eq!(circle(&of_a_face).unwrap(), ["src/a/b.rs", "src/d.rs", "src/a/mod.rs"]);
}
