//! Spans of texts as a constraint of the beam search.
//!
//! A state is the rows of a span. Every span may be the last: a collector such as
//! [`crate::beam::Every`] counts all that are kept, and the search's depth bounds their length. No
//! state is a leaf, and a span behind which all texts end has no children, unless there is a token
//! that closes spans: it may follow where a text ends, and leads to a leaf that names the items of
//! the texts that end there.

use crate::beam::{Candidate, Constraint, Row};
use crate::index::error::IndexError;
use crate::top::Ranked;

use super::fm_index::{FmIndex, Rows};

/// Occurrences up to which the children are listed to find the best.
const FEW: u64 = 512;

/// The spans of an index, as a search sees them.
#[derive(Debug, Clone, Copy)]
pub struct Spans<'a> {
    index: &'a FmIndex,
    /// Whether a token may begin a span, by token; tokens beyond it may not.
    starts: Option<&'a [bool]>,
    closing: Option<u32>,
    /// The token that the spans of a request begin behind, by request.
    openings: &'a [Option<u32>],
}

/// A span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanState {
    rows: Rows,
    /// First of its places, if the suffixes of all texts were sorted: see [`super::Placed`].
    pub(super) place: u64,
    depth: u32,
    is_closed: bool,
}

impl SpanState {
    /// Number of tokens, the closing one included.
    pub fn depth(self) -> usize {
        self.depth as usize
    }

    /// Its rows in the index; of a closed span those of the span that was closed.
    pub fn rows(self) -> Rows {
        self.rows
    }

    /// Whether it was closed by the closing token.
    pub fn is_closed(self) -> bool {
        self.is_closed
    }
}

impl<'a> Spans<'a> {
    /// All spans; any token may begin one.
    pub fn new(index: &'a FmIndex) -> Self {
        Self { index, starts: None, closing: None, openings: &[] }
    }

    /// Only spans that begin with a token `t` for which `starts[t]`, for instance one that begins a
    /// word; a token beyond the list begins none.
    pub fn starting_with(self, starts: &'a [bool]) -> Self {
        Self { starts: Some(starts), ..self }
    }

    /// The same where a token closes a span at the end of a text.
    ///
    /// # Errors
    /// The token occurs in the texts.
    pub fn closed_by(self, token: u32) -> Result<Self, IndexError> {
        if self.index.has(token) {
            return Err(IndexError::ClosingToken(token));
        }
        Ok(Self { closing: Some(token), ..self })
    }

    /// The same where the spans of request `r` begin right behind the token `openings[r]`, if there
    /// is one, such as one that only stands before titles. It belongs to the states and to no hit;
    /// what follows it may begin a span whatever [`Spans::starting_with`] says.
    ///
    /// # Errors
    /// A token that does not occur: the request would have no span.
    pub fn opened_by(self, openings: &'a [Option<u32>]) -> Result<Self, IndexError> {
        match openings.iter().flatten().find(|token| !self.index.has(**token)) {
            Some(token) => Err(IndexError::OpeningToken(*token)),
            None => Ok(Self { openings, ..self }),
        }
    }

    /// The index.
    pub fn index(&self) -> &'a FmIndex {
        self.index
    }

    /// The closing token, if there is one.
    pub fn closing(&self) -> Option<u32> {
        self.closing
    }

    /// Number of occurrences of a span; of a closed one, of texts that end with it.
    pub fn count(&self, state: SpanState) -> u64 {
        match (state.depth, state.is_closed) {
            // The empty span also stands at the end of each text, where no span begins.
            (0, _) => self.index.n_tokens(),
            (_, true) => self.index.ends(state.rows),
            (_, false) => state.rows.count(),
        }
    }

    #[inline]
    pub(super) fn may_start(&self, token: u32) -> bool {
        self.starts.is_none_or(|starts| starts.get(token as usize).is_some_and(|&may| may))
    }

    /// Whether a token may follow at all: only some begin a span.
    fn may_follow(&self, state: SpanState, token: u32) -> bool {
        state.depth > 0 || self.may_start(token)
    }

    /// The closing token, if it may follow.
    fn closing_of(&self, state: SpanState) -> Option<u32> {
        self.closing
            .filter(|_| state.depth > 0 && !state.is_closed && self.index.ends(state.rows) > 0)
    }

    /// The span with one token more, wherever it begins.
    #[inline]
    fn step(&self, state: SpanState, token: u32) -> Option<SpanState> {
        let (rows, smaller) = self.index.step(state.rows, token)?;
        let (place, depth) = (state.place + smaller, state.depth + 1);
        Some(SpanState { rows, place, depth, is_closed: false })
    }

    /// As [`Constraint::best`], by trying tokens from the best on; `None` where that takes too many
    /// tries, or where a score is not a number or missing.
    pub(super) fn tried(
        &self,
        state: SpanState,
        row: &Row<'_>,
        k: usize,
    ) -> Option<Vec<(u32, f32)>> {
        let closing = self.closing_of(state);
        let width = self.index.width().max(closing.map_or(0, |token| token.saturating_add(1)));
        if width as usize > row.own.len() {
            return None;
        }
        let mut candidates = Vec::new();
        for (token, &own) in (0u32..).zip(row.own) {
            let score = row.score(token);
            if own.is_nan() || score.is_nan() {
                return None;
            }
            if score < row.floor || score == f32::NEG_INFINITY {
                continue;
            }
            candidates.push(Candidate { score, own, parent: 0, token });
        }
        let mut tries = (state.rows.count().min(width.into()) / 8) as usize;
        let (mut found, mut rest) = (Vec::new(), &mut candidates[..]);
        while found.len() < k && !rest.is_empty() {
            let n = (2 * (k - found.len()) + 16).min(rest.len());
            if n < rest.len() {
                rest.select_nth_unstable_by(n, Candidate::order);
            }
            let (best, others) = rest.split_at_mut(n);
            best.sort_unstable_by(Candidate::order);
            for candidate in best {
                tries = tries.checked_sub(1)?;
                let token = candidate.token;
                let is_legal = Some(token) == closing
                    || self.may_follow(state, token)
                        && self.index.extend(state.rows, token).is_some();
                if is_legal {
                    found.push((token, candidate.own));
                    if found.len() == k {
                        break;
                    }
                }
            }
            rest = others;
        }
        Some(found)
    }
}

impl Constraint for Spans<'_> {
    type State = SpanState;

    const WIDE: bool = true;

    fn root(&self, request: usize) -> SpanState {
        let empty = SpanState { rows: self.index.all(), place: 0, depth: 0, is_closed: false };
        let opening = self.openings.get(request).copied().flatten();
        opening.and_then(|token| self.step(empty, token)).unwrap_or(empty)
    }

    /// Ascending, but for the closing token, which comes last.
    fn children(&self, state: SpanState, tokens: &mut Vec<u32>) {
        if state.is_closed {
            return;
        }
        self.index.each_continuation(state.rows, |token, _| {
            if self.may_follow(state, token) {
                tokens.push(token);
            }
        });
        tokens.extend(self.closing_of(state));
    }

    #[inline]
    fn child(&self, state: SpanState, token: u32) -> Option<SpanState> {
        if state.is_closed || !self.may_follow(state, token) {
            return None;
        }
        let depth = state.depth + 1;
        if Some(token) == self.closing {
            self.closing_of(state)?;
            // What ends comes behind what goes on.
            let place = state.place + state.rows.count() - self.index.ends(state.rows);
            return Some(SpanState { place, depth, is_closed: true, ..state });
        }
        self.step(state, token)
    }

    fn is_leaf(&self, state: SpanState) -> bool {
        state.is_closed
    }

    /// In the order of rows, those of a closed span ascending; a common span has as many as it has
    /// occurrences.
    fn items(&self, state: SpanState) -> impl Iterator<Item = u32> + '_ {
        let rows = if state.depth == 0 { self.index.behind_tokens() } else { state.rows };
        let (mut closed, mut open) = (Vec::new(), rows.lo..rows.hi);
        if state.is_closed {
            // The order of rows changes with the tokens that other texts have; that of hits must not.
            closed.extend(self.index.end_rows(rows).map(|row| self.index.item(row)));
            closed.sort_unstable();
            open = 0..0;
        }
        closed.into_iter().chain(open.map(|row| self.index.item(row)))
    }

    fn best(&self, state: SpanState, row: &Row<'_>, k: usize, out: &mut Vec<(u32, f32)>) {
        if self.count(state) > FEW
            && let Some(found) = self.tried(state, row, k)
        {
            return out.extend(found);
        }
        let mut tokens = Vec::new();
        self.children(state, &mut tokens);
        row.best(tokens, k, out);
    }
}
