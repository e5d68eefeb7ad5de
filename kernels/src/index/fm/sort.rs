//! The order of all prefixes of all texts, read backwards from their ends.
//!
//! Texts lie one after another in a stream, each behind a separator, the smallest symbol. A prefix
//! is the place of its last symbol; it is read from there down to its separator, and equal ones are
//! in the order of their texts. So no comparison crosses a text's start, and what must be read are
//! the few symbols in which two titles differ.
//!
//! Rows are put into buckets by their first symbols, large buckets again by the next, and small ones
//! are sorted by keys of as many symbols as fit 64 bits. Texts that agree in more than [`DEEP`]
//! symbols, such as long runs, are left to doubling (Larsson and Sadakane, 2007): rows that agree in
//! h symbols are in the order of what stands h places before them. Any stream takes O(n log n) that
//! way, 4 bytes per symbol for the rows, as much again at most for a bucket or for ranks, and
//! gives the same rows for any number of threads, as the order is total.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::word::Word;

/// Opens a text in the stream.
pub(super) const SEPARATOR: u32 = 0;

/// Bits of the symbols by which buckets are told apart; a wider symbol is a digit of its own.
const DIGIT_BITS: u32 = 16;
/// Rows up to which a bucket is sorted by keys, in a buffer of its own.
const SMALL: usize = 1 << 16;
/// Rows below which a part is not worth another thread.
const ALONE: usize = 1 << 14;
/// Symbols behind which doubling takes over.
const DEEP: usize = 64;
/// Most threads that fill the first buckets, as each reads the whole stream.
const MOST_SCANS: usize = 8;

/// Limits, so that tests reach every path with few rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    digit_bits: u32,
    small: usize,
    alone: usize,
    deep: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { digit_bits: DIGIT_BITS, small: SMALL, alone: ALONE, deep: DEEP }
    }
}

/// The places of a stream in the order of the prefixes that end there. `bits` hold any symbol.
pub(super) fn sorted<W: Word>(stream: &[u32], bits: u32, limits: Limits) -> Vec<W> {
    let digit_bits = limits.digit_bits.min(usize::BITS - stream.len().leading_zeros());
    let per_digit = (digit_bits / bits).max(1);
    let sorter = Sorter {
        stream,
        bits,
        per_digit,
        per_key: u64::BITS / bits,
        limits,
        deep: Mutex::new(Vec::new()),
    };
    let (offsets, mut rows) = sorter.first_buckets();
    sorter.buckets(&offsets, &mut rows, 0, per_digit as usize);
    let groups = sorter.deep.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !groups.is_empty() {
        double(&mut rows, groups, limits.deep);
    }
    rows
}

struct Sorter<'a> {
    stream: &'a [u32],
    bits: u32,
    /// Symbols of a bucket's digit.
    per_digit: u32,
    /// Symbols of a key.
    per_key: u32,
    limits: Limits,
    /// Ranges of rows that agree in [`Limits::deep`] symbols or more.
    deep: Mutex<Vec<Range<usize>>>,
}

/// What one thread needs to sort small buckets.
struct Scratch<W> {
    keyed: Vec<(u64, W)>,
    /// Parts of a bucket still to be sorted, and the depth from which on.
    parts: Vec<(usize, usize, usize)>,
}

impl Sorter<'_> {
    /// `n` symbols read backwards from a place on, zeros behind the separator.
    #[inline(always)]
    fn read(&self, place: usize, n: u32) -> u64 {
        let (mut key, mut at) = (0, place);
        for read in 0..n {
            let symbol = self.stream[at];
            key = key << self.bits | u64::from(symbol);
            if symbol == SEPARATOR {
                // A shift by all 64 bits would need 64 more symbols of one bit.
                return key << (self.bits * (n - 1 - read));
            }
            at -= 1;
        }
        key
    }

    /// Whether symbols that were read reach a separator: equal ones are equal for good.
    #[inline(always)]
    fn is_whole(&self, key: u64) -> bool {
        key & ((1 << self.bits) - 1) == u64::from(SEPARATOR)
    }

    fn n_digits(&self) -> usize {
        1 << (self.bits * self.per_digit)
    }

    /// All places by their first digit, in order inside a bucket, and where the buckets begin.
    fn first_buckets<W: Word>(&self) -> (Vec<usize>, Vec<W>) {
        let n = self.stream.len();
        let n_digits = self.n_digits();
        let n_scans = rayon::current_num_threads().min(MOST_SCANS).min(n / self.limits.alone + 1);
        let counts = (0..n_scans).into_par_iter().map(|scan| {
            let mut counts = vec![0usize; n_digits];
            for place in n * scan / n_scans..n * (scan + 1) / n_scans {
                counts[self.read(place, self.per_digit) as usize] += 1;
            }
            counts
        });
        let counts: Vec<Vec<usize>> = counts.collect();
        let mut offsets = vec![0; n_digits + 1];
        for digit in 0..n_digits {
            let count: usize = counts.iter().map(|counts| counts[digit]).sum();
            offsets[digit + 1] = offsets[digit] + count;
        }
        drop(counts);
        let mut rows = vec![W::default(); n];
        let mut tasks = Vec::with_capacity(n_scans);
        let (mut rest, mut first) = (&mut rows[..], 0);
        for scan in 0..n_scans {
            let end = if scan + 1 == n_scans {
                n_digits
            } else {
                offsets.partition_point(|&at| at < n * (scan + 1) / n_scans).clamp(first, n_digits)
            };
            let (part, after) = rest.split_at_mut(offsets[end] - offsets[first]);
            tasks.push((first..end, part));
            (rest, first) = (after, end);
        }
        tasks.into_par_iter().for_each(|(digits, rows)| {
            let start = offsets[digits.start];
            let mut next: Vec<usize> =
                offsets[digits.clone()].iter().map(|at| at - start).collect();
            for place in 0..n {
                let digit = self.read(place, self.per_digit) as usize;
                if digits.contains(&digit) {
                    let next = &mut next[digit - digits.start];
                    rows[*next] = W::of(place);
                    *next += 1;
                }
            }
        });
        (offsets, rows)
    }

    /// Sorts the buckets between these offsets, whose rows agree in `depth` symbols. `rows` are
    /// those between the first offset and the last, and lie from `base` on.
    fn buckets<W: Word>(&self, offsets: &[usize], rows: &mut [W], base: usize, depth: usize) {
        let n_buckets = offsets.len() - 1;
        if rows.len() < 2 {
            return;
        }
        if n_buckets > 1 && rows.len() > self.limits.alone {
            let half = offsets[0] + rows.len() / 2;
            let middle = offsets.partition_point(|&at| at < half).clamp(1, n_buckets - 1);
            let n = offsets[middle] - offsets[0];
            let (left, right) = rows.split_at_mut(n);
            rayon::join(
                || self.buckets(&offsets[..=middle], left, base, depth),
                || self.buckets(&offsets[middle..], right, base + n, depth),
            );
            return;
        }
        let mut scratch = Scratch { keyed: Vec::new(), parts: Vec::new() };
        for bounds in offsets.windows(2) {
            let (lo, hi) = (bounds[0] - offsets[0], bounds[1] - offsets[0]);
            if hi - lo < 2 {
                continue;
            }
            let rows = &mut rows[lo..hi];
            self.bucket(rows, base + lo, depth, &mut scratch);
        }
    }

    /// Sorts rows that agree in `depth` symbols.
    fn bucket<W: Word>(&self, rows: &mut [W], base: usize, depth: usize, scratch: &mut Scratch<W>) {
        // Buckets hold their rows in order: prefixes that are over and equal are sorted.
        if self.is_over(rows[0].get(), depth) {
            return;
        }
        if depth >= self.limits.deep {
            return self.leave(base..base + rows.len());
        }
        if rows.len() <= self.limits.small {
            return self.small(rows, base, depth, scratch);
        }
        let digit = |row: W| self.read(row.get() - depth, self.per_digit) as usize;
        let mut offsets = vec![0; self.n_digits() + 1];
        for &row in rows.iter() {
            offsets[digit(row) + 1] += 1;
        }
        for at in 1..offsets.len() {
            offsets[at] += offsets[at - 1];
        }
        let mut next = offsets.clone();
        let old = rows.to_vec();
        for row in old {
            let next = &mut next[digit(row)];
            rows[*next] = row;
            *next += 1;
        }
        drop(next);
        self.buckets(&offsets, rows, base, depth + self.per_digit as usize);
    }

    /// Whether a prefix is read to its separator within `depth` symbols.
    fn is_over(&self, place: usize, depth: usize) -> bool {
        let start = (place + 1).saturating_sub(depth);
        self.stream[start..=place].iter().any(|&symbol| symbol == SEPARATOR)
    }

    /// Sorts rows that agree in `depth` symbols and do not end there, by keys.
    fn small<W: Word>(&self, rows: &mut [W], base: usize, depth: usize, scratch: &mut Scratch<W>) {
        let Scratch { keyed, parts } = scratch;
        parts.push((0, rows.len(), depth));
        while let Some((lo, hi, depth)) = parts.pop() {
            let part = &mut rows[lo..hi];
            keyed.clear();
            keyed.extend(part.iter().map(|&row| (self.read(row.get() - depth, self.per_key), row)));
            keyed.sort_unstable();
            let (mut start, depth) = (0, depth + self.per_key as usize);
            for at in 0..keyed.len() {
                let (key, row) = keyed[at];
                part[at] = row;
                if keyed.get(at + 1).is_some_and(|next| next.0 == key) {
                    continue;
                }
                if at > start && !self.is_whole(key) {
                    if depth >= self.limits.deep {
                        self.leave(base + lo + start..base + lo + at + 1);
                    } else {
                        parts.push((lo + start, lo + at + 1, depth));
                    }
                }
                start = at + 1;
            }
        }
    }

    fn leave(&self, rows: Range<usize>) {
        self.deep.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(rows);
    }
}

/// Sorts groups of rows that agree in `depth` symbols or more, while all others are in order.
fn double<W: Word>(rows: &mut [W], mut groups: Vec<Range<usize>>, mut depth: usize) {
    groups.sort_unstable_by_key(|group| group.start);
    // A row's rank is its place, or the first place of its group.
    let mut rank = vec![W::default(); rows.len()];
    for (at, row) in rows.iter().enumerate() {
        rank[row.get()] = W::of(at);
    }
    for group in &groups {
        rows[group.clone()].iter().for_each(|row| rank[row.get()] = W::of(group.start));
    }
    while !groups.is_empty() {
        let before = |row: W| rank[row.get() - depth];
        let mut tasks = Vec::with_capacity(groups.len());
        let (mut rest, mut at) = (&mut rows[..], 0);
        for group in &groups {
            let (_, after) = rest.split_at_mut(group.start - at);
            let (part, after) = after.split_at_mut(group.len());
            tasks.push((group.start, part));
            (rest, at) = (after, group.end);
        }
        let sorted = tasks.into_par_iter().map(|(start, part)| {
            if part.len() > SMALL {
                part.par_sort_unstable_by_key(|&row| before(row));
            } else {
                part.sort_unstable_by_key(|&row| before(row));
            }
            let ends = part.chunk_by(|&a, &b| before(a) == before(b)).scan(start, |at, equal| {
                let lo = *at;
                *at += equal.len();
                Some(lo..*at)
            });
            ends.collect::<Vec<_>>()
        });
        let sorted: Vec<Range<usize>> = sorted.collect::<Vec<_>>().concat();
        // Only now, so that no thread reads a rank that another changes.
        for part in &sorted {
            rows[part.clone()].iter().for_each(|row| rank[row.get()] = W::of(part.start));
        }
        groups = sorted;
        groups.retain(|part| part.len() > 1);
        depth *= 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The prefixes in order, by comparing them.
    fn expected(stream: &[u32]) -> Vec<usize> {
        let backwards = |place: usize| -> Vec<u32> {
            let symbols = stream[..=place].iter().rev().copied();
            symbols.take_while(|&symbol| symbol != SEPARATOR).collect()
        };
        let mut rows: Vec<usize> = (0..stream.len()).collect();
        rows.sort_by_key(|&place| backwards(place));
        rows
    }

    fn check(texts: &[Vec<u32>], bits: u32, limits: Limits) {
        let stream: Vec<u32> =
            texts.iter().flat_map(|text| [&[SEPARATOR], &text[..]].concat()).collect();
        let rows = sorted::<u32>(&stream, bits, limits);
        let places: Vec<usize> = rows.iter().map(|row| row.get()).collect();
        assert_eq!(places, expected(&stream));
        let wide: Vec<usize> =
            sorted::<u64>(&stream, bits, limits).iter().map(|row| row.get()).collect();
        assert_eq!(wide, places);
    }

    fn texts() -> impl Strategy<Value = (Vec<Vec<u32>>, u32)> {
        (1u32..20).prop_flat_map(|bits| {
            let symbol = prop_oneof![1u32..2, 1u32..1 << bits, (1u32 << bits) - 1..1 << bits];
            let run = (symbol.clone(), 1usize..90).prop_map(|(symbol, n)| vec![symbol; n]);
            let text = prop_oneof![proptest::collection::vec(symbol, 1..9), run];
            let text = (proptest::collection::vec(text, 1..3), 1usize..4)
                .prop_map(|(parts, times)| vec![parts.concat(); times]);
            (proptest::collection::vec(text, 1..12).prop_map(|texts| texts.concat()), Just(bits))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn equals_comparing_whatever_the_limits(
            (texts, bits) in texts(), digit_bits in 1u32..17,
            small in prop_oneof![1usize..4, Just(SMALL)],
            alone in prop_oneof![Just(1usize), Just(ALONE)],
            deep in prop_oneof![1usize..9, Just(DEEP)],
        ) {
            check(&texts, bits, Limits { digit_bits, small, alone, deep });
        }
    }

    #[test]
    fn long_runs_and_long_repetitions_are_sorted_by_doubling() {
        let run = vec![1u32; 3_000];
        let pair: Vec<u32> = (0..2_000).map(|i| 1 + i % 2).collect();
        check(&[run.clone(), pair, run], 2, Limits::default());
    }
}
