//! The seats of a cascade: what every stage of a search system is asked, and what it answers. A system takes as many seats as
//! it can: one that finds items can often also score given ones.
//!
//! Stages know items by their row in the catalogue and say nothing of where a request came from or who judges the answer.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use super::slate::Scored;
use super::slate::Slate;
use crate::corpus::{Ask, Heard, Request};
pub use crate::decode::spans::Evidence;
use crate::error::{Error, Result};
use crate::progress::Context;

/// Finds items of the whole catalogue: the first stage of a cascade, or all of it.
pub trait Retrieve: Send + Sync {
    /// At most `depth` distinct items with scores, best first; none of `exclude` (ascending).
    ///
    /// # Errors
    /// When the model behind it fails.
    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>>;

    /// [`Retrieve::retrieve`] for many requests at once, with what each excludes, on all threads.
    /// Lists are those of single requests; where many rows are one matrix product, the last bits of
    /// scores may be others.
    ///
    /// # Errors
    /// When the model behind it fails.
    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let asked = asks.par_iter().zip(exclude);
        asked.map(|(ask, exclude)| self.retrieve(ask, depth, exclude)).collect()
    }

    /// What speaks for each of some items that it found, the strongest first, `[items]`; by default it does not say.
    ///
    /// # Errors
    /// When the model behind it fails.
    fn evidence(&self, _ask: &Ask, items: &[u32]) -> Result<Vec<Vec<Evidence>>> {
        Ok(vec![Vec::new(); items.len()])
    }

    /// What of a question it makes use of; by default nothing.
    fn hears(&self, _ask: &Ask) -> Heard {
        Heard::default()
    }

    /// The same system in the seat that scores given items, where it can take it.
    fn as_rank(&self) -> Option<&dyn Rank> {
        None
    }

    /// The same system as a search of an index, where it searches one.
    fn as_approximate(&self) -> Option<&dyn Approximate> {
        None
    }
}

/// A system that several hold.
impl Retrieve for Arc<dyn Retrieve> {
    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        (**self).retrieve(ask, depth, exclude)
    }

    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        (**self).retrieve_all(asks, depth, exclude)
    }

    fn evidence(&self, ask: &Ask, items: &[u32]) -> Result<Vec<Vec<Evidence>>> {
        (**self).evidence(ask, items)
    }

    fn hears(&self, ask: &Ask) -> Heard {
        (**self).hears(ask)
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        (**self).as_rank()
    }

    fn as_approximate(&self) -> Option<&dyn Approximate> {
        (**self).as_approximate()
    }
}

/// An index beside exact search on the same queries, on one thread; encoding a request is not counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Mean share of the ten nearest items that the index finds; an item as near as the tenth is one of them.
    pub recall_at_10: f64,
    /// Median time of exact search over that of the index.
    pub speedup: f64,
    /// Queries that were asked.
    pub requests: u64,
    /// Median microseconds of exact search per query.
    pub exact_us: f64,
    /// Median microseconds of the index per query.
    pub approximate_us: f64,
}

/// Searches an index in place of all items.
pub trait Approximate {
    /// What the index loses and gains on some requests.
    ///
    /// # Errors
    /// When the model behind it fails, or the user asked to stop.
    fn compare_with_exact(
        &self,
        requests: &[&Request],
        depth: usize,
        excludes_history: bool,
        ctx: &Context,
    ) -> Result<Comparison>;
}

/// One named number per item of a slate.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What the number says: `score`, or the probability of something that may happen.
    pub name: String,
    /// `[rows]`.
    pub values: Vec<f32>,
    /// How uncertain each is, `[rows]`, from those that know.
    pub variance: Option<Vec<f32>>,
}

impl Output {
    /// Scores that say nothing but which item is better.
    pub fn score(values: Vec<f32>) -> Self {
        Self { name: "score".into(), values, variance: None }
    }
}

/// Scores given items.
pub trait Rank: Send + Sync {
    /// One output or more for every item of a slate, the one to order by first.
    ///
    /// # Errors
    /// When the model behind it fails, or a column is missing that it reads.
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>>;

    /// [`Rank::outputs`] of many slates at once, on all threads.
    ///
    /// # Errors
    /// As [`Rank::outputs`].
    fn outputs_all(&self, slates: &[Slate<'_>]) -> Result<Vec<Vec<Output>>> {
        slates.par_iter().map(|slate| self.outputs(slate)).collect()
    }
}

/// One act on found items: scoring them, fusing lists of them, putting them into another order.
pub trait Stage: Send + Sync {
    /// Leaves at most `depth` items of every slate, best first. Slates do not know of each other.
    ///
    /// # Errors
    /// When the model behind it fails, or a column is missing that it reads.
    fn apply(&self, slates: &mut [Slate<'_>], depth: usize) -> Result<()>;
}

/// An item that was chosen, and how probable that was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Place in the list that was chosen from.
    pub place: usize,
    /// Probability with which this place was chosen: above 0, at most 1.
    pub propensity: f64,
}

/// Chooses what is shown, at random in a known way, so that what it earns can later be told from what others would have.
pub trait Act: Send + Sync {
    /// One item of `list`, which is not empty.
    ///
    /// # Errors
    /// When nothing can be chosen.
    fn act(&self, request: &Request, list: &[Scored]) -> Result<Choice>;
}

/// What the items of slates are ordered by: the first output of a ranker, `[slates, rows]`.
///
/// # Errors
/// When the ranker fails, or does not answer for every item.
pub fn first_outputs<R: Rank + ?Sized>(ranker: &R, slates: &[Slate<'_>]) -> Result<Vec<Vec<f32>>> {
    let outputs = checked_outputs(ranker, slates)?.into_iter();
    Ok(outputs
        .map(|outputs| outputs.into_iter().next().map_or_else(Vec::new, |one| one.values))
        .collect())
}

/// All outputs of a ranker, at least one for every slate and each for every item: `[slates]`.
///
/// # Errors
/// When the ranker fails, or does not answer for every item.
pub fn checked_outputs<R: Rank + ?Sized>(
    ranker: &R,
    slates: &[Slate<'_>],
) -> Result<Vec<Vec<Output>>> {
    let all = ranker.outputs_all(slates)?;
    for (slate, outputs) in slates.iter().zip(&all) {
        let n_items = slate.items().len();
        let is_whole = |output: &Output| output.values.len() == n_items;
        if outputs.is_empty() || !outputs.iter().all(is_whole) {
            return Err(Error::Failed(format!(
                "the ranker did not answer for each of {n_items} items: this is a fault of \
                 trieval, please report it"
            )));
        }
    }
    Ok(all)
}

/// Values of some items out of a sparse list, which is by item; others have 0. `[items]`.
pub(super) fn looked_up(scores: &[Scored], items: &[u32]) -> Vec<f32> {
    let value = |item: &u32| scores.binary_search_by_key(item, |one| one.0).map(|at| scores[at].1);
    items.iter().map(|item| value(item).unwrap_or(0.0)).collect()
}

/// Scores that keep a system's own order under the evaluator's tie rule: an equal or higher score
/// than the one before becomes the next smaller `f32`.
pub fn strictly_falling<T>(
    items: impl Iterator<Item = (T, f32)>,
) -> impl Iterator<Item = (T, f32)> {
    let mut last = f32::INFINITY;
    items.map(move |(item, score)| {
        last = if score < last { score } else { last.next_down() };
        (item, last)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Scores an item by its distance from the request's number.
    struct Distance;

    impl Rank for Distance {
        fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
            let away = |&item: &u32| -(item.abs_diff(slate.ask.row.unwrap()) as f32);
            Ok(vec![Output::score(slate.items().iter().map(away).collect())])
        }
    }

    /// Answers for the first item only.
    struct Lazy;

    impl Rank for Lazy {
        fn outputs(&self, _: &Slate<'_>) -> Result<Vec<Output>> {
            Ok(vec![Output::score(vec![1.0])])
        }
    }

    #[test]
    fn slates_are_scored_apart_and_every_item_is_answered_for() {
        let asks = [5, 7].map(|row| Ask { row: Some(row), ..Ask::default() });
        let slates = [Slate::new(&asks[0], vec![5, 9]), Slate::new(&asks[1], vec![9])];
        assert_eq!(first_outputs(&Distance, &slates).unwrap(), [vec![0.0, -4.0], vec![-2.0]]);
        assert!(first_outputs(&Distance, &[]).unwrap().is_empty());
        let message = first_outputs(&Lazy, &slates).unwrap_err().to_string();
        assert!(message.contains("each of 2 items"), "{message}");
    }

    #[test]
    fn items_that_nothing_is_known_of_have_0() {
        assert_eq!(looked_up(&[(2, 0.5), (7, 1.5)], &[7, 3, 2]), [1.5, 0.0, 0.5]);
    }

    #[test]
    fn ties_keep_the_order_of_the_list() {
        let list = [("a", 2.0f32), ("b", 2.0), ("c", 2.0), ("d", -1.0)];
        let scores: Vec<f32> = strictly_falling(list.into_iter()).map(|(_, score)| score).collect();
        assert_eq!(scores[0], 2.0);
        assert!(scores.windows(2).all(|pair| pair[1] < pair[0]));
        assert!(scores[2] > 1.999);
    }
}
