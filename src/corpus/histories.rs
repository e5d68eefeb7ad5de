//! What one person chose in training, oldest first: the rows that collaborative filtering counts over, and what a sequence
//! model learns to continue.

use std::collections::HashMap;

use rand::Rng;

use super::{Corpus, Split};
use crate::error::{Error, Result};
use crate::seed::Seed;

/// Lists of items that were chosen by the same person in training, oldest first.
///
/// In a corpus of sequences these are the training histories, which hold neither the validation nor the test
/// item. In a corpus of clicks they are each user's clicked items in the order of requests and, on a page, of
/// positions; a request without a user stands for itself.
///
/// # Errors
/// When the corpus cannot be read.
pub fn choices(corpus: &Corpus) -> Result<Vec<Vec<u32>>> {
    let mut lists = Vec::new();
    if corpus.has_sequences() {
        for request in corpus.request_iter(Split::Train)? {
            lists.push(request?.ask.history);
        }
    } else {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut list_of = Vec::new();
        for request in corpus.request_iter(Split::Train)? {
            let n_lists = lists.len();
            let number = match request?.ask.user {
                Some(user) => *numbers.entry(user).or_insert(n_lists),
                None => n_lists,
            };
            if number == n_lists {
                lists.push(Vec::new());
            }
            list_of.push(number);
        }
        for group in corpus.impressions()? {
            let (request, page) = group?;
            // Training requests are numbered from 0.
            let clicked =
                page.iter().filter(|shown| shown.level.is_chosen()).map(|shown| shown.item);
            lists[list_of[request as usize]].extend(clicked);
        }
    }
    Ok(lists)
}

/// [`choices`] that something can be counted in.
///
/// # Errors
/// [`Error::Data`] when no list holds two different items, or the corpus cannot be read.
pub fn training_histories(corpus: &Corpus) -> Result<Vec<Vec<u32>>> {
    let lists = choices(corpus)?;
    if lists.iter().all(|list| list.iter().all(|item| Some(item) == list.first())) {
        return Err(Error::data(
            corpus.folder(),
            "no user or request of the training part chose two different items, so there is nothing to count",
        )
        .with_help(
            "systems of kind item-cf and item-knn, `co_choice` of rq-vae and vectors of kind collaborative need users' sequences, or \
             clicks of requests with users; remove them, or bring such data",
        ));
    }
    Ok(lists)
}

/// Pairs of different items that stand at most `window` places apart in a list, each as likely as any other: `most` of them, or
/// all where there are no more. The same lists give the same pairs.
pub fn near_pairs(lists: &[Vec<u32>], window: usize, most: usize) -> Vec<(u32, u32)> {
    let mut rng = Seed::new(0).purpose("near pairs").rng();
    let mut pairs = Vec::new();
    let mut n_seen = 0_u64;
    for list in lists {
        for (place, &a) in list.iter().enumerate() {
            for &b in list[place + 1..].iter().take(window).filter(|&&b| b != a) {
                n_seen += 1;
                if pairs.len() < most {
                    pairs.push((a, b));
                    continue;
                }
                // Each stays with the same probability, however many there are.
                let slot = rng.random_range(0..n_seen) as usize;
                if let Some(pair) = pairs.get_mut(slot) {
                    *pair = (a, b);
                }
            }
        }
    }
    pairs
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::corpus::kinds::CorpusSettings;
    use crate::corpus::settings::SimulatorSettings;
    use crate::corpus::{build, training_exposure};
    use crate::progress::Context;

    #[test]
    fn pairs_are_near_and_drawn_alike() {
        let lists = [vec![0, 1, 1, 2], vec![3, 3], vec![4]];
        assert_eq!(near_pairs(&lists, 1, 10), [(0, 1), (1, 2)]);
        assert_eq!(near_pairs(&lists, 2, 10), [(0, 1), (0, 1), (1, 2), (1, 2)]);
        let long = [(0..1_001).collect::<Vec<u32>>()];
        let drawn = near_pairs(&long, 1, 200);
        assert_eq!((drawn.len(), &drawn), (200, &near_pairs(&long, 1, 200)));
        assert!(drawn.iter().all(|(a, b)| a + 1 == *b));
        let early = drawn.iter().filter(|(a, _)| *a < 500).count();
        assert!((75..125).contains(&early), "{early}");
    }

    #[test]
    fn clicks_of_training_are_joined_by_user_in_the_order_of_requests() {
        let folder = tempfile::tempdir().unwrap();
        let shop = SimulatorSettings {
            items: 120,
            users: 15,
            requests: 400,
            days: 8,
            ..SimulatorSettings::default()
        };
        let settings = CorpusSettings::Simulator(shop);
        build(&settings, Seed::new(3), folder.path(), &Context::silent()).unwrap();
        let corpus = Corpus::open(folder.path()).unwrap();
        let requests = corpus.requests(Split::Train).unwrap();
        let mut expected: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for group in corpus.impressions().unwrap() {
            let (request, page) = group.unwrap();
            let user = requests[request as usize].ask.user.clone().unwrap();
            let clicked =
                page.iter().filter(|shown| shown.level.is_chosen()).map(|shown| shown.item);
            expected.entry(user).or_default().extend(clicked);
        }
        let mut found = training_histories(&corpus).unwrap();
        let total: usize = found.iter().map(Vec::len).sum();
        assert_eq!(total as u64, training_exposure(&corpus).unwrap().iter().sum::<u64>());
        assert!(found.len() > 5 && found.iter().any(|list| list.len() > 3));
        let mut expected: Vec<Vec<u32>> = expected.into_values().collect();
        found.retain(|list| !list.is_empty());
        expected.retain(|list| !list.is_empty());
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}
