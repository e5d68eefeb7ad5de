//! The constraints that must keep the laws, each made from plain entries.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proptest::prelude::*;

use super::device::{DeviceIndex, Uploaded};
use super::*;
use crate::index::SidIndex;
use crate::index::fm::{Build, FmBuilder, Placed, Spans};

/// A sequence, or a title, and its item.
pub(super) type Entry = (Vec<u32>, u32);

/// Items by sequence.
pub(super) type Paths = BTreeMap<Vec<u32>, Vec<u32>>;

/// A constraint under test.
pub(super) trait Case: Places + DeviceIndex + Sized {
    /// Tokens of the alphabet.
    const TOKENS: usize;

    /// Whether the items of every state come in the order of its places. Those of a leaf come in
    /// the order of [`Case::paths`] in any case.
    const IN_ORDER: bool = true;

    /// Random entries, at least one.
    fn entries() -> BoxedStrategy<Vec<Entry>>;

    fn build(entries: &[Entry]) -> Self;

    /// All finished sequences and what they name, by other means than the constraint's.
    fn paths(entries: &[Entry]) -> Paths {
        let mut paths = Paths::new();
        for (path, item) in entries {
            paths.entry(path.clone()).or_default().push(*item);
        }
        paths
    }
}

/// All prefixes of the sequences, the empty one first.
pub(super) fn prefixes(paths: &Paths) -> BTreeSet<Vec<u32>> {
    paths.keys().flat_map(|path| (0..=path.len()).map(|n| path[..n].to_vec())).collect()
}

/// The state of a prefix.
pub(super) fn state_of<C: Constraint>(constraint: &C, request: usize, prefix: &[u32]) -> C::State {
    let root = constraint.root(request);
    prefix.iter().try_fold(root, |state, &token| constraint.child(state, token)).unwrap()
}

/// All items.
pub(super) fn items(paths: &Paths) -> BTreeSet<u32> {
    paths.values().flatten().copied().collect()
}

impl Case for SidIndex {
    const TOKENS: usize = 48;

    fn entries() -> BoxedStrategy<Vec<Entry>> {
        let few_codes = proptest::collection::hash_set(proptest::array::uniform4(0u32..3), 1..60);
        let many_codes = proptest::collection::hash_set(proptest::array::uniform3(0u32..9), 1..150);
        let few = few_codes.prop_map(|set| set.iter().map(|path| path.to_vec()).collect());
        let many = many_codes.prop_map(|set| set.iter().map(|path| path.to_vec()).collect());
        let paths = prop_oneof![few, many];
        paths.prop_map(|paths: Vec<Vec<u32>>| paths.into_iter().zip(0..).collect()).boxed()
    }

    fn build(entries: &[Entry]) -> Self {
        let codes: Vec<u32> = entries.iter().flat_map(|(path, _)| path).copied().collect();
        let n_levels = entries[0].0.len();
        let n_codes = match n_levels {
            4 => 3,
            3 => 9,
            _ => Self::TOKENS as u32,
        };
        Self::build(&codes, &vec![n_codes; n_levels]).unwrap()
    }
}

/// Paths of two codes, with more children per level than a pool holds before it cuts.
pub(super) fn many_children() -> impl Strategy<Value = Vec<Entry>> {
    let path = proptest::array::uniform2(0..SidIndex::TOKENS as u32);
    let paths = proptest::collection::hash_set(path, 600..1500);
    paths.prop_map(|paths| paths.iter().map(|path| path.to_vec()).zip(0..).collect())
}

impl DeviceIndex for SidIndex {
    fn upload(&self) -> Uploaded {
        let rows: Vec<Entry> = (0..self.n_items()).map(|row| self.path_at(row).unwrap()).collect();
        Uploaded::new(&rows)
    }
}

/// Sequences of any length, none the prefix of another; a leaf may name many items, and an item may
/// have many leaves. States are numbers of prefixes.
#[derive(Debug)]
pub(super) struct Tree {
    prefixes: Vec<Vec<u32>>,
    /// Sorted sequences, one row per item.
    rows: Vec<Entry>,
}

/// Drops what is empty or clashes with an earlier sequence.
pub(super) fn without_clashes(entries: Vec<Entry>) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::new();
    for (path, item) in entries {
        let clashes = |(old, one): &Entry| {
            (old.starts_with(&path) || path.starts_with(old)) && (*old != path || *one == item)
        };
        if !path.is_empty() && !kept.iter().any(clashes) {
            kept.push((path, item));
        }
    }
    kept
}

impl Case for Tree {
    const TOKENS: usize = 4;

    fn entries() -> BoxedStrategy<Vec<Entry>> {
        let path = proptest::collection::vec(0u32..4, 1..5);
        let entries = proptest::collection::vec((path, 0u32..25), 1..40);
        entries.prop_map(without_clashes).boxed()
    }

    fn build(entries: &[Entry]) -> Self {
        let paths = Self::paths(entries);
        let rows = paths.iter().flat_map(|(path, items)| items.iter().map(|i| (path.clone(), *i)));
        Self { prefixes: prefixes(&paths).into_iter().collect(), rows: rows.collect() }
    }
}

impl Constraint for Tree {
    type State = usize;

    fn root(&self, _: usize) -> usize {
        0
    }

    fn children(&self, state: usize, tokens: &mut Vec<u32>) {
        let Some(prefix) = self.prefixes.get(state) else { return };
        let below = self.prefixes.iter().filter(|p| p.len() == prefix.len() + 1);
        tokens.extend(below.filter(|p| p.starts_with(prefix)).map(|p| p[prefix.len()]));
    }

    fn child(&self, state: usize, token: u32) -> Option<usize> {
        let path = [&self.prefixes[state][..], &[token]].concat();
        self.prefixes.binary_search(&path).ok()
    }

    fn is_leaf(&self, state: usize) -> bool {
        self.prefixes.get(state).is_some_and(|prefix| self.rows.iter().any(|row| row.0 == *prefix))
    }

    fn items(&self, state: usize) -> impl Iterator<Item = u32> + '_ {
        self.below(state).map(|row| self.rows[row as usize].1)
    }
}

impl Places for Tree {
    fn below(&self, state: usize) -> Range<u32> {
        let Some(prefix) = self.prefixes.get(state) else { return 0..0 };
        let start = self.rows.partition_point(|row| row.0 < *prefix);
        let n = self.rows[start..].partition_point(|row| row.0.starts_with(prefix));
        start as u32..(start + n) as u32
    }

    fn places_of(&self, item: u32, places: &mut Vec<u32>) {
        places.extend((0..).zip(&self.rows).filter(|(_, row)| row.1 == item).map(|(at, _)| at));
    }

    fn toward(&self, state: usize, place: u32) -> Option<u32> {
        self.rows[place as usize].0.get(self.prefixes[state].len()).copied()
    }
}

impl DeviceIndex for Tree {
    fn upload(&self) -> Uploaded {
        Uploaded::new(&self.rows)
    }
}

/// Spans of titles: every suffix of every title, closed by a token of its own, so that no span
/// crosses a title's end. A state is a range of the sorted suffixes of the whole stream and names
/// every title that holds the span, as often as it does.
#[derive(Debug)]
pub(super) struct Stream {
    /// Titles one after another, each with its end.
    tokens: Vec<u32>,
    /// Title of every token, `[tokens]`.
    titles: Vec<u32>,
    /// Where the suffixes start, in their order.
    suffixes: Vec<u32>,
}

/// A span: what the suffixes of a range begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    depth: u32,
    lo: u32,
    hi: u32,
}

impl Stream {
    pub(super) const TITLE_END: u32 = 4;

    fn token(&self, place: u32, depth: u32) -> u32 {
        self.tokens[(self.suffixes[place as usize] + depth) as usize]
    }

    fn suffix(&self, start: u32) -> &[u32] {
        let rest = &self.tokens[start as usize..];
        let n = rest.iter().position(|&token| token == Self::TITLE_END).unwrap();
        &rest[..=n]
    }
}

impl Case for Stream {
    const TOKENS: usize = Self::TITLE_END as usize + 1;

    fn entries() -> BoxedStrategy<Vec<Entry>> {
        let title = proptest::collection::vec(0..Self::TITLE_END, 1..7);
        let titles = proptest::collection::vec(title, 1..12);
        titles.prop_map(|titles| titles.into_iter().zip(0..).collect()).boxed()
    }

    fn build(entries: &[Entry]) -> Self {
        let (mut tokens, mut titles) = (Vec::new(), Vec::new());
        for (title, item) in entries {
            tokens.extend(title.iter().chain(&[Self::TITLE_END]));
            titles.resize(tokens.len(), *item);
        }
        let starts = (0..tokens.len() as u32).filter(|&at| tokens[at as usize] != Self::TITLE_END);
        let suffixes = starts.collect();
        let mut stream = Self { tokens, titles, suffixes };
        let mut suffixes = std::mem::take(&mut stream.suffixes);
        // Stable: equal suffixes stay in the order of their titles.
        suffixes.sort_by(|&a, &b| stream.suffix(a).cmp(stream.suffix(b)));
        stream.suffixes = suffixes;
        stream
    }

    fn paths(entries: &[Entry]) -> Paths {
        let mut paths = Paths::new();
        for (title, item) in entries {
            for start in 0..title.len() {
                let suffix = [&title[start..], &[Self::TITLE_END]].concat();
                paths.entry(suffix).or_default().push(*item);
            }
        }
        paths
    }
}

impl Constraint for Stream {
    type State = Span;

    const WIDE: bool = true;

    fn root(&self, _: usize) -> Span {
        Span { depth: 0, lo: 0, hi: self.suffixes.len() as u32 }
    }

    fn children(&self, span: Span, tokens: &mut Vec<u32>) {
        if self.is_leaf(span) {
            return;
        }
        let start = tokens.len();
        for place in span.lo..span.hi {
            let token = self.token(place, span.depth);
            if tokens[start..].last() != Some(&token) {
                tokens.push(token);
            }
        }
    }

    fn child(&self, span: Span, token: u32) -> Option<Span> {
        if self.is_leaf(span) {
            return None;
        }
        let places = || span.lo..span.hi;
        let lo = places().find(|&place| self.token(place, span.depth) == token)?;
        let hi = places().rfind(|&place| self.token(place, span.depth) == token)? + 1;
        Some(Span { depth: span.depth + 1, lo, hi })
    }

    fn is_leaf(&self, span: Span) -> bool {
        span.depth > 0 && self.token(span.lo, span.depth - 1) == Self::TITLE_END
    }

    fn items(&self, span: Span) -> impl Iterator<Item = u32> + '_ {
        (span.lo..span.hi).map(|place| self.titles[self.suffixes[place as usize] as usize])
    }

    /// Tries tokens from the best on, as an index does that can test a token and not list any.
    fn best(&self, span: Span, row: &Row<'_>, k: usize, out: &mut Vec<(u32, f32)>) {
        let is_legal = |token: &u32| self.child(span, *token).is_some();
        let tokens = 0..row.own.len() as u32;
        let first = |is_unusable: &dyn Fn(u32) -> bool| {
            tokens.clone().filter(is_legal).find(|&token| is_unusable(token))
        };
        let unusable = first(&|token| row.own(token).is_nan());
        if let Some(token) = unusable.or_else(|| first(&|token| row.score(token).is_nan())) {
            return out.push((token, row.own(token)));
        }
        let mut sorted: Vec<u32> =
            tokens.filter(|&t| row.score(t) >= row.floor.max(f32::MIN)).collect();
        sorted.sort_by(|&a, &b| row.score(b).total_cmp(&row.score(a)).then(a.cmp(&b)));
        let best = sorted.into_iter().filter(is_legal).take(k);
        out.extend(best.map(|token| (token, row.own(token))));
    }
}

impl Places for Stream {
    fn below(&self, span: Span) -> Range<u32> {
        span.lo..span.hi
    }

    fn places_of(&self, item: u32, places: &mut Vec<u32>) {
        let title = |place: &u32| self.titles[self.suffixes[*place as usize] as usize];
        places.extend((0..self.suffixes.len() as u32).filter(|place| title(place) == item));
    }

    fn toward(&self, span: Span, place: u32) -> Option<u32> {
        (!self.is_leaf(span)).then(|| self.token(place, span.depth))
    }
}

impl DeviceIndex for Stream {
    fn upload(&self) -> Uploaded {
        let row = |&start: &u32| (self.suffix(start).to_vec(), self.titles[start as usize]);
        Uploaded::new(&self.suffixes.iter().map(row).collect::<Vec<_>>())
    }
}

/// The same spans in an index of the texts read backwards, closed where a text ends. Its rows are
/// not in the order of its places.
impl Case for Placed<'static> {
    const TOKENS: usize = Stream::TOKENS;

    const IN_ORDER: bool = false;

    fn entries() -> BoxedStrategy<Vec<Entry>> {
        Stream::entries()
    }

    fn build(entries: &[Entry]) -> Self {
        let n_items = entries.iter().map(|(_, item)| item + 1).max().unwrap();
        let mut builder = FmBuilder::new(Stream::TITLE_END, n_items).unwrap();
        entries.iter().for_each(|(title, item)| builder.push(*item, title).unwrap());
        let build = if entries.len() % 2 == 0 { Build::Compact } else { Build::Fast };
        // A view borrows its index, which is small enough to stay.
        let index = Box::leak(Box::new(builder.build(build).unwrap()));
        Self::new(Spans::new(index).closed_by(Stream::TITLE_END).unwrap()).unwrap()
    }

    fn paths(entries: &[Entry]) -> Paths {
        Stream::paths(entries)
    }
}

impl DeviceIndex for Placed<'static> {
    fn upload(&self) -> Uploaded {
        fn walk<C: Constraint>(c: &C, state: C::State, path: &mut Vec<u32>, rows: &mut Vec<Entry>) {
            if c.is_leaf(state) {
                rows.extend(c.items(state).map(|item| (path.clone(), item)));
            }
            let mut tokens = Vec::new();
            c.children(state, &mut tokens);
            for token in tokens {
                path.push(token);
                walk(c, c.child(state, token).unwrap(), path, rows);
                path.pop();
            }
        }
        let mut rows = Vec::new();
        walk(self, self.root(0), &mut Vec::new(), &mut rows);
        Uploaded::new(&rows)
    }
}
