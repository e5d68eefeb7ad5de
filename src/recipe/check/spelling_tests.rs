//! What is said of spans and codes where the one is meant and the other is named.
#![allow(clippy::unwrap_used)]

use crate::recipe::fault::Style;
use crate::recipe::load::parse_styled;

const QUICKSTART: &str = include_str!("../fixture.toml");
/// How the quickstart names the identifier of its model.
const ONE: &str = "identifier = \"sid\"\n";
const SPANS: &str = "
[identifier.spans]
kind = \"spans\"
";

/// The quickstart, whose model answers in spans, too.
fn recipe() -> String {
    QUICKSTART.replacen(ONE, "identifiers = [\"sid\", \"spans\"]\n", 1) + SPANS
}

fn told(overrides: &[&str]) -> Option<String> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    parse_styled(&recipe(), "recipe.toml", &overrides, Style::Plain).err()
}

#[test]
fn a_system_that_answers_in_spans_says_how() {
    let overrides = ["system.aligned.identifier=spans"];
    insta::assert_snapshot!("spans_without_settings", told(&overrides).unwrap());
    let overrides = [overrides[0], "system.aligned.spans={}"];
    assert_eq!(told(&overrides), None);
    insta::assert_snapshot!("settings_without_spans", told(&[overrides[1]]).unwrap());
    let overrides = [overrides[0], overrides[1], "system.aligned.decode.beam=20"];
    insta::assert_snapshot!("codes_of_spans", told(&overrides).unwrap());
}

#[test]
fn several_identifiers_are_fused_and_one_is_not() {
    let both = "system.aligned.identifiers=[\"sid\", \"spans\"]";
    assert_eq!(told(&[both, "system.aligned.spans={}"]), None);
    insta::assert_snapshot!("fused_without_settings", told(&[both]).unwrap());
    let twice = [
        both,
        "system.aligned.identifier=sid",
        "system.aligned.spans.tune.metric=recall@10",
        "system.aligned.fusion={tune = \"recall@10\", weights = [1.0]}",
    ];
    insta::assert_snapshot!("fused_faults", told(&twice).unwrap());
    let one = ["system.aligned.fusion={method = \"comb-sum\", k = 5.0}"];
    insta::assert_snapshot!("fusion_of_one", told(&one).unwrap());
}

#[test]
fn shares_are_those_of_all_identifiers() {
    assert_eq!(told(&["train.supervised.objective.shares=[1.0, 2.0]"]), None);
    let three = ["train.supervised.objective.shares=[1.0, 2.0, 3.0]"];
    insta::assert_snapshot!("shares", told(&three).unwrap());
}

/// A decoder that was taught legal codes alone says words under the full vocabulary all the same.
#[test]
fn others_are_learned_beside_codes_where_there_are_some() {
    let taught =
        "train.supervised.objective={kind = \"distillation\", vectors = \"text\", others = true}";
    let slice = ["supervised", "aligned"];
    let slice = slice.map(|name| format!("system.{name}.decode.normalizer=slice"));
    let both = [taught, slice[0].as_str(), slice[1].as_str()];
    assert_eq!(told(&both), None);
    let words =
        [taught, slice[0].as_str(), "system.aligned.identifier=spans", "system.aligned.spans={}"];
    assert_eq!(told(&words), None);
    let exact = told(&[taught, slice[0].as_str()]).unwrap();
    assert!(exact.contains("says nothing of the full vocabulary"), "{exact}");
    let overrides = both.map(ToString::to_string);
    let alone = parse_styled(QUICKSTART, "recipe.toml", &overrides, Style::Plain).unwrap_err();
    assert!(alone.contains("learns other identifiers, and there are none"), "{alone}");
}

#[test]
fn no_more_identifiers_are_aligned_than_there_are() {
    let key = "train.aligned.objective.identifiers";
    assert_eq!(told(&[&format!("{key}=2")]), None);
    insta::assert_snapshot!("aligned_identifiers", told(&[&format!("{key}=3")]).unwrap());
}

#[test]
fn spans_name_fields_once_and_the_title_by_its_key() {
    let fields = ["identifier.spans.fields=[\"brand\", \"title\", \"brand\"]"];
    insta::assert_snapshot!("span_fields", told(&fields).unwrap());
}
