//! A search without prompts: the requests are the scorer's own, here users of a tree whose nodes a
//! network scores.

use std::convert::Infallible;

use super::host::Recorder;
use super::*;

/// A complete binary tree in heap order, searched from a given level: tokens are node numbers.
struct Heap {
    depth: u32,
    start: u32,
    n_items: u32,
}

impl Heap {
    /// First and last leaf below a node.
    fn leaves(&self, node: u32) -> (u32, u32) {
        let (mut lo, mut hi) = (node, node);
        while hi < (1 << self.depth) - 1 {
            (lo, hi) = (2 * lo + 1, 2 * hi + 2);
        }
        (lo, hi)
    }

    fn item(&self, leaf: u32) -> Option<u32> {
        leaf.checked_sub((1 << self.depth) - 1).filter(|&item| item < self.n_items)
    }
}

impl Constraint for Heap {
    type State = u32;

    const DISJOINT: bool = true;

    fn root(&self, _: usize) -> u32 {
        u32::MAX
    }

    fn children(&self, node: u32, tokens: &mut Vec<u32>) {
        match node {
            u32::MAX => tokens.extend((1 << self.start) - 1..(2 << self.start) - 1),
            _ if node < (1 << self.depth) - 1 => tokens.extend([2 * node + 1, 2 * node + 2]),
            _ => {}
        }
    }

    fn child(&self, _: u32, token: u32) -> Option<u32> {
        Some(token)
    }

    fn is_leaf(&self, node: u32) -> bool {
        node != u32::MAX && self.item(node).is_some()
    }

    fn items(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        let (lo, hi) = self.leaves(if node == u32::MAX { 0 } else { node });
        (lo..=hi).filter_map(|leaf| self.item(leaf))
    }
}

/// Scores nodes for its own users: the best taste of a user for a leaf below (the max-heap
/// property).
struct NodeNetwork<'a> {
    heap: &'a Heap,
    /// Taste per user and item.
    users: Vec<Vec<f32>>,
    n_requests: usize,
}

impl Scorer<()> for NodeNetwork<'_> {
    type Error = Infallible;

    fn start(&mut self, prompts: &[()]) -> Result<(), Infallible> {
        self.n_requests = prompts.len();
        Ok(())
    }

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<(), Infallible> {
        assert_eq!(self.n_requests, self.users.len());
        for (slot, beam) in frontier.beams().iter().enumerate() {
            let tastes = &self.users[beam.request as usize];
            for at in frontier.children(slot) {
                let below = self.heap.items(frontier.tokens()[at]);
                let best = below.map(|item| tastes[item as usize]).reduce(f32::max);
                scores[at] = best.unwrap_or(f32::NEG_INFINITY);
            }
        }
        Ok(())
    }
}

#[test]
fn users_of_the_scorer_find_their_items_and_train_on_what_the_search_met() {
    // 13 items on 16 leaves: with the max-heap property any beam must return the exact top items.
    let heap = Heap { depth: 4, start: 2, n_items: 13 };
    let tastes = |user: u32| (0..13).map(|i| ((i * 7 + 3 * user + 3) % 13) as f32).collect();
    let users: Vec<Vec<f32>> = (0..3).map(tastes).collect();
    let scorer = NodeNetwork { heap: &heap, users: users.clone(), n_requests: 0 };
    let search = HostSearch::new(&heap, scorer, width(4));
    let mut search = HostSearch { rule: Rule::Replace, ..search }.collecting(Recorder::default());
    let hits = search.run(&[(), (), ()]).unwrap();
    for (hits, tastes) in hits.iter().zip(&users) {
        let mut expected: Vec<(u32, f32)> = (0..).zip(tastes.iter().copied()).collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert_eq!(pairs(hits), expected[..4]);
        assert_eq!(hits[0].tokens.len(), 3);
    }
    // Level 2 of the tree has four nodes; each of the four kept has two children after that.
    let of_first = search.collect.0.iter().filter(|seen| seen.request == 0);
    let sizes: Vec<(usize, usize)> =
        of_first.map(|seen| (seen.candidates.len(), seen.kept.len())).collect();
    assert_eq!(sizes, [(4, 4), (8, 4), (8, 4)]);
    // A candidate's state is a token away from its parent's: enough to train the network on it.
    let nodes = |seen: &host::Seen| seen.candidates.iter().map(|c| c.token).collect::<Vec<_>>();
    assert_eq!(nodes(&search.collect.0[0]), [3, 4, 5, 6]);
}
