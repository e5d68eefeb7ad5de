//! Which items a request may get, inside the constraint: no beam is spent on what is left out
//! later.

use std::ops::Range;

use super::constraint::{Constraint, Places, Row};

/// Items that one request may, or may not, get. Any order; repeated and unknown items do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter<'a> {
    /// All items.
    #[default]
    All,
    /// These items only.
    Only(&'a [u32]),
    /// All but these items.
    Without(&'a [u32]),
}

/// A constraint under one filter per request: a token is legal only if an allowed item lies below
/// it, so that every beam can still be finished and one beam width serves all requests.
///
/// The places of a request's items lie sorted, and a state keeps the range of them that is below
/// it. Where none of the items left out is below a state, its children are those of the constraint
/// inside; requests without a filter pay one comparison per state.
#[derive(Debug, Clone)]
pub struct Filtered<C> {
    inner: C,
    requests: Vec<Set>,
}

/// The filter of one request.
#[derive(Debug, Clone)]
struct Set {
    keeps: bool,
    /// Ascending, each once.
    items: Vec<u32>,
    /// Ascending, each once.
    places: Vec<u32>,
}

/// A state of the constraint inside, and what of the filter lies below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilteredState<S> {
    /// The state of the constraint inside.
    pub inner: S,
    request: u32,
    /// Range of the request's places that lie below the state.
    lo: u32,
    hi: u32,
}

impl<C: Places> Filtered<C> {
    /// No filter yet.
    pub fn new(inner: C) -> Self {
        Self { inner, requests: Vec::new() }
    }

    /// Replaces the filters: one per request, and [`Filter::All`] for requests beyond the list.
    pub fn set(&mut self, filters: &[Filter<'_>]) {
        let is_open = |filter: &Filter<'_>| matches!(filter, Filter::All | Filter::Without([]));
        self.requests.clear();
        if !filters.iter().all(is_open) {
            self.requests.extend(filters.iter().map(|&filter| Set::new(&self.inner, filter)));
        }
    }

    /// The constraint inside.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    /// The filter that acts below a state, if any does.
    fn acting(&self, state: FilteredState<C::State>) -> Option<&Set> {
        let set = self.requests.get(state.request as usize)?;
        (set.keeps || state.lo < state.hi).then_some(set)
    }

    /// The child by a token that is legal inside, if an allowed item lies below it.
    fn narrow(
        &self,
        state: FilteredState<C::State>,
        set: &Set,
        token: u32,
    ) -> (Option<FilteredState<C::State>>, Range<u32>) {
        let Some(inner) = self.inner.child(state.inner, token) else { return (None, 0..0) };
        let below = self.inner.below(inner);
        let places = &set.places[state.lo as usize..state.hi as usize];
        let lo = places.partition_point(|&place| place < below.start);
        let n = places[lo..].partition_point(|&place| place < below.end) as u32;
        let is_legal = if set.keeps { n > 0 } else { n < below.end - below.start };
        let lo = state.lo + lo as u32;
        (is_legal.then_some(FilteredState { inner, lo, hi: lo + n, ..state }), lo..lo + n)
    }
}

impl Set {
    fn new<C: Places>(constraint: &C, filter: Filter<'_>) -> Self {
        let (keeps, items) = match filter {
            Filter::All => (false, &[][..]),
            Filter::Only(items) => (true, items),
            Filter::Without(items) => (false, items),
        };
        let mut items = items.to_vec();
        items.sort_unstable();
        items.dedup();
        let mut places = Vec::with_capacity(items.len());
        for &item in &items {
            constraint.places_of(item, &mut places);
        }
        places.sort_unstable();
        places.dedup();
        Self { keeps, items, places }
    }
}

impl<C: Places> Constraint for Filtered<C> {
    type State = FilteredState<C::State>;

    const DISJOINT: bool = C::DISJOINT;
    const WIDE: bool = C::WIDE;

    fn root(&self, request: usize) -> Self::State {
        let inner = self.inner.root(request);
        let mut state = FilteredState { inner, request: request as u32, lo: 0, hi: 0 };
        if let Some(set) = self.requests.get(request) {
            let below = self.inner.below(inner);
            state.lo = set.places.partition_point(|&place| place < below.start) as u32;
            state.hi = set.places.partition_point(|&place| place < below.end) as u32;
        }
        state
    }

    #[inline]
    fn children(&self, state: Self::State, tokens: &mut Vec<u32>) {
        let Some(set) = self.acting(state) else {
            return self.inner.children(state.inner, tokens);
        };
        // Only children above a place of the set can differ from those inside, so those are
        // visited.
        let start = tokens.len();
        if !set.keeps {
            self.inner.children(state.inner, tokens);
        }
        let (mut read, mut write) = (start, start);
        let mut at = state.lo;
        while at < state.hi {
            let Some(token) = self.inner.toward(state.inner, set.places[at as usize]) else {
                at += 1;
                continue;
            };
            let (child, below) = self.narrow(state, set, token);
            at = below.end.max(at + 1);
            if set.keeps {
                tokens.extend(child.map(|_| token));
            } else if child.is_none() {
                // Children come in the order of their places: everything before this one stays.
                while read < tokens.len() && tokens[read] != token {
                    tokens[write] = tokens[read];
                    (read, write) = (read + 1, write + 1);
                }
                read += 1;
            }
        }
        if read > write {
            tokens.copy_within(read.., write);
            tokens.truncate(write + tokens.len() - read);
        }
    }

    #[inline]
    fn child(&self, state: Self::State, token: u32) -> Option<Self::State> {
        match self.acting(state) {
            Some(set) => self.narrow(state, set, token).0,
            None => {
                let inner = self.inner.child(state.inner, token)?;
                Some(FilteredState { inner, ..state })
            }
        }
    }

    #[inline]
    fn is_leaf(&self, state: Self::State) -> bool {
        self.inner.is_leaf(state.inner)
    }

    fn items(&self, state: Self::State) -> impl Iterator<Item = u32> + '_ {
        let acting = self.acting(state);
        let is_allowed = move |item: &u32| {
            acting.is_none_or(|set| set.items.binary_search(item).is_ok() == set.keeps)
        };
        self.inner.items(state.inner).filter(is_allowed)
    }

    fn best(&self, state: Self::State, row: &Row<'_>, k: usize, out: &mut Vec<(u32, f32)>) {
        if self.acting(state).is_none() {
            return self.inner.best(state.inner, row, k, out);
        }
        let mut tokens = Vec::new();
        self.children(state, &mut tokens);
        row.best(tokens, k, out);
    }
}

/// The places are those of the constraint inside, whether their items are allowed or not.
impl<C: Places> Places for Filtered<C> {
    fn below(&self, state: Self::State) -> Range<u32> {
        self.inner.below(state.inner)
    }

    fn places_of(&self, item: u32, places: &mut Vec<u32>) {
        self.inner.places_of(item, places);
    }

    fn toward(&self, state: Self::State, place: u32) -> Option<u32> {
        self.inner.toward(state.inner, place)
    }
}
