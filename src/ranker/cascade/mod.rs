//! A cascade: a system finds candidates, another scores them, and the list as a whole may be reordered. Each stage is any
//! system that can take that seat; what choosing at random does to the finished list is `act`.

pub mod act;
mod kind;
mod mmr;
pub mod settings;

pub use act::policy;
pub use mmr::Mmr;

use rayon::prelude::*;

use super::harness::{Candidates, Rank, Rerank, Retrieve, Scored, first_output};
use super::top::top;
use crate::corpus::Ask;
use crate::error::{Error, Result};

/// The stages of a cascade.
pub struct Cascade {
    /// Finds candidates.
    pub retrieve: Box<dyn Retrieve>,
    /// Name of that system.
    pub retrieve_name: String,
    /// Candidates per request.
    pub candidates: usize,
    /// Scores them anew; a system that takes the seat of [`Rank`].
    pub rank: Option<Box<dyn Retrieve>>,
    /// Reorders the list.
    pub rerank: Option<Box<dyn Rerank>>,
}

impl Cascade {
    /// What the later stages make of the candidates of a request.
    fn finish(&self, ask: &Ask, mut list: Vec<Scored>, depth: usize) -> Result<Vec<Scored>> {
        if let Some(rank) = &self.rank {
            let rank = rank.as_rank().ok_or_else(|| {
                Error::Failed("the second stage of a cascade cannot score given items".into())
            })?;
            let (items, scores): (Vec<u32>, Vec<f32>) = list.into_iter().unzip();
            let column = format!("{}.score", self.retrieve_name);
            let candidates = Candidates { items, columns: [(column, scores)].into() };
            let scores = first_output(rank, ask, &candidates)?;
            let scored = candidates.items.into_iter().zip(scores);
            list = top(scored, self.candidates, &[]);
        }
        match &self.rerank {
            Some(rerank) => rerank.rerank(ask, &list, depth),
            None => {
                list.truncate(depth);
                Ok(list)
            }
        }
    }
}

impl Retrieve for Cascade {
    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let list = self.retrieve.retrieve(ask, self.candidates, exclude)?;
        self.finish(ask, list, depth)
    }

    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let lists = self.retrieve.retrieve_all(asks, self.candidates, exclude)?;
        let lists = asks.par_iter().zip(lists);
        lists.map(|(ask, list)| self.finish(ask, list, depth)).collect()
    }

    /// Given items are scored by the stage that scores candidates.
    fn as_rank(&self) -> Option<&dyn Rank> {
        self.rank.as_ref().unwrap_or(&self.retrieve).as_rank()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::harness::Output;
    use super::*;

    /// Items 1 to 5, the first best.
    struct Finder;

    impl Retrieve for Finder {
        fn retrieve(&self, _: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
            Ok(top((1..=5).map(|item| (item, 1.0 / item as f32)), depth, exclude))
        }
    }

    /// Turns the order around.
    struct Backwards;

    impl Retrieve for Backwards {
        fn retrieve(&self, _: &Ask, _: usize, _: &[u32]) -> Result<Vec<Scored>> {
            Ok(Vec::new())
        }

        fn as_rank(&self) -> Option<&dyn Rank> {
            Some(self)
        }
    }

    impl Rank for Backwards {
        fn outputs(&self, _: &Ask, candidates: &Candidates) -> Result<Vec<Output>> {
            let before = &candidates.columns["finder.score"];
            Ok(vec![Output::score(before.iter().map(|score| -score).collect())])
        }
    }

    /// Swaps the first two.
    struct Swap;

    impl Rerank for Swap {
        fn rerank(&self, _: &Ask, list: &[Scored], depth: usize) -> Result<Vec<Scored>> {
            let mut list = list.to_vec();
            list.swap(0, 1);
            list.truncate(depth);
            Ok(list)
        }
    }

    fn items(rank: bool, rerank: bool, depth: usize, exclude: &[u32]) -> Vec<u32> {
        let cascade = Cascade {
            retrieve: Box::new(Finder),
            retrieve_name: "finder".into(),
            candidates: 4,
            rank: rank.then(|| Box::new(Backwards) as Box<dyn Retrieve>),
            rerank: rerank.then(|| Box::new(Swap) as Box<dyn Rerank>),
        };
        assert_eq!(cascade.as_rank().is_some(), rank);
        let ask = Ask::default();
        let list = cascade.retrieve(&ask, depth, exclude).unwrap();
        let all = cascade.retrieve_all(&[&ask], depth, &[exclude.to_vec()]).unwrap();
        assert_eq!(all, std::slice::from_ref(&list));
        list.into_iter().map(|one| one.0).collect()
    }

    #[test]
    fn every_stage_works_on_what_the_one_before_gave() {
        assert_eq!(items(false, false, 9, &[]), [1, 2, 3, 4]);
        assert_eq!(items(true, false, 2, &[]), [4, 3]);
        assert_eq!(items(true, true, 3, &[]), [3, 4, 2]);
        assert_eq!(items(true, false, 9, &[1]), [5, 4, 3, 2]);
    }
}
