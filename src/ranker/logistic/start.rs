//! Where weights begin: at nothing, or at those of another training.
//!
//! What both trainings have is carried over such that the beginning says of every example what the other
//! training says of it: a number that is standardized otherwise changes its weight and the bias, and a
//! value that the other one did not meet begins at the weight of values it did not meet.

use super::file::Stored;
use super::layout::{Input, Layout};
use super::parameters;
use super::settings::{FeatureSettings, LogisticSettings};
use crate::corpus::Labels;
use crate::error::Result;
use crate::model::Parameters;

/// Weights of 0, and a bias that gives every impression the mean probability.
pub(super) fn from_nothing(layout: &Layout, labels: &Labels) -> Result<Parameters> {
    let (n, positive) = labels.counts();
    let odds = positive as f64 / (n - positive) as f64;
    parameters(odds.ln() as f32, &vec![0.0; layout.size()])
}

/// The weights of another training where both have them, else 0.
pub(super) fn from(
    stored: &Stored,
    settings: &LogisticSettings,
    layout: &Layout,
) -> Result<Parameters> {
    let (bias, weights) = carried(stored, settings, layout);
    parameters(bias, &weights)
}

/// The bias and the weights of a layout, `[weights]`.
fn carried(stored: &Stored, settings: &LogisticSettings, layout: &Layout) -> (f32, Vec<f32>) {
    let mut weights = vec![0.0; layout.size()];
    let mut bias = stored.bias;
    let features = |settings: &LogisticSettings, layout: &Layout| {
        settings.all_features().into_iter().zip(layout.places()).collect::<Vec<_>>()
    };
    let before = features(&stored.settings, &stored.layout);
    for (place, (feature, first)) in features(settings, layout).iter().enumerate() {
        let same = |(other, _): &(FeatureSettings, usize)| {
            (&other.column, other.reads) == (&feature.column, feature.reads)
        };
        let Some(at) = before.iter().position(same) else { continue };
        let old = &stored.weights[before[at].1..];
        let new = &mut weights[*first..];
        match (&stored.layout.inputs[at], &layout.inputs[place]) {
            (Input::Number { mean, deviation }, Input::Number { mean: own, deviation: wide }) => {
                // w (x - m) / d of the other is w' (x - m') / d' + shift.
                let shift = old[0] * (own - mean) / deviation;
                (new[0], new[1]) = (old[0] * wide / deviation, old[1] - shift);
                bias += shift;
            }
            (Input::Exact { values: known }, Input::Exact { values }) => {
                new[0] = old[0];
                for (new, value) in new[1..].iter_mut().zip(values) {
                    *new = old[known.binary_search(value).map_or(0, |at| at + 1)];
                }
            }
            (Input::Hashed { buckets: n }, Input::Hashed { buckets }) if n == buckets => {
                new[..*n as usize].copy_from_slice(&old[..*n as usize]);
            }
            _ => {}
        }
    }
    for (cross, (first, n)) in settings.crosses.iter().zip(layout.crosses()) {
        let others = stored.settings.crosses.iter().zip(stored.layout.crosses());
        if let Some((_, (old, _))) = others.into_iter().find(|(other, _)| *other == cross) {
            weights[first..first + n].copy_from_slice(&stored.weights[old..old + n]);
        }
    }
    for (pair, place) in settings.overlaps.iter().zip(layout.overlaps()) {
        let others = stored.settings.overlaps.iter().zip(stored.layout.overlaps());
        if let Some((_, old)) = others.into_iter().find(|(other, _)| *other == pair) {
            weights[place] = stored.weights[old];
        }
    }
    (bias, weights)
}

#[cfg(test)]
mod tests {
    use super::super::layout::Gathering;
    use super::super::settings::{CrossSettings, Reads};
    use super::super::tests::settings;
    use super::super::value::Value;
    use super::*;

    fn odds(layout: &Layout, bias: f32, weights: &[f32], row: &[Value; 3]) -> f32 {
        let mut entries = Vec::new();
        layout.encode(|place| &row[place], &mut entries);
        bias + entries.iter().map(|&(at, value)| weights[at as usize] * value).sum::<f32>()
    }

    fn tokens(tokens: &[u64]) -> Value {
        Value::Tokens(tokens.to_vec())
    }

    #[test]
    fn the_beginning_says_what_the_other_training_says() {
        let feature = |column: &str, reads, buckets| FeatureSettings {
            column: column.into(),
            reads,
            buckets,
        };
        let mut one = settings(vec![
            feature("item.price", Reads::Number, None),
            feature("item.id", Reads::Category, None),
            feature("user.id", Reads::Category, Some(7)),
        ]);
        let of = vec!["item.id".to_owned(), "user.id".to_owned()];
        one.crosses = vec![CrossSettings { of, buckets: 50 }];
        let layout = |settings: &LogisticSettings, rows: &[[Value; 3]]| {
            let mut gathering = Gathering::new(&settings.features);
            rows.iter().for_each(|row| gathering.meet(|place| &row[place]));
            gathering.finish(settings)
        };
        let row = |price, item, user| [Value::Number(price), tokens(&[item]), tokens(&[user])];
        let before = layout(&one, &[row(1.0, 10, 1), row(5.0, 20, 2)]);
        let weights: Vec<f32> = (0..before.size()).map(|at| (at as f32 * 0.7).sin()).collect();
        let stored =
            Stored { settings: one.clone(), layout: before, bias: 0.3, weights: weights.clone() };
        // Other prices, and an item that the other training did not meet.
        let after = layout(&one, &[row(7.0, 20, 3), row(90.0, 30, 4), row(2.0, 20, 9)]);
        assert_ne!(after.inputs, stored.layout.inputs);
        let (bias, carried_over) = carried(&stored, &one, &after);
        let absent = [Value::Absent, tokens(&[30]), Value::Absent];
        for row in [row(1.0, 20, 1), row(40.0, 30, 5), row(7.0, 99, 2), absent] {
            let told = odds(&stored.layout, stored.bias, &stored.weights, &row);
            let begun = odds(&after, bias, &carried_over, &row);
            assert!((told - begun).abs() < 1e-4, "{told} against {begun}");
        }
        // What the other did not have begins at nothing.
        let mut other = one.clone();
        other.features[0].reads = Reads::Log;
        other.crosses[0].buckets = 60;
        let layout = layout(&other, &[row(1.0, 10, 1)]);
        let (bias, weights) = carried(&stored, &other, &layout);
        assert_eq!((bias, &weights[..2]), (0.3, &[0.0, 0.0][..]));
        assert!(weights[layout.size() - 60..].iter().all(|weight| *weight == 0.0));
    }
}
