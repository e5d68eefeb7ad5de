//! The best few of many candidates: a pool with a rising floor, never a full sort.

use std::cmp::Ordering;

use super::seams::{Candidate, TieRule};

/// Keeps at least the `limit` best candidates offered, and at most a small multiple of them.
#[derive(Debug)]
pub(super) struct Pool {
    limit: usize,
    capacity: usize,
    floor: f32,
    candidates: Vec<Candidate>,
}

impl Pool {
    pub(super) fn new(limit: usize) -> Self {
        let capacity = limit.saturating_mul(2).max(limit.saturating_add(256));
        Self { limit, capacity, floor: f32::NEG_INFINITY, candidates: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.floor = f32::NEG_INFINITY;
        self.candidates.clear();
    }

    /// Scores below this cannot be kept any more.
    #[inline]
    pub(super) fn floor(&self) -> f32 {
        self.floor
    }

    /// Adds a candidate with a score that is a number; negative infinity is dropped.
    #[inline]
    pub(super) fn offer(&mut self, candidate: Candidate, ties: &impl TieRule) {
        if candidate.score < self.floor || candidate.score == f32::NEG_INFINITY {
            return;
        }
        self.candidates.push(candidate);
        if self.candidates.len() >= self.capacity {
            self.shrink(ties);
        }
    }

    /// The best candidates, best first.
    pub(super) fn best(&mut self, ties: &impl TieRule) -> &[Candidate] {
        if self.candidates.len() > self.limit {
            self.shrink(ties);
        }
        self.candidates.sort_unstable_by(|a, b| order(a, b, ties));
        &self.candidates
    }

    fn shrink(&mut self, ties: &impl TieRule) {
        let last = self.limit - 1;
        self.candidates.select_nth_unstable_by(last, |a, b| order(a, b, ties));
        self.candidates.truncate(self.limit);
        self.floor = self.candidates[last].score;
    }
}

/// Higher score first, then the tie rule; scores are numbers.
fn order(a: &Candidate, b: &Candidate, ties: &impl TieRule) -> Ordering {
    b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then_with(|| ties.compare(a, b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::beam::ParentThenToken;

    proptest! {
        #[test]
        fn equals_a_full_sort(scores in proptest::collection::vec(0u8..40, 0..2000), limit in 1usize..60) {
            let all: Vec<Candidate> = scores
                .iter()
                .enumerate()
                .map(|(i, &score)| Candidate {
                    // Few distinct scores, so that ties straddle the floor; 0 stands for excluded.
                    score: if score == 0 { f32::NEG_INFINITY } else { f32::from(score) },
                    own: 0.0,
                    parent: (i % 7) as u32,
                    token: i as u32,
                })
                .collect();
            let mut pool = Pool::new(limit);
            for round in 0..2 {
                pool.clear();
                all.iter().for_each(|&c| pool.offer(c, &ParentThenToken));
                let mut sorted: Vec<Candidate> =
                    all.iter().filter(|c| c.score.is_finite()).copied().collect();
                sorted.sort_by(|a, b| {
                    b.score.total_cmp(&a.score).then(a.parent.cmp(&b.parent)).then(a.token.cmp(&b.token))
                });
                sorted.truncate(limit);
                prop_assert_eq!(pool.best(&ParentThenToken), &sorted[..], "round {}", round);
            }
        }
    }
}
