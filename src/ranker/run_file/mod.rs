//! A run file from elsewhere as a system: its lists are looked up, not computed. It alone reads what `trieval-eval` reads.

mod kind;

use std::collections::HashMap;
use std::path::Path;

use trieval_eval::io::read_run_with_ranks;

use crate::corpus::{Ask, Catalogue, Corpus, Request, RequestIdx, Split};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::ranker::{Retrieve, Scored};

/// Kind of a system that is known by its run file alone.
pub const RUN_FILE_KIND: &str = "run-file";
/// Ids that a message shows.
const SHOWN: usize = 3;

/// The ranker.
pub struct RunFile {
    /// Items with scores, best first, by row of the request.
    lists: HashMap<RequestIdx, Vec<Scored>>,
    /// What is to be said of ranks that contradict the scores.
    ranks: Option<String>,
    /// The first request, by id, with an infinite score.
    infinite: Option<String>,
}

impl RunFile {
    /// Reads a run file in whatever format its name stands for.
    ///
    /// # Errors
    /// [`Error::Data`] when it cannot be read, or names requests or items that the corpus does not hold.
    pub fn read(path: &Path, corpus: &Corpus, catalogue: &Catalogue) -> Result<Self> {
        let (run, ranks) = read_run_with_ranks(path).map_err(|e| plain(path, &e))?;
        let mut known = HashMap::new();
        for split in Split::ALL {
            for request in corpus.request_iter(split)? {
                let request = request?;
                known.insert(request.id, request.idx);
            }
        }
        let mut strangers = Strangers::default();
        let mut odd_items = Strangers::default();
        let mut infinite: Option<String> = None;
        let mut lists = HashMap::with_capacity(run.len());
        for ranking in run.rankings() {
            let Some(&row) = known.get(ranking.request()) else {
                strangers.add(ranking.request());
                continue;
            };
            let mut list = Vec::with_capacity(ranking.len());
            for (id, score) in ranking.items() {
                match catalogue.index_of(id) {
                    Some(item) => list.push((item, score)),
                    None => odd_items.add(id),
                }
            }
            let is_first = infinite.as_deref().is_none_or(|first| ranking.request() < first);
            if is_first && list.iter().any(|one: &Scored| !one.1.is_finite()) {
                infinite = Some(ranking.request().to_owned());
            }
            lists.insert(row, list);
        }
        strangers.refuse(
            path,
            "requests",
            run.len(),
            "in the corpus",
            "the ids of its requests",
        )?;
        odd_items.refuse(path, "entries", run.n_entries(), "of the catalogue", "its item ids")?;
        Ok(Self { lists, ranks, infinite })
    }

    /// Refuses infinite scores, which other stages cannot compute with.
    ///
    /// # Errors
    /// [`Error::Data`] with the first request that has one.
    pub fn check_finite(&self, path: &Path) -> Result<()> {
        let Some(request) = &self.infinite else { return Ok(()) };
        let message = format!("request `{request}` has an item whose score is infinite");
        Err(Error::data(path, message).with_help(
            "a run that is fused, ranked anew or chosen from needs finite scores: leave such items out",
        ))
    }

    /// Tells of ranks that contradict scores, and how many of the requests the file has no list for; refuses a file that answers none of them.
    ///
    /// # Errors
    /// [`Error::Data`] when not one request is answered.
    pub fn compare(
        &self,
        name: &str,
        path: &Path,
        requests: &[Request],
        ctx: &Context,
    ) -> Result<()> {
        if let Some(ranks) = &self.ranks {
            ctx.warn(format!("system {name}: {ranks}"));
        }
        let missing: Vec<&str> = requests
            .iter()
            .filter(|request| self.lists.get(&request.idx).is_none_or(Vec::is_empty))
            .map(|request| request.id.as_str())
            .collect();
        if missing.len() == requests.len() {
            let message = format!("answers none of the {} evaluated requests", requests.len());
            return Err(Error::data(path, message)
                .with_help("write the file for the split that is evaluated: evaluation.split"));
        }
        if let Some(first) = missing.first() {
            ctx.warn(format!(
                "system {name}: {} has no answer to {} of {} evaluated requests, the first being `{first}`; \
                 evaluation.missing says what that means",
                path.display(),
                missing.len(),
                requests.len()
            ));
        }
        Ok(())
    }
}

impl Retrieve for RunFile {
    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let list = ask.row.and_then(|row| self.lists.get(&row)).into_iter().flatten();
        let allowed = list.filter(|(item, _)| exclude.binary_search(item).is_err());
        Ok(allowed.take(depth).copied().collect())
    }
}

/// Ids that are not known: how many, and the first of them.
#[derive(Default)]
struct Strangers {
    count: usize,
    first: Vec<String>,
}

impl Strangers {
    fn add(&mut self, id: &str) {
        self.count += 1;
        if self.first.len() < SHOWN && !self.first.iter().any(|one| one == id) {
            self.first.push(id.to_owned());
        }
    }

    fn refuse(self, path: &Path, what: &str, of: usize, place: &str, need: &str) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let first: Vec<String> = self.first.iter().map(|id| format!("`{id}`")).collect();
        let message = format!(
            "{} of {of} {what} are not {place}; the first: {}",
            self.count,
            first.join(", ")
        );
        Err(Error::data(path, message)
            .with_help(format!("a run file of this corpus uses {need}, as its tables hold them")))
    }
}

/// A reader's fault, whose text names the file already.
fn plain(path: &Path, error: &trieval_eval::Error) -> Error {
    match error {
        trieval_eval::Error::Line { line, what, .. } => {
            Error::data_at(path, *line as u64, what.as_str())
        }
        trieval_eval::Error::File { what, .. } => Error::data(path, what.as_str()),
        trieval_eval::Error::Unreadable { source, .. } => Error::unreadable(path, source),
        other => Error::data(path, other.to_string()),
    }
}
