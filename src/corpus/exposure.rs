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
            for item in request?.ask.history {
                counts[item as usize] += 1;
            }
        }
    }
    for group in corpus.impressions()? {
        let (_, impressions) = group?;
        for impression in impressions.iter().filter(|impression| impression.level.is_chosen()) {
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
            for item in request.ask.history {
                counts[item as usize] += weight(last - request.day);
            }
        }
    }
    for group in corpus.impressions()? {
        let (request, impressions) = group?;
        // Training requests are numbered from 0.
        let weight = weight(last - days[request as usize]);
        for impression in impressions.iter().filter(|impression| impression.level.is_chosen()) {
            counts[impression.item as usize] += weight;
        }
    }
    Ok(counts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::build;
    use crate::corpus::kinds::CorpusSettings;
    use crate::corpus::settings::SimulatorSettings;
    use crate::progress::Context;
    use crate::seed::Seed;

    #[test]
    fn ages_are_counted_from_the_last_day_of_training() {
        let folder = tempfile::tempdir().unwrap();
        let shop = SimulatorSettings {
            items: 90,
            users: 20,
            requests: 500,
            days: 9,
            ..SimulatorSettings::default()
        };
        let settings = CorpusSettings::Simulator(shop);
        build(&settings, Seed::new(3), folder.path(), &Context::silent()).unwrap();
        let corpus = Corpus::open(folder.path()).unwrap();
        let all = training_exposure(&corpus).unwrap();
        let even: Vec<u64> = weighted_exposure(&corpus, |_| 1.0)
            .unwrap()
            .iter()
            .map(|&count| count as u64)
            .collect();
        assert_eq!(even, all);
        let days: Vec<i32> =
            corpus.requests(Split::Train).unwrap().iter().map(|request| request.day).collect();
        let last = *days.iter().max().unwrap();
        let mut expected = vec![0.0; 90];
        for group in corpus.impressions().unwrap() {
            let (request, page) = group.unwrap();
            if days[request as usize] > last - 2 {
                for shown in page.iter().filter(|shown| shown.level.is_chosen()) {
                    expected[shown.item as usize] += 1.0;
                }
            }
        }
        let found = weighted_exposure(&corpus, |age| f64::from(u8::from(age < 2))).unwrap();
        assert_eq!(found, expected);
        let kept: f64 = found.iter().sum();
        assert!(kept > 0.0 && kept < all.iter().sum::<u64>() as f64);
    }
}
