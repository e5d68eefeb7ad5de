//! Nearest neighbors by co-occurrence (Sarwar et al. 2001): the cosine of who chose two items, shrunk.
//!
//! `sim(i, j) = n_ij / (sqrt(n_i n_j) + shrinkage)`, n counting people who chose the item or both. Every item
//! keeps its nearest `neighbors`; an item scores the sum over the request's history of sim to those of the
//! history that are among its own neighbors.

use std::path::Path;

use trieval_kernels::top::top;

use super::super::harness::{Output, Rank, Retrieve, Scored, looked_up};
use super::super::slate::Slate;
use super::settings::ItemKnnSettings;
use super::similarity::{Occurrences, Similarity, Sums};
use crate::corpus::{Ask, Corpus, Heard, training_histories};
use crate::error::Result;

/// The ranker.
pub struct ItemKnn {
    /// Row i: items that have i among their neighbors.
    wanted_by: Similarity,
}

impl ItemKnn {
    /// Counts who chose which two items in training.
    ///
    /// # Errors
    /// When the corpus cannot be read, or holds nothing to count.
    pub fn fit(corpus: &Corpus, settings: &ItemKnnSettings) -> Result<Self> {
        let histories = training_histories(corpus)?;
        Ok(Self::count(histories, corpus.summary().items as usize, settings))
    }

    /// Writes what was counted.
    ///
    /// # Errors
    /// [`crate::Error::Environment`] when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.wanted_by.write(folder)
    }

    /// Opens what was counted over so many items.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the file is missing, damaged, or of another catalogue.
    pub fn open(folder: &Path, n_items: usize) -> Result<Self> {
        Ok(Self { wanted_by: Similarity::open(folder, n_items)? })
    }

    fn count(mut histories: Vec<Vec<u32>>, n_items: usize, settings: &ItemKnnSettings) -> Self {
        for history in &mut histories {
            history.sort_unstable();
            history.dedup();
        }
        let occurrences = Occurrences::of(&histories, n_items);
        let popularity = occurrences.popularity();
        let row = |item: u32, sums: &mut Sums| {
            for &(list, _) in occurrences.of_item(item) {
                for &other in histories[list as usize].iter().filter(|&&other| other != item) {
                    sums.add(other, 1.0);
                }
            }
            let own = f64::from(popularity[item as usize]);
            let similarity = |(other, both): (u32, f64)| {
                let norm = (own * f64::from(popularity[other as usize])).sqrt();
                (other, (both / (norm + settings.shrinkage)) as f32)
            };
            top(sums.take().into_iter().map(similarity), settings.neighbors as usize, &[])
        };
        Self { wanted_by: Similarity::build(n_items, row).transposed() }
    }
}

impl ItemKnn {
    /// Items like those of a history, by item.
    fn scores(&self, history: &[u32]) -> Vec<Scored> {
        let mut history = history.to_vec();
        history.sort_unstable();
        history.dedup();
        self.wanted_by.sum(history.into_iter().map(|item| (item, 1.0)))
    }
}

impl Retrieve for ItemKnn {
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

impl Rank for ItemKnn {
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
        let scores = self.scores(&slate.ask.history);
        Ok(vec![Output::score(looked_up(&scores, slate.items()))])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ranked(neighbors: u32, shrinkage: f64, history: &[u32]) -> Vec<(u32, f32)> {
        // Item 0 is chosen by three, 1 by three, 2 by two, 3 by one.
        let histories = vec![vec![1, 0, 1], vec![0, 1, 2], vec![2, 0], vec![1, 3]];
        let settings = ItemKnnSettings { name: "item-knn".into(), neighbors, shrinkage };
        let model = ItemKnn::count(histories, 4, &settings);
        let ask = Ask { history: history.to_vec(), ..Ask::default() };
        let mut exclude = history.to_vec();
        exclude.sort_unstable();
        model.retrieve(&ask, 10, &exclude).unwrap()
    }

    fn close(found: &[(u32, f32)], expected: &[(u32, f64)]) -> bool {
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(found, expected)| {
                found.0 == expected.0 && (f64::from(found.1) - expected.1).abs() < 1e-6
            })
    }

    #[test]
    fn cosines_worked_by_hand() {
        let root = |number: f64| number.sqrt();
        assert!(close(&ranked(9, 0.0, &[0]), &[(2, 2.0 / root(6.0)), (1, 2.0 / 3.0)]));
        assert!(close(&ranked(9, 1.5, &[0]), &[(2, 2.0 / (root(6.0) + 1.5)), (1, 2.0 / 4.5)]));
        // The order of a history and repeats in it change nothing.
        assert_eq!(ranked(9, 0.0, &[0, 1]), ranked(9, 0.0, &[1, 0, 0]));
        assert!(close(
            &ranked(9, 0.0, &[0, 1]),
            &[(2, 2.0 / root(6.0) + 1.0 / root(6.0)), (3, 1.0 / root(3.0))]
        ));
    }

    #[test]
    fn only_the_nearest_neighbors_of_an_item_speak_for_it() {
        // The nearest of 1 are 0 (2/3) and 3 (1/root 3): with one neighbor it listens to 0 alone.
        let ids = |list: Vec<(u32, f32)>| list.into_iter().map(|one| one.0).collect::<Vec<_>>();
        assert_eq!(ids(ranked(1, 0.0, &[0])), [2, 1]);
        assert!(ids(ranked(1, 0.0, &[3])).is_empty());
        assert_eq!(ids(ranked(2, 0.0, &[3])), [1]);
    }
}
