//! Which weight belongs to what: numbers have one, and one for when nothing is known; categories and
//! words have one per value that training met, or share so many by hash; crosses share by hash.

use std::collections::{BTreeMap, HashMap};

use super::settings::{FeatureSettings, LogisticSettings};
use super::value::{Value, combined, overlap};

/// A weight's number and what it is multiplied with.
pub(super) type Entry = (u32, f32);

/// Keeps a deviation away from zero.
const SMALLEST_DEVIATION: f32 = 1e-6;

/// Where the weights of each feature are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// `[features]`
    pub(super) inputs: Vec<Input>,
    crosses: Vec<Cross>,
    overlaps: Vec<Overlap>,
    /// Weights in all.
    size: u32,
}

/// The weights of one feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    /// The first weight is the number's, the second for when it is absent.
    Number {
        /// Over the training impressions that have it.
        mean: f32,
        /// Likewise.
        deviation: f32,
    },
    /// The first weight is of values that training did not meet.
    Exact {
        /// Ascending; the `n`-th has weight `n + 1`.
        values: Vec<u64>,
    },
    /// Values share weights.
    Hashed {
        /// How many.
        buckets: u32,
    },
}

impl Input {
    fn n_weights(&self) -> u32 {
        match self {
            Self::Number { .. } => 2,
            Self::Exact { values } => values.len() as u32 + 1,
            Self::Hashed { buckets } => *buckets,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Cross {
    of: Vec<usize>,
    buckets: u32,
}

#[derive(Debug, Clone, PartialEq)]
struct Overlap {
    first: usize,
    second: usize,
}

/// What is gathered of a feature over the training impressions.
enum Gathered {
    Number { n: f64, sum: f64, squares: f64 },
    Exact(BTreeMap<u64, ()>),
    Hashed(u32),
}

/// Gathers a layout from training impressions.
pub(super) struct Gathering {
    features: Vec<Gathered>,
    /// `[features]`: whether some impression has it.
    met: Vec<bool>,
}

impl Gathering {
    /// Nothing met yet.
    pub(super) fn new(features: &[FeatureSettings]) -> Self {
        let gathered =
            |feature: &FeatureSettings| match (feature.reads.is_number(), feature.buckets) {
                (true, _) => Gathered::Number { n: 0.0, sum: 0.0, squares: 0.0 },
                (false, None) => Gathered::Exact(BTreeMap::new()),
                (false, Some(buckets)) => Gathered::Hashed(buckets),
            };
        let met = vec![false; features.len()];
        Self { features: features.iter().map(gathered).collect(), met }
    }

    /// Meets the features of one impression: `[features]`.
    pub(super) fn meet<'v>(&mut self, values: impl Fn(usize) -> &'v Value) {
        for (place, gathered) in self.features.iter_mut().enumerate() {
            let value = values(place);
            self.met[place] |= match value {
                Value::Absent => false,
                Value::Number(_) => true,
                Value::Tokens(tokens) => !tokens.is_empty(),
            };
            match (gathered, value) {
                (Gathered::Number { n, sum, squares }, Value::Number(number)) => {
                    let number = f64::from(*number);
                    (*n, *sum, *squares) = (*n + 1.0, *sum + number, *squares + number * number);
                }
                (Gathered::Exact(met), Value::Tokens(tokens)) => {
                    met.extend(tokens.iter().map(|token| (*token, ())));
                }
                _ => {}
            }
        }
    }

    /// The place of a feature that no impression has.
    pub(super) fn unmet(&self) -> Option<usize> {
        self.met.iter().position(|is_met| !is_met)
    }

    /// The layout for all that was met.
    pub(super) fn finish(self, settings: &LogisticSettings) -> Layout {
        let inputs = self.features.into_iter().map(|gathered| match gathered {
            Gathered::Number { n, sum, squares } => {
                let mean = sum / f64::max(n, 1.0);
                let variance = (squares / f64::max(n, 1.0) - mean * mean).max(0.0);
                let deviation = (variance.sqrt() as f32).max(SMALLEST_DEVIATION);
                Input::Number { mean: mean as f32, deviation }
            }
            Gathered::Exact(met) => Input::Exact { values: met.into_keys().collect() },
            Gathered::Hashed(buckets) => Input::Hashed { buckets },
        });
        Layout::new(inputs.collect(), settings)
    }
}

impl Layout {
    /// Weights of features, then of crosses, then of overlaps.
    pub(super) fn new(inputs: Vec<Input>, settings: &LogisticSettings) -> Self {
        let places: HashMap<&str, usize> = settings
            .features
            .iter()
            .enumerate()
            .map(|(place, feature)| (feature.column.as_str(), place))
            .collect();
        // The check of recipes has refused columns that are no features.
        let place = |column: &String| places.get(column.as_str()).copied().unwrap_or_default();
        let cross = |cross: &super::settings::CrossSettings| Cross {
            of: cross.of.iter().map(place).collect(),
            buckets: cross.buckets,
        };
        let crosses: Vec<Cross> = settings.crosses.iter().map(cross).collect();
        let of_words =
            |[first, second]: &[String; 2]| Overlap { first: place(first), second: place(second) };
        let overlaps: Vec<Overlap> = settings.overlaps.iter().map(of_words).collect();
        let n_inputs: u32 = inputs.iter().map(Input::n_weights).sum();
        let n_crosses: u32 = crosses.iter().map(|cross| cross.buckets).sum();
        let size = n_inputs + n_crosses + overlaps.len() as u32;
        Self { inputs, crosses, overlaps, size }
    }

    /// Weights in all.
    pub(super) fn size(&self) -> usize {
        self.size as usize
    }

    /// The first weight of each feature: `[features]`.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().scan(0, |next, input| {
            let first = *next;
            *next += input.n_weights() as usize;
            Some(first)
        })
    }

    /// The first weight of each cross, and how many it has: `[crosses]`.
    pub(super) fn crosses(&self) -> impl Iterator<Item = (usize, usize)> {
        let inputs: usize = self.inputs.iter().map(|input| input.n_weights() as usize).sum();
        self.crosses.iter().scan(inputs, |next, cross| {
            let (first, n) = (*next, cross.buckets as usize);
            *next += n;
            Some((first, n))
        })
    }

    /// The weight of each overlap: `[overlaps]`.
    pub(super) fn overlaps(&self) -> std::ops::Range<usize> {
        self.size() - self.overlaps.len()..self.size()
    }

    /// The weights that an example reads; several values of one feature share it evenly.
    pub(super) fn encode<'v>(&self, values: impl Fn(usize) -> &'v Value, out: &mut Vec<Entry>) {
        let mut first = 0;
        for (place, input) in self.inputs.iter().enumerate() {
            match (input, values(place)) {
                (Input::Number { mean, deviation }, Value::Number(number)) => {
                    out.push((first, (number - mean) / deviation));
                }
                (Input::Number { .. }, _) => out.push((first + 1, 1.0)),
                (Input::Exact { values: known }, value) => {
                    let at = |token: &u64| known.binary_search(token).map_or(0, |at| at + 1);
                    spread(value.as_tokens().iter().map(|token| first + at(token) as u32), out);
                }
                (Input::Hashed { buckets }, value) => {
                    let at = |token: &u64| bucket(*token, *buckets);
                    spread(value.as_tokens().iter().map(|token| first + at(token)), out);
                }
            }
            first += input.n_weights();
        }
        for cross in &self.crosses {
            let mut tokens = vec![0];
            for &place in &cross.of {
                let others = values(place).as_tokens();
                let joined = tokens.iter().flat_map(|a| others.iter().map(|b| combined(*a, *b)));
                tokens = joined.collect();
            }
            spread(tokens.into_iter().map(|token| first + bucket(token, cross.buckets)), out);
            first += cross.buckets;
        }
        for pair in &self.overlaps {
            let share = overlap(values(pair.first).as_tokens(), values(pair.second).as_tokens());
            if let Some(share) = share {
                out.push((first, share));
            }
            first += 1;
        }
    }
}

/// Entries of equal size whose squares sum to 1.
fn spread(weights: impl ExactSizeIterator<Item = u32>, out: &mut Vec<Entry>) {
    let value = 1.0 / (weights.len().max(1) as f32).sqrt();
    out.extend(weights.map(|weight| (weight, value)));
}

/// Which of the shared weights a token has.
fn bucket(token: u64, buckets: u32) -> u32 {
    // Buckets are fewer than 2^32.
    (token % u64::from(buckets)) as u32
}

#[cfg(test)]
mod tests {
    use super::super::settings::{CrossSettings, Reads};
    use super::super::tests::settings;
    use super::*;

    fn tokens(tokens: &[u64]) -> Value {
        Value::Tokens(tokens.to_vec())
    }

    /// A number, exact values, hashed values, words on both sides; a cross and an overlap of the last.
    fn layout() -> Layout {
        let feature = |column: &str, reads, buckets| FeatureSettings {
            column: column.into(),
            reads,
            buckets,
        };
        let mut settings = settings(vec![
            feature("item.price", Reads::Number, None),
            feature("item.id", Reads::Category, None),
            feature("user.id", Reads::Category, Some(7)),
            feature("request.query", Reads::Words, None),
        ]);
        let of = vec!["item.id".to_owned(), "request.query".to_owned()];
        settings.crosses = vec![CrossSettings { of, buckets: 1_000 }];
        settings.overlaps = vec![["request.query".into(), "item.id".into()]];
        let mut gathering = Gathering::new(&settings.features);
        let rows = [
            [Value::Number(1.0), tokens(&[20]), tokens(&[1]), tokens(&[5, 6])],
            [Value::Number(5.0), tokens(&[10]), tokens(&[2]), Value::Absent],
            [Value::Absent, tokens(&[10]), tokens(&[3]), tokens(&[])],
        ];
        for row in &rows {
            gathering.meet(|place| &row[place]);
        }
        gathering.finish(&settings)
    }

    #[test]
    fn weights_by_hand() {
        let layout = layout();
        // 2 of the number, 3 of the ids, 7 of the users, 3 of the words, 1,000 of the cross, 1.
        assert_eq!(layout.size(), 2 + 3 + 7 + 3 + 1_000 + 1);
        assert_eq!(layout.inputs[0], Input::Number { mean: 3.0, deviation: 2.0 });
        let row = [Value::Number(7.0), tokens(&[20]), tokens(&[9]), tokens(&[5, 99])];
        let mut entries = Vec::new();
        layout.encode(|place| &row[place], &mut entries);
        let half = 1.0 / 2f32.sqrt();
        let cross = |query| 15 + bucket(combined(combined(0, 20), query), 1_000);
        let expected = [
            (0, 2.0),
            (4, 1.0),
            (5 + 9 % 7, 1.0),
            // Word 5 is the first that was met; nobody met 99.
            (13, half),
            (12, half),
            (cross(5), half),
            (cross(99), half),
            (1_015, 0.0),
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn what_is_absent_has_a_weight_for_numbers_and_none_for_tokens() {
        let layout = layout();
        let row = [const { Value::Absent }; 4];
        let mut entries = Vec::new();
        layout.encode(|place| &row[place], &mut entries);
        assert_eq!(entries, [(1, 1.0)]);
    }
}
