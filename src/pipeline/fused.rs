//! Several rankers asked one after the other, their lists fused: a system like another, whose cost
//! is that of all its parts.

use std::cmp::Reverse;

use trieval_eval::fusion::{Fusion, fuse_lists};

use super::steps::strictly_falling;
use crate::corpus::Request;
use crate::error::{Error, Result};
use crate::ranker::harness::{Fuse, Retrieve, Scored};

/// Asks its parts and fuses what they say.
pub(super) struct Fused {
    parts: Vec<(String, Box<dyn Retrieve>)>,
    rule: Rule,
}

/// A rule of fusion, for one request at a time.
pub(super) struct Rule(Fusion);

impl Fused {
    /// Fuses the lists of `parts`, names with rankers.
    pub(super) fn new(parts: Vec<(String, Box<dyn Retrieve>)>, fusion: Fusion) -> Self {
        Self { parts, rule: Rule(fusion) }
    }
}

impl Retrieve for Fused {
    fn retrieve(&self, request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let lists = self
            .parts
            .iter()
            .map(|(name, part)| Ok((name.clone(), part.retrieve(request, depth, exclude)?)))
            .collect::<Result<_>>()?;
        self.rule.fuse(lists, depth)
    }
}

impl Fuse for Rule {
    fn fuse(&self, lists: Vec<(String, Vec<Scored>)>, depth: usize) -> Result<Vec<Scored>> {
        let names: Vec<&str> = lists.iter().map(|(name, _)| name.as_str()).collect();
        // Equal scores keep the order of their list, as in the run that weights are tuned on. Equal
        // sums go to the smaller item, where a run's order has the larger first.
        let falling: Vec<Vec<(Reverse<u32>, f32)>> = lists
            .iter()
            .map(|(_, list)| {
                strictly_falling(list.iter().map(|&(item, score)| (Reverse(item), score))).collect()
            })
            .collect();
        let falling: Vec<&[(Reverse<u32>, f32)]> = falling.iter().map(Vec::as_slice).collect();
        let fusion = Fusion { depth: Some(depth as u32), ..self.0.clone() };
        let fused = fuse_lists(&falling, &fusion)
            .map_err(|e| Error::Failed(format!("{e} (lists of {})", names.join(", "))))?;
        Ok(fused.into_iter().map(|(Reverse(item), score)| (item, score)).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Fixed(Vec<(u32, f32)>);

    impl Retrieve for Fixed {
        fn retrieve(&self, _: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
            let allowed = self.0.iter().filter(|(item, _)| !exclude.contains(item));
            Ok(allowed.copied().take(depth).collect())
        }
    }

    #[test]
    fn ranks_are_fused_and_ties_go_to_the_smaller_item() {
        let left = Fixed(vec![(7, 3.0), (2, 2.0)]);
        let right = Fixed(vec![(2, 9.0), (7, 1.0), (30, 0.5)]);
        let parts: Vec<(String, Box<dyn Retrieve>)> =
            vec![("left".into(), Box::new(left)), ("right".into(), Box::new(right))];
        let fused = Fused::new(parts, Fusion::default());
        let items = |depth, exclude: &[u32]| -> Vec<u32> {
            let list = fused.retrieve(&Request::bare(0), depth, exclude).unwrap();
            list.into_iter().map(|(item, _)| item).collect()
        };
        assert_eq!(items(10, &[]), [2, 7, 30]);
        assert_eq!(items(1, &[]), [2]);
        assert_eq!(items(10, &[2]), [7, 30]);
    }

    #[test]
    fn equal_scores_keep_the_order_of_their_list() {
        let lists = vec![("left".to_owned(), vec![(7, 1.0), (2, 1.0), (5, 1.0)])];
        let list = Rule(Fusion::default()).fuse(lists, 10).unwrap();
        assert_eq!(list.into_iter().map(|one| one.0).collect::<Vec<_>>(), [7, 2, 5]);
    }
}
