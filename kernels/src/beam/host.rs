//! The engine on the host: expand, score, combine, keep the best, until every beam is finished or
//! dead.
//!
//! Runs on the calling thread; parallelism is across searches, each with its own scorer. Results
//! do not depend on what else is in the batch, as long as the scorer's do not.

use std::num::NonZeroU32;

use super::candidate::Candidate;
use super::collect::{Beam, Collect, Leaves, Level, NONE, Node};
use super::constraint::{Constraint, Places, Row};
use super::filter::{Filter, Filtered};
use super::guide::Guide;
use super::rule::Rule;
use super::scorer::{Frontier, FrontierBeam, Scorer};
use super::search::{Hit, Search, SearchError};
use crate::top::Pool;

/// What is searched and how; see the module for the seams. All static: no virtual call per child.
#[derive(Debug, Clone)]
pub struct HostSearch<C, S, G = (), K = Leaves> {
    /// Which sequences exist.
    pub constraint: C,
    /// How good they are.
    pub scorer: S,
    /// What is known before they are finished.
    pub guide: G,
    /// What is found.
    pub collect: K,
    /// How scores join along a sequence.
    pub rule: Rule,
    /// Sequences kept per request and level, finished ones included.
    pub beam: NonZeroU32,
    /// Most tokens per sequence; sequences unfinished by then are dropped.
    pub max_levels: usize,
    /// Whether the scorer is asked for whole rows and the constraint for its best few tokens of
    /// each, instead of the children of every beam. At first [`Constraint::WIDE`]. Not done where
    /// the scorer gives no rows, under an active guide, and for a collector that wants all
    /// candidates; results are the same either way.
    pub by_rows: bool,
}

#[derive(Debug)]
struct Request<S> {
    beams: Vec<Beam<S>>,
    history: Vec<Node>,
}

/// What one level scored.
struct Scored<'a> {
    frontier: &'a Frontier,
    /// Per child, or per beam and token.
    scores: &'a [f32],
    /// Scores per row; `None` for children.
    width: Option<usize>,
}

/// Buffers that live through a search.
struct Buffers<S> {
    pool: Pool<Candidate>,
    seen: Vec<Candidate>,
    picked: Vec<(u32, f32)>,
    next: Vec<Beam<S>>,
}

/// Lower scores cannot be kept any more.
#[inline]
fn floor(pool: &Pool<Candidate>) -> f32 {
    pool.least().map_or(f32::NEG_INFINITY, |candidate| candidate.score)
}

impl<C: Constraint, S> HostSearch<C, S> {
    /// A search for finished sequences that adds scores, without a guide and without a bound on
    /// length.
    pub fn new(constraint: C, scorer: S, beam: NonZeroU32) -> Self {
        let (rule, max_levels) = (Rule::Add, usize::MAX);
        let by_rows = C::WIDE;
        Self { constraint, scorer, guide: (), collect: Leaves, rule, beam, max_levels, by_rows }
    }
}

impl<C, S, G, K> HostSearch<C, S, G, K> {
    /// The same search with a guide.
    pub fn guided<H>(self, guide: H) -> HostSearch<C, S, H, K> {
        let Self { constraint, scorer, collect, rule, beam, max_levels, by_rows, .. } = self;
        HostSearch { constraint, scorer, guide, collect, rule, beam, max_levels, by_rows }
    }

    /// The same search for something else.
    pub fn collecting<L>(self, collect: L) -> HostSearch<C, S, G, L> {
        let Self { constraint, scorer, guide, rule, beam, max_levels, by_rows, .. } = self;
        HostSearch { constraint, scorer, guide, collect, rule, beam, max_levels, by_rows }
    }
}

impl<P, C, S, G, K> Search<P> for HostSearch<Filtered<C>, S, G, K>
where
    C: Places,
    S: Scorer<P>,
    G: Guide<Filtered<C>>,
    K: Collect<Filtered<C>>,
{
    type Error = SearchError<S::Error>;

    fn search(
        &mut self,
        prompts: &[P],
        filters: &[Filter<'_>],
    ) -> Result<Vec<Vec<Hit>>, Self::Error> {
        self.constraint.set(filters);
        self.run(prompts)
    }
}

impl<C: Constraint, S, G: Guide<C>, K: Collect<C>> HostSearch<C, S, G, K> {
    /// Searches for a batch of requests at once, one per prompt: hits per request, best first, from
    /// at most [`HostSearch::beam`] sequences, fewer where fewer survive.
    ///
    /// # Errors
    /// The scorer's error, or a score that is not a number.
    pub fn run<P>(&mut self, prompts: &[P]) -> Result<Vec<Vec<Hit>>, SearchError<S::Error>>
    where
        S: Scorer<P>,
    {
        self.scorer.start(prompts).map_err(SearchError::Scorer)?;
        let mut requests: Vec<_> = (0..prompts.len()).map(|request| self.start(request)).collect();
        let mut frontier = Frontier::default();
        let mut scores = Vec::new();
        let pool = Pool::new(self.beam.get() as usize);
        let mut buffers = Buffers { pool, seen: Vec::new(), picked: Vec::new(), next: Vec::new() };
        let mut level = 0;
        while level < self.max_levels {
            let by_rows = self.by_rows && !G::ACTIVE && !K::CANDIDATES;
            let width = if by_rows { self.scorer.width(level) } else { None };
            self.expand(&mut requests, &mut frontier, level, width.is_none())?;
            if frontier.beams.is_empty() {
                break;
            }
            // A score the scorer forgets to write is not a number and is caught below.
            scores.clear();
            let n_scores = width.map_or(frontier.tokens.len(), |n| n * frontier.beams.len());
            scores.resize(n_scores, f32::NAN);
            match width {
                None => self.scorer.score(&frontier, &mut scores),
                Some(_) => self.scorer.rows(&frontier, &mut scores),
            }
            .map_err(SearchError::Scorer)?;
            let scored = Scored { frontier: &frontier, scores: &scores, width };
            for (index, request) in requests.iter_mut().enumerate() {
                if request.beams.iter().all(|beam| beam.slot == NONE) {
                    request.beams.retain(|beam| beam.is_finished);
                    continue;
                }
                buffers.pool.clear();
                buffers.seen.clear();
                self.gather(index, &request.beams, &scored, &mut buffers)
                    .map_err(|token| SearchError::NotANumber { request: index, level, token })?;
                self.advance(request, &mut buffers);
                if K::LEVELS {
                    let (beams, history) = (&request.beams, &request.history);
                    let candidates = &buffers.seen;
                    let seen = Level { request: index, level, candidates, beams, history };
                    self.collect.level(&self.constraint, &seen);
                }
            }
            level += 1;
        }
        Ok(requests.iter_mut().enumerate().map(|(i, r)| self.finish(i, r, level)).collect())
    }

    fn start(&self, request: usize) -> Request<C::State> {
        let state = self.constraint.root(request);
        let plain = self.rule.start();
        let beam = Beam {
            score: plain + self.bonus(request, state),
            plain,
            state,
            is_finished: self.constraint.is_leaf(state),
            node: NONE,
            parent_slot: request as u32,
            slot: NONE,
        };
        Request { beams: vec![beam], history: Vec::new() }
    }

    /// What the guide adds to a state's score.
    #[inline]
    fn bonus(&self, request: usize, state: C::State) -> f32 {
        if G::ACTIVE { self.guide.bonus(&self.constraint, request, state) } else { 0.0 }
    }

    /// Gives every unfinished beam a slot; where children are listed, only if it has any.
    fn expand<E>(
        &self,
        requests: &mut [Request<C::State>],
        frontier: &mut Frontier,
        level: usize,
        lists: bool,
    ) -> Result<(), SearchError<E>> {
        frontier.clear(level);
        for (index, request) in requests.iter_mut().enumerate() {
            for beam in &mut request.beams {
                beam.slot = NONE;
                if beam.is_finished {
                    continue;
                }
                let before = frontier.tokens.len();
                if lists {
                    self.constraint.children(beam.state, &mut frontier.tokens);
                }
                let after = frontier.tokens.len();
                if lists && after == before {
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
    fn gather(
        &self,
        request: usize,
        beams: &[Beam<C::State>],
        scored: &Scored<'_>,
        buffers: &mut Buffers<C::State>,
    ) -> Result<(), u32> {
        for (rank, beam) in beams.iter().enumerate() {
            let parent = rank as u32;
            if beam.is_finished {
                let token = Candidate::CARRIED;
                let candidate = Candidate { score: beam.score, own: 0.0, parent, token };
                if K::CANDIDATES {
                    buffers.seen.push(candidate);
                }
                if candidate.score > f32::NEG_INFINITY {
                    buffers.pool.offer(candidate);
                }
                continue;
            }
            if beam.slot == NONE {
                continue;
            }
            if let Some(width) = scored.width {
                let own = &scored.scores[beam.slot as usize * width..][..width];
                let floor = floor(&buffers.pool);
                let row = Row { own, parent: beam.plain, rule: self.rule, floor };
                let (k, picked) = (self.beam.get() as usize, &mut buffers.picked);
                picked.clear();
                self.constraint.best(beam.state, &row, k, picked);
                for &(token, own) in picked.iter() {
                    let score = self.rule.combine(beam.plain, own);
                    if own.is_nan() || score.is_nan() {
                        return Err(token);
                    }
                    buffers.pool.offer(Candidate { score, own, parent, token });
                }
                continue;
            }
            let children = scored.frontier.children(beam.slot as usize);
            let tokens = &scored.frontier.tokens[children.clone()];
            let own = &scored.scores[children];
            // One pass of its own, as a rule such as a maximum could swallow what is not a number.
            if let Some(at) = own.iter().position(|score| score.is_nan()) {
                return Err(tokens[at]);
            }
            let seat = (request, parent, beam);
            // The rule is a constant inside each loop.
            match self.rule {
                Rule::Add => self.offer(seat, tokens, own, buffers, Rule::Add),
                Rule::Replace => self.offer(seat, tokens, own, buffers, Rule::Replace),
                Rule::Multiply => self.offer(seat, tokens, own, buffers, Rule::Multiply),
            }?;
        }
        Ok(())
    }

    /// Offers the children of one beam.
    #[inline(always)]
    fn offer(
        &self,
        (request, parent, beam): (usize, u32, &Beam<C::State>),
        tokens: &[u32],
        own: &[f32],
        buffers: &mut Buffers<C::State>,
        rule: Rule,
    ) -> Result<(), u32> {
        let mut least = floor(&buffers.pool);
        let most = if G::ACTIVE { self.guide.most(request) } else { 0.0 };
        for (&token, &own) in tokens.iter().zip(own) {
            let mut score = rule.combine(beam.plain, own);
            if G::ACTIVE && own > f32::NEG_INFINITY {
                if !K::CANDIDATES && score + most < least {
                    continue;
                }
                let Some(state) = self.constraint.child(beam.state, token) else { continue };
                score += self.bonus(request, state);
            }
            if K::CANDIDATES {
                buffers.seen.push(Candidate { score, own, parent, token });
            }
            if score < least || score == f32::NEG_INFINITY {
                continue;
            }
            if score.is_nan() {
                return Err(token);
            }
            if buffers.pool.offer(Candidate { score, own, parent, token }) {
                least = floor(&buffers.pool);
            }
        }
        Ok(())
    }

    /// The beams of the next level from the best candidates.
    fn advance(&self, request: &mut Request<C::State>, buffers: &mut Buffers<C::State>) {
        let next = &mut buffers.next;
        next.clear();
        for candidate in buffers.pool.best() {
            let parent = request.beams[candidate.parent as usize];
            if candidate.is_carried() {
                next.push(parent);
                continue;
            }
            // A constraint that lists a token and then refuses it has a dead end there.
            let Some(state) = self.constraint.child(parent.state, candidate.token) else {
                continue;
            };
            let depth = request.history.get(parent.node as usize).map_or(1, |node| node.depth + 1);
            let node = request.history.len() as u32;
            request.history.push(Node {
                previous: parent.node,
                token: candidate.token,
                own: candidate.own,
                depth,
            });
            let plain = self.rule.combine(parent.plain, candidate.own);
            next.push(Beam {
                score: candidate.score,
                plain,
                state,
                is_finished: self.constraint.is_leaf(state),
                node,
                parent_slot: parent.slot,
                slot: NONE,
            });
        }
        std::mem::swap(&mut request.beams, next);
    }

    /// The hits of a request from the beams that stayed.
    fn finish(&mut self, index: usize, request: &mut Request<C::State>, level: usize) -> Vec<Hit> {
        let Request { beams, history } = request;
        if G::ACTIVE && !self.guide.stays() {
            beams.iter_mut().for_each(|beam| beam.score = beam.plain);
            // Stable: equals stay in the order of the beam.
            beams.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        let last = Level { request: index, level, candidates: &[], beams, history };
        self.collect.finish(&self.constraint, &last)
    }
}
