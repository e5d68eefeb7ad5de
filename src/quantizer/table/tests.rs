//! Tables of codes, right and wrong.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::identifier::settings::{Collisions, NamingSettings};

fn settings(path: &std::path::Path) -> TableSettings {
    let path = path.to_str().unwrap();
    toml::from_str(&format!("path = {path:?}\nlevels = 2\ncodes = 4")).unwrap()
}

/// What a file with this name and text gives, or the message.
fn read(name: &str, text: &str) -> Result<Vec<u32>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let settings = settings(&path);
    let ids = ["x", "y", "z"].map(str::to_owned);
    let read = || in_order(&settings, &file::read(&path, &settings.level_codes())?, &ids);
    read().map_err(|error| {
        assert_eq!(error.exit_code(), 2);
        error.to_string().replace(folder.path().to_str().unwrap(), "")
    })
}

#[test]
fn every_form_gives_the_codes_in_the_order_of_the_corpus() {
    let expected = Ok(vec![0, 1, 3, 2, 0, 1]);
    let tokens = r#"{"z": ["<a_0>", "<b_1>"], "x": ["<a_0>", "<b_1>"], "y": ["<a_3>", "<b_2>"]}"#;
    assert_eq!(read("t.json", tokens), expected);
    assert_eq!(read("t.json", r#"{"x": [0, 1], "y": [3, 2], "z": [0, 1]}"#), expected);
    let rows = [("z", "[0, 1]"), ("y", "[3, 2]"), ("x", r#"["<a_0>", 1]"#)]
        .map(|(id, codes)| format!("{{\"item_id\": {id:?}, \"codes\": {codes}}}"));
    assert_eq!(read("t.json", &format!("[{}]", rows.join(","))), expected);
    assert_eq!(read("t.jsonl", &format!("{}\n\n", rows.join("\n"))), expected);
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |text: &str| read("t.json", text).unwrap_err();
    let with_x = |x: &str| wrong(&format!(r#"{{"x": {x}, "y": [3, 2], "z": [0, 1]}}"#));
    assert!(
        with_x("[0]").contains(r#"/t.json: item "x": 1 codes, expected 2"#),
        "{}",
        with_x("[0]")
    );
    for (codes, told) in [
        ("[0, 4]", "4 is no code of level 2: expected 0 to 3, or <b_0> to <b_3>"),
        (r#"["<b_0>", 1]"#, r#""<b_0>" is no code of level 1: expected 0 to 3, or <a_0> to <a_3>"#),
        (r#"["<a_04>", 1]"#, r#""<a_04>" is no code of level 1"#),
        ("[-1, 1]", "-1 is no code of level 1"),
        ("[0.5, 1]", "0.5 is no code of level 1"),
        ("[null, 1]", "null is no code of level 1"),
        ("7", r#"item "x": expected a list of codes"#),
    ] {
        assert!(with_x(codes).contains(told), "{codes}: {}", with_x(codes));
    }
    let missing = wrong(r#"{"x": [0, 1]}"#);
    assert!(
        missing.contains(r#"2 of 3 items of the corpus have no codes here: "y", "z""#),
        "{missing}"
    );
    let unknown = wrong(r#"{"x": [0, 1], "y": [3, 2], "z": [0, 1], "w": [1, 1]}"#);
    assert!(unknown.contains(r#"1 of 4 items here are not in the corpus: "w""#), "{unknown}");
    let twice = wrong(r#"{"x": [0, 1], "y": [3, 2], "z": [0, 1], "x": [1, 1]}"#);
    assert!(twice.contains(r#"item "x" is named twice"#), "{twice}");
    assert!(wrong("{}").contains("no item is in it"));
    assert!(wrong("{\"x\": [0, 1]").contains("t.json:1: not a table of codes"));
    assert!(wrong("3").contains("an object from items to lists of codes"));
    let line = read("t.jsonl", "{\"item_id\": \"x\", \"codes\": [0, 1]}\n{\"item_id\": \"y\"}")
        .unwrap_err();
    assert!(line.contains("t.jsonl:2: not a row of codes") && line.contains("codes"), "{line}");
    let absent = file::read(std::path::Path::new("/nowhere/t.json"), &[4]).unwrap_err();
    assert!(absent.to_string().contains("/nowhere/t.json"), "{absent}");
}

#[test]
fn vectors_say_what_the_codes_stand_for_and_which_are_near() {
    // Codes of the second level: 0 stands for -1, 1 for 1; items 0 and 1 share theirs.
    let codes = vec![0, 1, 0, 1, 0, 0, 1, 0];
    let vectors = Vectors::new(1, vec![3.0, 3.2, 1.0, -7.0], "test").unwrap();
    let (centroids, residuals) = means(&vectors, &codes, &[2, 3]);
    let near = |level: usize, expected: &[f32]| {
        let pairs = centroids.levels[level].iter().zip(expected);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", centroids.levels[level]);
    };
    near(0, &[2.4, -7.0]);
    // Two items have code 0 there: what is left of them is -1.4 and 0.
    near(1, &[-0.7, 0.7, 0.0]);
    assert!(residuals[1] < residuals[0]);

    // Three items share what stands for 0; the second is nearest to it, then the first. Codes of no item stand for 0, too.
    let codes = vec![0, 1, 0, 1, 0, 1, 1, 0];
    let vectors = Vectors::new(1, vec![3.0, 3.2, 3.7, -7.0], "test").unwrap();
    let (centroids, residuals) = means(&vectors, &codes, &[2, 4]);
    let made = Made { kind: "table".into(), centroids, residuals };
    let naming =
        NamingSettings { collisions: Some(Collisions::Nearest), ..NamingSettings::default() };
    let named = (&naming, Some(&*vectors.data));
    let ids = Identifiers::named(codes, vec![2, 4], made, "c", named).unwrap();
    assert_eq!(ids.codes, [0, 0, 0, 1, 0, 2, 1, 0]);
}
