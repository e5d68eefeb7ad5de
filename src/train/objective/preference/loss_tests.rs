//! What must hold between the losses, and their gradients against finite differences, without a model.

#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Tensor, Var};

use super::group::Layout;
use super::losses::{BatchLoss, LossTerms, batch_loss};
use super::pairwise::softplus;
use crate::train::settings::{PreferenceLoss, PreferenceSettings};

const LOSSES: [PreferenceLoss; 9] = [
    PreferenceLoss::Dpo,
    PreferenceLoss::Cdpo,
    PreferenceLoss::Robust,
    PreferenceLoss::Ipo,
    PreferenceLoss::Simpo,
    PreferenceLoss::Hinge,
    PreferenceLoss::SDpo,
    PreferenceLoss::Dmpo,
    PreferenceLoss::RadDpo,
];

/// Two groups: two chosen against three rejected, one against one. Prefixes of 2, 1 and 0 tokens are shared.
fn groups() -> Layout {
    let mut layout = Layout::default();
    layout.push(
        &[&[1, 5, 9], &[1, 6, 9]],
        &[(&[1, 5, 10], 1.0), (&[1, 7, 9], 0.5), (&[2, 5, 9], 0.25)],
    );
    layout.push(&[&[3, 5, 9]], &[(&[3, 8, 11], 1.0)]);
    layout
}

/// One pair of weight 1 per group.
fn pairs() -> Layout {
    let mut layout = Layout::default();
    layout.push(&[&[1, 5, 9]], &[(&[1, 5, 10], 1.0)]);
    layout.push(&[&[2, 5, 9]], &[(&[3, 5, 10], 1.0)]);
    layout
}

fn policy(layout: &Layout) -> Vec<f64> {
    (0..layout.n_answers() * 3).map(|i| -0.2 - ((i * 37) % 23) as f64 / 7.0).collect()
}

fn reference(layout: &Layout) -> Tensor {
    let values: Vec<f64> =
        (0..layout.n_answers()).map(|i| -1.5 - ((i * 29) % 17) as f64 / 3.0).collect();
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn tokens(values: &[f64]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap().reshape(((), 3)).unwrap()
}

fn loss(terms: &LossTerms, layout: &Layout, policy: &Tensor) -> BatchLoss {
    let reference = reference(layout);
    let reference = terms.loss.needs_reference().then_some(&reference);
    batch_loss(terms, layout, policy, reference).unwrap()
}

fn value(terms: &LossTerms, layout: &Layout, policy: &[f64]) -> f64 {
    loss(terms, layout, &tokens(policy)).sum.to_scalar().unwrap()
}

fn gradient(terms: &LossTerms, layout: &Layout, policy: &[f64]) -> Vec<f64> {
    let policy = Var::from_tensor(&tokens(policy)).unwrap();
    let gradients = loss(terms, layout, &policy).sum.backward().unwrap();
    gradients.get(&policy).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn terms(settings: &PreferenceSettings) -> LossTerms {
    LossTerms::new(settings)
}

fn of(loss: PreferenceLoss) -> PreferenceSettings {
    PreferenceSettings { loss, beta: Some(0.4), anchor: 0.0, ..Default::default() }
}

/// Same value and gradient.
#[track_caller]
fn assert_equal(a: &PreferenceSettings, b: &PreferenceSettings, layout: &Layout) {
    let (a, b, policy) = (terms(a), terms(b), policy(layout));
    let (x, y) = (value(&a, layout, &policy), value(&b, layout, &policy));
    assert!((x - y).abs() < 1e-12, "{x} {y}");
    for (x, y) in gradient(&a, layout, &policy).iter().zip(gradient(&b, layout, &policy)) {
        assert!((x - y).abs() < 1e-12, "{x} {y}");
    }
}

/// Chosen answers, and rejected ones with their weights.
type Sides<'a> = (&'a [&'a [u32]], &'a [(&'a [u32], f32)]);

#[test]
fn softplus_is_stable_and_right() {
    let x = Tensor::new(&[-800.0f64, -1.0, 0.0, 2.0, 800.0], &Device::Cpu).unwrap();
    let got = softplus(&x).unwrap().to_vec1::<f64>().unwrap();
    let expected =
        [0.0, 0.313_261_687_518_222_8, std::f64::consts::LN_2, 2.126_928_011_042_972_5, 800.0];
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-12, "{got} {expected}");
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let layout = groups();
    let policy = policy(&layout);
    for loss in LOSSES {
        let with_reference = loss.reads_dpo_positive();
        let settings = PreferenceSettings {
            anchor: 0.3,
            detach_prefix: Some(false),
            dpo_positive: with_reference.then_some(3.0),
            ..of(loss)
        };
        let terms = terms(&settings);
        let found = gradient(&terms, &layout, &policy);
        let step = 1e-6;
        for (i, found) in found.iter().enumerate() {
            let mut ends = [0.0; 2];
            for (end, sign) in ends.iter_mut().zip([1.0, -1.0]) {
                let mut moved = policy.clone();
                moved[i] += sign * step;
                *end = value(&terms, &layout, &moved);
            }
            let expected = (ends[0] - ends[1]) / (2.0 * step);
            assert!((found - expected).abs() < 1e-7, "{}: {i}: {found} {expected}", loss.name());
        }
        assert!(found.iter().any(|g| *g != 0.0), "{}", loss.name());
    }
}

#[test]
fn losses_without_noise_and_with_one_negative_are_dpo() {
    let none = Some(0.0);
    for layout in [groups(), pairs()] {
        let dpo = of(PreferenceLoss::Dpo);
        for loss in [PreferenceLoss::Cdpo, PreferenceLoss::Robust] {
            let clean = PreferenceSettings { label_smoothing: none, ..of(loss) };
            assert_equal(&clean, &dpo, &layout);
        }
    }
    for anchor in [0.0, 0.5] {
        let anchored = |loss| PreferenceSettings { anchor, ..of(loss) };
        assert_equal(&anchored(PreferenceLoss::SDpo), &anchored(PreferenceLoss::Dpo), &pairs());
        assert_equal(&anchored(PreferenceLoss::Dmpo), &anchored(PreferenceLoss::Dpo), &pairs());
    }
    // dmpo keeps the weight of a single negative, as dpo does.
    let mut weighted = Layout::default();
    weighted.push(&[&[1, 5, 9]], &[(&[1, 5, 10], 0.25)]);
    weighted.push(&[&[2, 5, 9]], &[(&[3, 5, 10], 1.0)]);
    assert_equal(&of(PreferenceLoss::Dmpo), &of(PreferenceLoss::Dpo), &weighted);
    let (a, b) = (terms(&of(PreferenceLoss::Dmpo)), terms(&of(PreferenceLoss::Dpo)));
    assert_eq!(a.weights(&weighted), b.weights(&weighted));
}

#[test]
fn a_negative_counts_by_its_weight_as_if_it_stood_there_as_often() {
    // A rejected answer of weight 2 is that answer twice, and padding changes nothing.
    let once = |weight: f32| {
        let mut layout = Layout::default();
        layout.push(&[&[1, 5, 9]], &[(&[2, 5, 9], weight), (&[3, 5, 9], 1.0)]);
        layout
    };
    let mut twice = Layout::default();
    twice.push(&[&[1, 5, 9]], &[(&[2, 5, 9], 1.0), (&[2, 5, 9], 1.0), (&[3, 5, 9], 1.0)]);
    let a: Vec<f64> = (0..9).map(|i| -0.3 * f64::from(i)).collect();
    let b = [&a[..6], &a[3..]].concat();
    for loss in [PreferenceLoss::RadDpo, PreferenceLoss::Simpo] {
        let terms = terms(&of(loss));
        assert!((value(&terms, &once(2.0), &a) - value(&terms, &twice, &b)).abs() < 1e-12);
    }
    let (mut both, mut single) = (once(2.0), Layout::default());
    both.push(&[&[1, 5, 9]], &[(&[2, 5, 9], 1.0)]);
    single.push(&[&[1, 5, 9]], &[(&[2, 5, 9], 1.0)]);
    let c: Vec<f64> = (0..6).map(|i| -0.1 - 0.4 * f64::from(i)).collect();
    for loss in [PreferenceLoss::RadDpo, PreferenceLoss::Simpo] {
        let terms = terms(&of(loss));
        let together = value(&terms, &both, &[a.clone(), c.clone()].concat());
        let apart = value(&terms, &once(2.0), &a) + value(&terms, &single, &c);
        assert!((together - apart).abs() < 1e-12, "{together} {apart}");
    }
}

#[test]
fn a_chosen_answer_counts_by_its_weight_as_if_it_stood_there_as_often() {
    let first: Sides<'_> = (&[&[1, 5, 9]], &[(&[2, 5, 9], 0.5), (&[3, 5, 9], 1.0)]);
    let second: Sides<'_> = (&[&[4, 5, 9]], &[(&[2, 6, 9], 0.25)]);
    let mut weighed = Layout::default();
    weighed.push_weighed(&[(first.0[0], 3.0)], first.1, &[]);
    weighed.push_weighed(&[(second.0[0], 1.0)], second.1, &[]);
    let mut thrice = Layout::default();
    for _ in 0..3 {
        thrice.push(first.0, first.1);
    }
    thrice.push(second.0, second.1);
    let a: Vec<f64> = (0..9).map(|i| -0.2 - 0.3 * f64::from(i % 5)).collect();
    let b: Vec<f64> = (0..6).map(|i| -0.1 - 0.4 * f64::from(i)).collect();
    let once = [a.clone(), b.clone()].concat();
    let often = [a.clone(), a.clone(), a, b].concat();
    for loss in LOSSES {
        let terms = terms(&PreferenceSettings { anchor: 0.3, ..of(loss) });
        let total = |layout: &Layout| terms.weights(layout).iter().sum::<f64>();
        assert!((total(&weighed) - total(&thrice)).abs() < 1e-12, "{}", loss.name());
        let free = |layout: &Layout, policy: &[f64]| {
            let reference = Tensor::zeros(layout.n_answers(), DType::F64, &Device::Cpu).unwrap();
            let reference = terms.loss.needs_reference().then_some(&reference);
            let loss = batch_loss(&terms, layout, &tokens(policy), reference).unwrap();
            let won =
                loss.figures.iter().find(|(name, _)| *name == "rewards/accuracies").unwrap().1;
            (loss.sum.to_scalar::<f64>().unwrap(), won)
        };
        let (found, expected) = (free(&weighed, &once), free(&thrice, &often));
        assert!((found.0 - expected.0).abs() < 1e-12, "{}: {found:?} {expected:?}", loss.name());
        assert!((found.1 - expected.1).abs() < 1e-12, "{}: {found:?} {expected:?}", loss.name());
    }
}

#[test]
fn likeness_takes_from_the_weight_of_its_pair_alone() {
    let sides =
        |rejected: &[f32; 2]| [(&[1u32, 5, 9][..], rejected[0]), (&[2, 6, 9][..], rejected[1])];
    let chosen = [(&[3u32, 5, 9][..], 1.0), (&[4, 5, 9][..], 2.0)];
    let mut layout = Layout::default();
    layout.push_weighed(&chosen, &sides(&[1.0, 0.5]), &[1.0, 0.5, 0.75, 1.0]);
    assert_eq!(layout.weights(), [1.0, 0.25, 0.75, 0.5]);
    assert_eq!(layout.chosen_weights(), [1.0, 2.0]);
    // Of one chosen answer, it is as if the rejected ones weighed less.
    let (mut alike, mut less) = (Layout::default(), Layout::default());
    alike.push_weighed(&chosen[..1], &sides(&[1.0, 0.5]), &[1.0, 0.5]);
    less.push_weighed(&chosen[..1], &sides(&[1.0, 0.25]), &[]);
    assert_eq!(alike, less);
}

#[test]
fn answers_of_other_lengths_are_means_over_their_own_tokens() {
    let mut layout = Layout::default();
    layout.push(&[&[1, 5]], &[(&[2, 5, 9], 1.0), (&[3], 0.5)]);
    assert_eq!(layout.lengths(), [2, 3, 1]);
    // Zeros stand behind the end of a shorter answer.
    let policy = [-1.0, -2.0, 0.0, -0.5, -1.5, -2.5, -3.0, 0.0, 0.0];
    let settings =
        PreferenceSettings { gamma: Some(0.1), anchor: 0.2, ..of(PreferenceLoss::Simpo) };
    let softplus = |x: f64| x.exp().ln_1p();
    let pair = |rejected: f64| softplus(-(0.4 * (-1.5 - rejected) - 0.1));
    let expected = pair(-1.5) + 0.5 * pair(-3.0) + 0.2 * 1.5 * 1.5;
    assert!((value(&terms(&settings), &layout, &policy) - expected).abs() < 1e-12);
}

#[test]
fn a_detached_prefix_counts_and_is_not_pushed_down() {
    let layout = groups();
    let policy = policy(&layout);
    for loss in LOSSES {
        let with = terms(&PreferenceSettings { detach_prefix: Some(true), ..of(loss) });
        let without = terms(&PreferenceSettings { detach_prefix: Some(false), ..of(loss) });
        let name = loss.name();
        assert_eq!(value(&with, &layout, &policy), value(&without, &layout, &policy), "{name}");
        let (a, b) = (gradient(&with, &layout, &policy), gradient(&without, &layout, &policy));
        // Answers of the second group: 5 is chosen, 6 rejected; they share their first token.
        assert_eq!(a[15..18], b[15..18], "{name}: chosen");
        assert_eq!(a[18], 0.0, "{name}: shared");
        assert_eq!(a[19..21], b[19..21], "{name}: own");
        // The rejected answer 4 shares nothing with any chosen one.
        assert_eq!(a[12..15], b[12..15], "{name}: nothing shared");
    }
}

#[test]
fn the_list_wise_losses_stay_finite_far_out() {
    let layout = groups();
    for scale in [1.0, 1e3, 1e5] {
        let policy: Vec<f64> = policy(&layout).iter().map(|value| value * scale).collect();
        for loss in LOSSES {
            let terms = terms(&of(loss));
            assert!(value(&terms, &layout, &policy).is_finite(), "{} {scale}", loss.name());
            let gradient = gradient(&terms, &layout, &policy);
            assert!(gradient.iter().all(|g| g.is_finite()), "{} {scale}", loss.name());
        }
    }
}

#[test]
fn dpo_positive_leaves_chosen_answers_alone_that_have_risen() {
    let layout = pairs();
    let policy = policy(&layout);
    let settings = PreferenceSettings { dpo_positive: Some(7.0), ..of(PreferenceLoss::Dpo) };
    // A reference far below the policy: everything has risen.
    let low = Tensor::new(&[-90.0f64; 4], &Device::Cpu).unwrap();
    let value = |settings: &PreferenceSettings| {
        let loss = batch_loss(&terms(settings), &layout, &tokens(&policy), Some(&low)).unwrap();
        loss.sum.to_scalar::<f64>().unwrap()
    };
    assert_eq!(value(&settings), value(&of(PreferenceLoss::Dpo)));
}

#[test]
fn what_does_not_fit_is_refused() {
    let layout = pairs();
    let terms = terms(&of(PreferenceLoss::Dpo));
    let (policy, reference) = (tokens(&policy(&layout)), reference(&layout));
    assert!(batch_loss(&terms, &layout, &policy, None).is_err());
    let short = reference.narrow(0, 0, 3).unwrap();
    assert!(batch_loss(&terms, &layout, &policy, Some(&short)).is_err());
    let short = policy.narrow(0, 0, 3).unwrap();
    assert!(batch_loss(&terms, &layout, &short, Some(&reference)).is_err());
}
