//! A cascade: a system finds candidates, another scores them, and the list as a whole may be reordered. Each stage is any
//! system that can take that seat; what choosing at random does to the finished list is `act`.

pub mod act;
mod kind;
mod mmr;
mod scoring;
pub mod settings;

pub use act::policy;
pub use mmr::Mmr;
pub use scoring::Scoring;

use super::harness::{Evidence, Rank, Retrieve, Scored, Stage};
use super::slate::Slate;
use crate::corpus::{Ask, Heard};
use crate::error::Result;

/// The stages of a cascade.
pub struct Cascade {
    /// Finds candidates.
    pub retrieve: Box<dyn Retrieve>,
    /// Name of that system.
    pub retrieve_name: String,
    /// Candidates per request.
    pub candidates: usize,
    /// Scores them anew.
    pub rank: Option<Scoring>,
    /// Reorders the list.
    pub rerank: Option<Box<dyn Stage>>,
}

impl Cascade {
    /// What the later stages make of the candidates of requests.
    fn finish(
        &self,
        asks: &[&Ask],
        found: Vec<Vec<Scored>>,
        depth: usize,
    ) -> Result<Vec<Vec<Scored>>> {
        let slates = asks.iter().zip(found);
        let mut slates: Vec<Slate<'_>> =
            slates.map(|(ask, list)| Slate::found(ask, &self.retrieve_name, list)).collect();
        if let Some(rank) = &self.rank {
            rank.apply(&mut slates, self.candidates)?;
        }
        if let Some(rerank) = &self.rerank {
            rerank.apply(&mut slates, depth)?;
        }
        let mut lists: Vec<Vec<Scored>> = slates.into_iter().map(Slate::into_list).collect();
        lists.iter_mut().for_each(|list| list.truncate(depth));
        Ok(lists)
    }
}

impl Retrieve for Cascade {
    /// What a stage behind the first makes of a question changes the order only, and is heard all the same.
    fn hears(&self, ask: &Ask) -> Heard {
        let ranks = self.rank.as_ref().map(|rank| rank.hears(ask));
        self.retrieve.hears(ask).or(ranks.unwrap_or_default())
    }

    /// That of its finder: a stage behind it changes the order only.
    fn evidence(&self, ask: &Ask, items: &[u32]) -> Result<Vec<Vec<Evidence>>> {
        self.retrieve.evidence(ask, items)
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let list = self.retrieve.retrieve(ask, self.candidates, exclude)?;
        let mut lists = self.finish(&[ask], vec![list], depth)?;
        Ok(lists.pop().unwrap_or_default())
    }

    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let found = self.retrieve.retrieve_all(asks, self.candidates, exclude)?;
        self.finish(asks, found, depth)
    }

    /// Given items are scored by the stage that scores candidates.
    fn as_rank(&self) -> Option<&dyn Rank> {
        match &self.rank {
            Some(rank) => rank.rank(),
            None => self.retrieve.as_rank(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::harness::Output;
    use super::*;
    use trieval_kernels::top::top;

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
        fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
            let before = slate.scores_of("finder").unwrap();
            Ok(vec![Output::score(before.iter().map(|score| -score).collect())])
        }
    }

    /// Swaps the first two.
    struct Swap;

    impl Stage for Swap {
        fn apply(&self, slates: &mut [Slate<'_>], depth: usize) -> Result<()> {
            for slate in slates {
                let mut list: Vec<Scored> = slate.list().collect();
                list.swap(0, 1);
                list.truncate(depth);
                slate.reorder(&list);
            }
            Ok(())
        }
    }

    fn items(rank: bool, rerank: bool, depth: usize, exclude: &[u32]) -> Vec<u32> {
        let cascade = Cascade {
            retrieve: Box::new(Finder),
            retrieve_name: "finder".into(),
            candidates: 4,
            rank: rank.then(|| Scoring::new("backwards", Box::new(Backwards))),
            rerank: rerank.then(|| Box::new(Swap) as Box<dyn Stage>),
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
