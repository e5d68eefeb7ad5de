//! The leak check: what of the evaluated requests training has already seen. None of it is wrong by
//! itself; all of it must be known to whoever reads the figures.

use std::collections::{HashMap, HashSet};

use trieval_eval::report::model::LeakReport;

use super::slices::normalized;
use crate::corpus::{Catalogue, Corpus, Request, RequestIdx, Split};
use crate::error::Result;

/// Examples shown per kind of overlap.
const SHOWN: usize = 5;

/// Overlap of the evaluated requests and their judgements (`relevant`: request, item) with training.
///
/// # Errors
/// When the corpus cannot be read.
pub fn leaks(
    corpus: &Corpus,
    catalogue: &Catalogue,
    requests: &[Request],
    relevant: &[(RequestIdx, u32)],
) -> Result<Vec<LeakReport>> {
    let mut queries: HashMap<String, RequestIdx> = HashMap::new();
    let mut users: HashSet<String> = HashSet::new();
    let mut clicked: HashSet<(RequestIdx, u32)> = HashSet::new();
    let mut targets: HashSet<(String, u32)> = HashSet::new();
    for request in corpus.request_iter(Split::Train)? {
        let request = request?;
        if let Some(user) = request.ask.user {
            if corpus.has_sequences() {
                targets.extend(request.ask.history.iter().map(|&item| (user.clone(), item)));
            }
            users.insert(user);
        }
        if let Some(query) = request.ask.query {
            queries.entry(normalized(&query)).or_insert(request.idx);
        }
    }
    let mut first_of: HashMap<RequestIdx, RequestIdx> = HashMap::new();
    for request in corpus.request_iter(Split::Train)? {
        let request = request?;
        if let Some(query) = &request.ask.query {
            first_of.insert(request.idx, queries[&normalized(query)]);
        }
    }
    for page in corpus.impressions()? {
        let (request, impressions) = page?;
        let Some(&query) = first_of.get(&request) else { continue };
        let clicks = impressions.iter().filter(|impression| impression.level.is_chosen());
        clicked.extend(clicks.map(|impression| (query, impression.item)));
    }

    let mut same_query = Overlap::new("requests whose query text is that of a training request");
    let mut same_user = Overlap::new("requests of a user with a training request");
    let mut same_pair =
        Overlap::new("relevant items that were clicked in training for the same query text");
    let mut own_past =
        Overlap::new("relevant items that stand in the same user's training sequence");
    let by_idx: HashMap<RequestIdx, &Request> =
        requests.iter().map(|request| (request.idx, request)).collect();
    for request in requests {
        if let Some(query) = &request.ask.query {
            same_query.count(queries.contains_key(&normalized(query)), || query.clone());
        }
        if let Some(user) = &request.ask.user {
            same_user.count(users.contains(user), || user.clone());
        }
    }
    for (request, item) in relevant {
        let Some(request) = by_idx.get(request) else { continue };
        let id = || catalogue.ids[*item as usize].clone();
        if let Some(query) = &request.ask.query {
            let known = queries.get(&normalized(query));
            let hit = known.is_some_and(|&query| clicked.contains(&(query, *item)));
            same_pair.count(hit, || format!("{query} → {}", id()));
        }
        if let (true, Some(user)) = (corpus.has_sequences(), &request.ask.user) {
            let hit = targets.contains(&(user.clone(), *item));
            own_past.count(hit, || format!("{user} → {}", id()));
        }
    }
    let all = [same_query, same_user, same_pair, own_past];
    Ok(all.into_iter().filter_map(Overlap::report).collect())
}

/// Counts what was met before.
struct Overlap {
    what: &'static str,
    of: u64,
    hits: u64,
    examples: Vec<String>,
}

impl Overlap {
    fn new(what: &'static str) -> Self {
        Self { what, of: 0, hits: 0, examples: Vec::new() }
    }

    fn count(&mut self, hit: bool, example: impl FnOnce() -> String) {
        self.of += 1;
        if hit {
            self.hits += 1;
            if self.examples.len() < SHOWN {
                let example = example();
                if !self.examples.contains(&example) {
                    self.examples.push(example);
                }
            }
        }
    }

    /// None where the question does not arise.
    fn report(self) -> Option<LeakReport> {
        (self.of > 0).then(|| LeakReport {
            what: self.what.to_owned(),
            count: self.hits,
            share: self.hits as f64 / self.of as f64,
            examples: self.examples,
        })
    }
}
