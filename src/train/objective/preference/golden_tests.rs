//! The losses, gradients and figures of `tests/golden/preference.json`: TRL's own numbers, and numpy's where TRL does not
//! have the loss (`make_preference.py` beside it made them).

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use serde::Deserialize;

use super::group::Layout;
use super::losses::{LossTerms, batch_loss};
use crate::train::settings::PreferenceSettings;

#[derive(Deserialize)]
struct Case {
    name: String,
    source: String,
    settings: PreferenceSettings,
    groups: Vec<Answers>,
    policy: Vec<Vec<f64>>,
    reference: Vec<f64>,
    loss: f64,
    gradient: Vec<Vec<f64>>,
    figures: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Answers {
    chosen: Vec<Vec<u32>>,
    rejected: Vec<Weighted>,
}

#[derive(Deserialize)]
struct Weighted {
    tokens: Vec<u32>,
    weight: f32,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/preference.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn layout(case: &Case) -> Layout {
    let mut layout = Layout::default();
    for group in &case.groups {
        let chosen: Vec<&[u32]> = group.chosen.iter().map(Vec::as_slice).collect();
        let rejected: Vec<(&[u32], f32)> =
            group.rejected.iter().map(|r| (r.tokens.as_slice(), r.weight)).collect();
        layout.push(&chosen, &rejected);
    }
    layout
}

#[test]
fn losses_gradients_and_figures_equal_those_of_trl_and_numpy() {
    let mut by_trl = 0;
    for case in cases() {
        let Case { name, settings, .. } = &case;
        let terms = LossTerms::new(settings);
        let layout = layout(&case);
        let weight: f64 = terms.weights(&layout).iter().sum();
        let policy = Var::from_tensor(&Tensor::new(case.policy.clone(), &Device::Cpu).unwrap());
        let policy = policy.unwrap();
        let reference = Tensor::new(case.reference.as_slice(), &Device::Cpu).unwrap();
        let reference = terms.loss.needs_reference().then_some(&reference);
        let loss = batch_loss(&terms, &layout, &policy, reference).unwrap();
        let value = loss.sum.to_scalar::<f64>().unwrap() / weight;
        assert!((value - case.loss).abs() < 1e-10, "{name}: {value}, expected {}", case.loss);

        let gradients = loss.sum.backward().unwrap();
        let found = gradients.get(&policy).unwrap().to_vec2::<f64>().unwrap();
        // Central differences are right to about 1e-9, TRL's automatic gradients to rounding.
        let tolerance = if case.source.starts_with("TRL") { 1e-11 } else { 1e-7 };
        for (row, (found, expected)) in found.iter().zip(&case.gradient).enumerate() {
            for (position, (a, b)) in found.iter().zip(expected).enumerate() {
                assert!(
                    (a - b).abs() < tolerance,
                    "{name}: answer {row}, token {position}: {a} {b}"
                );
            }
        }
        assert_eq!(found.len(), case.gradient.len());

        for (figure, expected) in &case.figures {
            let value = loss.figures.iter().find(|(other, _)| other == figure).unwrap().1 / weight;
            assert!((value - expected).abs() < 1e-10, "{name}: {figure} {value} {expected}");
        }
        by_trl += usize::from(case.source.starts_with("TRL") && !case.figures.is_empty());
    }
    assert!(by_trl >= 11, "{by_trl}");
}

#[test]
fn every_loss_has_a_golden_value() {
    let names: Vec<&str> = cases().iter().map(|case| case.settings.loss.name()).collect();
    for loss in ["dpo", "cdpo", "robust", "ipo", "simpo", "hinge", "s-dpo", "dmpo", "rad-dpo"] {
        assert!(names.contains(&loss), "{loss}");
    }
}
