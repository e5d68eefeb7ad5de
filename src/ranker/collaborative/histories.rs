//! What one person chose in training, oldest first: the rows that collaborative filtering counts over.

use std::collections::HashMap;

use crate::corpus::{Corpus, Split};
use crate::error::{Error, Result};

/// Lists of items that were chosen by the same person in training, oldest first.
///
/// In a corpus of sequences these are the training histories, which hold neither the validation nor the test
/// item. In a corpus of clicks they are each user's clicked items in the order of requests and, on a page, of
/// positions; a request without a user stands for itself.
///
/// # Errors
/// [`Error::Data`] when no list holds two different items, so that nothing can be counted.
pub(super) fn training_histories(corpus: &Corpus) -> Result<Vec<Vec<u32>>> {
    let mut lists = Vec::new();
    if corpus.has_sequences() {
        for request in corpus.request_iter(Split::Train)? {
            lists.push(request?.history);
        }
    } else {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut list_of = Vec::new();
        for request in corpus.request_iter(Split::Train)? {
            let n_lists = lists.len();
            let number = match request?.user {
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
            let clicked = page.iter().filter(|shown| shown.click).map(|shown| shown.item);
            lists[list_of[request as usize]].extend(clicked);
        }
    }
    if lists.iter().all(|list| list.iter().all(|item| Some(item) == list.first())) {
        return Err(Error::data(
            corpus.folder(),
            "no user or request of the training part chose two different items, so there is nothing to count",
        )
        .with_help(
            "systems of kind item-cf and item-knn need users' sequences, or clicks of requests with users; \
             remove them, or bring such data",
        ));
    }
    Ok(lists)
}
