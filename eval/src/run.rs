//! A run: what one system returned, request → ranked items with scores. The order is trec_eval's: score (as `f32`)
//! descending, ties by item id descending in byte order; a rank column is never believed. Knows no judgments.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::pairs::{Grouped, Pairs};

/// Ranked items of one system for many requests, in evaluated order.
#[derive(Debug, Clone)]
pub struct Run {
    name: String,
    /// Rankings, best first.
    lists: Grouped<f32>,
    /// Scores of pairs that the system was asked about, where it was.
    predictions: Option<Box<Run>>,
}

/// Collects a run line by line, in any order.
#[derive(Debug, Clone, Default)]
pub struct RunBuilder {
    name: String,
    rows: Pairs<f32>,
}

/// One request's ranked items.
#[derive(Debug, Clone, Copy)]
pub struct Ranking<'a> {
    run: &'a Run,
    number: u32,
}

impl Run {
    /// Starts a run of that name.
    pub fn builder(name: impl Into<String>) -> RunBuilder {
        RunBuilder { name: name.into(), ..RunBuilder::default() }
    }

    /// Name of the system.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same run under another name.
    pub fn renamed(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self.predictions = self.predictions.map(|one| Box::new(one.renamed(self.name.clone())));
        self
    }

    /// The same run, whose system was also asked to score given pairs: figures of labelled predictions are over
    /// `predictions` and no longer over what was returned.
    pub fn with_predictions(mut self, predictions: Run) -> Self {
        self.predictions = Some(Box::new(predictions.renamed(self.name.clone())));
        self
    }

    /// Scores of the pairs that figures of labelled predictions are over: those that the system was asked about, or else
    /// those that it returned.
    pub fn predictions(&self) -> &Run {
        self.predictions.as_deref().unwrap_or(self)
    }

    /// Number of requests, those with an empty list included.
    pub fn len(&self) -> usize {
        self.lists.requests.len()
    }

    /// Whether there is no request.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of (request, item) pairs.
    pub fn n_entries(&self) -> usize {
        self.lists.entries.len()
    }

    /// Every request's ranking, in the order in which requests were added.
    pub fn rankings(&self) -> impl ExactSizeIterator<Item = Ranking<'_>> {
        (0..self.len()).map(|number| Ranking { run: self, number: number as u32 })
    }

    /// The ranking of a request; none where the run does not hold it.
    pub fn get(&self, request: &str) -> Option<Ranking<'_>> {
        self.lists.requests.get(request).map(|number| Ranking { run: self, number })
    }

    /// Distinct item ids, by the numbers that [`Ranking::entries`] uses.
    pub(crate) fn items(&self) -> &Ids {
        &self.lists.items
    }
}

impl PartialEq for Run {
    /// Equal names, and equal rankings for the same requests in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.len() == other.len()
            && self.rankings().zip(other.rankings()).all(|(left, right)| {
                left.request() == right.request() && left.items().eq(right.items())
            })
    }
}

impl<'a> Ranking<'a> {
    /// Id of the request.
    pub fn request(&self) -> &'a str {
        self.run.lists.requests.name(self.number)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether nothing was returned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Item ids and scores, best first.
    pub fn items(&self) -> impl ExactSizeIterator<Item = (&'a str, f32)> + use<'a> {
        let items = &self.run.lists.items;
        self.entries().iter().map(move |&(item, score)| (items.name(item), score))
    }

    /// Item numbers and scores, best first.
    pub(crate) fn entries(&self) -> &'a [(u32, f32)] {
        self.run.lists.list(self.number as usize)
    }
}

impl RunBuilder {
    /// Adds one item to a request's list. A score that is not a number is refused.
    pub fn push(&mut self, request: &str, item: &str, score: f32) -> Result<()> {
        if score.is_nan() {
            return Err(Error::Run {
                run: self.name.clone(),
                what: format!("the score of item {item} for request {request} is not a number"),
            });
        }
        self.rows.push(request, item, score);
        Ok(())
    }

    /// Adds a request with its items, in any order; a request answered by nothing is kept, with an empty list.
    pub fn push_list<S: AsRef<str>>(
        &mut self,
        request: &str,
        items: impl IntoIterator<Item = (S, f32)>,
    ) -> Result<()> {
        self.rows.open(request);
        items.into_iter().try_for_each(|(item, score)| self.push(request, item.as_ref(), score))
    }

    /// Puts every list into evaluated order, lists in parallel. An item that appears twice for a request is refused.
    pub fn finish(self) -> Result<Run> {
        Self::order(self.name, self.rows.group())
    }

    /// Rows that a reader collected; it has refused scores that are not numbers.
    pub(crate) fn from_rows(name: String, rows: Pairs<f32>) -> Self {
        Self { name, rows }
    }

    fn order(name: String, mut lists: Grouped<f32>) -> Result<Run> {
        let place = || format!("run {name}");
        lists.sort(place, |items, &(left, left_score), &(right, right_score)| {
            // Not `total_cmp`: -0 and 0 are equal scores, and NaN never enters.
            right_score
                .partial_cmp(&left_score)
                .unwrap_or(Ordering::Equal)
                .then_with(|| items.name(right).as_bytes().cmp(items.name(left).as_bytes()))
        })?;
        Ok(Run { name, lists, predictions: None })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_broken_by_id_descending() {
        let mut builder = Run::builder("x");
        builder
            .push_list("q", [("a", 1.0), ("c", 1.0), ("b", 2.0), ("10", 0.0), ("9", -0.0)])
            .unwrap();
        let run = builder.finish().unwrap();
        let order: Vec<&str> = run.get("q").unwrap().items().map(|(item, _)| item).collect();
        assert_eq!(order, ["b", "c", "a", "9", "10"]);
    }

    #[test]
    fn duplicates_and_nan_are_refused_with_names() {
        let mut builder = Run::builder("sys");
        builder.push("q1", "a", 1.0).unwrap();
        builder.push("q2", "a", 1.0).unwrap();
        assert!(builder.clone().finish().is_ok());
        builder.push("q1", "a", 0.5).unwrap();
        let message = builder.finish().unwrap_err().to_string();
        assert_eq!(
            message,
            "run sys: item a appears twice for request q1; keep one line per request and item"
        );
        let message = Run::builder("sys").push("q1", "a", f32::NAN).unwrap_err().to_string();
        assert!(message.contains("item a for request q1"), "{message}");
    }

    #[test]
    fn an_empty_answer_is_kept() {
        let mut builder = Run::builder("x");
        builder.push_list::<&str>("q", []).unwrap();
        let run = builder.finish().unwrap();
        assert_eq!((run.len(), run.n_entries()), (1, 0));
        assert!(run.get("q").unwrap().is_empty() && run.get("p").is_none());
    }
}
