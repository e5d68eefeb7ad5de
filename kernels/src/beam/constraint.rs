//! Which sequences exist: the seam to the indexes.

use std::ops::Range;

use super::candidate::Candidate;
use super::rule::Rule;
use crate::top::Pool;

/// Which tokens may continue a sequence, and which items a sequence names.
///
/// The law: every token of [`Constraint::children`] leads to a state through
/// [`Constraint::child`]; a leaf has no children. A state that is no leaf and has no children is a
/// dead end: beams that reach it die. Leaves may lie at different depths and name several items.
pub trait Constraint {
    /// A position: all that must be known of a sequence to continue it.
    type State: Copy;

    /// Whether no item is named by two leaves, nor twice by one: spares the collector a set.
    const DISJOINT: bool = false;

    /// Whether the alphabet is so wide that a search should ask the scorer for whole rows and the
    /// constraint for its [`Constraint::best`], instead of listing children. Results are the same.
    const WIDE: bool = false;

    /// Where the search for a request starts. The children of the root are what is scored first; a
    /// tree search that starts at a lower level lists that level as the root's children.
    fn root(&self, request: usize) -> Self::State;

    /// Appends the tokens that may follow, each once, in the same order every time.
    fn children(&self, state: Self::State, tokens: &mut Vec<u32>);

    /// The state one token further; `None` for a token that may not follow. Asked only for the
    /// tokens that survive, so that a wide level costs no states.
    fn child(&self, state: Self::State, token: u32) -> Option<Self::State>;

    /// Whether a sequence is finished.
    fn is_leaf(&self, state: Self::State) -> bool;

    /// The items of a state: of a leaf those it names, of any other those whose sequences pass
    /// through it, as often as they do, in the same order every time.
    fn items(&self, state: Self::State) -> impl Iterator<Item = u32> + '_;

    /// Appends the best `k` legal tokens of a row, as (token, own score), in any order: those with
    /// the higher [`Row::score`], among equals the smaller token, and none below [`Row::floor`] or
    /// at negative infinity. If a legal token's own score, or what the rule makes of it, is not a
    /// number, then appends the first such token alone.
    ///
    /// This default lists the children; a constraint may override it where it is faster.
    fn best(&self, state: Self::State, row: &Row<'_>, k: usize, out: &mut Vec<(u32, f32)>) {
        let mut tokens = Vec::new();
        self.children(state, &mut tokens);
        row.best(tokens, k, out);
    }
}

/// A constraint that is passed by reference.
impl<C: Constraint> Constraint for &C {
    type State = C::State;

    const DISJOINT: bool = C::DISJOINT;
    const WIDE: bool = C::WIDE;

    #[inline]
    fn root(&self, request: usize) -> C::State {
        (**self).root(request)
    }

    #[inline]
    fn children(&self, state: C::State, tokens: &mut Vec<u32>) {
        (**self).children(state, tokens);
    }

    #[inline]
    fn child(&self, state: C::State, token: u32) -> Option<C::State> {
        (**self).child(state, token)
    }

    #[inline]
    fn is_leaf(&self, state: C::State) -> bool {
        (**self).is_leaf(state)
    }

    fn items(&self, state: C::State) -> impl Iterator<Item = u32> + '_ {
        (**self).items(state)
    }

    #[inline]
    fn best(&self, state: C::State, row: &Row<'_>, k: usize, out: &mut Vec<(u32, f32)>) {
        (**self).best(state, row, k, out);
    }
}

/// A constraint whose sequences lie in one sorted list: an item has one or more *places* there, and
/// a state is a range of places. Filters and guides need no more than this.
///
/// The law: the ranges of a state's children are disjoint parts of its own, in the order of
/// [`Constraint::children`]; a place of the state in none of them ends there.
pub trait Places: Constraint {
    /// The places below a state.
    fn below(&self, state: Self::State) -> Range<u32>;

    /// Appends the places of an item, in any order; none for an item that does not exist.
    fn places_of(&self, item: u32, places: &mut Vec<u32>);

    /// The token that leads from a state towards a place below it; `None` for a place that ends
    /// here.
    fn toward(&self, state: Self::State, place: u32) -> Option<u32>;
}

impl<C: Places> Places for &C {
    fn below(&self, state: C::State) -> Range<u32> {
        (**self).below(state)
    }

    fn places_of(&self, item: u32, places: &mut Vec<u32>) {
        (**self).places_of(item, places);
    }

    fn toward(&self, state: C::State, place: u32) -> Option<u32> {
        (**self).toward(state, place)
    }
}

/// A scorer's row over its whole alphabet behind one sequence.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Own score of every token, `[width]`; what lies past the end has none and counts as not a
    /// number.
    pub own: &'a [f32],
    /// Score of the sequence so far.
    pub parent: f32,
    /// How the two join.
    pub rule: Rule,
    /// Lower scores are not wanted: enough better ones are known.
    pub floor: f32,
}

impl Row<'_> {
    /// What the scorer gave a token.
    #[inline]
    pub fn own(&self, token: u32) -> f32 {
        self.own.get(token as usize).copied().unwrap_or(f32::NAN)
    }

    /// Score of the sequence continued by a token.
    #[inline]
    pub fn score(&self, token: u32) -> f32 {
        self.rule.combine(self.parent, self.own(token))
    }

    /// The best `k` of these tokens, as [`Constraint::best`] appends them.
    pub fn best(&self, tokens: impl IntoIterator<Item = u32>, k: usize, out: &mut Vec<(u32, f32)>) {
        let mut pool = Pool::new(k);
        let mut floor = self.floor;
        let mut unusable = None;
        for token in tokens {
            let own = self.own(token);
            if own.is_nan() {
                out.push((token, own));
                return;
            }
            let score = self.rule.combine(self.parent, own);
            if score < floor || score == f32::NEG_INFINITY {
                continue;
            }
            if score.is_nan() {
                unusable = unusable.or(Some((token, own)));
            } else if pool.offer(Candidate { score, own, parent: 0, token }) {
                floor = pool.least().map_or(floor, |least| least.score);
            }
        }
        match unusable {
            Some(token) => out.push(token),
            None => out.extend(pool.unsorted().iter().map(|kept| (kept.token, kept.own))),
        }
    }
}
