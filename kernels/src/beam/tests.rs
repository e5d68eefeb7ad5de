//! The search against brute force, against a plain reference search, and with a tree scorer.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::index::SidIndex;

/// A random table in closed form: log-probability-like scores with many ties.
fn table(seed: u64, request: u32, path: &[u32]) -> f32 {
    let mut hash = seed ^ (u64::from(request) << 32);
    for &token in path {
        hash = (hash ^ u64::from(token)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
    // Sixteen levels of score, exactly representable, so that sums are exact and ties common.
    -((hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 60) as f32) / 4.0
}

/// Scores by table; follows the beams by their parent slots alone, as a cache of keys would.
struct TableScorer {
    seed: u64,
    first_request: u32,
    paths: Vec<Vec<u32>>,
    calls: usize,
}

impl TableScorer {
    fn new(seed: u64, first_request: u32) -> Self {
        Self { seed, first_request, paths: Vec::new(), calls: 0 }
    }
}

impl Scorer for TableScorer {
    type Error = Infallible;

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<(), Infallible> {
        assert_eq!(frontier.level(), self.calls);
        self.calls += 1;
        self.paths = frontier
            .beams()
            .iter()
            .map(|beam| match frontier.level() {
                0 => {
                    assert_eq!(beam.parent, beam.request);
                    Vec::new()
                }
                _ => [&self.paths[beam.parent as usize][..], &[beam.token]].concat(),
            })
            .collect();
        for (slot, beam) in frontier.beams().iter().enumerate() {
            for at in frontier.children(slot) {
                let path = [&self.paths[slot][..], &[frontier.tokens()[at]]].concat();
                scores[at] = table(self.seed, self.first_request + beam.request, &path);
            }
        }
        Ok(())
    }
}

/// A catalogue with paths of any length, none the prefix of another.
#[derive(Debug, Clone)]
struct Tree(BTreeMap<Vec<u32>, u32>);

impl Tree {
    fn new(paths: Vec<Vec<u32>>) -> Self {
        let mut tree = BTreeMap::new();
        for path in paths {
            let clash = |old: &Vec<u32>| old.starts_with(&path) || path.starts_with(old);
            if !path.is_empty() && !tree.keys().any(clash) {
                tree.insert(path, tree.len() as u32);
            }
        }
        Self(tree)
    }

    /// Prefixes by number, so that the state is small and `Copy`.
    fn prefixes(&self) -> Vec<Vec<u32>> {
        let mut all: Vec<_> =
            self.0.keys().flat_map(|p| (0..=p.len()).map(|n| p[..n].to_vec())).collect();
        all.sort();
        all.dedup();
        all
    }
}

struct TreeConstraint {
    prefixes: Vec<Vec<u32>>,
    tree: Tree,
}

impl TreeConstraint {
    fn new(tree: Tree) -> Self {
        Self { prefixes: tree.prefixes(), tree }
    }
}

impl Constraint for TreeConstraint {
    type State = usize;

    fn root(&self, _: usize) -> usize {
        0
    }

    fn children(&self, state: usize, tokens: &mut Vec<u32>) {
        let Some(prefix) = self.prefixes.get(state) else { return };
        let below = self.prefixes.iter().filter(|p| p.len() == prefix.len() + 1);
        tokens.extend(below.filter(|p| p.starts_with(prefix)).map(|p| p[prefix.len()]));
    }

    fn child(&self, state: usize, token: u32) -> Option<usize> {
        let path = [&self.prefixes[state][..], &[token]].concat();
        self.prefixes.binary_search(&path).ok()
    }

    fn leaf(&self, state: usize) -> Option<u32> {
        self.tree.0.get(self.prefixes.get(state)?).copied()
    }
}

fn width(beam: usize) -> NonZeroU32 {
    NonZeroU32::new(beam as u32).unwrap()
}

/// A plain beam search over whole paths: score descending, then parent rank, then token.
fn reference(tree: &Tree, beam: usize, seed: u64, request: u32) -> Vec<(u32, f32)> {
    let prefixes = tree.prefixes();
    let mut beams: Vec<(f32, Vec<u32>)> = vec![(0.0, Vec::new())];
    loop {
        let mut candidates: Vec<(f32, usize, Vec<u32>)> = Vec::new();
        for (rank, (score, path)) in beams.iter().enumerate() {
            if tree.0.contains_key(path) {
                candidates.push((*score, rank, path.clone()));
            }
            for next in &prefixes {
                if next.len() == path.len() + 1 && next.starts_with(path) {
                    candidates.push((score + table(seed, request, next), rank, next.clone()));
                }
            }
        }
        candidates
            .sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then_with(|| a.2.cmp(&b.2)));
        candidates.truncate(beam);
        beams = candidates.into_iter().map(|(score, _, path)| (score, path)).collect();
        if beams.iter().all(|(_, path)| tree.0.contains_key(path)) {
            return beams.iter().map(|(score, path)| (tree.0[path], *score)).collect();
        }
    }
}

fn pairs(hits: &[Hit]) -> Vec<(u32, f32)> {
    hits.iter().map(|hit| (hit.item, hit.score)).collect()
}

fn trees() -> impl Strategy<Value = Tree> {
    proptest::collection::vec(proptest::collection::vec(0u32..4, 1..5), 1..40).prop_map(Tree::new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn equals_the_reference_search_at_any_width(tree in trees(), beam in 1usize..20, seed: u64) {
        let constraint = TreeConstraint::new(tree.clone());
        let search = BeamSearch::new(&constraint, width(beam));
        let hits = search.run(3, &mut TableScorer::new(seed, 0), &mut ()).unwrap();
        for (request, hits) in hits.iter().enumerate() {
            prop_assert_eq!(pairs(hits), reference(&tree, beam, seed, request as u32));
            let alone = search.run(1, &mut TableScorer::new(seed, request as u32), &mut ()).unwrap();
            prop_assert_eq!(&alone[0], hits, "a batch answers as each request alone");
            for hit in hits {
                prop_assert_eq!(tree.0.get(&hit.tokens), Some(&hit.item));
                prop_assert_eq!(hit.token_scores.iter().sum::<f32>(), hit.score);
            }
        }
    }

    #[test]
    fn a_full_beam_equals_scoring_every_item(
        rows in proptest::collection::hash_set(proptest::array::uniform3(0u32..9), 1..150),
        seed: u64,
    ) {
        let rows: Vec<[u32; 3]> = rows.into_iter().collect();
        let index = SidIndex::build(rows.as_flattened(), &[9, 9, 9]).unwrap();
        let search = BeamSearch::new(&index, width(rows.len()));
        let hits = search.run(1, &mut TableScorer::new(seed, 0), &mut ()).unwrap();
        let mut all: Vec<(u32, f32)> = rows
            .iter()
            .enumerate()
            .map(|(item, row)| (item as u32, (1..=3).map(|n| table(seed, 0, &row[..n])).sum()))
            .collect();
        let scores: Vec<f32> = hits[0].iter().map(|hit| hit.score).collect();
        prop_assert!(scores.is_sorted_by(|a, b| a >= b));
        let mut found = pairs(&hits[0]);
        let by_score = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        all.sort_by(by_score);
        found.sort_by(by_score);
        prop_assert_eq!(found, all);
    }
}

/// Scores by function of (request, level, token).
struct By<F>(F);

impl<F: FnMut(u32, usize, u32) -> f32> Scorer for By<F> {
    type Error = String;

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<(), String> {
        for (slot, beam) in frontier.beams().iter().enumerate() {
            for at in frontier.children(slot) {
                scores[at] = (self.0)(beam.request, frontier.level(), frontier.tokens()[at]);
            }
        }
        Ok(())
    }
}

/// A complete binary tree in heap order, searched from a given level: tokens are node numbers.
struct Heap {
    depth: u32,
    start: u32,
    n_items: u32,
}

impl Constraint for Heap {
    type State = u32;

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

    fn leaf(&self, node: u32) -> Option<u32> {
        node.checked_sub((1 << self.depth) - 1).filter(|&item| item < self.n_items)
    }
}

#[test]
fn a_tree_index_replaces_scores_and_starts_lower_down() {
    // Items 0..13 of 16 leaves with relevance eta; every node scores the best leaf below it
    // (the max-heap property), so any beam must return the exact top items.
    let eta = |item: u32| ((item * 7 + 3) % 13) as f32;
    let heap = Heap { depth: 4, start: 2, n_items: 13 };
    let best_below = |node: u32| {
        let (mut lo, mut hi) = (node, node);
        while hi < 15 {
            (lo, hi) = (2 * lo + 1, 2 * hi + 2);
        }
        (lo..=hi).filter_map(|leaf| heap.leaf(leaf)).map(eta).fold(f32::NEG_INFINITY, f32::max)
    };
    let (combine, ties) = (Replace, ParentThenToken);
    let search =
        BeamSearch { constraint: &heap, combine, ties, beam: width(4), max_levels: usize::MAX };
    let mut trained_on = Recorder::default();
    let mut scorer = By(|_, _, node| best_below(node));
    let hits = search.run(1, &mut scorer, &mut trained_on).unwrap();
    let mut expected: Vec<u32> = (0..13).collect();
    expected.sort_by(|a, b| eta(*b).total_cmp(&eta(*a)));
    assert_eq!(hits[0].iter().map(|hit| hit.item).collect::<Vec<_>>(), expected[..4]);
    assert_eq!(hits[0][0].score, eta(expected[0]));
    // Level 2 of the tree has four nodes; each of the four kept has two children after that.
    let sizes: Vec<usize> =
        trained_on.0.iter().map(|(_, candidates, _)| candidates.len()).collect();
    assert_eq!(sizes, [4, 8, 8]);
    assert_eq!(hits[0][0].tokens.len(), 3);
}

#[derive(Default)]
struct Recorder(Vec<(usize, Vec<Candidate>, Vec<Candidate>)>);

impl Observer for Recorder {
    fn level(
        &mut self,
        request: usize,
        level: usize,
        candidates: &[Candidate],
        kept: &[Candidate],
    ) {
        assert_eq!(level, self.0.iter().filter(|(r, ..)| *r == request).count());
        self.0.push((request, candidates.to_vec(), kept.to_vec()));
    }
}

#[test]
fn the_observer_sees_all_candidates_and_the_kept_in_order() {
    let index = SidIndex::build(&[0u32, 0, 0, 1, 1, 0, 2, 5], &[3, 6]).unwrap();
    let search = BeamSearch::new(&index, width(2));
    let mut seen = Recorder::default();
    let scorer = &mut By(|_, level, token| match (level, token) {
        (0, 1) => f32::NEG_INFINITY,
        (0, token) => token as f32,
        (_, token) => -(token as f32),
    });
    let hits = search.run(1, scorer, &mut seen).unwrap();
    let brief = |list: &[Candidate]| -> Vec<(f32, u32, u32)> {
        list.iter().map(|c| (c.score, c.parent, c.token)).collect()
    };
    let excluded = f32::NEG_INFINITY;
    assert_eq!(brief(&seen.0[0].1), [(0.0, 0, 0), (excluded, 0, 1), (2.0, 0, 2)]);
    assert_eq!(brief(&seen.0[0].2), [(2.0, 0, 2), (0.0, 0, 0)]);
    assert_eq!(brief(&seen.0[1].1), [(-3.0, 0, 5), (0.0, 1, 0), (-1.0, 1, 1)]);
    assert_eq!(brief(&seen.0[1].2), [(0.0, 1, 0), (-1.0, 1, 1)]);
    assert_eq!(pairs(&hits[0]), [(0, 0.0), (1, -1.0)]);
}

#[test]
fn finished_sequences_keep_competing() {
    // [0] is finished at once with -2; below 1 the sums are -1-3 and -1-0.5.
    let tree = TreeConstraint::new(Tree::new(vec![vec![0], vec![1, 0], vec![1, 1]]));
    let scorer = || {
        By(|_, level, token| match (level, token) {
            (0, 0) => -2.0,
            (0, _) => -1.0,
            (_, 0) => -3.0,
            _ => -0.5,
        })
    };
    let two = BeamSearch::new(&tree, width(2)).run(1, &mut scorer(), &mut ()).unwrap();
    assert_eq!(pairs(&two[0]), [(2, -1.5), (0, -2.0)]);
    let three = BeamSearch::new(&tree, width(3)).run(1, &mut scorer(), &mut ()).unwrap();
    assert_eq!(pairs(&three[0]), [(2, -1.5), (0, -2.0), (1, -4.0)]);
    let one_level = BeamSearch { max_levels: 1, ..BeamSearch::new(&tree, width(3)) };
    assert_eq!(pairs(&one_level.run(1, &mut scorer(), &mut ()).unwrap()[0]), [(0, -2.0)]);
}

#[test]
fn excluded_continuations_leave_fewer_hits_and_never_a_free_beam() {
    let codes: Vec<u32> = (0..16).flat_map(|i| [i / 4, i % 4]).collect();
    let index = SidIndex::build(&codes, &[4, 4]).unwrap();
    let search = BeamSearch::new(&index, width(50));
    let bar = |level_barred: usize| {
        let mut scorer = By(move |request, level, token| {
            if request == 0 && level == level_barred && token != 2 {
                f32::NEG_INFINITY
            } else {
                -1.0
            }
        });
        search.run(2, &mut scorer, &mut ()).unwrap()
    };
    for level in 0..2 {
        let hits = bar(level);
        assert_eq!(hits[0].len(), 4);
        assert!(hits[0].iter().all(|hit| hit.tokens[level] == 2 && hit.score == -2.0));
        assert_eq!(hits[1].len(), 16, "the other request is not touched");
    }
    let none = search.run(1, &mut By(|_, _, _| f32::NEG_INFINITY), &mut ()).unwrap();
    assert_eq!(none, [Vec::new()]);
    assert!(search.run(0, &mut By(|_, _, _| 0.0), &mut ()).unwrap().is_empty());
}

/// Fails, or leaves its scores unwritten.
struct Broken(bool);

impl Scorer for Broken {
    type Error = String;

    fn score(&mut self, _: &Frontier, _: &mut [f32]) -> Result<(), String> {
        if self.0 { Err("no model".into()) } else { Ok(()) }
    }
}

#[test]
fn what_is_not_a_number_is_an_error_with_its_place() {
    let index = SidIndex::build(&[0u32, 0, 1, 1], &[2, 2]).unwrap();
    let search = BeamSearch::new(&index, width(2));
    let nan = &mut By(|request, level, token| match (request, level, token) {
        (1, 1, 1) => f32::NAN,
        _ => 0.0,
    });
    let error = search.run(2, nan, &mut ()).unwrap_err().to_string();
    assert!(error.starts_with("request 1, level 1, token 1: the score is not a number"), "{error}");
    // Infinities that cancel are caught where they meet.
    let cancel = &mut By(|_, level, _| if level == 0 { f32::INFINITY } else { f32::NEG_INFINITY });
    assert!(search.run(1, cancel, &mut ()).unwrap_err().to_string().contains("level 1, token"));
    let unwritten = search.run(1, &mut Broken(false), &mut ()).unwrap_err();
    assert!(matches!(unwritten, SearchError::NotANumber { level: 0, .. }));
    assert_eq!(search.run(1, &mut Broken(true), &mut ()).unwrap_err().to_string(), "no model");
}

#[test]
fn probabilities_multiply() {
    let index = SidIndex::build(&[0u32, 0, 0, 1, 1, 0], &[2, 2]).unwrap();
    let (combine, ties) = (Multiply, ParentThenToken);
    let search = BeamSearch { constraint: &index, combine, ties, beam: width(3), max_levels: 9 };
    let scorer = &mut By(|_, level, token| match (level, token) {
        (0, 0) => 0.5,
        (0, _) => 0.25,
        (_, 0) => 0.5,
        _ => 0.125,
    });
    let hits = search.run(1, scorer, &mut ()).unwrap();
    assert_eq!(pairs(&hits[0]), [(0, 0.25), (2, 0.125), (1, 0.0625)]);
}
