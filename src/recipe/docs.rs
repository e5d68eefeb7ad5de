//! The recipe reference and the JSON Schema, generated from the settings and committed under `docs/`.
//!
//! Knows the shape of recipes; a test compares the committed files with what this makes.

use serde_json::Value as Json;

use super::shape::{Field, Shape, Variant, recipe_fields, schema};

/// The JSON Schema of a recipe (draft 2020-12), as committed in `docs/recipe.schema.json`.
pub fn json_schema() -> String {
    let mut schema = schema();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), Json::from("trieval recipe"));
    }
    format!("{schema:#}\n")
}

/// The recipe reference in Markdown, as committed in `docs/recipes.md`: every table and key with type,
/// range, default and meaning.
pub fn recipe_reference() -> String {
    let mut text = String::from(INTRODUCTION);
    let fields = recipe_fields();
    text.push_str("\n## Top level\n\n");
    key_table(&mut text, fields, None);
    for field in fields {
        if is_table(&field.shape) {
            section(&mut text, 2, &field.key, &field.shape, &field.meaning, field.required);
        }
    }
    text
}

const INTRODUCTION: &str = "\
# Recipe reference

<!-- Generated from the settings in the source. Do not edit; regenerate with
     TRIEVAL_UPDATE_DOCS=1 cargo test -p trieval --lib recipe::tests::documents -->

A recipe is a TOML file. It is checked as a whole before any work starts: every unknown, missing,
mistyped, out-of-range or unused key is shown at once, with line and column and the nearest legal
name. A key is read or refused.

`[vectors.NAME]`, `[identifier.NAME]`, `[model.NAME]`, `[[train]]` and `[[system]]` are named; they
refer to each other by these names. `--set KEY=VALUE` overrides a key, with names or positions in the
place of list elements: `--set train.aligned.optimizer.learning_rate=1e-4 --set system.bm25.k1=1.2`.
`trieval recipes explain KEY` prints the value, origin, type and meaning of one key.
";

fn section(
    text: &mut String,
    level: usize,
    path: &str,
    shape: &Shape,
    meaning: &str,
    required: bool,
) {
    let (header, inner, path) = match shape {
        Shape::Named(element) => {
            (format!("[{path}.NAME]"), element.as_ref(), format!("{path}.NAME"))
        }
        Shape::List { item, .. } => (format!("[[{path}]]"), item.as_ref(), path.to_owned()),
        shape => (format!("[{path}]"), shape, path.to_owned()),
    };
    let hashes = "#".repeat(level.min(6));
    let needed = if required { " Required." } else { "" };
    text.push_str(&format!("\n{hashes} `{header}`\n\n{meaning}{needed}\n"));
    match inner {
        Shape::Table(fields) => {
            text.push('\n');
            key_table(text, fields, None);
            nested(text, level, &path, fields);
        }
        Shape::Tagged { tag, variants } => {
            for variant in variants {
                let hashes = "#".repeat((level + 1).min(6));
                let name = &variant.name;
                text.push_str(&format!(
                    "\n{hashes} `{header}` with `{tag} = \"{name}\"`\n\n{}\n\n",
                    variant.meaning
                ));
                key_table(text, &variant.fields, Some((tag, variant)));
                nested(text, level + 1, &path, &variant.fields);
            }
        }
        _ => {}
    }
}

fn nested(text: &mut String, level: usize, path: &str, fields: &[Field]) {
    for field in fields.iter().filter(|field| is_table(&field.shape)) {
        let path = format!("{path}.{}", field.key);
        section(text, level + 1, &path, &field.shape, &field.meaning, field.required);
    }
}

fn is_table(shape: &Shape) -> bool {
    match shape {
        Shape::Table(_) | Shape::Tagged { .. } | Shape::Named(_) => true,
        Shape::List { item, .. } => is_table(item),
        _ => false,
    }
}

fn key_table(text: &mut String, fields: &[Field], tag: Option<(&str, &Variant)>) {
    text.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    if let Some((tag, variant)) = tag {
        let default = if variant.is_default { "may be left out" } else { "required" };
        text.push_str(&format!("| `{tag}` | `\"{}\"` | {default} | |\n", variant.name));
    }
    for field in fields {
        let default = if field.required { "required".into() } else { default_text(field) };
        let mut meaning = cell(&field.meaning);
        if let Shape::Choice(words) = &field.shape {
            for (word, about) in words.iter().filter(|(_, about)| !about.is_empty()) {
                meaning.push_str(&format!("<br>`\"{word}\"`: {}", cell(about)));
            }
        }
        let kind = cell(&field.shape.describe());
        text.push_str(&format!("| `{}` | {kind} | {default} | {meaning} |\n", field.key));
    }
}

fn default_text(field: &Field) -> String {
    match &field.default {
        Json::Null => "–".into(),
        Json::Object(_) if matches!(field.shape, Shape::Named(_)) => "none".into(),
        Json::Object(_) => "see below".into(),
        Json::Array(values) if values.is_empty() && is_table(&field.shape) => "none".into(),
        value => format!("`{}`", cell(&value_text(value))),
    }
}

/// A default as it would be written in a recipe.
pub(super) fn value_text(value: &Json) -> String {
    match value {
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(value_text).collect();
            format!("[{}]", values.join(", "))
        }
        value => value.to_string(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
