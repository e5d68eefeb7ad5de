//! What is found: the seam between the sequences that a search keeps and the items it returns.

use std::collections::{HashMap, HashSet};

use super::candidate::Candidate;
use super::constraint::Constraint;
use super::search::Hit;
use crate::top::Pool;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// One token of a kept sequence and where the sequence goes on backwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) previous: u32,
    pub(super) token: u32,
    pub(super) own: f32,
    /// Tokens up to and with this one.
    pub(super) depth: u32,
}

/// A kept sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beam<S> {
    /// Score with the guide's bonus: what the sequence competes with.
    pub(super) score: f32,
    /// Score without: what its continuations build on.
    pub(super) plain: f32,
    pub(super) state: S,
    pub(super) is_finished: bool,
    /// Last token in the request's history; `NONE` for the empty sequence.
    pub(super) node: u32,
    /// Slot of the beam it continued.
    pub(super) parent_slot: u32,
    /// Its own slot at the current level; `NONE` if finished or dead.
    pub(super) slot: u32,
}

/// What one request looks like after a level, or in the end.
#[derive(Debug, Clone, Copy)]
pub struct Level<'a, S> {
    /// Request within the batch.
    pub request: usize,
    /// Level, from 0; in the end the number of levels searched.
    pub level: usize,
    /// All candidates of the level, excluded ones with their score of negative infinity too, in the
    /// order of parents and tokens; empty unless [`Collect::CANDIDATES`], and in the end.
    pub candidates: &'a [Candidate],
    pub(super) beams: &'a [Beam<S>],
    pub(super) history: &'a [Node],
}

impl<'a, S: Copy> Level<'a, S> {
    /// The sequences kept, best first. A finished one stays among them, level after level, for as
    /// long as it is good enough.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = Hypothesis<'a, S>> + use<'a, S> {
        let (request, history) = (self.request, self.history);
        self.beams.iter().map(move |beam| Hypothesis { request, beam, history })
    }
}

/// A kept sequence, finished or not.
#[derive(Debug, Clone, Copy)]
pub struct Hypothesis<'a, S> {
    /// Request within the batch.
    pub request: usize,
    beam: &'a Beam<S>,
    history: &'a [Node],
}

impl<S: Copy> Hypothesis<'_, S> {
    /// Where the constraint stands.
    pub fn state(&self) -> S {
        self.beam.state
    }

    /// Score, with the guide's bonus; in the end with or without, as the guide says.
    pub fn score(&self) -> f32 {
        self.beam.score
    }

    /// Score without the guide's bonus.
    pub fn plain_score(&self) -> f32 {
        self.beam.plain
    }

    /// Number of tokens.
    pub fn depth(&self) -> usize {
        self.history.get(self.beam.node as usize).map_or(0, |node| node.depth as usize)
    }

    /// Whether the sequence is at a leaf.
    pub fn is_finished(&self) -> bool {
        self.beam.is_finished
    }

    /// The sequence, `[depth]`, and what the scorer gave each token, `[depth]`.
    pub fn tokens(&self) -> (Vec<u32>, Vec<f32>) {
        let (mut tokens, mut own) = (Vec::new(), Vec::new());
        let mut node = self.beam.node;
        while let Some(step) = self.history.get(node as usize) {
            tokens.push(step.token);
            own.push(step.own);
            node = step.previous;
        }
        tokens.reverse();
        own.reverse();
        (tokens, own)
    }
}

/// Turns kept sequences into hits.
///
/// The law: every item was reached through the constraint, and no item is returned twice. A
/// collector may also watch, for instance to train on the very candidates that a search meets.
pub trait Collect<C: Constraint> {
    /// Whether [`Collect::level`] is called; `false` costs nothing.
    const LEVELS: bool;

    /// Whether the levels hold all candidates; `false` spares the search the list. Rows are not
    /// asked for where it is `true`, as nobody lists all tokens there.
    const CANDIDATES: bool = false;

    /// Called once per request and level, after the best were kept.
    fn level(&mut self, constraint: &C, level: &Level<'_, C::State>);

    /// Called once per request in the end, with the sequences that stayed: hits, best first.
    fn finish(&mut self, constraint: &C, last: &Level<'_, C::State>) -> Vec<Hit>;
}

/// The items of the finished sequences that stay to the end; at most one leaf per beam.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leaves;

impl<C: Constraint> Collect<C> for Leaves {
    const LEVELS: bool = false;

    fn level(&mut self, _: &C, _: &Level<'_, C::State>) {}

    fn finish(&mut self, constraint: &C, last: &Level<'_, C::State>) -> Vec<Hit> {
        let mut hits = Vec::with_capacity(last.beams.len());
        let mut known = HashSet::new();
        for leaf in last.kept().filter(Hypothesis::is_finished) {
            let (mut tokens, mut token_scores) = leaf.tokens();
            let items = constraint.items(leaf.state());
            let mut items = items.filter(|item| C::DISJOINT || known.insert(*item)).peekable();
            while let Some(item) = items.next() {
                // Most often a leaf is one item, which takes the sequence as it is.
                let (tokens, token_scores) = match items.peek() {
                    Some(_) => (tokens.clone(), token_scores.clone()),
                    None => (std::mem::take(&mut tokens), std::mem::take(&mut token_scores)),
                };
                hits.push(Hit { item, score: leaf.score(), tokens, token_scores });
            }
        }
        hits
    }
}

/// The items of every sequence that is ever kept, finished or not: an item's score is the sum of
/// what `weigh` gives the sequences that hold it, each counted once. Its hit names the sequence
/// with the largest weight, among equals the first met.
#[derive(Debug)]
pub struct Every<W> {
    weigh: W,
    limit: usize,
    requests: HashMap<usize, Found>,
}

/// What one request has found so far.
#[derive(Debug, Default)]
struct Found {
    /// Tokens and their scores of the sequences that weigh something.
    sequences: Vec<(Vec<u32>, Vec<f32>)>,
    items: HashMap<u32, Evidence>,
}

/// What speaks for an item.
#[derive(Debug)]
struct Evidence {
    sum: f32,
    best: f32,
    /// Sequence of the largest weight.
    sequence: usize,
    /// The sequence counted last.
    last: usize,
}

impl<W> Every<W> {
    /// Keeps the `limit` best items of each request. `weigh` returns a sequence's weight: a number;
    /// `None` for a sequence that says nothing.
    pub fn new(limit: usize, weigh: W) -> Self {
        Self { weigh, limit, requests: HashMap::new() }
    }
}

impl<C, W> Collect<C> for Every<W>
where
    C: Constraint,
    W: FnMut(&C, &Hypothesis<'_, C::State>) -> Option<f32>,
{
    const LEVELS: bool = true;

    fn level(&mut self, constraint: &C, level: &Level<'_, C::State>) {
        let found = self.requests.entry(level.request).or_default();
        for hypothesis in level.kept() {
            // What was finished before has been counted before.
            if hypothesis.depth() <= level.level {
                continue;
            }
            let Some(weight) = (self.weigh)(constraint, &hypothesis) else { continue };
            let number = found.sequences.len();
            found.sequences.push(hypothesis.tokens());
            for item in constraint.items(hypothesis.state()) {
                let new = || Evidence { sum: 0.0, best: weight, sequence: number, last: NEVER };
                let evidence = found.items.entry(item).or_insert_with(new);
                if evidence.last == number {
                    continue;
                }
                evidence.last = number;
                evidence.sum += weight;
                if weight > evidence.best {
                    (evidence.best, evidence.sequence) = (weight, number);
                }
            }
        }
    }

    fn finish(&mut self, _: &C, last: &Level<'_, C::State>) -> Vec<Hit> {
        let found = self.requests.remove(&last.request).unwrap_or_default();
        let mut pool = Pool::new(self.limit);
        for (&item, evidence) in &found.items {
            pool.offer((item, evidence.sum));
        }
        let hit = |&(item, score): &(u32, f32)| {
            let sequence = found.items.get(&item).map_or(0, |evidence| evidence.sequence);
            let (tokens, token_scores) = found.sequences[sequence].clone();
            Hit { item, score, tokens, token_scores }
        };
        pool.best().iter().map(hit).collect()
    }
}

/// No sequence yet.
const NEVER: usize = usize::MAX;
