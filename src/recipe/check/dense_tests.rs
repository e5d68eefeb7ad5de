//! Decoders that encode, models that start from them, and trainings that are taught by vectors: what is said where they
//! cannot.
#![allow(clippy::unwrap_used)]

use crate::recipe::fault::Style;
use crate::recipe::load::parse_styled;

/// From a dense encoder to a decoder that says what it would find.
const CHAIN: &str = r#"
name = "chain"
[corpus]
kind = "simulator"
[model.dense]
kind = "scratch"
identifiers = []
[[train]]
name = "dense"
model = "dense"
[train.objective]
kind = "contrastive"
[vectors.own]
kind = "contrastive"
train = "dense"
[identifier.sid]
kind = "residual-k-means"
vectors = "own"
[model.generative]
kind = "scratch"
init = "dense"
identifier = "sid"
[[train]]
name = "distilled"
model = "generative"
[train.objective]
kind = "distillation"
vectors = "own"
[[system]]
name = "distilled"
kind = "generative"
train = "distilled"
decode = { normalizer = "slice" }
"#;

fn told(text: &str, overrides: &[&str]) -> Option<String> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    parse_styled(text, "recipe.toml", &overrides, Style::Plain).err()
}

#[test]
fn the_chain_has_no_fault_and_reads_back_as_it_is_written() {
    // Keys that take the place of others, whose defaults would be refused beside them.
    let instead = [
        "identifier.sid.codes_of_levels=[32,16]",
        "train.dense.optimizer={schedule=\"constant\"}",
        "train.distilled.optimizer={warmup_steps=3}",
        "train.distilled.validation={metric=\"recall@10\",every_steps=3}",
    ];
    for overrides in [&[][..], &instead] {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let loaded = parse_styled(CHAIN, "recipe.toml", &overrides, Style::Plain).unwrap();
        let written = loaded.recipe.to_toml().unwrap();
        let back = parse_styled(&written, "recipe.toml", &[], Style::Plain).unwrap();
        assert_eq!(back.recipe, loaded.recipe);
    }
}

#[test]
fn what_only_encodes_answers_nothing() {
    let supervised = r#"
[[train]]
name = "supervised"
model = "dense"
objective = { kind = "supervised" }
[[train]]
name = "further"
init = "dense"
objective = { kind = "supervised" }
[[system]]
name = "supervised"
kind = "generative"
train = "supervised"
[[system]]
name = "further"
kind = "generative"
train = "further"
[[system]]
name = "dense"
kind = "generative"
train = "dense"
"#;
    let text = format!("{CHAIN}{supervised}");
    insta::assert_snapshot!("answers_of_what_encodes", told(&text, &[]).unwrap());
}

#[test]
fn a_model_starts_from_an_encoder_and_a_search_knows_what_it_was_taught() {
    let faults = [
        "model.generative.init=distilled",
        "model.generative.hidden=64",
        "model.dense.rows=centroids",
        "system.distilled.decode.normalizer=exact",
        "train.distilled.validation={}",
        "train.distilled.objective.pseudo_words=[4,2]",
        "train.dense.objective={kind=\"contrastive\",retrieval=0,ranking=0}",
        "train.dense.validation={beam=5}",
        "identifier.sid.codes_of_levels=[]",
    ];
    let each: Vec<String> = faults.iter().map(|one| told(CHAIN, &[one]).unwrap()).collect();
    insta::assert_snapshot!("starts_and_searches", each.join("\n"));
    let aligned = r#"
[[train]]
name = "aligned"
init = "distilled"
objective = { kind = "preference" }
[[train]]
name = "further"
init = "aligned"
objective = { kind = "preference" }
[[system]]
name = "aligned"
kind = "generative"
train = "further"
"#;
    let text = format!("{CHAIN}{aligned}");
    insta::assert_snapshot!("alignments_of_legal_codes", told(&text, &[]).unwrap());
    assert_eq!(told(&text, &["system.aligned.decode.normalizer=slice"]), None);
    let others = r#"
[vectors.feedback]
kind = "collaborative"
"#;
    let text = format!("{CHAIN}{others}");
    let vectors = ["vectors.own.train=distilled", "train.distilled.objective.vectors=feedback"];
    let each: Vec<String> = vectors.iter().map(|one| told(&text, &[one]).unwrap()).collect();
    insta::assert_snapshot!("vectors_that_cannot_teach", each.join("\n"));
}
