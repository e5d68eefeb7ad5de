//! Maximal marginal relevance: a list whose items are relevant and unlike each other (Carbonell and Goldstein, SIGIR 1998).

use rayon::prelude::*;
use trieval_kernels::ops::dot;

use super::super::harness::{Scored, Stage};
use super::super::slate::Slate;
use crate::error::Result;
use crate::vectors::{Vectors, norm};

/// Takes, place by place, the item with the largest `relevance · r − (1 − relevance) · s`: `r` is its score within the list,
/// from 0 (last) to 1 (first), `s` its largest cosine with an item before it, 0 where none is above 0.
pub struct Mmr {
    /// Unit vectors `[items, dim]`; a vector of zeros stays one, and is like nothing.
    vectors: Vectors,
    relevance: f32,
}

impl Mmr {
    /// Likeness by cosines of `vectors`, one per item; `relevance` from 0 to 1.
    pub fn new(mut vectors: Vectors, relevance: f64) -> Self {
        for row in vectors.data.to_mut().chunks_exact_mut(vectors.dim) {
            let length = norm(row);
            if length > 0.0 {
                row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
            }
        }
        Self { vectors, relevance: relevance as f32 }
    }
}

impl Stage for Mmr {
    fn apply(&self, slates: &mut [Slate<'_>], depth: usize) -> Result<()> {
        slates.par_iter_mut().for_each(|slate| {
            let list: Vec<Scored> = slate.list().collect();
            slate.reorder(&self.reordered(&list, depth));
        });
        Ok(())
    }
}

impl Mmr {
    /// The items of a list in another order, with what each was worth when it was taken.
    fn reordered(&self, list: &[Scored], depth: usize) -> Vec<Scored> {
        let (Some(first), Some(last)) = (list.first(), list.last()) else { return Vec::new() };
        let spread = first.1 - last.1;
        let share = |score: f32| if spread > 0.0 { (score - last.1) / spread } else { 0.0 };
        // What is left, in the order of the list, with the likeness to what was taken.
        let mut rest: Vec<(u32, f32, f32)> =
            list.iter().map(|&(item, score)| (item, self.relevance * share(score), 0.0)).collect();
        let mut out = Vec::with_capacity(depth.min(list.len()));
        while out.len() < depth && !rest.is_empty() {
            let mut best = (0, f32::NEG_INFINITY);
            for (at, &(_, relevance, likeness)) in rest.iter().enumerate() {
                let value = relevance - (1.0 - self.relevance) * likeness;
                // Of equal ones the better placed.
                if value > best.1 {
                    best = (at, value);
                }
            }
            let (item, ..) = rest.remove(best.0);
            out.push((item, best.1));
            let taken = self.vectors.row(item as usize);
            for (other, _, likeness) in &mut rest {
                *likeness = likeness.max(dot(self.vectors.row(*other as usize), taken));
            }
        }
        out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::Ask;

    /// Items 0 and 1 are twins, 2 is at right angles, 3 has no vector.
    fn rerank(relevance: f64, list: &[Scored], depth: usize) -> Vec<Scored> {
        let data = vec![2.0, 0.0, 3.0, 0.0, 0.0, 0.5, 0.0, 0.0];
        let mmr = Mmr::new(Vectors::new(2, data, "test").unwrap(), relevance);
        let ask = Ask::default();
        let mut slates = [Slate::found(&ask, "x", list.to_vec())];
        mmr.apply(&mut slates, depth).unwrap();
        let [slate] = slates;
        slate.into_list()
    }

    #[test]
    fn twins_are_parted_and_scores_fall() {
        let list = [(0, 5.0), (1, 4.0), (2, 2.0), (3, 1.0)];
        let items =
            |relevance| rerank(relevance, &list, 9).iter().map(|one| one.0).collect::<Vec<_>>();
        assert_eq!(items(1.0), [0, 1, 2, 3]);
        // r = 1, .75, .25, 0: after 0, item 1 is worth .5 · .75 − .5, item 2 .125, item 3 0.
        assert_eq!(items(0.5), [0, 2, 3, 1]);
        let found = rerank(0.5, &list, 3);
        assert_eq!(found, [(0, 0.5), (2, 0.125), (3, 0.0)]);
        assert!(rerank(0.5, &[], 3).is_empty());
        let alike = rerank(0.5, &[(1, 2.0), (0, 2.0)], 3);
        assert_eq!(alike, [(1, 0.0), (0, -0.5)]);
    }

    #[test]
    fn greedy_choice_equals_trying_every_item() {
        let n_items = 12u32;
        let data: Vec<f32> =
            (0..n_items * 3).map(|at| ((at * 7 + at * at) % 11) as f32 - 5.0).collect();
        let vectors = Vectors::new(3, data, "test").unwrap();
        let mmr = Mmr::new(vectors, 0.4);
        let list: Vec<Scored> = (0..n_items).map(|item| (item, 1.0 - item as f32 / 11.0)).collect();
        let found = mmr.reordered(&list, 12);
        let cosine =
            |a: u32, b: u32| dot(mmr.vectors.row(a as usize), mmr.vectors.row(b as usize)).max(0.0);
        for place in 0..found.len() {
            let before = &found[..place];
            let value = |&(item, score): &Scored| {
                let likeness = before.iter().map(|one| cosine(one.0, item)).fold(0.0, f32::max);
                0.4 * score - 0.6 * likeness
            };
            let left = list.iter().filter(|one| before.iter().all(|other| other.0 != one.0));
            let best = left.map(value).fold(f32::NEG_INFINITY, f32::max);
            assert!((best - found[place].1).abs() < 1e-6);
            assert!(place == 0 || found[place - 1].1 >= found[place].1);
        }
    }
}
