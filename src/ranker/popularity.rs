//! Items by how often they were clicked in training: the same list for every request.

use super::{Ranker, top::top};
use crate::corpus::{Corpus, Request, Split};
use crate::error::Result;

/// The ranker.
pub struct Popularity {
    counts: Vec<f32>,
}

impl Popularity {
    /// Counts training clicks, or occurrences in training sequences, of `n_items` items.
    ///
    /// # Errors
    /// When the corpus cannot be read.
    pub fn fit(corpus: &Corpus, n_items: usize) -> Result<Self> {
        let mut counts = vec![0.0; n_items];
        let train = corpus.request_range(Split::Train);
        if corpus.has_sequences() {
            for request in corpus.request_iter(Split::Train)? {
                for item in request?.history {
                    counts[item as usize] += 1.0;
                }
            }
        }
        for group in corpus.impressions()? {
            let (request, impressions) = group?;
            if train.contains(&request) {
                for impression in impressions.iter().filter(|impression| impression.click) {
                    counts[impression.item as usize] += 1.0;
                }
            }
        }
        Ok(Self { counts })
    }

    /// `[items]`: training clicks, or occurrences in training sequences.
    pub fn counts(&self) -> &[f32] {
        &self.counts
    }
}

impl Ranker for Popularity {
    fn rank(&self, _request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<(u32, f32)>> {
        Ok(top((0..).zip(self.counts.iter().copied()), depth, exclude))
    }
}
