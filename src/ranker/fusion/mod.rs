//! Several systems asked one after the other, their lists fused: a system like another, whose cost
//! is that of all its parts.

mod kind;

use std::cmp::Reverse;

use rayon::prelude::*;
use trieval_eval::fusion::{Fusion, fuse_lists};

use crate::corpus::Ask;
use crate::error::{Error, Result};
use crate::ranker::harness::{Retrieve, Scored, strictly_falling};

/// Asks its parts and fuses what they say.
pub struct Fused {
    parts: Vec<Box<dyn Retrieve>>,
    rule: Fusion,
}

impl Fused {
    /// Fuses the lists of `parts` by `rule`, whose weights are in their order.
    pub fn new(parts: Vec<Box<dyn Retrieve>>, rule: Fusion) -> Self {
        Self { parts, rule }
    }
}

impl Retrieve for Fused {
    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let answers = self.parts.iter().map(|part| part.retrieve(ask, depth, exclude));
        let lists: Vec<Vec<Scored>> = answers.collect::<Result<_>>()?;
        fuse(&lists, &self.rule, depth)
    }

    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let answers = self.parts.iter().map(|part| part.retrieve_all(asks, depth, exclude));
        let mut parts: Vec<Vec<Vec<Scored>>> = answers.collect::<Result<_>>()?;
        let of_request = |place: usize| -> Vec<Vec<Scored>> {
            parts.iter_mut().map(|lists| std::mem::take(&mut lists[place])).collect()
        };
        let lists: Vec<_> = (0..asks.len()).map(of_request).collect();
        lists.par_iter().map(|lists| fuse(lists, &self.rule, depth)).collect()
    }
}

/// At most `depth` items of the lists, best first. Equal scores keep the order of their list, as in the run that weights are
/// tuned on; equal sums go to the smaller item, where a run's order has the larger first.
fn fuse(lists: &[Vec<Scored>], rule: &Fusion, depth: usize) -> Result<Vec<Scored>> {
    let falling: Vec<Vec<(Reverse<u32>, f32)>> = lists
        .iter()
        .map(|list| {
            strictly_falling(list.iter().map(|&(item, score)| (Reverse(item), score))).collect()
        })
        .collect();
    let falling: Vec<&[(Reverse<u32>, f32)]> = falling.iter().map(Vec::as_slice).collect();
    let rule = Fusion { depth: Some(depth as u32), ..rule.clone() };
    let fused = fuse_lists(&falling, &rule).map_err(|e| Error::Failed(e.to_string()))?;
    Ok(fused.into_iter().map(|(Reverse(item), score)| (item, score)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Fixed(Vec<(u32, f32)>);

    impl Retrieve for Fixed {
        fn retrieve(&self, _: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
            let allowed = self.0.iter().filter(|(item, _)| !exclude.contains(item));
            Ok(allowed.copied().take(depth).collect())
        }
    }

    #[test]
    fn ranks_are_fused_and_ties_go_to_the_smaller_item() {
        let left = Fixed(vec![(7, 3.0), (2, 2.0)]);
        let right = Fixed(vec![(2, 9.0), (7, 1.0), (30, 0.5)]);
        let parts: Vec<Box<dyn Retrieve>> = vec![Box::new(left), Box::new(right)];
        let fused = Fused::new(parts, Fusion::default());
        let items = |depth, exclude: &[u32]| -> Vec<u32> {
            let list = fused.retrieve(&Ask::default(), depth, exclude).unwrap();
            list.into_iter().map(|(item, _)| item).collect()
        };
        assert_eq!(items(10, &[]), [2, 7, 30]);
        assert_eq!(items(1, &[]), [2]);
        assert_eq!(items(10, &[2]), [7, 30]);
        let ask = Ask::default();
        let exclude = [vec![], vec![2]];
        let all = fused.retrieve_all(&[&ask; 2], 10, &exclude).unwrap();
        for (list, exclude) in all.iter().zip(&exclude) {
            assert_eq!(*list, fused.retrieve(&ask, 10, exclude).unwrap());
        }
    }

    #[test]
    fn equal_scores_keep_the_order_of_their_list() {
        let lists = [vec![(7, 1.0), (2, 1.0), (5, 1.0)]];
        let list = fuse(&lists, &Fusion::default(), 10).unwrap();
        assert_eq!(list.into_iter().map(|one| one.0).collect::<Vec<_>>(), [7, 2, 5]);
    }
}
