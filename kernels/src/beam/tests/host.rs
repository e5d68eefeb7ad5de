//! What only the host engine has: seams that are called back, and a scorer that can fail.

use super::cases::{Case, Tree};
use super::*;
use crate::index::SidIndex;

/// Scores by function of (request, level, token).
pub(super) struct By<F>(pub(super) F);

impl<F: FnMut(u32, usize, u32) -> f32> Scorer<()> for By<F> {
    type Error = String;

    fn start(&mut self, _: &[()]) -> Result<(), String> {
        Ok(())
    }

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<(), String> {
        for (slot, beam) in frontier.beams().iter().enumerate() {
            for at in frontier.children(slot) {
                scores[at] = (self.0)(beam.request, frontier.level(), frontier.tokens()[at]);
            }
        }
        Ok(())
    }
}

/// Watches everything, and finds what the leaves are.
#[derive(Default)]
pub(super) struct Recorder(pub(super) Vec<Seen>);

/// One level of one request.
pub(super) struct Seen {
    pub(super) request: usize,
    pub(super) candidates: Vec<Candidate>,
    /// Score and tokens of what was kept.
    pub(super) kept: Vec<(f32, Vec<u32>)>,
}

impl<C: Constraint> Collect<C> for Recorder {
    const LEVELS: bool = true;
    const CANDIDATES: bool = true;

    fn level(&mut self, constraint: &C, level: &Level<'_, C::State>) {
        let request = level.request;
        assert_eq!(level.level, self.0.iter().filter(|seen| seen.request == request).count());
        let kept = level.kept().map(|kept| {
            assert_eq!(kept.request, request);
            assert_eq!(kept.is_finished(), constraint.is_leaf(kept.state()));
            assert_eq!(kept.plain_score(), kept.score());
            (kept.score(), kept.tokens().0)
        });
        self.0.push(Seen { request, candidates: level.candidates.to_vec(), kept: kept.collect() });
    }

    fn finish(&mut self, constraint: &C, last: &Level<'_, C::State>) -> Vec<Hit> {
        Leaves.finish(constraint, last)
    }
}

#[test]
fn a_collector_sees_all_candidates_and_the_kept_in_order() {
    let index = SidIndex::build(&[0u32, 0, 0, 1, 1, 0, 2, 5], &[3, 6]).unwrap();
    let scorer = By(|_, level, token| match (level, token) {
        (0, 1) => f32::NEG_INFINITY,
        (0, token) => token as f32,
        (_, token) => -(token as f32),
    });
    let mut search = HostSearch::new(&index, scorer, width(2)).collecting(Recorder::default());
    let hits = search.run(&[()]).unwrap();
    let seen = &search.collect.0;
    let brief = |list: &[Candidate]| -> Vec<(f32, u32, u32)> {
        list.iter().map(|c| (c.score, c.parent, c.token)).collect()
    };
    let excluded = f32::NEG_INFINITY;
    assert_eq!(brief(&seen[0].candidates), [(0.0, 0, 0), (excluded, 0, 1), (2.0, 0, 2)]);
    assert_eq!(seen[0].kept, [(2.0, vec![2]), (0.0, vec![0])]);
    assert_eq!(brief(&seen[1].candidates), [(-3.0, 0, 5), (0.0, 1, 0), (-1.0, 1, 1)]);
    assert_eq!(seen[1].kept, [(0.0, vec![0, 0]), (-1.0, vec![0, 1])]);
    assert_eq!(pairs(&hits[0]), [(0, 0.0), (1, -1.0)]);
}

#[test]
fn finished_sequences_keep_competing() {
    // [0] is finished at once with -2; below 1 the sums are -1-3 and -1-0.5.
    let tree = Tree::build(&[(vec![0], 0), (vec![1, 0], 1), (vec![1, 1], 2)]);
    let search = |beam: usize| {
        let scorer = By(|_, level, token| match (level, token) {
            (0, 0) => -2.0,
            (0, _) => -1.0,
            (_, 0) => -3.0,
            _ => -0.5,
        });
        HostSearch::new(&tree, scorer, width(beam))
    };
    let two = search(2).run(&[()]).unwrap();
    assert_eq!(pairs(&two[0]), [(2, -1.5), (0, -2.0)]);
    let three = search(3).run(&[()]).unwrap();
    assert_eq!(pairs(&three[0]), [(2, -1.5), (0, -2.0), (1, -4.0)]);
    let mut one_level = HostSearch { max_levels: 1, ..search(3) };
    assert_eq!(pairs(&one_level.run(&[()]).unwrap()[0]), [(0, -2.0)]);
}

#[test]
fn excluded_continuations_leave_fewer_hits_and_never_a_free_beam() {
    let codes: Vec<u32> = (0..16).flat_map(|i| [i / 4, i % 4]).collect();
    let index = SidIndex::build(&codes, &[4, 4]).unwrap();
    let bar = |level_barred: usize| {
        let scorer = By(move |request, level, token| {
            if request == 0 && level == level_barred && token != 2 {
                f32::NEG_INFINITY
            } else {
                -1.0
            }
        });
        HostSearch::new(&index, scorer, width(50)).run(&[(), ()]).unwrap()
    };
    for level in 0..2 {
        let hits = bar(level);
        assert_eq!(hits[0].len(), 4);
        assert!(hits[0].iter().all(|hit| hit.tokens[level] == 2 && hit.score == -2.0));
        assert_eq!(hits[1].len(), 16, "the other request is not touched");
    }
    let mut none = HostSearch::new(&index, By(|_, _, _| f32::NEG_INFINITY), width(50));
    assert_eq!(none.run(&[()]).unwrap(), [Vec::new()]);
    assert!(none.run(&[]).unwrap().is_empty());
}

/// Fails, or leaves its scores unwritten.
struct Broken(bool);

impl Scorer<()> for Broken {
    type Error = String;

    fn start(&mut self, _: &[()]) -> Result<(), String> {
        Ok(())
    }

    fn score(&mut self, _: &Frontier, _: &mut [f32]) -> Result<(), String> {
        if self.0 { Err("no model".into()) } else { Ok(()) }
    }

    fn width(&self, _: usize) -> Option<usize> {
        Some(2)
    }
}

#[test]
fn errors_name_their_place() {
    let index = SidIndex::build(&[0u32, 0, 1, 1], &[2, 2]).unwrap();
    let nan = By(|request, level, token| match (request, level, token) {
        (1, 1, 1) => f32::NAN,
        _ => 0.0,
    });
    let error = HostSearch::new(&index, nan, width(2)).run(&[(), ()]).unwrap_err().to_string();
    assert!(error.starts_with("request 1, level 1, token 1: the score is not a number"), "{error}");
    // Infinities that cancel are caught where they meet.
    let cancel = By(|_, level, _| if level == 0 { f32::INFINITY } else { f32::NEG_INFINITY });
    let error = HostSearch::new(&index, cancel, width(2)).run(&[()]).unwrap_err().to_string();
    assert!(error.contains("level 1, token"), "{error}");
    let broken = |fails, by_rows| {
        let search = HostSearch::new(&index, Broken(fails), width(2));
        HostSearch { by_rows, ..search }.run(&[()]).unwrap_err()
    };
    for by_rows in [false, true] {
        let unwritten = broken(false, by_rows);
        assert!(matches!(unwritten, SearchError::NotANumber { level: 0, .. }));
    }
    assert_eq!(broken(true, false).to_string(), "no model");
}

#[test]
fn probabilities_multiply() {
    let index = SidIndex::build(&[0u32, 0, 0, 1, 1, 0], &[2, 2]).unwrap();
    let scorer = By(|_, level, token| match (level, token) {
        (0, 0) => 0.5,
        (0, _) => 0.25,
        (_, 0) => 0.5,
        _ => 0.125,
    });
    let search = HostSearch::new(&index, scorer, width(3));
    let mut search = HostSearch { rule: Rule::Multiply, max_levels: 9, ..search };
    assert_eq!(pairs(&search.run(&[()]).unwrap()[0]), [(0, 0.25), (2, 0.125), (1, 0.0625)]);
}
