//! Items by how often they were clicked in training: the same list for every request.

use super::{Ranker, top::top};
use crate::corpus::{Corpus, Request, training_exposure};
use crate::error::Result;

/// The ranker.
pub struct Popularity {
    counts: Vec<f32>,
}

impl Popularity {
    /// Counts training clicks, or occurrences in training sequences, of all items.
    ///
    /// # Errors
    /// When the corpus cannot be read.
    pub fn fit(corpus: &Corpus) -> Result<Self> {
        let counts = training_exposure(corpus)?;
        Ok(Self { counts: counts.into_iter().map(|count| count as f32).collect() })
    }
}

impl Ranker for Popularity {
    fn rank(&self, _request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<(u32, f32)>> {
        Ok(top((0..).zip(self.counts.iter().copied()), depth, exclude))
    }
}
