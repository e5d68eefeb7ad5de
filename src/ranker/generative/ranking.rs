//! Ranking what the search finds by item vectors: the decoder finds, vectors order.
//!
//! Items that share most of their path have nearly equal scores, though their vectors differ: a decoder of coarse codes
//! finds the right bucket, and knows little of what is in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use trieval_kernels::ops::dot;
use trieval_kernels::top::top;

use crate::corpus::{Ask, Heard};
use crate::error::Result;
use crate::ranker::harness::Evidence;
use crate::ranker::{Retrieve, Scored};
use crate::vectors::Encoded;

/// What a search of a request finds depends on: query, history, excluded items.
type Asked = (Option<String>, Vec<u32>, Vec<u32>);

/// What was found for requests that are asked again under another weight.
pub(super) type Memo = Mutex<HashMap<Asked, Vec<Scored>>>;

/// A decoder's answers, ordered by `(1 − weight) · log-probability + weight · inner product`, each scaled to `[0, 1]` over
/// the items found for the request.
pub(super) struct Ranked {
    pub(super) found: Arc<dyn Retrieve>,
    pub(super) items: Arc<Encoded>,
    /// Of the vectors, in `[0, 1]`.
    pub(super) weight: f32,
    /// Kept while weights are tried.
    pub(super) memo: Option<Arc<Memo>>,
}

impl Retrieve for Ranked {
    fn hears(&self, ask: &Ask) -> Heard {
        self.found.hears(ask).or(Heard::query_or_history(ask))
    }

    fn evidence(&self, ask: &Ask, items: &[u32]) -> Result<Vec<Vec<Evidence>>> {
        self.found.evidence(ask, items)
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let asked = [ask];
        let lists = self.retrieve_all(&asked, depth, &[exclude.to_vec()])?;
        Ok(lists.into_iter().next().unwrap_or_default())
    }

    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let lists = self.found(asks, exclude)?;
        let ordered = asks.iter().zip(lists).map(|(ask, list)| self.order(ask, &list, depth));
        ordered.collect()
    }
}

impl Ranked {
    /// All items that the search finds.
    fn found(&self, asks: &[&Ask], exclude: &[Vec<u32>]) -> Result<Vec<Vec<Scored>>> {
        let Some(memo) = &self.memo else {
            return self.found.retrieve_all(asks, usize::MAX, exclude);
        };
        let asked = |(ask, exclude): (&&Ask, &Vec<u32>)| -> Asked {
            (ask.query.clone(), ask.history.clone(), exclude.clone())
        };
        let keys: Vec<Asked> = asks.iter().zip(exclude).map(asked).collect();
        let known = {
            let memo = memo.lock().unwrap_or_else(PoisonError::into_inner);
            keys.iter().map(|key| memo.get(key).cloned()).collect::<Option<Vec<_>>>()
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let lists = self.found.retrieve_all(asks, usize::MAX, exclude)?;
        let mut memo = memo.lock().unwrap_or_else(PoisonError::into_inner);
        memo.extend(keys.into_iter().zip(lists.iter().cloned()));
        Ok(lists)
    }

    fn order(&self, ask: &Ask, list: &[Scored], depth: usize) -> Result<Vec<Scored>> {
        let query = self.items.encoder.vector(ask, &self.items.vectors)?;
        let near = |item: u32| dot(self.items.vectors.row(item as usize), &query);
        let products = scaled(list.iter().map(|&(item, _)| near(item)).collect());
        let scores = scaled(list.iter().map(|&(_, score)| score).collect());
        let joined = scores.iter().zip(&products).zip(list).map(|((score, product), (item, _))| {
            (*item, (1.0 - self.weight) * score + self.weight * product)
        });
        Ok(top(joined, depth, &[]))
    }
}

/// Numbers from 0, the least, to 1, the greatest; all 0 where they are alike.
fn scaled(mut numbers: Vec<f32>) -> Vec<f32> {
    let least = numbers.iter().copied().fold(f32::INFINITY, f32::min);
    let width = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least;
    for number in &mut numbers {
        *number = if width > 0.0 { (*number - least) / width } else { 0.0 };
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn numbers_are_scaled_over_a_list() {
        assert_eq!(scaled(vec![-3.0, 1.0, -1.0]), [0.0, 1.0, 0.5]);
        assert_eq!(scaled(vec![2.0, 2.0]), [0.0, 0.0]);
        assert_eq!(scaled(Vec::new()), [0.0; 0]);
    }
}
