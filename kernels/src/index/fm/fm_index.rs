//! The index of all spans of all texts: an FM-index of the texts read backwards.
//!
//! Its rows are the prefixes of all texts, the empty one of each included, in the order of their
//! symbols from the last to the first; equal ones in the order of their texts. The occurrences of a
//! span are then the prefixes that end with it: a range of rows. What stands behind those rows,
//! kept as a wavelet matrix, are the tokens that may follow, and following one of them is one step
//! of the *backward search* of Ferragina and Manzini (2000), as the stream is reversed. A row behind
//! which a text ends has no token there: a bit says so, so that no span crosses a text's end and no
//! symbol of the matrix is spent on it.
//!
//! Sizes for n tokens and t texts: n ⌈log2 used tokens⌉ + n + t bits, 1/15 more for counts, and the
//! items: t ⌈log2 items⌉ bits compact (also n/16 more where a text is longer than 16 tokens), n + t
//! of them fast.

use super::bits::counting;
use super::layout::{Build, Layout, STRIDE};
use super::wavelet::Wavelet;
use crate::map::Bytes;

/// Rows of a span's occurrences: never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rows {
    /// First row.
    pub(super) lo: u64,
    /// One past the last.
    pub(super) hi: u64,
}

impl Rows {
    /// Number of occurrences.
    pub fn count(self) -> u64 {
        self.hi - self.lo
    }
}

/// A token that may follow a span, and the occurrences of the span with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Continuation {
    /// The token.
    pub token: u32,
    /// Occurrences of the longer span.
    pub rows: Rows,
}

/// All spans of texts, in memory or in a mapped file.
#[derive(Debug)]
pub struct FmIndex {
    image: Bytes,
    layout: Layout,
    wavelet: Wavelet,
    /// One past the largest token that occurs.
    width: u32,
}

impl FmIndex {
    pub(super) fn from_parts(image: Bytes, layout: Layout) -> Self {
        let wavelet = Wavelet::new(&image, &layout.levels, layout.counts.n_tokens);
        let n_used = layout.used.ones(&image, layout.used.len());
        let last = n_used.checked_sub(1).and_then(|n| layout.used.place_of_one(&image, n));
        let width = last.map_or(0, |token| token as u32 + 1);
        Self { image, layout, wavelet, width }
    }

    pub(super) fn image(&self) -> &[u8] {
        &self.image
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn wavelet(&self) -> &Wavelet {
        &self.wavelet
    }

    /// How rows tell their items.
    pub fn kind(&self) -> Build {
        self.layout.counts.build
    }

    /// Tokens of the alphabet.
    pub fn alphabet(&self) -> u32 {
        self.layout.counts.alphabet
    }

    /// One past the largest token that occurs.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Number of items.
    pub fn n_items(&self) -> u32 {
        self.layout.counts.n_items
    }

    /// Number of texts with a token.
    pub fn n_texts(&self) -> u64 {
        self.layout.counts.n_texts
    }

    /// Number of tokens of all texts.
    pub fn n_tokens(&self) -> u64 {
        self.layout.counts.n_tokens
    }

    /// Bytes the index occupies, in memory or mapped.
    pub fn bytes(&self) -> usize {
        self.layout.end
    }

    /// The empty span: it occurs before each token and at the end of each text.
    pub fn all(&self) -> Rows {
        Rows { lo: 0, hi: self.layout.n_rows }
    }

    /// The rows that lie behind a token: as many as there are tokens.
    pub(super) fn behind_tokens(&self) -> Rows {
        Rows { lo: self.n_texts(), hi: self.layout.n_rows }
    }

    /// Whether a token occurs.
    #[inline]
    pub fn has(&self, token: u32) -> bool {
        token < self.width && self.layout.used.bit(&self.image, token.into())
    }

    /// The places of the wavelet matrix for rows: those without a text's end.
    #[inline(always)]
    fn places(&self, rows: Rows) -> (u64, u64) {
        let zeros = |at| self.layout.ends.zeros(&self.image, at);
        (zeros(rows.lo), zeros(rows.hi))
    }

    #[inline(always)]
    fn rows_behind(&self, lo: u64, hi: u64) -> Rows {
        let n_texts = self.n_texts();
        Rows { lo: n_texts + lo, hi: n_texts + hi }
    }

    /// The span one token longer, if a text has it.
    #[inline]
    pub fn extend(&self, rows: Rows, token: u32) -> Option<Rows> {
        Some(self.step(rows, token)?.0)
    }

    /// The span one token longer, and how many occurrences of the span go on with a smaller token.
    #[inline]
    pub(super) fn step(&self, rows: Rows, token: u32) -> Option<(Rows, u64)> {
        counting!(
            FmIndex::step_here,
            (index: &FmIndex = self, rows: Rows = rows, token: u32 = token) -> Option<(Rows, u64)>
        )
    }

    #[inline(always)]
    fn step_here(&self, rows: Rows, token: u32) -> Option<(Rows, u64)> {
        if !self.has(token) {
            return None;
        }
        let symbol = self.layout.used.ones(&self.image, token.into()) as u32;
        let (lo, hi) = self.places(rows);
        let found = self.wavelet.follow(&self.image, lo, hi, symbol)?;
        Some((self.rows_behind(found.lo, found.hi), found.smaller))
    }

    /// The rows of a span, if a text has it.
    pub fn find(&self, span: &[u32]) -> Option<Rows> {
        span.iter().try_fold(self.all(), |rows, &token| self.extend(rows, token))
    }

    /// Number of texts that end behind a span.
    pub fn ends(&self, rows: Rows) -> u64 {
        let (lo, hi) = self.places(rows);
        rows.count() - (hi - lo)
    }

    /// Appends the tokens that may follow a span, ascending, each once and with the rows of the
    /// longer span.
    pub fn continuations(&self, rows: Rows, out: &mut Vec<Continuation>) {
        self.each_continuation(rows, |token, rows| out.push(Continuation { token, rows }));
    }

    pub(super) fn each_continuation(&self, rows: Rows, mut call: impl FnMut(u32, Rows)) {
        let mut with_token = |symbol, lo, hi| call(self.token(symbol), self.rows_behind(lo, hi));
        self.each_symbol(rows, &mut with_token);
    }

    fn each_symbol(&self, rows: Rows, call: &mut dyn FnMut(u32, u64, u64)) {
        counting!(
            FmIndex::each_symbol_here,
            (index: &FmIndex = self, rows: Rows = rows, call: &mut dyn FnMut(u32, u64, u64) = call)
                -> ()
        );
    }

    #[inline(always)]
    fn each_symbol_here(&self, rows: Rows, call: &mut dyn FnMut(u32, u64, u64)) {
        let (lo, hi) = self.places(rows);
        self.wavelet.each(&self.image, lo, hi, call);
    }

    /// The token of the matrix's symbol.
    pub(super) fn token(&self, symbol: u32) -> u32 {
        let token = self.layout.used.place_of_one(&self.image, symbol.into());
        token.map_or(self.width, |token| token as u32)
    }

    /// The token that follows at a place among the occurrences that do not end, if those were
    /// sorted by it.
    pub(super) fn sorted_token(&self, rows: Rows, at: u64) -> Option<u32> {
        let (lo, hi) = self.places(rows);
        (at < hi - lo).then(|| self.token(self.wavelet.sorted_at(&self.image, lo, hi, at)))
    }

    /// The token behind a row and the row behind that; `None` at a text's end.
    #[inline(always)]
    fn next(&self, row: u64) -> Option<(u32, u64)> {
        let (is_end, ends) = self.layout.ends.bit_and_ones(&self.image, row);
        if is_end {
            return None;
        }
        let (symbol, place) = self.wavelet.symbol(&self.image, row - ends);
        Some((symbol, self.n_texts() + place))
    }

    /// The item whose text has a row: one look-up in a fast build, at most 16 steps in a compact
    /// one.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn item(&self, row: u64) -> u32 {
        if self.layout.counts.build == Build::Fast {
            return self.layout.items.get(&self.image, row);
        }
        counting!(FmIndex::walk_to_item, (index: &FmIndex = self, row: u64 = row) -> u32)
    }

    #[inline(always)]
    fn walk_to_item(&self, row: u64) -> u32 {
        let Layout { items, ends, marks, .. } = &self.layout;
        let (stored, mut row) = (marks.as_ref().unwrap_or(ends), row);
        // Longer walks are only in a file that was made to hold a circle, checksum and all.
        for _ in 0..=STRIDE {
            let (is_stored, before) = stored.bit_and_ones(&self.image, row);
            if is_stored {
                return items.get(&self.image, before);
            }
            let Some((_, next)) = self.next(row) else { break };
            row = next;
        }
        0
    }

    /// The item of each occurrence of a span, in the order of rows: as often as it occurs there.
    pub fn items(&self, rows: Rows) -> impl Iterator<Item = u32> + '_ {
        (rows.lo..rows.hi).map(|row| self.item(row))
    }

    /// The rows among these behind which a text ends, each once and ascending.
    pub(super) fn end_rows(&self, rows: Rows) -> impl Iterator<Item = u64> + '_ {
        let ends = &self.layout.ends;
        let (lo, hi) = (ends.ones(&self.image, rows.lo), ends.ones(&self.image, rows.hi));
        (lo..hi).filter_map(|n| ends.place_of_one(&self.image, n))
    }

    /// How many of the rows before this one end a text, counted from the first of a range.
    pub(super) fn ends_before(&self, rows: Rows, row: u64) -> u64 {
        self.layout.ends.ones(&self.image, row) - self.layout.ends.ones(&self.image, rows.lo)
    }

    /// The texts of an item: texts are numbered in the order of their items.
    pub fn texts_of(&self, item: u32) -> std::ops::Range<u64> {
        // The first rows are the empty prefixes, in the order of their texts.
        let first = |holds: &dyn Fn(u32) -> bool| {
            let (mut lo, mut hi) = (0, self.n_texts());
            while lo < hi {
                let middle = lo + (hi - lo) / 2;
                if holds(self.item(middle)) { lo = middle + 1 } else { hi = middle }
            }
            lo
        };
        first(&|one| one < item)..first(&|one| one <= item)
    }

    /// The tokens of a text, and the row behind its last.
    ///
    /// # Panics
    /// If there is no such text.
    pub fn text(&self, text: u64) -> (Vec<u32>, u64) {
        assert!(text < self.n_texts(), "text {text} of {}", self.n_texts());
        let (mut tokens, mut row) = (Vec::new(), text);
        // No two rows lead to the same, and none leads to the first: the walk meets no circle.
        while let Some((symbol, next)) = self.next(row) {
            tokens.push(self.token(symbol));
            row = next;
        }
        (tokens, row)
    }
}
