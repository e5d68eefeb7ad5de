//! The packed semantic-ID index: sorted rows, and a prefix is a range of them.
//!
//! The first levels are a dense table of row offsets, so that a step there is one look-up per code;
//! below it a range holds few rows, already sorted, and its children are read off by a short scan.
//! Against a trie with node numbers (STATIC, arXiv 2602.22647: 70-90 bytes per item) this needs no
//! nodes, no edges and at most 16 bytes per item. It knows nothing of models or tokenizers.

use std::ops::Range;
use std::sync::OnceLock;

use super::layout::{Layout, u32_at};
use crate::beam::{Constraint, Places};
use crate::map::Bytes;

/// Up to this many rows a plain scan beats galloping.
const SCAN_ROWS: u32 = 48;

/// The set of items as sorted, bit-packed paths of codes.
#[derive(Debug)]
pub struct SidIndex {
    image: Bytes,
    layout: Layout,
    /// Row of every item, made when it is first asked for.
    rows: OnceLock<Vec<u32>>,
}

/// A prefix that at least one item has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SidState {
    depth: u32,
    /// Inside the head table: its first entry. Below it: the first row.
    lo: u32,
    /// One past the last entry or row.
    hi: u32,
}

impl SidState {
    /// Number of codes in the prefix.
    pub fn depth(self) -> usize {
        self.depth as usize
    }
}

impl SidIndex {
    pub(super) fn from_parts(image: Bytes, layout: Layout) -> Self {
        Self { image, layout, rows: OnceLock::new() }
    }

    pub(super) fn image(&self) -> &[u8] {
        &self.image
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.layout.n_items
    }

    /// Codes per level, `[levels]`.
    pub fn codes_per_level(&self) -> &[u32] {
        &self.layout.codes
    }

    /// Number of levels of every path.
    pub fn n_levels(&self) -> usize {
        self.layout.codes.len()
    }

    /// Bytes the index occupies, in memory or mapped.
    pub fn bytes(&self) -> usize {
        self.layout.end
    }

    /// The empty prefix.
    pub fn root(&self) -> SidState {
        let hi = if self.layout.head_depth > 0 { self.layout.n_slots } else { self.layout.n_items };
        // Both counts are bounded by the number of items, which fits.
        SidState { depth: 0, lo: 0, hi: hi as u32 }
    }

    /// Appends the codes that may follow a prefix, ascending and each once; none for a whole path.
    #[inline]
    pub fn children(&self, state: SidState, codes: &mut Vec<u32>) {
        let depth = state.depth as usize;
        if depth < self.layout.head_depth {
            self.head_children(state, codes);
        } else if depth < self.layout.codes.len() {
            self.row_children(state, codes);
        }
    }

    /// The prefix one code longer, if an item has it.
    #[inline]
    pub fn child(&self, state: SidState, code: u32) -> Option<SidState> {
        let level = state.depth as usize;
        if code >= *self.layout.codes.get(level)? {
            return None;
        }
        let depth = state.depth + 1;
        if level >= self.layout.head_depth {
            let lo = self.partition(state.lo, state.hi, |row| self.code(row, level) < code);
            let hi = self.gallop(lo, state.hi, |row| self.code(row, level) == code);
            return (lo < hi).then_some(SidState { depth, lo, hi });
        }
        let stride = self.layout.strides[level];
        let entry = state.lo as usize + code as usize * stride;
        let (lo, hi) = (self.offset(entry), self.offset(entry + stride));
        if lo == hi {
            None
        } else if depth as usize == self.layout.head_depth {
            Some(SidState { depth, lo, hi })
        } else {
            Some(SidState { depth, lo: entry as u32, hi: (entry + stride) as u32 })
        }
    }

    /// The item of a whole path; where items share it, the first.
    #[inline]
    pub fn item(&self, state: SidState) -> Option<u32> {
        (state.depth as usize == self.n_levels()).then(|| self.item_at(state.lo as usize))
    }

    /// Number of items that have a prefix.
    pub fn count(&self, state: SidState) -> usize {
        self.rows_below(state).len()
    }

    /// The rows that have a prefix.
    #[inline]
    pub fn rows_below(&self, state: SidState) -> Range<u32> {
        if (state.depth as usize) < self.layout.head_depth {
            self.offset(state.lo as usize)..self.offset(state.hi as usize)
        } else {
            state.lo..state.hi
        }
    }

    /// The row of an item, if it exists. The first call lists the rows of all items, which from
    /// then on costs 4 bytes per item beyond [`SidIndex::bytes`].
    pub fn row_of(&self, item: u32) -> Option<u32> {
        self.rows.get_or_init(|| self.rows_of_items()).get(item as usize).copied()
    }

    /// The prefix made of these codes, if an item has it.
    pub fn prefix(&self, codes: &[u32]) -> Option<SidState> {
        codes.iter().try_fold(self.root(), |state, &code| self.child(state, code))
    }

    /// The item whose whole path this is.
    pub fn find(&self, path: &[u32]) -> Option<u32> {
        self.item(self.prefix(path)?)
    }

    /// Path `[levels]` and item of the `row`-th path in ascending order, if there are so many.
    pub fn path_at(&self, row: usize) -> Option<(Vec<u32>, u32)> {
        if row >= self.n_items() {
            return None;
        }
        let mut path = Vec::with_capacity(self.n_levels());
        let mut rest = self.slot_of(row as u32, 0..self.layout.n_slots);
        for stride in &self.layout.strides {
            path.push((rest / stride) as u32);
            rest %= stride;
        }
        for level in self.layout.head_depth..self.n_levels() {
            path.push(self.code(row as u32, level));
        }
        Some((path, self.item_at(row)))
    }

    /// Row of every item, `[items]`: with [`SidIndex::path_at`] the way from items to paths. Costs
    /// 4 bytes per item that the index itself does not spend.
    pub fn rows_of_items(&self) -> Vec<u32> {
        let mut rows = vec![0; self.n_items()];
        for row in 0..self.n_items() {
            rows[self.item_at(row) as usize] = row as u32;
        }
        rows
    }

    /// The head entry among these that holds a row: the last that starts at or before it.
    fn slot_of(&self, row: u32, slots: Range<usize>) -> usize {
        let (mut lo, mut hi) = (slots.start, slots.end);
        while hi - lo > 1 {
            let middle = lo + (hi - lo) / 2;
            if self.offset(middle) <= row { lo = middle } else { hi = middle }
        }
        lo
    }

    pub(super) fn item_at(&self, row: usize) -> u32 {
        u32_at(&self.image, self.layout.items_at + 4 * row)
    }

    #[inline]
    pub(super) fn offset(&self, entry: usize) -> u32 {
        u32_at(&self.image, self.layout.head_at + 4 * entry)
    }

    /// Code of a row at a level below the head.
    #[inline]
    fn code(&self, row: u32, level: usize) -> u32 {
        code_in(&self.image[self.layout.rows_at..], &self.layout, row, level)
    }

    fn head_children(&self, state: SidState, codes: &mut Vec<u32>) {
        let level = state.depth as usize;
        let stride = self.layout.strides[level];
        let n_codes = self.layout.codes[level];
        let at = self.layout.head_at + 4 * state.lo as usize;
        let entries = &self.image[at..at + 4 * (n_codes as usize * stride + 1)];
        let start = codes.len();
        codes.resize(start + n_codes as usize, 0);
        let found = &mut codes[start..];
        let mut n_found = 0;
        let mut lo = u32_at(entries, 0);
        // No branch per code: near the root most codes are legal, deeper about half are.
        for code in 0..n_codes {
            let hi = u32_at(entries, 4 * stride * (code as usize + 1));
            found[n_found] = code;
            n_found += usize::from(lo < hi);
            lo = hi;
        }
        codes.truncate(start + n_found);
    }

    fn row_children(&self, state: SidState, codes: &mut Vec<u32>) {
        let level = state.depth as usize;
        let rows = &self.image[self.layout.rows_at..];
        let code = |row: u32| code_in(rows, &self.layout, row, level);
        let mut row = state.lo;
        if state.hi - state.lo <= SCAN_ROWS {
            let mut last = code(row);
            codes.push(last);
            row += 1;
            while row < state.hi {
                let next = code(row);
                if next != last {
                    codes.push(next);
                    last = next;
                }
                row += 1;
            }
            return;
        }
        while row < state.hi {
            let current = code(row);
            codes.push(current);
            row = self.gallop(row, state.hi, |row| code(row) == current);
        }
    }

    /// First row of `lo..hi` for which `holds` is false; it is true first, then false.
    fn partition(&self, mut lo: u32, mut hi: u32, holds: impl Fn(u32) -> bool) -> u32 {
        while lo < hi {
            let middle = lo + (hi - lo) / 2;
            if holds(middle) { lo = middle + 1 } else { hi = middle }
        }
        lo
    }

    /// As [`Self::partition`], in steps that double from `lo`: cheap when the answer is near.
    fn gallop(&self, lo: u32, hi: u32, holds: impl Fn(u32) -> bool) -> u32 {
        let (mut known, mut step) = (lo, 1);
        while step <= hi - known && holds(known + step - 1) {
            known += step;
            step = step.saturating_mul(2);
        }
        self.partition(known, hi.min(known.saturating_add(step)), holds)
    }
}

#[inline]
fn code_in(rows: &[u8], layout: &Layout, row: u32, level: usize) -> u32 {
    let field = layout.fields[level];
    let at = row as usize * layout.row_bytes + field.bit / 8;
    let mut word = [0; 8];
    // The padding behind the last row keeps the eight bytes inside the image.
    word.copy_from_slice(&rows[at..at + 8]);
    ((u64::from_le_bytes(word) >> (field.bit % 8)) & field.mask) as u32
}

impl Constraint for SidIndex {
    type State = SidState;

    const DISJOINT: bool = true;

    fn root(&self, _request: usize) -> SidState {
        self.root()
    }

    #[inline]
    fn children(&self, state: SidState, tokens: &mut Vec<u32>) {
        self.children(state, tokens);
    }

    #[inline]
    fn child(&self, state: SidState, token: u32) -> Option<SidState> {
        self.child(state, token)
    }

    #[inline]
    fn is_leaf(&self, state: SidState) -> bool {
        state.depth() == self.n_levels()
    }

    #[inline]
    fn items(&self, state: SidState) -> impl Iterator<Item = u32> + '_ {
        self.rows_below(state).map(|row| self.item_at(row as usize))
    }
}

/// A place is a row.
impl Places for SidIndex {
    #[inline]
    fn below(&self, state: SidState) -> Range<u32> {
        self.rows_below(state)
    }

    fn places_of(&self, item: u32, places: &mut Vec<u32>) {
        places.extend(self.row_of(item));
    }

    fn toward(&self, state: SidState, row: u32) -> Option<u32> {
        let level = state.depth as usize;
        if level >= self.layout.head_depth {
            return (level < self.n_levels()).then(|| self.code(row, level));
        }
        let slot = self.slot_of(row, state.lo as usize..state.hi as usize);
        Some(((slot - state.lo as usize) / self.layout.strides[level]) as u32)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::IndexError;
    use super::*;

    /// Everything the index answers, against plain sets of prefixes.
    fn check_against_sets(paths: &[Vec<u32>], sizes: &[u32]) {
        let codes: Vec<u32> = paths.concat();
        let index = SidIndex::build(&codes, sizes).unwrap();
        let items: BTreeMap<&[u32], u32> =
            paths.iter().enumerate().map(|(i, p)| (p.as_slice(), i as u32)).collect();
        let mut prefixes: BTreeSet<&[u32]> = BTreeSet::new();
        for path in paths {
            prefixes.extend((0..=path.len()).map(|n| &path[..n]));
        }
        for prefix in &prefixes {
            let state = index.prefix(prefix).unwrap();
            let mut children = vec![77];
            index.children(state, &mut children);
            let expected: Vec<u32> = prefixes
                .iter()
                .filter(|p| p.len() == prefix.len() + 1 && p.starts_with(prefix))
                .map(|p| p[prefix.len()])
                .collect();
            assert_eq!(children[0], 77, "children must append");
            assert_eq!(children[1..], expected, "children of {prefix:?}");
            assert_eq!(index.count(state), items.keys().filter(|p| p.starts_with(prefix)).count());
            assert_eq!(index.item(state), items.get(prefix).copied());
            if let Some(&size) = sizes.get(prefix.len()) {
                for code in 0..=size {
                    let known = expected.contains(&code);
                    assert_eq!(index.child(state, code).is_some(), known, "{prefix:?} + {code}");
                }
            }
        }
        let rows = index.rows_of_items();
        for (row, (path, item)) in items.iter().enumerate() {
            assert_eq!(index.path_at(row), Some((path.to_vec(), *item)));
            assert_eq!(rows[*item as usize], row as u32);
        }
        assert_eq!(index.path_at(items.len()), None);
    }

    fn catalogues() -> impl Strategy<Value = (Vec<Vec<u32>>, Vec<u32>)> {
        proptest::collection::vec(prop_oneof![1u32..4, 2u32..9, Just(70_000u32)], 1..5)
            .prop_flat_map(|sizes| {
                // Large levels draw from few codes at both ends, so that prefixes are shared.
                let path: Vec<_> = sizes
                    .iter()
                    .map(|&k| prop_oneof![0..k.min(6), (k - k.min(3))..k].boxed())
                    .collect();
                (proptest::collection::hash_set(path, 1..200), Just(sizes))
            })
            .prop_map(|(paths, sizes)| (paths.into_iter().collect(), sizes))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn equals_sets_of_prefixes((paths, sizes) in catalogues()) {
            check_against_sets(&paths, &sizes);
        }
    }

    #[test]
    fn full_trees_use_a_deep_head() {
        let paths: Vec<Vec<u32>> =
            (0..512u32).rev().map(|i| vec![i / 64, i / 8 % 8, i % 8]).collect();
        let codes: Vec<u16> = paths.iter().flatten().map(|&code| code as u16).collect();
        let index = SidIndex::build(&codes, &[8, 8, 8]).unwrap();
        assert_eq!(index.layout.head_depth, 2);
        check_against_sets(&paths, &[8, 8, 8]);
    }

    #[test]
    fn one_large_bucket_is_scanned_by_galloping() {
        let paths: Vec<Vec<u32>> = (0..3000u32).map(|i| vec![0, i / 700, i % 700]).collect();
        check_against_sets(&paths[..400], &[1 << 20, 8, 700]);
        let index = SidIndex::build(&paths.concat(), &[1 << 20, 8, 700]).unwrap();
        let mut children = Vec::new();
        index.children(index.prefix(&[0]).unwrap(), &mut children);
        assert_eq!(children, [0, 1, 2, 3, 4]);
        assert_eq!(index.count(index.prefix(&[0, 4]).unwrap()), 200);
        assert_eq!(index.find(&[0, 3, 699]), Some(2799));
    }

    #[test]
    fn eight_levels_of_2048_codes_cost_at_most_16_bytes_per_item() {
        let layout = Layout::for_items(&[2048; 8], 20_000_000).unwrap();
        assert_eq!(layout.head_depth, 2);
        assert!(layout.end as f64 / 2e7 <= 16.0, "{} bytes", layout.end);
    }

    #[test]
    fn a_leaf_may_name_several_items_in_a_given_order() {
        let codes: Vec<u32> = (0..3000u32).flat_map(|i| [i % 7, i % 11 / 3]).collect();
        let order: Vec<u32> = (0..3000u32).map(|i| (i * 7919) % 3000 / 2).collect();
        let index = SidIndex::build_shared(&codes, &[7, 4], &order).unwrap();
        let mut file = Vec::new();
        index.write(&mut file).unwrap();
        let index = SidIndex::read(&file).unwrap();
        for path in [[0, 0], [3, 1], [6, 3]] {
            let mut expected: Vec<u32> =
                (0..3000).filter(|&i| codes[2 * i as usize..][..2] == path).collect();
            expected.sort_by_key(|&i| (order[i as usize], i));
            let leaf = index.prefix(&path).unwrap();
            assert!(Constraint::is_leaf(&index, leaf) && expected.len() > 30);
            assert_eq!(Constraint::items(&index, leaf).collect::<Vec<_>>(), expected);
            assert_eq!(index.item(leaf), expected.first().copied());
        }
        assert!(SidIndex::build_shared(&codes, &[7, 4], &order[1..]).is_err());
        // A reader of paths that are one item's each must not take this for one of them.
        assert_eq!(file[8], 2);
    }

    #[test]
    fn faults_name_the_items() {
        let message = |codes: &[u32], sizes: &[u32]| {
            SidIndex::build(codes, sizes).map(|_| ()).unwrap_err().to_string()
        };
        assert!(matches!(SidIndex::build::<u32>(&[], &[4]), Err(IndexError::Empty)));
        assert!(message(&[1, 2, 0, 0, 1, 2], &[3, 3]).starts_with("items 0 and 2 have the same"));
        assert!(message(&[1, 2, 1, 3], &[3, 3]).contains("item 1: code 3 at level 1"));
        assert!(message(&[1, 2, 1], &[3, 3]).contains("3 codes do not form rows of 2 levels"));
        assert!(message(&[1], &[]).contains("at least one code"));
        assert!(message(&[1], &[0]).contains("got [0]"));
    }
}
