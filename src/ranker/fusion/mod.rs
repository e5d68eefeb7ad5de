//! Several rankers asked one after the other, their lists fused: a system like another, whose cost
//! is that of all its parts.

mod kind;

use trieval_eval::Run;
use trieval_eval::fusion::{Fusion, fuse};

use crate::corpus::Request;
use crate::error::{Error, Result};
use crate::ranker::harness::{Fuse, Retrieve, Scored, strictly_falling};

/// The one request of the runs that are fused per request.
const REQUEST: &str = "request";

/// Asks its parts and fuses what they say.
pub struct Fused {
    parts: Vec<Box<dyn Retrieve>>,
    rule: Rule,
}

/// A rule of fusion, for one request at a time.
struct Rule(Fusion);

impl Fused {
    /// Fuses the lists of `parts`.
    pub fn new(parts: Vec<Box<dyn Retrieve>>, fusion: Fusion) -> Self {
        Self { parts, rule: Rule(fusion) }
    }
}

impl Retrieve for Fused {
    fn retrieve(&self, request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let lists = self
            .parts
            .iter()
            .enumerate()
            .map(|(place, part)| Ok((place.to_string(), part.retrieve(request, depth, exclude)?)))
            .collect::<Result<_>>()?;
        self.rule.fuse(lists, depth)
    }
}

impl Fuse for Rule {
    fn fuse(&self, lists: Vec<(String, Vec<Scored>)>, depth: usize) -> Result<Vec<Scored>> {
        let failed = |e: trieval_eval::Error| Error::Failed(e.to_string());
        let mut runs = Vec::with_capacity(lists.len());
        for (name, list) in lists {
            let mut run = Run::builder(name);
            // Equal scores keep the order of the list, as in the run that weights are tuned on.
            let entries =
                strictly_falling(list.into_iter().map(|(item, score)| (key(item), score)));
            run.push_list(REQUEST, entries).map_err(failed)?;
            runs.push(run.finish().map_err(failed)?);
        }
        let runs: Vec<&Run> = runs.iter().collect();
        let fusion = Fusion { depth: Some(depth as u32), ..self.0.clone() };
        let fused = fuse(&runs, &fusion).map_err(failed)?;
        let list = fused.get(REQUEST).into_iter().flat_map(|ranking| ranking.items());
        Ok(list.filter_map(|(key, score)| Some((item(key)?, score))).collect())
    }
}

/// An item as a run's id, such that the order of ids under equal scores (descending) is that of
/// items (ascending).
fn key(item: u32) -> String {
    format!("{:010}", u32::MAX - item)
}

fn item(key: &str) -> Option<u32> {
    Some(u32::MAX - key.parse::<u32>().ok()?)
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
        let parts: Vec<Box<dyn Retrieve>> = vec![Box::new(left), Box::new(right)];
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

    #[test]
    fn keys_read_back_and_sort_backwards() {
        for item_idx in [0, 9, 10, 4_000_000_000, u32::MAX] {
            assert_eq!(item(&key(item_idx)), Some(item_idx));
        }
        assert!(key(9) > key(10));
    }
}
