//! Spans under filters and guides: the places of the suffixes of all texts.
//!
//! The rows of an [`FmIndex`](super::FmIndex) do not nest: a longer span has other rows than the
//! span it continues. Its occurrences do nest in the list of all suffixes of all texts, sorted from
//! their first token on, those that end behind those that go on. Nobody keeps that list: where a
//! span begins in it follows from how many occurrences of each shorter one go on with a smaller
//! token, which the wavelet matrix counts on the way (Lam and others, 2009, keep two indexes in step
//! like this). So *places* are those of the list in either build, and an item has one for each token
//! of its texts. Suffixes that are equal are in the order of the rows that they end in.

use std::ops::Range;

use super::spans::{SpanState, Spans};
use crate::beam::{Constraint, Places, Row};
use crate::index::error::IndexError;

/// [`Spans`] with places, so that filters and guides can be laid over them.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a>(Spans<'a>);

impl<'a> Placed<'a> {
    /// The same spans.
    ///
    /// # Errors
    /// More tokens than a 32-bit place can number.
    pub fn new(spans: Spans<'a>) -> Result<Self, IndexError> {
        let n_tokens = spans.index().n_tokens();
        match u32::try_from(n_tokens) {
            Ok(_) => Ok(Self(spans)),
            Err(_) => Err(IndexError::TooManyPlaces(n_tokens)),
        }
    }

    /// The spans inside.
    pub fn spans(&self) -> Spans<'a> {
        self.0
    }
}

impl Constraint for Placed<'_> {
    type State = SpanState;

    const WIDE: bool = true;

    fn root(&self, request: usize) -> SpanState {
        self.0.root(request)
    }

    #[inline]
    fn children(&self, state: SpanState, tokens: &mut Vec<u32>) {
        self.0.children(state, tokens);
    }

    #[inline]
    fn child(&self, state: SpanState, token: u32) -> Option<SpanState> {
        self.0.child(state, token)
    }

    #[inline]
    fn is_leaf(&self, state: SpanState) -> bool {
        self.0.is_leaf(state)
    }

    fn items(&self, state: SpanState) -> impl Iterator<Item = u32> + '_ {
        self.0.items(state)
    }

    fn best(&self, state: SpanState, row: &Row<'_>, k: usize, out: &mut Vec<(u32, f32)>) {
        self.0.best(state, row, k, out);
    }
}

impl Places for Placed<'_> {
    fn below(&self, state: SpanState) -> Range<u32> {
        // There are no more places than tokens, which were counted in 32 bits.
        state.place as u32..(state.place + self.0.count(state)) as u32
    }

    fn places_of(&self, item: u32, places: &mut Vec<u32>) {
        let index = self.0.index();
        let all = Spans::new(index);
        for text in index.texts_of(item) {
            let (tokens, end) = index.text(text);
            for start in 0..tokens.len() {
                let mut span = all.root(0);
                for &token in &tokens[start..] {
                    let Some(next) = all.child(span, token) else { break };
                    span = next;
                    // The only suffix that begins so.
                    if all.count(span) == 1 {
                        break;
                    }
                }
                let n = all.count(span);
                let place = if n == 1 {
                    span.place
                } else {
                    let rows = span.rows();
                    span.place + n - index.ends(rows) + index.ends_before(rows, end)
                };
                places.push(place as u32);
            }
        }
    }

    fn toward(&self, state: SpanState, place: u32) -> Option<u32> {
        if state.is_closed() {
            return None;
        }
        let at = u64::from(place).checked_sub(state.place)?;
        match self.0.index().sorted_token(state.rows(), at) {
            Some(token) => (state.depth() > 0 || self.0.may_start(token)).then_some(token),
            None => self.0.closing().filter(|_| state.depth() > 0),
        }
    }
}
