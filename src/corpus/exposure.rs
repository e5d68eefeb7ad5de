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

/// The same with a weight for the age of each click, in days before the last day with a training request.
///
/// # Errors
/// When the corpus cannot be read.
pub fn weighted_exposure(corpus: &Corpus, weight: impl Fn(i32) -> f64) -> Result<Vec<f64>> {
    let mut days = Vec::new();
    for request in corpus.request_iter(Split::Train)? {
        days.push(request?.day);
    }
    let last = days.iter().copied().max().unwrap_or(0);
    let mut counts = vec![0.0; corpus.summary().items as usize];
    if corpus.has_sequences() {
        for request in corpus.request_iter(Split::Train)? {
            let request = request?;
            for item in request.history {
                counts[item as usize] += weight(last - request.day);
            }
        }
    }
    for group in corpus.impressions()? {
        let (request, impressions) = group?;
        // Training requests are numbered from 0.
        let weight = weight(last - days[request as usize]);
        for impression in impressions.iter().filter(|impression| impression.click) {
            counts[impression.item as usize] += weight;
        }
    }
    Ok(counts)
}
