//! The five seams of the search and what passes through them.

use std::cmp::Ordering;
use std::ops::Range;

/// Which tokens may continue a sequence: a tree whose leaves are items.
///
/// The law: every token of [`Constraint::children`] leads to a state through
/// [`Constraint::child`]; no two leaves name the same item, so that no item is found twice; a leaf
/// has no children. A state that is no leaf and has no children is a dead end: beams that reach it
/// die. Leaves may lie at different depths.
pub trait Constraint {
    /// A position in the tree.
    type State: Copy;

    /// Where the search for a request starts. The children of the root are what is scored first; a
    /// tree search that starts at a lower level lists that level as the root's children.
    fn root(&self, request: usize) -> Self::State;

    /// Appends the tokens that may follow, each once, in the same order every time.
    fn children(&self, state: Self::State, tokens: &mut Vec<u32>);

    /// The state one token further; `None` for a token that may not follow. Asked only for the
    /// tokens that survive, so that a wide level costs no states.
    fn child(&self, state: Self::State, token: u32) -> Option<Self::State>;

    /// The item of a finished sequence.
    fn leaf(&self, state: Self::State) -> Option<u32>;
}

/// Scores the legal continuations, once per level for all beams of all requests of the batch.
pub trait Scorer {
    /// What can go wrong.
    type Error;

    /// Writes one score per child, in the order of [`Frontier::tokens`]. Negative infinity is legal
    /// and excludes the child; a score left unwritten or not a number is an error of the search.
    ///
    /// # Errors
    /// Whatever the scorer meets; the search stops with it.
    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<(), Self::Error>;
}

/// The live beams of all requests at one level, and their legal continuations in CSR form.
///
/// Beams are ordered by request, then by rank. A beam's place in this list is its slot; finished
/// and dead beams have none.
#[derive(Debug, Default)]
pub struct Frontier {
    pub(super) level: usize,
    pub(super) beams: Vec<FrontierBeam>,
    pub(super) offsets: Vec<u32>,
    pub(super) tokens: Vec<u32>,
}

/// A live beam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontierBeam {
    /// Request within the batch.
    pub request: u32,
    /// Slot of the beam it continues in the frontier of the previous level; at level 0, where every
    /// request has one empty beam, the request.
    pub parent: u32,
    /// The token that led here; meaningless at level 0.
    pub token: u32,
}

impl Frontier {
    /// Level of the search: the number of tokens that every live beam has.
    pub fn level(&self) -> usize {
        self.level
    }

    /// Live beams, `[beams]`.
    pub fn beams(&self) -> &[FrontierBeam] {
        &self.beams
    }

    /// Legal tokens of all beams, one after another, `[candidates]`.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Where the children of the beam in a slot lie in [`Frontier::tokens`]; empty past the end.
    pub fn children(&self, slot: usize) -> Range<usize> {
        match self.offsets.get(slot..slot + 2) {
            Some(bounds) => bounds[0] as usize..bounds[1] as usize,
            None => 0..0,
        }
    }

    pub(super) fn clear(&mut self, level: usize) {
        self.level = level;
        self.beams.clear();
        self.offsets.clear();
        self.offsets.push(0);
        self.tokens.clear();
    }
}

/// How a continuation's own score joins the score of its parent.
pub trait Combine {
    /// Score of the empty sequence.
    const START: f32;

    /// Score of the continued sequence.
    fn combine(&self, parent: f32, own: f32) -> f32;
}

/// Order of candidates of one request whose scores are equal; `Less` means better.
///
/// Must be a total order on distinct candidates, else results depend on the order of selection.
pub trait TieRule {
    /// Compares two candidates of equal score.
    fn compare(&self, a: &Candidate, b: &Candidate) -> Ordering;
}

/// A sequence that competes for a place in the beam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Score after the combine rule.
    pub score: f32,
    /// What the scorer gave this continuation; 0 for a finished sequence carried on.
    pub own: f32,
    /// Rank of the continued sequence among those kept at the previous level.
    pub parent: u32,
    /// The token appended; [`Candidate::CARRIED`] for a finished sequence carried on.
    pub token: u32,
}

impl Candidate {
    /// Token of a finished sequence that competes on without growing.
    pub const CARRIED: u32 = u32::MAX;

    /// Whether this is a finished sequence carried on from an earlier level.
    pub fn is_carried(&self) -> bool {
        self.token == Self::CARRIED
    }
}

/// Watches the search, for instance to train on the very candidates that it meets.
pub trait Observer {
    /// Whether the observer wants to be called; `false` spares the search the list of candidates.
    const ACTIVE: bool = true;

    /// Called once per request and level: all candidates, excluded ones with their score of
    /// negative infinity too, in the order of parents and tokens, and those kept, best first.
    fn level(&mut self, request: usize, level: usize, candidates: &[Candidate], kept: &[Candidate]);
}

/// Watches nothing.
impl Observer for () {
    const ACTIVE: bool = false;

    fn level(&mut self, _: usize, _: usize, _: &[Candidate], _: &[Candidate]) {}
}
