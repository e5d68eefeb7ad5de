//! Where weights begin: at nothing, or at those of another training.
//!
//! What both trainings have is carried over such that the beginning says of every example what the other
//! training says of it, where all that the other has is kept: a number that is standardized otherwise
//! changes its weight and the bias, and a value that the other one did not meet begins at the weight of
//! values it did not meet.

use super::file::Stored;
use super::layout::{Input, Layout};
use super::parameters;
use super::settings::LogisticSettings;
use crate::corpus::Labels;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::model::Parameters;

/// Weights of 0, and a bias that gives every impression the mean probability.
pub(super) fn from_nothing(layout: &Layout, labels: &Labels) -> Result<Parameters> {
    let (n, positive) = labels.counts();
    let odds = positive as f64 / (n - positive) as f64;
    parameters(odds.ln() as f32, &vec![0.0; layout.size()])
}

/// The weights of another training where both have them, else 0; says what of the other one is left behind.
pub(super) fn from(
    stored: &Stored,
    settings: &LogisticSettings,
    layout: &Layout,
    step: &StepContext<'_>,
) -> Result<Parameters> {
    let Carried { bias, weights, left } = carried(stored, settings, layout);
    if !left.is_empty() {
        let left = left.join(", ");
        step.ctx.warn(format!(
            "{}: what it starts from has {left}, of which nothing is taken over: it begins with other probabilities",
            step.name
        ));
    }
    parameters(bias, &weights)
}

/// Weights of another training in a layout.
struct Carried {
    bias: f32,
    /// `[weights]`
    weights: Vec<f32>,
    /// What of the other training has no place, in words.
    left: Vec<String>,
}

fn carried(stored: &Stored, settings: &LogisticSettings, layout: &Layout) -> Carried {
    let mut weights = vec![0.0; layout.size()];
    let mut bias = stored.bias;
    let mut left = Vec::new();
    let features = |settings: &LogisticSettings, layout: &Layout| {
        settings.all_features().into_iter().zip(layout.places()).collect::<Vec<_>>()
    };
    let now = features(settings, layout);
    for (at, (feature, first)) in features(&stored.settings, &stored.layout).iter().enumerate() {
        // The same column, read in the same way, into as many weights.
        let Some(place) = now.iter().position(|(other, _)| other == feature) else {
            left.push(format!("`{}`", feature.column));
            continue;
        };
        let old = &stored.weights[*first..];
        let new = &mut weights[now[place].1..];
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
            (Input::Hashed { buckets }, _) => {
                new[..*buckets as usize].copy_from_slice(&old[..*buckets as usize]);
            }
            // Equal settings are read alike.
            _ => {}
        }
    }
    for (cross, (old, n)) in stored.settings.crosses.iter().zip(stored.layout.crosses()) {
        let mut own = settings.crosses.iter().zip(layout.crosses());
        match own.find(|(other, _)| *other == cross) {
            Some((_, (new, _))) => {
                weights[new..new + n].copy_from_slice(&stored.weights[old..old + n]);
            }
            None => left.push(format!("the cross of {}", cross.of.join(" and "))),
        }
    }
    for (pair, old) in stored.settings.overlaps.iter().zip(stored.layout.overlaps()) {
        let mut own = settings.overlaps.iter().zip(layout.overlaps());
        match own.find(|(other, _)| *other == pair) {
            Some((_, new)) => weights[new] = stored.weights[old],
            None => left.push(format!("the overlap of {}", pair.join(" and "))),
        }
    }
    Carried { bias, weights, left }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Gathering;
    use super::super::settings::{CrossSettings, FeatureSettings, Reads};
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
        let Carried { bias, weights: carried_over, left } = carried(&stored, &one, &after);
        assert!(left.is_empty(), "{left:?}");
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
        let Carried { bias, weights, left } = carried(&stored, &other, &layout);
        assert_eq!(left, ["`item.price`", "the cross of item.id and user.id"]);
        assert_eq!((bias, &weights[..2]), (0.3, &[0.0, 0.0][..]));
        assert!(weights[layout.size() - 60..].iter().all(|weight| *weight == 0.0));
    }
}
