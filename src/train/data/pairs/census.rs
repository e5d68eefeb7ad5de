//! Which pairs there are and why, in figures and with a sample: what `pairs.json` holds.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::similar::Likeness;
use super::{Pair, Reason};
use crate::corpus::{Level, PositionBias, Told};
use crate::seed::Seed;
use crate::text::grouped;

/// Pairs that are shown.
const SAMPLE: usize = 20;

/// All pairs of an alignment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Census {
    /// How many.
    pub pairs: u64,
    /// Examples that they form.
    pub groups: u64,
    /// How many by why the rejected item is one, in words.
    pub reasons: BTreeMap<String, u64>,
    /// How many by how far the chosen item got.
    pub levels: BTreeMap<String, u64>,
    /// What a pair counts: the least, the median, the most.
    pub weights: [f64; 3],
    /// Pairs whose click would count more for its position, had that no bound.
    pub clipped: u64,
    /// How positions are looked at, where that counts.
    pub bias: Option<PositionBias>,
    /// Likeness of the two answers of a pair, where that counts.
    pub alike: Option<Alike>,
    /// Some of them.
    pub sample: Vec<Sampled>,
}

/// Likeness over pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alike {
    /// Pairs by which likeness is measured.
    pub sampled: u64,
    /// Cosine that half of them do not exceed: up to there weights stay.
    pub median: f64,
    /// Cosine that nine tenths do not exceed.
    pub ninth_decile: f64,
    /// Mean factor of the weights of all pairs.
    pub factor: f64,
}

/// A pair to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// Query text; none for a user's sequence.
    pub query: Option<String>,
    /// Title of the chosen item.
    pub chosen: String,
    /// Title of the rejected one.
    pub rejected: String,
    /// Why the pair was made.
    pub reason: String,
    /// What it counts.
    pub weight: f64,
}

impl Reason {
    /// Of what kind it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Above(_) => "shown above the chosen one and passed over",
            Self::BeamShown => "in the model's own beam, shown for the query and never chosen",
            Self::BeamUnshown => "in the model's own beam, never shown for the query",
        }
    }
}

/// Draws pairs to look at: places among `n`, ascending.
pub fn drawn(n: usize, seed: Seed) -> Vec<usize> {
    let mut rng = seed.purpose("pairs-sample").rng();
    let mut places: Vec<usize> = match n {
        0..=100_000 => (0..n).collect(),
        // More need no list of all.
        n => (0..SAMPLE * 100).map(|_| rand::Rng::random_range(&mut rng, 0..n)).collect(),
    };
    places.shuffle(&mut rng);
    places.truncate(SAMPLE);
    places.sort_unstable();
    places.dedup();
    places
}

impl Census {
    /// Counts; `levels` are the names of the corpus's levels.
    pub fn of(pairs: &[Pair], groups: usize, levels: &[String]) -> Self {
        let mut census =
            Self { pairs: pairs.len() as u64, groups: groups as u64, ..Self::default() };
        for pair in pairs {
            *census.reasons.entry(pair.reason.name().to_owned()).or_default() += 1;
            *census.levels.entry(level(pair, levels)).or_default() += 1;
            census.clipped += u64::from(pair.chosen.clipped);
        }
        let mut weights: Vec<f32> = pairs.iter().map(Pair::counts).collect();
        weights.sort_unstable_by(f32::total_cmp);
        if let (Some(least), Some(most)) = (weights.first(), weights.last()) {
            census.weights = [*least, weights[weights.len() / 2], *most].map(f64::from);
        }
        census
    }

    /// The same with how much the answers of pairs are alike, and the factors that follow.
    pub fn alike(&mut self, likeness: &Likeness, factors: &[f32]) {
        let sum: f64 = factors.iter().map(|&factor| f64::from(factor)).sum();
        self.alike = Some(Alike {
            sampled: likeness.sampled() as u64,
            median: f64::from(likeness.quantile(0.5)),
            ninth_decile: f64::from(likeness.quantile(0.9)),
            factor: sum / factors.len().max(1) as f64,
        });
    }

    /// What the log says, a few sentences.
    pub fn sentences(&self) -> Vec<String> {
        let counted = |counts: &BTreeMap<String, u64>| {
            let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
            counts.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
            let counts = counts.iter().map(|(name, n)| format!("{} {name}", grouped(**n)));
            counts.collect::<Vec<String>>().join("; ")
        };
        let mut said = vec![
            format!(
                "{} pairs in {} groups; rejected: {}",
                grouped(self.pairs),
                grouped(self.groups),
                counted(&self.reasons)
            ),
            format!("chosen: {}", counted(&self.levels)),
        ];
        if let Some(bias) = &self.bias {
            said.push(told(bias));
        }
        let [least, median, most] = self.weights;
        if least < most {
            let clipped = match self.clipped {
                0 => String::new(),
                n => format!("; {} would count more, had that no bound", grouped(n)),
            };
            said.push(format!(
                "a pair counts {least:.2} to {most:.2}, median {median:.2}{clipped}"
            ));
        }
        if let Some(alike) = &self.alike {
            said.push(format!(
                "answers of a pair are alike by {:.2} (median), {:.2} (ninth decile); the weights of rejected ones fall to {:.2} of themselves for it",
                alike.median, alike.ninth_decile, alike.factor
            ));
        }
        said
    }
}

/// How positions are looked at, in words.
fn told(bias: &PositionBias) -> String {
    let exponent =
        format!("position k is looked at k^-{:.2} times as often as the first", bias.exponent);
    let source = match bias.told {
        None => return format!("{exponent} (given)"),
        Some(Told::Swaps) => "items whose position was drawn",
        Some(_) => "a click model",
    };
    format!(
        "{exponent} (± {:.2}, told by {source}: {} pairs of query and item at several positions, {} clicks)",
        bias.error,
        grouped(bias.pairs),
        grouped(bias.clicks)
    )
}

/// How far the chosen item of a pair got.
fn level(pair: &Pair, levels: &[String]) -> String {
    match pair.chosen.shown {
        None => "next in a sequence".into(),
        Some((_, Level(0))) => "shown".into(),
        Some((_, Level(level))) => match levels.get(usize::from(level) - 1) {
            Some(name) => name.clone(),
            None => format!("level {level}"),
        },
    }
}

/// Why a pair was made, in a sentence.
pub fn because(pair: &Pair, levels: &[String]) -> String {
    let chosen = match pair.chosen.shown {
        None => "the next item of the sequence".to_owned(),
        Some((position, _)) => format!("{} at position {position}", level(pair, levels)),
    };
    let rejected = match pair.reason {
        Reason::Above(position) => format!("shown at position {position} and passed over"),
        reason => reason.name().to_owned(),
    };
    format!("{chosen}; the other {rejected}")
}

#[cfg(test)]
mod tests {
    use super::super::Chosen;
    use super::*;

    fn pair(level: u8, position: u16, reason: Reason, weight: f32) -> Pair {
        let shown = Some((position, Level(level)));
        let chosen = Chosen { item: 1, weight: 2.0, clipped: position > 9, shown };
        Pair { prompt: 0, chosen, rejected: 2, weight, reason }
    }

    #[test]
    fn pairs_are_counted_by_why_they_were_made() {
        let levels = ["clicked".to_owned(), "ordered".to_owned()];
        let pairs = [
            pair(1, 3, Reason::Above(1), 1.0),
            pair(1, 12, Reason::Above(2), 0.5),
            pair(2, 4, Reason::BeamUnshown, 0.25),
        ];
        let mut census = Census::of(&pairs, 2, &levels);
        census.bias = Some(PositionBias::fixed(1.0));
        insta::assert_snapshot!(census.sentences().join("\n"), @r"
        3 pairs in 2 groups; rejected: 2 shown above the chosen one and passed over; 1 in the model's own beam, never shown for the query
        chosen: 2 clicked; 1 ordered
        position k is looked at k^-1.00 times as often as the first (given)
        a pair counts 0.50 to 2.00, median 1.00; 1 would count more, had that no bound
        ");
        assert_eq!(
            because(&pairs[1], &levels),
            "clicked at position 12; the other shown at position 2 and passed over"
        );
        assert!(because(&pairs[2], &levels).starts_with("ordered at position 4; the other in the"));
    }

    #[test]
    fn a_sample_is_drawn_once_each() {
        assert_eq!(drawn(3, Seed::new(1)), [0, 1, 2]);
        let many = drawn(5_000_000, Seed::new(1));
        assert!(many.len() > 15 && many.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
