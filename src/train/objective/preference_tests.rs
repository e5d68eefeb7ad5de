//! The preference loss on tiny decoders: its value at the start, and its gradient.

#![allow(clippy::unwrap_used)]

use candle_core::Var;

use super::*;
use crate::model::config::tests::small;
use crate::model::decoder::normal;
use crate::model::decoder::tests::lively;
use crate::model::item_tokens::ItemTokens;
use crate::seed::Seed;

const LEVELS: [u32; 2] = [3, 4];

fn items() -> ItemTokens {
    ItemTokens::new(&[0, 0, 1, 3, 2, 1, 2, 2], &LEVELS, 20)
}

fn data(items: &ItemTokens) -> PairData<'_> {
    let pair = |prompt, chosen, rejected, weight| Pair { prompt, chosen, rejected, weight };
    PairData {
        prompts: vec![vec![1, 2, 3], vec![4], vec![5, 6, 7, 8]],
        pairs: vec![
            pair(0, 1, 2, 1.0),
            pair(1, 0, 3, 0.5),
            pair(2, 3, 1, 1.0),
            pair(2, 2, 0, 0.25),
        ],
        item_tokens: items,
    }
}

fn draws() -> Vec<Draw> {
    (0..4).map(|example| Draw { example, global: example }).collect()
}

fn loss_of(preference: &Preference<'_>) -> (f64, f64, Vec<(&'static str, f64)>) {
    let batch = preference.draw(&draws()).unwrap();
    let loss = preference.loss(&batch).unwrap();
    let sum = f64::from(loss.sum.to_scalar::<f32>().unwrap());
    (sum, preference.weight(&batch), loss.metrics)
}

#[test]
fn the_loss_starts_at_ln_2_with_margins_of_zero() {
    let items = items();
    let decoder = lively(small(27));
    let reference = reference_scores(&data(&items), &decoder, 3, |_| Ok(())).unwrap();
    let settings = PreferenceSettings { beta: 0.3, anchor: 0.0, ..Default::default() };
    let preference = Preference::new(&decoder, data(&items), reference.clone(), &settings);
    let (sum, weight, metrics) = loss_of(&preference);
    assert_eq!(weight, 2.75);
    // The reference was scored in other batches, so rounding may differ.
    assert!((sum / weight - std::f64::consts::LN_2).abs() < 1e-5, "{}", sum / weight);
    let metric = |name: &str| metrics.iter().find(|(other, _)| *other == name).unwrap().1 / weight;
    for name in ["rewards/margins", "rewards/chosen", "rewards/rejected", "drift/chosen"] {
        assert!(metric(name).abs() < 1e-5, "{name}: {}", metric(name));
    }
    // The anchor adds the weighted cross-entropy of the chosen tokens.
    let anchored = PreferenceSettings { anchor: 0.5, ..settings };
    let (with_anchor, _, metrics) =
        loss_of(&Preference::new(&decoder, data(&items), reference, &anchored));
    let chosen = metrics.iter().find(|(name, _)| *name == "logps/chosen").unwrap().1;
    assert!((with_anchor - sum - 0.5 * -chosen / 2.0).abs() < 1e-4);
}

#[test]
fn one_pair_equals_the_published_loss_worked_by_hand() {
    let items = items();
    let decoder = lively(small(27));
    let own = reference_scores(&data(&items), &decoder, 4, |_| Ok(())).unwrap();
    // rho(chosen) = 0.7 and rho(rejected) = -0.5, so delta = 1.2.
    let shifted = |score: &ReferenceScore| ReferenceScore {
        chosen: score.chosen - 0.7,
        rejected: score.rejected + 0.5,
    };
    let reference = own.iter().map(shifted).collect();
    let settings = PreferenceSettings { beta: 0.5, anchor: 0.0, ..Default::default() };
    let preference = Preference::new(&decoder, data(&items), reference, &settings);
    let (sum, weight, metrics) = loss_of(&preference);
    let expected = -(1.0f64 / (1.0 + (-0.6f64).exp())).ln();
    assert!((sum / weight - expected).abs() < 1e-5, "{} {expected}", sum / weight);
    let metric = |name: &str| metrics.iter().find(|(other, _)| *other == name).unwrap().1 / weight;
    assert!((metric("rewards/margins") - 0.6).abs() < 1e-5);
    assert!((metric("rewards/chosen") - 0.35).abs() < 1e-5);
    assert_eq!(metric("rewards/accuracies"), 1.0);
}

#[test]
fn the_gradient_equals_finite_differences() {
    let items = items();
    let decoder = lively(small(27));
    let reference: Vec<ReferenceScore> = (0..4)
        .map(|i| ReferenceScore { chosen: -6.0 - i as f32, rejected: -4.0 - 2.0 * i as f32 })
        .collect();
    let settings = PreferenceSettings { beta: 0.4, anchor: 0.3, ..Default::default() };
    let preference = Preference::new(&decoder, data(&items), reference, &settings);
    let batch = preference.draw(&draws()).unwrap();
    let gradients = preference.loss(&batch).unwrap().sum.backward().unwrap();
    let mut checked = 0;
    for (name, var) in decoder.trained() {
        let gradient = gradients.get(var).unwrap();
        let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        assert!(norm > 0.0, "{name}");
        let along = (gradient / f64::from(norm)).unwrap();
        let random = normal(var.elem_count(), 1.0, Seed::new(4).purpose(name));
        let random = Tensor::from_vec(random, var.shape(), &Device::Cpu).unwrap();
        let length = random.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        let random = (random / f64::from(length)).unwrap();
        for direction in [along, random] {
            let expected = (gradient * &direction).unwrap().sum_all().unwrap();
            let expected = f64::from(expected.to_scalar::<f32>().unwrap());
            let found = slope(&preference, &batch, var, &direction);
            let tolerance = 0.02 * f64::from(norm).max(0.05);
            assert!((found - expected).abs() < tolerance, "{name}: {found} {expected}");
            checked += 1;
        }
    }
    assert!(checked >= 40, "{checked}");
}

/// Central difference of the loss along a direction.
fn slope(preference: &Preference<'_>, batch: &PairBatch, var: &Var, direction: &Tensor) -> f64 {
    let start = var.as_tensor().copy().unwrap();
    let step = 5e-3;
    let mut values = [0.0; 2];
    for (value, sign) in values.iter_mut().zip([1.0, -1.0]) {
        var.set(&(&start + (direction * (sign * step)).unwrap()).unwrap()).unwrap();
        *value = f64::from(preference.loss(batch).unwrap().sum.to_scalar::<f32>().unwrap());
    }
    var.set(&start).unwrap();
    (values[0] - values[1]) / (2.0 * step)
}
