//! Identifiers that models and systems name, and what is said where they cannot.
#![allow(clippy::unwrap_used)]

use crate::recipe::fault::Style;
use crate::recipe::load::parse_styled;

const QUICKSTART: &str = include_str!("../fixture.toml");
/// How the quickstart names the identifier of its model.
const ONE: &str = "identifier = \"sid\"\n";

fn told(text: &str, overrides: &[&str]) -> Option<String> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    parse_styled(text, "recipe.toml", &overrides, Style::Plain).err()
}

#[test]
fn a_model_names_its_identifiers_by_one_key() {
    let instead = |keys: &str| told(&QUICKSTART.replacen(ONE, keys, 1), &[]).unwrap();
    insta::assert_snapshot!("no_identifier", instead(""));
    let both = instead("identifier = \"sid\"\nidentifiers = [\"sid\"]\n");
    insta::assert_snapshot!("two_keys_for_identifiers", both);
    insta::assert_snapshot!("empty_identifiers", instead("identifiers = []\n"));
}

#[test]
fn a_system_answers_in_an_identifier_of_its_model() {
    let several = r#"identifiers = ["sid", "other", "sid"]

[identifier.other]
kind = "random"

[identifier.spare]
kind = "random"

[model.small]
kind = "scratch"
identifiers = ["spare"]
"#;
    let small = r#"
[[train]]
name = "small"
model = "small"
objective = { kind = "supervised" }

[[system]]
name = "small"
kind = "generative"
train = "small"
"#;
    let shape = "layers = 3\nhidden = 128\nheads = 4\n";
    let text = QUICKSTART.replacen(shape, "", 1).replacen(ONE, several, 1) + small;
    let overrides = ["system.aligned.identifier=spare", "system.small.identifier=spaer"];
    insta::assert_snapshot!("identifiers_of_others", told(&text, &overrides).unwrap());
    let fine = text.replacen("\"other\", \"sid\"]", "\"other\"]", 1);
    assert_eq!(told(&fine, &["system.aligned.identifier=other"]), None);
    assert_eq!(told(&fine, &["system.small.identifier=spare"]), None);
}

/// A training starts from a model, or from another training of one.
#[test]
fn identifiers_of_different_lengths_are_not_compared_by_means_over_tokens() {
    let of = |length: &str| {
        [
            "identifier.sid.remove.kind=top".into(),
            "identifier.sid.remove.codes=2".into(),
            format!("identifier.sid.length={length}"),
        ]
    };
    let told = |length: &str, loss: &str| {
        let [kind, codes, length] = of(length);
        told(QUICKSTART, &[&kind, &codes, &length, &format!("train.aligned.objective.loss={loss}")])
    };
    let refused = told("mean", "simpo").unwrap();
    assert!(
        refused.contains("training `aligned` cannot compare identifiers of different lengths"),
        "{refused}"
    );
    assert!(refused.contains("identifier.sid.length = \"skip\""), "{refused}");
    assert_eq!(told("skip", "simpo"), None);
    assert_eq!(told("sum", "dpo"), None);
}

/// An alignment learns the first identifier of its model: what others are like is all the same to it.
#[test]
fn only_identifiers_that_are_learned_must_have_one_length() {
    let short = r#"
[identifier.short]
kind = "residual-k-means"
vectors = "text"
remove = { kind = "top", codes = 2 }
length = "sum"
"#;
    let told = |identifiers: &str| {
        let keys = format!("identifiers = {identifiers}\n");
        let text = QUICKSTART.replacen(ONE, &keys, 1) + short;
        told(&text, &["train.aligned.objective.loss=simpo"])
    };
    assert_eq!(told(r#"["sid", "short"]"#), None);
    let refused = told(r#"["short", "sid"]"#).unwrap();
    assert!(refused.contains("those of `short` differ in length"), "{refused}");
}

#[test]
fn impossible_identifiers() {
    let with = |table: &str| {
        let residual = "kind = \"residual-k-means\"\nvectors = \"text\"\nlevels = 3\ncodes = 64\n";
        told(&QUICKSTART.replacen(residual, table, 1), &[]).unwrap()
    };
    let residual = "kind = \"residual-k-means\"\nvectors = \"text\"\n";
    let residual = with(&format!("{residual}codes = 64\nbatch = 50\nbalance_by = \"sinkhorn\"\n"));
    insta::assert_snapshot!("impossible_residual_k_means", residual);
    let product = "kind = \"product-quantization\"\nvectors = \"text\"\nparts = 25\n";
    insta::assert_snapshot!("impossible_parts", with(product));
    let product = "kind = \"product-quantization\"\nvectors = \"text\"\ncodes = 5000\n";
    insta::assert_snapshot!("impossible_codes_of_parts", with(product));
    let learned = "kind = \"rq-vae\"\nvectors = \"text\"\nbatch = 100\nbalanced = \"last\"\n\
        device = \"cuda\"\nvalidation = { metric = \"recall@10\", beam = 5 }\nhidden = [0]\n";
    insta::assert_snapshot!("impossible_rq_vae", with(learned));
}
