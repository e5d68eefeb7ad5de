//! The search itself: expand, score, combine, keep the best, until every beam is finished or dead.
//!
//! Runs on the calling thread; parallelism is across searches, each with its own scorer. Results
//! do not depend on what else is in the batch, as long as the scorer's do not.

use std::num::NonZeroU32;

use super::rules::{Add, ParentThenToken};
use super::seams::{
    Candidate, Combine, Constraint, Frontier, FrontierBeam, Observer, Scorer, TieRule,
};
use super::select::Pool;

/// No slot, no node.
const NONE: u32 = u32::MAX;

/// What is searched and how; see the module for the seams.
#[derive(Debug, Clone)]
pub struct BeamSearch<'a, C, R = Add, T = ParentThenToken> {
    /// Which sequences exist.
    pub constraint: &'a C,
    /// How scores join along a sequence.
    pub combine: R,
    /// Order of equal scores.
    pub ties: T,
    /// Sequences kept per request and level, finished ones included; also the most hits.
    pub beam: NonZeroU32,
    /// Most tokens per sequence; sequences unfinished by then are dropped.
    pub max_levels: usize,
}

/// A found item.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Item number, as the constraint names it.
    pub item: u32,
    /// Score of the whole sequence.
    pub score: f32,
    /// The sequence, `[tokens]`.
    pub tokens: Vec<u32>,
    /// What the scorer gave each token, `[tokens]`.
    pub token_scores: Vec<f32>,
}

/// Why a search stopped.
#[derive(Debug, thiserror::Error)]
pub enum SearchError<E> {
    /// The scorer failed.
    #[error(transparent)]
    Scorer(E),
    /// The scorer gave, or the combine rule made, a score that is not a number.
    #[error(
        "request {request}, level {level}, token {token}: the score is not a number; the model's output is unusable"
    )]
    NotANumber {
        /// Request within the batch.
        request: usize,
        /// Level, from 0.
        level: usize,
        /// The token scored.
        token: u32,
    },
    /// More candidates in one level than a 32-bit offset can count.
    #[error(
        "level {level} of the batch has over 4294967295 candidates; use fewer requests per batch"
    )]
    TooManyCandidates {
        /// Level, from 0.
        level: usize,
    },
}

/// A kept sequence.
#[derive(Debug, Clone, Copy)]
struct Beam<S> {
    score: f32,
    state: S,
    /// The item, if finished.
    item: Option<u32>,
    /// Last token in the request's history; `NONE` for the empty sequence.
    node: u32,
    /// Slot of the beam it continued.
    parent_slot: u32,
    /// Its own slot at the current level; `NONE` if finished or dead.
    slot: u32,
}

/// One token of a kept sequence and where the sequence goes on backwards.
#[derive(Debug, Clone, Copy)]
struct Node {
    previous: u32,
    token: u32,
    own: f32,
}

#[derive(Debug)]
struct Request<S> {
    beams: Vec<Beam<S>>,
    history: Vec<Node>,
}

impl<'a, C: Constraint> BeamSearch<'a, C> {
    /// A search that adds scores, breaks ties by parent and token, and has no bound on length.
    pub fn new(constraint: &'a C, beam: NonZeroU32) -> Self {
        let (combine, ties) = (Add, ParentThenToken);
        Self { constraint, combine, ties, beam, max_levels: usize::MAX }
    }
}

impl<C: Constraint, R: Combine, T: TieRule> BeamSearch<'_, C, R, T> {
    /// Searches for a batch of requests at once: hits per request, best first, no item twice, at
    /// most [`BeamSearch::beam`] and fewer where fewer sequences survive.
    ///
    /// # Errors
    /// The scorer's error, or a score that is not a number.
    pub fn run<S: Scorer, O: Observer>(
        &self,
        n_requests: usize,
        scorer: &mut S,
        observer: &mut O,
    ) -> Result<Vec<Vec<Hit>>, SearchError<S::Error>> {
        let mut requests: Vec<_> = (0..n_requests).map(|request| self.start(request)).collect();
        let mut frontier = Frontier::default();
        let mut scores = Vec::new();
        let mut pool = Pool::new(self.beam.get() as usize);
        let (mut next, mut seen) = (Vec::new(), Vec::new());
        for level in 0..self.max_levels {
            self.expand(&mut requests, &mut frontier, level)?;
            if frontier.beams.is_empty() {
                break;
            }
            // A score the scorer forgets to write is not a number and is caught below.
            scores.clear();
            scores.resize(frontier.tokens.len(), f32::NAN);
            scorer.score(&frontier, &mut scores).map_err(SearchError::Scorer)?;
            for (index, request) in requests.iter_mut().enumerate() {
                if request.beams.iter().all(|beam| beam.slot == NONE) {
                    request.beams.retain(|beam| beam.item.is_some());
                    continue;
                }
                let not_a_number = |token| SearchError::NotANumber { request: index, level, token };
                pool.clear();
                seen.clear();
                self.gather::<O>(&request.beams, &frontier, &scores, &mut pool, &mut seen)
                    .map_err(not_a_number)?;
                let kept = pool.best(&self.ties);
                if O::ACTIVE {
                    observer.level(index, level, &seen, kept);
                }
                self.advance(request, kept, &mut next);
                std::mem::swap(&mut request.beams, &mut next);
            }
        }
        Ok(requests.iter().map(Request::hits).collect())
    }

    fn start(&self, request: usize) -> Request<C::State> {
        let state = self.constraint.root(request);
        let beam = Beam {
            score: R::START,
            state,
            item: self.constraint.leaf(state),
            node: NONE,
            parent_slot: request as u32,
            slot: NONE,
        };
        Request { beams: vec![beam], history: Vec::new() }
    }

    /// Gives every unfinished beam with children a slot.
    fn expand<E>(
        &self,
        requests: &mut [Request<C::State>],
        frontier: &mut Frontier,
        level: usize,
    ) -> Result<(), SearchError<E>> {
        frontier.clear(level);
        for (index, request) in requests.iter_mut().enumerate() {
            for beam in &mut request.beams {
                beam.slot = NONE;
                if beam.item.is_some() {
                    continue;
                }
                let before = frontier.tokens.len();
                self.constraint.children(beam.state, &mut frontier.tokens);
                let after = frontier.tokens.len();
                if after == before {
                    continue;
                }
                let end =
                    u32::try_from(after).map_err(|_| SearchError::TooManyCandidates { level })?;
                let token = request.history.get(beam.node as usize).map_or(0, |node| node.token);
                beam.slot = frontier.beams.len() as u32;
                frontier.offsets.push(end);
                frontier.beams.push(FrontierBeam {
                    request: index as u32,
                    parent: beam.parent_slot,
                    token,
                });
            }
        }
        Ok(())
    }

    /// Offers all candidates of a request to the pool; the error is a token without a score.
    fn gather<O: Observer>(
        &self,
        beams: &[Beam<C::State>],
        frontier: &Frontier,
        scores: &[f32],
        pool: &mut Pool,
        seen: &mut Vec<Candidate>,
    ) -> Result<(), u32> {
        for (rank, beam) in beams.iter().enumerate() {
            let parent = rank as u32;
            if beam.item.is_some() {
                let token = Candidate::CARRIED;
                let candidate = Candidate { score: beam.score, own: 0.0, parent, token };
                if O::ACTIVE {
                    seen.push(candidate);
                }
                pool.offer(candidate, &self.ties);
                continue;
            }
            if beam.slot == NONE {
                continue;
            }
            let children = frontier.children(beam.slot as usize);
            let tokens = &frontier.tokens[children.clone()];
            let scores = &scores[children];
            // One pass of its own, as a rule such as a maximum could swallow what is not a number.
            if let Some(at) = scores.iter().position(|score| score.is_nan()) {
                return Err(tokens[at]);
            }
            for (&token, &own) in tokens.iter().zip(scores) {
                let score = self.combine.combine(beam.score, own);
                if O::ACTIVE {
                    seen.push(Candidate { score, own, parent, token });
                }
                if score < pool.floor() {
                    continue;
                }
                if score.is_nan() {
                    return Err(token);
                }
                pool.offer(Candidate { score, own, parent, token }, &self.ties);
            }
        }
        Ok(())
    }

    /// The beams of the next level from the candidates kept.
    fn advance(
        &self,
        request: &mut Request<C::State>,
        kept: &[Candidate],
        next: &mut Vec<Beam<C::State>>,
    ) {
        next.clear();
        for candidate in kept {
            let parent = request.beams[candidate.parent as usize];
            if candidate.is_carried() {
                next.push(parent);
                continue;
            }
            // A constraint that lists a token and then refuses it has a dead end there.
            let Some(state) = self.constraint.child(parent.state, candidate.token) else {
                continue;
            };
            let node = request.history.len() as u32;
            request.history.push(Node {
                previous: parent.node,
                token: candidate.token,
                own: candidate.own,
            });
            next.push(Beam {
                score: candidate.score,
                state,
                item: self.constraint.leaf(state),
                node,
                parent_slot: parent.slot,
                slot: NONE,
            });
        }
    }
}

impl<S> Request<S> {
    /// Finished beams, best first, with their sequences read backwards.
    fn hits(&self) -> Vec<Hit> {
        let finished = self.beams.iter().filter_map(|beam| Some((beam, beam.item?)));
        let hit = |(beam, item): (&Beam<S>, u32)| {
            let (mut tokens, mut token_scores) = (Vec::new(), Vec::new());
            let mut node = beam.node;
            while let Some(step) = self.history.get(node as usize) {
                tokens.push(step.token);
                token_scores.push(step.own);
                node = step.previous;
            }
            tokens.reverse();
            token_scores.reverse();
            Hit { item, score: beam.score, tokens, token_scores }
        };
        finished.map(hit).collect()
    }
}
