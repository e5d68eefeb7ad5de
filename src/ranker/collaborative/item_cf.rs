//! Item-based collaborative filtering with order: ItemCF.
//!
//! For items at places a < b of a training history h of |h| items, a pair adds `w` to sim(h_a, h_b) and
//! `backward w` to sim(h_b, h_a), with `w = pair_decay^(b-a-1) / ln(1 + |h|)`; sim(i, j) is then divided by
//! `(pop_i pop_j)^popularity_power`, pop being the number of histories that hold the item. An item scores
//! `sum over the request's history of recency^age sim(history item, item)`, age 0 being the newest.

use std::path::Path;

use trieval_kernels::top::top;

use super::super::harness::{Output, Rank, Retrieve, Scored, looked_up};
use super::super::slate::Slate;
use super::settings::ItemCfSettings;
use super::similarity::{Occurrences, Similarity, Sums};
use crate::corpus::{Ask, Corpus, Heard, training_histories};
use crate::error::Result;

/// The ranker.
pub struct ItemCf {
    similarity: Similarity,
    recency: f64,
}

impl ItemCf {
    /// Counts the pairs of all training histories.
    ///
    /// # Errors
    /// When the corpus cannot be read, or holds nothing to count.
    pub fn fit(corpus: &Corpus, settings: &ItemCfSettings) -> Result<Self> {
        let histories = training_histories(corpus)?;
        Ok(Self::count(&histories, corpus.summary().items as usize, settings))
    }

    /// Writes what was counted.
    ///
    /// # Errors
    /// [`crate::Error::Environment`] when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.similarity.write(folder)
    }

    /// Opens what was counted over so many items.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the file is missing, damaged, or of another catalogue.
    pub fn open(folder: &Path, n_items: usize, settings: &ItemCfSettings) -> Result<Self> {
        let similarity = Similarity::open(folder, n_items)?;
        Ok(Self { similarity, recency: settings.recency })
    }

    fn count(histories: &[Vec<u32>], n_items: usize, settings: &ItemCfSettings) -> Self {
        let occurrences = Occurrences::of(histories, n_items);
        let damping = |history: &Vec<u32>| match settings.length_damping {
            true => 1.0 / (1.0 + history.len() as f64).ln(),
            false => 1.0,
        };
        let damping: Vec<f64> = histories.iter().map(damping).collect();
        let power = |&count: &u32| f64::from(count).powf(settings.popularity_power);
        let popularity: Vec<f64> = occurrences.popularity().iter().map(power).collect();
        let row = |item: u32, sums: &mut Sums| {
            for &(list, place) in occurrences.of_item(item) {
                let (list, place) = (list as usize, place as usize);
                let history = &histories[list];
                let mut walk = |others: &mut dyn Iterator<Item = &u32>, mut weight: f64| {
                    for &other in others {
                        // Nothing is left to add.
                        if weight <= 0.0 {
                            break;
                        }
                        if other != item {
                            sums.add(other, weight);
                        }
                        weight *= settings.pair_decay;
                    }
                };
                walk(&mut history[place + 1..].iter(), damping[list]);
                walk(&mut history[..place].iter().rev(), settings.backward * damping[list]);
            }
            let own = popularity[item as usize];
            let similarity = |(other, sum): (u32, f64)| {
                (other, (sum / (own * popularity[other as usize])) as f32)
            };
            sums.take().into_iter().map(similarity).collect()
        };
        Self { similarity: Similarity::build(n_items, row), recency: settings.recency }
    }
}

impl ItemCf {
    /// Items like those of a history, by item.
    fn scores(&self, history: &[u32]) -> Vec<Scored> {
        let weights = std::iter::successors(Some(1.0), |weight| Some(weight * self.recency));
        self.similarity.sum(history.iter().rev().copied().zip(weights))
    }
}

impl Retrieve for ItemCf {
    fn hears(&self, _: &Ask) -> Heard {
        Heard::history()
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        Ok(top(self.scores(&ask.history).into_iter(), depth, exclude))
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        Some(self)
    }
}

impl Rank for ItemCf {
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
        let scores = self.scores(&slate.ask.history);
        Ok(vec![Output::score(looked_up(&scores, slate.items()))])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn settings() -> ItemCfSettings {
        serde_json::from_str(r#"{"name": "item-cf"}"#).unwrap()
    }

    fn ask(history: &[u32]) -> Ask {
        Ask { history: history.to_vec(), ..Ask::default() }
    }

    /// The formula as it is written, pair by pair.
    fn by_hand(
        histories: &[Vec<u32>],
        settings: &ItemCfSettings,
        asked: &[u32],
    ) -> BTreeMap<u32, f64> {
        let mut similarity: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        for history in histories {
            let damping =
                if settings.length_damping { (1.0 + history.len() as f64).ln() } else { 1.0 };
            for b in 0..history.len() {
                for a in 0..b {
                    let weight = settings.pair_decay.powi((b - a - 1) as i32) / damping;
                    *similarity.entry((history[a], history[b])).or_default() += weight;
                    *similarity.entry((history[b], history[a])).or_default() +=
                        settings.backward * weight;
                }
            }
        }
        let popularity =
            |item: u32| histories.iter().filter(|history| history.contains(&item)).count() as f64;
        let mut scores: BTreeMap<u32, f64> = BTreeMap::new();
        for (age, &item) in asked.iter().rev().enumerate() {
            for (&(from, to), &sum) in similarity.iter().filter(|one| one.0.0 == item) {
                if from != to {
                    let norm = (popularity(from) * popularity(to)).powf(settings.popularity_power);
                    *scores.entry(to).or_default() +=
                        settings.recency.powi(age as i32) * sum / norm;
                }
            }
        }
        scores
    }

    #[test]
    fn three_users_worked_by_hand() {
        // Users {a, b, c}, {a, b}, {b, c}.
        let histories = [vec![0, 1, 2], vec![0, 1], vec![1, 2]];
        let model = ItemCf::count(&histories, 3, &settings());
        let similarity = |from: u32, to: u32| {
            let row = model.similarity.row(from);
            f64::from(row.iter().find(|one| one.0 == to).unwrap().1)
        };
        for (from, to, expected) in [(0, 1, 0.666093), (1, 2, 0.666093), (0, 2, 0.252472)] {
            assert!((similarity(from, to) - expected).abs() < 1e-6, "{from} {to}");
            assert!((similarity(to, from) - 0.7 * expected).abs() < 1e-6, "{to} {from}");
        }
        // Without decay over places, the pair that is two places apart weighs as much as its neighbors.
        let flat = ItemCfSettings { pair_decay: 1.0, ..settings() };
        let model = ItemCf::count(&histories, 3, &flat);
        assert!((f64::from(model.similarity.row(0)[1].1) - 0.360674).abs() < 1e-6);
        let ranked = model.retrieve(&ask(&[0]), 10, &[0]).unwrap();
        assert_eq!(ranked.iter().map(|one| one.0).collect::<Vec<_>>(), [1, 2]);
        assert!(model.retrieve(&ask(&[]), 10, &[]).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn rows_and_sums_equal_the_formula(
            histories in prop::collection::vec(prop::collection::vec(0u32..9, 0..12), 1..12),
            asked in prop::collection::vec(0u32..9, 0..6),
            power in 0.0..1.0,
            length_damping: bool,
        ) {
            let settings =
                ItemCfSettings { popularity_power: power, length_damping, ..settings() };
            let expected = by_hand(&histories, &settings, &asked);
            let found = ItemCf::count(&histories, 9, &settings);
            let found = found.retrieve(&ask(&asked), 9, &[]).unwrap();
            prop_assert_eq!(found.len(), expected.len());
            for (item, score) in found {
                prop_assert!((f64::from(score) / expected[&item] - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let histories: Vec<Vec<u32>> = (0..300u32)
            .map(|user| (0..20).map(|place| (user * 7 + place * (1 + user % 5)) % 90).collect())
            .collect();
        let rows = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let model = pool.install(|| ItemCf::count(&histories, 90, &settings()));
            (0..90).flat_map(|item| model.similarity.row(item).to_vec()).collect::<Vec<_>>()
        };
        assert!(!rows(1).is_empty());
        assert_eq!(rows(1), rows(3));
    }
}
