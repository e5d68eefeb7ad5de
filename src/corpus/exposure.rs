//! How often each item was met in training: what popularity counts, and what divides head from tail.

use super::{Corpus, Split};
use crate::error::Result;

/// Training clicks, or occurrences in training sequences, of every item: `[items]`.
///
/// # Errors
/// When the corpus cannot be read.
pub fn training_exposure(corpus: &Corpus) -> Result<Vec<u64>> {
    let mut counts = vec![0; corpus.summary().items as usize];
    if corpus.has_sequences() {
        for request in corpus.request_iter(Split::Train)? {
            for item in request?.history {
                counts[item as usize] += 1;
            }
        }
    }
    for group in corpus.impressions()? {
        let (_, impressions) = group?;
        for impression in impressions.iter().filter(|impression| impression.click) {
            counts[impression.item as usize] += 1;
        }
    }
    Ok(counts)
}
