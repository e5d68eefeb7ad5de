//! Several systems asked one after the other, their lists fused: a system like another, whose cost
//! is that of all its parts.

mod kind;

use std::cmp::Reverse;

use rayon::prelude::*;
use trieval_eval::fusion::{Fusion, fuse_lists};

use crate::corpus::{Ask, Heard};
use crate::error::{Error, Result};
use crate::ranker::harness::{Evidence, Retrieve, Scored, Stage, strictly_falling};
use crate::ranker::slate::Slate;

/// Items that each part is asked for at least, so that a short answer begins as a long one does: scores are scaled over the
/// items of a list.
pub const LEAST_DEPTH: usize = 100;

/// Asks its parts and fuses what they say.
pub struct Fused {
    parts: Vec<(String, Box<dyn Retrieve>)>,
    fusing: Fusing,
}

impl Fused {
    /// Fuses the lists of `parts`, each with its name, by `rule`, whose weights are in their order.
    pub fn new(parts: Vec<(String, Box<dyn Retrieve>)>, rule: Fusion) -> Self {
        let fusing = Fusing { parts: parts.iter().map(|part| part.0.clone()).collect(), rule };
        Self { parts, fusing }
    }

    fn fuse(
        &self,
        asks: &[&Ask],
        mut answers: Vec<Vec<Vec<Scored>>>,
        depth: usize,
    ) -> Result<Vec<Vec<Scored>>> {
        let mut slates = Vec::with_capacity(asks.len());
        for (place, ask) in asks.iter().enumerate() {
            let lists = answers.iter_mut().map(|lists| std::mem::take(&mut lists[place]));
            // Equal scores keep the order of their list, as in the run that weights are tuned on.
            let falling = lists.map(|list| strictly_falling(list.into_iter()).collect());
            let names = self.fusing.parts.iter().map(String::as_str);
            slates.push(Slate::joined(ask, names.zip(falling).collect()));
        }
        self.fusing.apply(&mut slates, depth)?;
        Ok(slates.into_iter().map(Slate::into_list).collect())
    }
}

impl Retrieve for Fused {
    fn hears(&self, ask: &Ask) -> Heard {
        self.parts.iter().map(|(_, part)| part.hears(ask)).fold(Heard::default(), Heard::or)
    }

    /// That of its first part that says why.
    fn evidence(&self, ask: &Ask, items: &[u32]) -> Result<Vec<Vec<Evidence>>> {
        let mut all = vec![Vec::new(); items.len()];
        for (_, part) in &self.parts {
            let said = part.evidence(ask, items)?;
            for (own, said) in all.iter_mut().zip(said).filter(|(own, _)| own.is_empty()) {
                *own = said;
            }
        }
        Ok(all)
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let deep = depth.max(LEAST_DEPTH);
        let asked = self.parts.iter().map(|(_, part)| part.retrieve(ask, deep, exclude));
        let answers = asked.map(|list| Ok(vec![list?])).collect::<Result<_>>()?;
        Ok(self.fuse(&[ask], answers, depth)?.pop().unwrap_or_default())
    }

    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let deep = depth.max(LEAST_DEPTH);
        let asked = self.parts.iter().map(|(_, part)| part.retrieve_all(asks, deep, exclude));
        let answers = asked.collect::<Result<_>>()?;
        self.fuse(asks, answers, depth)
    }
}

/// Fuses the scores of systems in a slate; equal sums go to the smaller item, where a run's order has
/// the larger first.
struct Fusing {
    /// Names of the systems, in the order of the weights.
    parts: Vec<String>,
    rule: Fusion,
}

impl Stage for Fusing {
    fn apply(&self, slates: &mut [Slate<'_>], depth: usize) -> Result<()> {
        let rule = Fusion { depth: Some(depth as u32), ..self.rule.clone() };
        slates.par_iter_mut().try_for_each(|slate| {
            let lists: Vec<Vec<(Reverse<u32>, f32)>> =
                self.parts.iter().map(|part| list_of(slate, part)).collect();
            let lists: Vec<&[(Reverse<u32>, f32)]> = lists.iter().map(Vec::as_slice).collect();
            let fused = fuse_lists(&lists, &rule).map_err(|e| Error::Failed(e.to_string()))?;
            let fused: Vec<Scored> =
                fused.into_iter().map(|(Reverse(item), score)| (item, score)).collect();
            slate.reorder(&fused);
            Ok(())
        })
    }
}

/// What a system found, best first.
fn list_of(slate: &Slate<'_>, part: &str) -> Vec<(Reverse<u32>, f32)> {
    let scores = slate.scores_of(part).unwrap_or_default();
    let scored = slate.items().iter().copied().zip(scores.iter().copied());
    let mut list: Vec<(Reverse<u32>, f32)> = scored
        .filter(|(_, score)| !score.is_nan())
        .map(|(item, score)| (Reverse(item), score))
        .collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1));
    list
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
        let parts: Vec<(String, Box<dyn Retrieve>)> =
            vec![("left".into(), Box::new(left)), ("right".into(), Box::new(right))];
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

    /// Scaled over one item each, the first two would be equal, and the smaller first.
    #[test]
    fn a_short_answer_begins_as_a_long_one() {
        let parts = || -> Vec<(String, Box<dyn Retrieve>)> {
            let left = Fixed(vec![(1, 9.0), (2, 8.9), (3, 0.0)]);
            let right = Fixed(vec![(2, 5.0), (3, 4.0), (1, 0.0)]);
            vec![("left".into(), Box::new(left)), ("right".into(), Box::new(right))]
        };
        let method = trieval_eval::fusion::FusionMethod::CombSum;
        let fused = Fused::new(parts(), Fusion { method, ..Fusion::default() });
        let list = |depth| fused.retrieve(&Ask::default(), depth, &[]).unwrap();
        assert_eq!(list(1), list(3)[..1]);
        assert_eq!(list(2), list(3)[..2]);
    }

    #[test]
    fn equal_scores_keep_the_order_of_their_list() {
        let list = Fixed(vec![(7, 1.0), (2, 1.0), (5, 1.0)]);
        let fused = Fused::new(vec![("list".into(), Box::new(list))], Fusion::default());
        let list = fused.retrieve(&Ask::default(), 10, &[]).unwrap();
        assert_eq!(list.into_iter().map(|one| one.0).collect::<Vec<_>>(), [7, 2, 5]);
    }
}
