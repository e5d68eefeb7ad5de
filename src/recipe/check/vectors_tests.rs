//! Vectors that a recipe cannot have, and what is said of them.
#![allow(clippy::unwrap_used)]

use crate::recipe::fault::Style;
use crate::recipe::load::parse_styled;

const QUICKSTART: &str = include_str!("../fixture.toml");

fn told(text: &str, overrides: &[&str]) -> Option<String> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    parse_styled(text, "recipe.toml", &overrides, Style::Plain).err()
}

#[test]
fn vectors_that_cannot_be_had() {
    let vectors = r#"
[vectors.columns]
kind = "file"
path = "v.npy"
id_column = "sku"
[vectors.table]
kind = "file"
path = "v.csv"
[vectors.empty]
kind = "file"
path = "v.parquet"
vector_column = ""
[vectors.feedback]
kind = "collaborative"
[vectors.both]
kind = "joined"
parts = ["text", "text", "inner", "feedbak"]
weights = [1, 0, -2]
[vectors.inner]
kind = "joined"
parts = ["columns"]
[[system]]
name = "a"
kind = "two-tower"
vectors = "both"
[[system]]
name = "b"
kind = "two-tower"
vectors = "feedback"
"#;
    insta::assert_snapshot!(told(&format!("{QUICKSTART}{vectors}"), &[]).unwrap());
}

#[test]
fn vectors_that_only_joined_ones_name_are_used() {
    let vectors = r#"
[vectors.feedback]
kind = "collaborative"
[vectors.table]
kind = "file"
path = "v.parquet"
id_column = "sku"
[vectors.both]
kind = "joined"
parts = ["text", "feedback", "table"]
weights = [1, 0.5, 2]
"#;
    let text = format!("{QUICKSTART}{vectors}");
    assert_eq!(told(&text, &["identifier.sid.vectors=both"]), None);
    let unused = told(&text, &[]).unwrap();
    assert!(unused.contains("vectors `both` is never used"), "{unused}");
}

#[test]
fn kinds_that_read_text_or_feedback_need_it() {
    let decoder = "vectors.text={ kind = \"decoder\", path = \"m\", pooling = \"last\" }";
    assert_eq!(told(QUICKSTART, &[decoder]), None);
    let pooling = "vectors.text={ kind = \"decoder\", path = \"m\", pooling = \"first\" }";
    assert!(told(QUICKSTART, &[pooling]).unwrap().contains("\"last\""));

    let scientific = include_str!("../../../recipes/scientific.toml");
    let text = scientific.replacen("items_file = \"Scientific.item.json\"\n", "", 1);
    let told_of = |text: &str, set: &str| told(text, &["corpus.path=/data", set]).unwrap();
    let message = told_of(&text, decoder);
    assert!(message.contains("decoder `text` reads text, but the items have none"), "{message}");

    let home = include_str!("../../../recipes/home-depot.toml");
    let start = home.find("[corpus.clicks]").unwrap();
    let end = home.find("[vectors.text]").unwrap();
    let text = format!("{}{}", &home[..start], &home[end..]);
    let message = told_of(&text, "vectors.text={ kind = \"collaborative\" }");
    let expected =
        "[vectors.text] of kind collaborative learns from clicks, but the corpus has none";
    assert!(message.contains(expected), "{message}");
}
