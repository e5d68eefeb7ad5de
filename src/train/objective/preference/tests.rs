//! The preference objective on tiny decoders: its value at the start, its gradient, its probe.

#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor, Var};
use trieval_kernels::index::SidIndex;

use super::group::{AskedPrompts, CodesAndSpans, Group, GroupData, Weighed};
use super::objective::{GroupBatch, Preference};
use super::probe::{Legal, Probe};
use super::reference::reference_scores;
use crate::model::Parameter;
use crate::model::config::tests::small;
use crate::model::decoder::tests::lively;
use crate::model::decoder::{Decoder, normal};
use crate::model::item_tokens::ItemTokens;
use crate::seed::Seed;
use crate::train::objective::{Objective, Row, TargetBatch};
use crate::train::sampler::Draw;
use crate::train::settings::{PreferenceLoss, PreferenceSettings};

const LEVELS: [u32; 2] = [3, 4];
const CODES: [u32; 8] = [0, 0, 1, 3, 2, 1, 2, 2];
const FIRST_TOKEN: u32 = 20;

fn items() -> ItemTokens {
    ItemTokens::new(&CODES, &LEVELS, FIRST_TOKEN)
}

fn group(prompt: u32, chosen: &[u32], rejected: &[(u32, f32)]) -> Group {
    let weighed = |&(answer, weight): &(u32, f32)| Weighed { answer, weight };
    let chosen = chosen.iter().map(|&answer| Weighed { answer, weight: 1.0 });
    Group::of(prompt, chosen.collect(), rejected.iter().map(weighed).collect())
}

fn data(items: &ItemTokens, groups: Vec<Group>) -> GroupData<'_> {
    GroupData {
        prompts: vec![vec![1, 2, 3], vec![4], vec![5, 6, 7, 8]].into(),
        groups,
        answers: Box::new(items),
    }
}

fn pairs(items: &ItemTokens) -> GroupData<'_> {
    let groups = vec![
        group(0, &[1], &[(2, 1.0)]),
        group(1, &[0], &[(3, 0.5)]),
        group(2, &[3], &[(1, 1.0)]),
        group(2, &[2], &[(0, 0.25)]),
    ];
    data(items, groups)
}

fn lists(items: &ItemTokens) -> GroupData<'_> {
    let groups = vec![
        group(0, &[1, 0], &[(2, 1.0), (3, 0.5)]),
        group(1, &[0], &[(3, 0.5)]),
        group(2, &[3], &[(1, 1.0), (0, 1.0), (2, 0.25)]),
    ];
    data(items, groups)
}

fn legal<'a>(items: &'a ItemTokens, index: &'a SidIndex) -> Legal<'a> {
    Legal { codes: Some((items, index)), spans: None }
}

fn own_scores(data: &GroupData<'_>, decoder: &Decoder) -> Vec<f32> {
    reference_scores(data, decoder, 3, |_| Ok(())).unwrap()
}

fn settings(loss: PreferenceLoss) -> PreferenceSettings {
    PreferenceSettings { loss, beta: Some(0.4), anchor: 0.0, ..Default::default() }
}

fn whole_batch(preference: &Preference<'_>) -> GroupBatch {
    let draws: Vec<Draw> =
        (0..preference.n_examples()).map(|example| Draw { example, global: example }).collect();
    preference.draw(&draws).unwrap()
}

/// Loss and figures, divided by the weight, and the weight.
fn loss_of(preference: &Preference<'_>) -> (f64, Vec<(&'static str, f64)>, f64) {
    let batch = whole_batch(preference);
    let loss = preference.loss(&batch).unwrap();
    let weight = preference.weight(&batch);
    let figures = loss.metrics.into_iter().map(|(name, value)| (name, value / weight)).collect();
    (f64::from(loss.sum.to_scalar::<f32>().unwrap()) / weight, figures, weight)
}

fn figure(figures: &[(&'static str, f64)], name: &str) -> f64 {
    figures.iter().find(|(other, _)| *other == name).unwrap().1
}

#[test]
fn the_loss_starts_at_ln_2_with_margins_of_zero() {
    let items = items();
    let decoder = lively(small(27));
    let reference = own_scores(&pairs(&items), &decoder);
    let dpo = settings(PreferenceLoss::Dpo);
    let start = |settings: &PreferenceSettings| {
        let reference = Some(reference.clone());
        let preference =
            Preference::new(&decoder, pairs(&items), reference, settings, None).unwrap();
        loss_of(&preference)
    };
    let (loss, figures, weight) = start(&dpo);
    assert_eq!(weight, 2.75);
    // The reference was scored in other batches, so rounding may differ.
    assert!((loss - std::f64::consts::LN_2).abs() < 1e-5, "{loss}");
    for name in ["rewards/margins", "rewards/chosen", "rewards/rejected", "drift/chosen"] {
        assert!(figure(&figures, name).abs() < 1e-5, "{name}: {figures:?}");
    }
    // The anchor adds the weighted cross-entropy of the chosen tokens.
    let (anchored, figures, _) = start(&PreferenceSettings { anchor: 0.5, ..dpo });
    let supervised = -figure(&figures, "logps/chosen") / 2.0;
    assert!((anchored - loss - 0.5 * supervised).abs() < 1e-5);
    assert!((figure(&figures, "loss/preference") - loss).abs() < 1e-6);
    // With k negatives of weight 1, s-dpo starts at ln(1 + k).
    let three = data(&items, vec![group(1, &[0], &[(1, 1.0), (2, 1.0), (3, 1.0)])]);
    let reference = own_scores(&three, &decoder);
    let s_dpo = settings(PreferenceLoss::SDpo);
    let preference = Preference::new(&decoder, three, Some(reference), &s_dpo, None).unwrap();
    let (loss, _, weight) = loss_of(&preference);
    assert_eq!(weight, 1.0);
    assert!((loss - 4f64.ln()).abs() < 1e-5, "{loss}");
}

#[test]
fn one_pair_equals_the_published_loss_worked_by_hand() {
    let items = items();
    let decoder = lively(small(27));
    // rho(chosen) = 0.7 and rho(rejected) = -0.5, so the margin is 0.5 * 1.2.
    let mut reference = own_scores(&pairs(&items), &decoder);
    for pair in reference.chunks_exact_mut(2) {
        pair[0] -= 0.7;
        pair[1] += 0.5;
    }
    let settings = PreferenceSettings { beta: Some(0.5), ..settings(PreferenceLoss::Dpo) };
    let preference =
        Preference::new(&decoder, pairs(&items), Some(reference), &settings, None).unwrap();
    let (loss, figures, _) = loss_of(&preference);
    let expected = -(1.0f64 / (1.0 + (-0.6f64).exp())).ln();
    assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
    assert!((figure(&figures, "rewards/margins") - 0.6).abs() < 1e-5);
    assert!((figure(&figures, "rewards/chosen") - 0.35).abs() < 1e-5);
    assert!((figure(&figures, "drift/rejected") + 0.5).abs() < 1e-5);
    assert!((figure(&figures, "rewards/accuracies") - 1.0).abs() < 1e-9);
}

#[test]
fn every_draw_meets_the_reference_scores_of_its_own_group() {
    let items = items();
    let decoder = lively(small(27));
    let reference = own_scores(&lists(&items), &decoder);
    let settings = settings(PreferenceLoss::SDpo);
    let preference =
        Preference::new(&decoder, lists(&items), Some(reference), &settings, None).unwrap();
    let batch =
        preference.draw(&[2, 0, 2].map(|example| Draw { example, global: example })).unwrap();
    let loss = preference.loss(&batch).unwrap();
    let described = preference.describe(&Draw { example: 2, global: 2 });
    assert_eq!(
        described,
        "group 2 (training request 2: 1 chosen, the first item 3, over 3 rejected)"
    );
    // The policy is its own reference: every reward is 0, whatever the order.
    for name in ["rewards/chosen", "rewards/rejected"] {
        assert!(figure(&loss.metrics, name).abs() < 1e-4, "{name}");
    }
    assert_eq!(preference.weight(&batch), 4.0);
}

#[test]
fn missing_and_foreign_reference_scores_are_refused() {
    let items = items();
    let decoder = lively(small(27));
    let refuse = |loss, reference| {
        Preference::new(&decoder, pairs(&items), reference, &settings(loss), None).is_err()
    };
    assert!(refuse(PreferenceLoss::Dpo, None));
    assert!(refuse(PreferenceLoss::Dpo, Some(vec![0.0; 7])));
    assert!(!refuse(PreferenceLoss::Simpo, None));
}

#[test]
fn gradients_of_the_decoder_equal_finite_differences() {
    let items = items();
    let decoder = lively(small(27));
    let losses = [PreferenceLoss::Dpo, PreferenceLoss::SDpo, PreferenceLoss::RadDpo];
    for loss in losses {
        let data = if loss.is_list_wise() { lists(&items) } else { pairs(&items) };
        let reference: Vec<f32> = (0..data.n_answers()).map(|i| -6.0 + 0.7 * i as f32).collect();
        let reference = loss.needs_reference().then_some(reference);
        let settings =
            PreferenceSettings { anchor: 0.3, detach_prefix: Some(false), ..settings(loss) };
        let preference = Preference::new(&decoder, data, reference, &settings, None).unwrap();
        let batch = whole_batch(&preference);
        let gradients = preference.loss(&batch).unwrap().sum.backward().unwrap();
        let mut checked = 0;
        for Parameter { name, var, .. } in decoder.trained() {
            let gradient = gradients.get(var).unwrap();
            let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            let norm = f64::from(norm.sqrt());
            assert!(norm > 0.0, "{name}");
            let along = (gradient / norm).unwrap();
            let random = normal(var.elem_count(), 1.0, Seed::new(4).purpose(name));
            let random = Tensor::from_vec(random, var.shape(), &Device::Cpu).unwrap();
            let length = random.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            let random = (random / f64::from(length.sqrt())).unwrap();
            for direction in [along, random] {
                let expected = (gradient * &direction).unwrap().sum_all().unwrap();
                let expected = f64::from(expected.to_scalar::<f32>().unwrap());
                let found = slope(&preference, &batch, var, &direction);
                let tolerance = 0.02 * norm.max(0.05);
                let name = format!("{} {name}", loss.name());
                assert!((found - expected).abs() < tolerance, "{name}: {found} {expected}");
                checked += 1;
            }
        }
        assert!(checked >= 40, "{checked}");
    }
}

/// Central difference of the loss along a direction.
fn slope(preference: &Preference<'_>, batch: &GroupBatch, var: &Var, direction: &Tensor) -> f64 {
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

fn index() -> SidIndex {
    SidIndex::build(&CODES, &LEVELS).unwrap()
}

#[test]
fn the_probe_starts_at_no_divergence_and_sees_illegal_tokens() {
    let items = items();
    let decoder = lively(small(27));
    let probe = Probe::new(&decoder, &pairs(&items), legal(&items, &index()), 32, Seed::new(1))
        .unwrap()
        .unwrap();
    let seen = probe.look(&decoder).unwrap();
    assert_eq!(figure(&seen, "kl/first_token"), 0.0);
    assert_eq!(figure(&seen, "drift/probe"), 0.0);
    assert_eq!(figure(&seen, "mass/illegal"), probe.start_illegal());

    // By hand: prompts 0, 1 and 2 with items 1, 0 and 3, of codes (1, 3), (0, 0) and (2, 2). Codes 0 to 2 may come first;
    // then 3 after 1, 0 after 0, and 1 or 2 after 2.
    let cases: [(&[u32], [u32; 2], &[u32]); 3] = [
        (&[1, 2, 3], [21, 26], &[26]),
        (&[4], [20, 23], &[23]),
        (&[5, 6, 7, 8], [22, 25], &[24, 25]),
    ];
    let mut expected = 0.0;
    for (prompt, path, second) in cases {
        let row = [prompt, &path[..1]].concat();
        let ids = Tensor::new(row.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let hidden = decoder.hidden(&ids).unwrap().squeeze(0).unwrap();
        for (place, legal) in (row.len() as u32 - 2..).zip([&[20, 21, 22][..], second]) {
            let values = decoder.log_probs_at(&hidden, &vec![place; legal.len()], legal).unwrap();
            let values = values.to_vec1::<f32>().unwrap();
            let mass: f64 = values.iter().map(|&value| f64::from(value).exp()).sum();
            expected += (1.0 - mass) / 6.0;
        }
    }
    let found = probe.start_illegal();
    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    assert!((0.01..0.99).contains(&found), "{found}");
}

#[test]
fn the_probe_measures_the_divergence_over_the_whole_vocabulary() {
    let items = items();
    let decoder = lively(small(27));
    let data = data(&items, vec![group(1, &[2], &[(0, 1.0)])]);
    let probe =
        Probe::new(&decoder, &data, legal(&items, &index()), 32, Seed::new(1)).unwrap().unwrap();
    let first = |decoder: &Decoder| -> Vec<f64> {
        let ids = Tensor::new(&[[4u32]], &Device::Cpu).unwrap();
        let hidden = decoder.hidden(&ids).unwrap().squeeze(0).unwrap();
        let all: Vec<u32> = (0..27).collect();
        let values = decoder.log_probs_at(&hidden, &[0; 27], &all).unwrap();
        values.to_vec1::<f32>().unwrap().iter().map(|&value| f64::from(value).exp()).collect()
    };
    let before = first(&decoder);
    for var in decoder.trained().vars() {
        let shift = normal(var.elem_count(), 0.05, Seed::new(8).purpose("shift"));
        let shift = Tensor::from_vec(shift, var.shape(), &Device::Cpu).unwrap();
        var.set(&(var.as_tensor() + shift).unwrap()).unwrap();
    }
    let after = first(&decoder);
    let expected: f64 = after.iter().zip(&before).map(|(p, q)| p * (p / q).ln()).sum();
    let seen = probe.look(&decoder).unwrap();
    let found = figure(&seen, "kl/first_token");
    assert!(
        expected > 0.01 && (found - expected).abs() < 1e-4 * expected.max(1.0),
        "{found} {expected}"
    );
    // Looking twice changes nothing.
    assert_eq!(probe.look(&decoder).unwrap(), seen);
    assert_ne!(figure(&seen, "drift/probe"), 0.0);
}

#[test]
fn the_probe_is_looked_at_when_due_and_at_the_end() {
    let items = items();
    let decoder = lively(small(27));
    let settings = PreferenceSettings { probe_steps: 4, ..settings(PreferenceLoss::Simpo) };
    let probe =
        Probe::new(&decoder, &pairs(&items), legal(&items, &index()), 2, Seed::new(1)).unwrap();
    let preference = Preference::new(&decoder, pairs(&items), None, &settings, probe).unwrap();
    let looks: Vec<u64> =
        (1..=10).filter(|&step| !preference.measure(step, 10).unwrap().is_empty()).collect();
    assert_eq!(looks, [4, 8, 10]);
    assert!(
        Probe::new(&decoder, &pairs(&items), legal(&items, &index()), 0, Seed::new(1))
            .unwrap()
            .is_none()
    );
}

#[test]
fn an_index_of_other_identifiers_is_refused() {
    let items = items();
    let decoder = lively(small(27));
    let other = SidIndex::build(&[0u32, 1, 1, 3, 2, 1, 2, 2], &LEVELS).unwrap();
    assert!(Probe::new(&decoder, &pairs(&items), legal(&items, &other), 32, Seed::new(1)).is_err());
}

#[test]
fn answers_that_are_no_items_may_be_of_any_length() {
    let decoder = lively(small(27));
    let answers: Vec<Vec<u32>> = vec![vec![20, 25], vec![21], vec![20, 26, 3], vec![22, 24]];
    let groups = vec![group(0, &[0], &[(1, 1.0), (2, 0.5)]), group(1, &[2], &[(0, 1.0)])];
    let prompts = || vec![vec![1, 2, 3], vec![4]].into();
    let data =
        GroupData { prompts: prompts(), groups: groups.clone(), answers: Box::new(&answers) };
    let batch = data.batch(&groups.iter().collect::<Vec<&Group>>()).unwrap();
    let log_probs = data.token_log_probs(&batch, &decoder).unwrap();
    assert_eq!(log_probs.dims(), [5, 3]);
    let sums = log_probs.sum(1).unwrap().to_vec1::<f32>().unwrap();
    // Each answer by itself, whatever it stands beside.
    let alone = |prompt: &[u32], answer: u32| {
        let row = Row::answer(prompt, &answers[answer as usize]);
        let batch = TargetBatch::new(&[row]).unwrap();
        let log_probs = batch.log_probs(&decoder).unwrap();
        log_probs.sum_all().unwrap().to_scalar::<f32>().unwrap()
    };
    let expected = [
        alone(&[1, 2, 3], 0),
        alone(&[1, 2, 3], 1),
        alone(&[1, 2, 3], 2),
        alone(&[4], 2),
        alone(&[4], 0),
    ];
    for (found, expected) in sums.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    let scores = own_scores(&data, &decoder);
    for (found, expected) in scores.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    let settings = settings(PreferenceLoss::Dpo);
    let preference = Preference::new(&decoder, data, Some(scores), &settings, None).unwrap();
    let (loss, _, weight) = loss_of(&preference);
    assert!((loss - std::f64::consts::LN_2).abs() < 1e-5 && weight == 2.5, "{loss} {weight}");
}

#[test]
fn a_probe_knows_which_words_may_follow() {
    let spans = crate::decode::spans::testing::spans(4);
    let decoder = lively(small(spans.starts.len()));
    let oak: Vec<u32> =
        spans.tokenizer.pieces("oak table").unwrap().iter().map(|piece| piece.token).collect();
    let legal = Legal { codes: None, spans: Some(&spans) };
    let look = |chosen: Vec<u32>| {
        let prompts = AskedPrompts::new(vec![(vec![vec![1, 2]].into(), Some(5))]);
        assert_eq!((&prompts.tokens(0)[..], prompts.length(0)), (&[1, 2, 5][..], 3));
        let answers = CodesAndSpans { items: None, spans: vec![chosen, vec![oak[0]]] };
        let groups = vec![group(0, &[0], &[(1, 1.0)])];
        let data = GroupData { prompts, groups, answers: Box::new(answers) };
        Probe::new(&decoder, &data, legal, 4, Seed::new(1))
    };
    let probe = look(oak.clone()).unwrap().unwrap();
    assert!((0.0..1.0).contains(&probe.start_illegal()));
    assert!(figure(&probe.look(&decoder).unwrap(), "kl/first_token").abs() < 1e-6);
    assert!(look(vec![oak[0]; 3]).is_err(), "a span that no text holds belongs to other texts");
}
