//! What one person chose in training, oldest first: the rows that collaborative filtering counts over, and what a sequence
//! model learns to continue.

use std::collections::HashMap;

use super::{Corpus, Split};
use crate::error::{Error, Result};

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
            "systems of kind item-cf and item-knn, vectors of kind collaborative and `co_choice` of rq-vae need users' \
             sequences, or clicks of requests with users; remove them, or bring such data",
        ));
    }
    Ok(lists)
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
    use crate::seed::Seed;

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
