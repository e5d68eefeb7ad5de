//! A wavelet matrix: a sequence of symbols as one row of counted bits per bit of a symbol (Claude
//! and Navarro, 2012).
//!
//! Level by level the places with a 0 go in front of those with a 1, in their order. The highest bit
//! comes first, so that ranges are split into smaller and larger symbols: symbols are listed
//! ascending, and how many smaller ones a range holds falls out on the way. Behind the last level
//! places are sorted by symbols read from the lowest bit up, equal ones in their old order: if the
//! rows of an index are in that order of symbols, then the place behind the last level *is* the row
//! that the symbol leads to, and no table of symbols is needed.

use rayon::prelude::*;

use super::bits::Bits;
use super::word::Word;

/// Places per unit of parallel work.
const PER_TASK: usize = 1 << 16;

/// Where the levels lie in an image, the highest bit first.
#[derive(Debug)]
pub(super) struct Wavelet {
    levels: Vec<Level>,
    len: u64,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    bits: Bits,
    /// Number of zeros: where the ones begin at the next level.
    zeros: u64,
}

/// A range of places that one symbol of a range of the sequence leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// First place behind the last level.
    pub(super) lo: u64,
    /// One past the last.
    pub(super) hi: u64,
    /// Smaller symbols in the range that was asked.
    pub(super) smaller: u64,
}

/// The number that has these lowest `width` bits in the other order.
pub(super) fn reversed(symbol: u32, width: u32) -> u32 {
    if width == 0 { 0 } else { symbol.reverse_bits() >> (u32::BITS - width) }
}

impl Wavelet {
    /// The matrix whose levels an image holds, `len` bits each.
    pub(super) fn new(image: &[u8], levels: &[Bits], len: u64) -> Self {
        let level = |bits: &Bits| Level { bits: *bits, zeros: bits.zeros(image, len) };
        Self { levels: levels.iter().map(level).collect(), len }
    }

    /// Number of symbols in the sequence.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where a symbol of the range leads to; `None` if it is not in it.
    #[inline(always)]
    pub(super) fn follow(&self, image: &[u8], lo: u64, hi: u64, symbol: u32) -> Option<Found> {
        let (mut lo, mut hi, mut smaller) = (lo, hi, 0);
        let mut mask = 1u32 << self.levels.len() >> 1;
        for level in &self.levels {
            if lo >= hi {
                return None;
            }
            let (a, b) = (level.bits.ones(image, lo), level.bits.ones(image, hi));
            let is_one = symbol & mask != 0;
            smaller += if is_one { hi - lo - (b - a) } else { 0 };
            (lo, hi) = if is_one { (level.zeros + a, level.zeros + b) } else { (lo - a, hi - b) };
            mask >>= 1;
        }
        (lo < hi).then_some(Found { lo, hi, smaller })
    }

    /// The symbol at a place and where it leads to.
    #[inline(always)]
    pub(super) fn symbol(&self, image: &[u8], place: u64) -> (u32, u64) {
        self.rest(image, 0, place, 0)
    }

    /// As [`Self::symbol`], from a level on, behind the bits of the levels before.
    #[inline(always)]
    fn rest(&self, image: &[u8], from: usize, place: u64, high: u32) -> (u32, u64) {
        let (mut place, mut symbol) = (place, high);
        for level in &self.levels[from..] {
            let (is_one, ones) = level.bits.bit_and_ones(image, place);
            place = if is_one { level.zeros + ones } else { place - ones };
            symbol = symbol << 1 | u32::from(is_one);
        }
        (symbol, place)
    }

    /// Calls for each symbol of the range, ascending, with the places that it leads to.
    #[inline(always)]
    pub(super) fn each(&self, image: &[u8], lo: u64, hi: u64, call: &mut dyn FnMut(u32, u64, u64)) {
        if lo >= hi {
            return;
        }
        // Ranges still to be split, the one of the smallest symbols on top: one per level at most.
        let mut open = [(0, 0, 0, 0); u32::BITS as usize];
        let (mut n_open, mut depth, mut lo, mut hi, mut high) = (0, 0, lo, hi, 0);
        loop {
            if hi - lo == 1 {
                let (symbol, place) = self.rest(image, depth, lo, high);
                call(symbol, place, place + 1);
            } else if let Some(level) = self.levels.get(depth) {
                let (a, b) = (level.bits.ones(image, lo), level.bits.ones(image, hi));
                let (zeros, ones) = ((lo - a, hi - b), (level.zeros + a, level.zeros + b));
                (depth, high) = (depth + 1, high << 1);
                if zeros.0 == zeros.1 {
                    (lo, hi, high) = (ones.0, ones.1, high | 1);
                    continue;
                }
                if ones.0 < ones.1 {
                    open[n_open] = (depth, ones.0, ones.1, high | 1);
                    n_open += 1;
                }
                (lo, hi) = zeros;
                continue;
            } else {
                call(high, lo, hi);
            }
            if n_open == 0 {
                return;
            }
            n_open -= 1;
            (depth, lo, hi, high) = open[n_open];
        }
    }

    /// The symbol at a place of the range if it were sorted, `at < hi - lo`.
    #[inline(always)]
    pub(super) fn sorted_at(&self, image: &[u8], lo: u64, hi: u64, at: u64) -> u32 {
        let (mut lo, mut hi, mut at, mut symbol) = (lo, hi, at, 0);
        for level in &self.levels {
            let (a, b) = (level.bits.ones(image, lo), level.bits.ones(image, hi));
            let zeros = hi - lo - (b - a);
            let is_one = at >= zeros;
            if is_one {
                (lo, hi, at) = (level.zeros + a, level.zeros + b, at - zeros);
            } else {
                (lo, hi) = (lo - a, hi - b);
            }
            symbol = symbol << 1 | u32::from(is_one);
        }
        symbol
    }

    /// Writes the levels of a sequence of symbols whose bits are in the other order.
    pub(super) fn fill<W: Word>(image: &mut [u8], levels: &[Bits], reversed: Vec<W>) {
        let mut from = reversed;
        let mut to = vec![W::default(); if levels.len() > 1 { from.len() } else { 0 }];
        for (level, bits) in levels.iter().enumerate() {
            bits.fill(image, |place| from[place as usize].get() >> level & 1 == 1);
            if level + 1 < levels.len() {
                part(&from, &mut to, |word| word.get() >> level & 1 == 1);
                std::mem::swap(&mut from, &mut to);
            }
        }
    }
}

/// Those that are no ones in front of those that are, in their order.
fn part<W: Word>(from: &[W], to: &mut [W], is_one: impl Fn(W) -> bool + Sync) {
    let zeros_of = |words: &[W]| words.iter().filter(|&&word| !is_one(word)).count();
    let zeros: Vec<usize> = from.par_chunks(PER_TASK).map(zeros_of).collect();
    let (mut front, mut back) = to.split_at_mut(zeros.iter().sum());
    let mut tasks = Vec::with_capacity(zeros.len());
    for (words, zeros) in from.chunks(PER_TASK).zip(zeros) {
        let (low, rest) = front.split_at_mut(zeros);
        front = rest;
        let (high, rest) = back.split_at_mut(words.len() - zeros);
        back = rest;
        tasks.push((words, low, high));
    }
    tasks.into_par_iter().for_each(|(words, low, high)| {
        let (mut zeros, mut ones) = (0, 0);
        for &word in words {
            if is_one(word) {
                high[ones] = word;
                ones += 1;
            } else {
                low[zeros] = word;
                zeros += 1;
            }
        }
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn answers_equal_plain_counts(
            width in 0u32..8, symbols in proptest::collection::vec(any::<u32>(), 0..600),
            cuts in proptest::collection::vec((any::<usize>(), any::<usize>()), 4),
        ) {
            let symbols: Vec<u32> = symbols.iter().map(|s| s & ((1 << width) - 1)).collect();
            let (mut levels, mut end) = (Vec::new(), 0);
            for _ in 0..width {
                let (bits, behind) = Bits::at(end, symbols.len() as u64).unwrap();
                levels.push(bits);
                end = behind;
            }
            let mut image = vec![0; end];
            Wavelet::fill::<u32>(&mut image, &levels, symbols.iter().map(|&s| reversed(s, width)).collect());
            let wavelet = Wavelet::new(&image, &levels, symbols.len() as u64);
            let mut order: Vec<usize> = (0..symbols.len()).collect();
            order.sort_by_key(|&at| reversed(symbols[at], width));
            for (at, &symbol) in symbols.iter().enumerate() {
                let row = order.iter().position(|&one| one == at).unwrap() as u64;
                prop_assert_eq!(wavelet.symbol(&image, at as u64), (symbol, row));
            }
            for (a, b) in cuts {
                let n = symbols.len() + 1;
                let (lo, hi) = (a % n, b % n);
                let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
                for symbol in symbols.get(lo..hi).unwrap_or_default() {
                    *counts.entry(*symbol).or_default() += 1;
                }
                let mut found = Vec::new();
                let (lo, hi) = (lo as u64, hi as u64);
                wavelet.each(&image, lo, hi, &mut |symbol, lo, hi| found.push((symbol, lo, hi)));
                let listed: Vec<(u32, u64)> = found.iter().map(|f| (f.0, f.2 - f.1)).collect();
                prop_assert_eq!(listed, counts.clone().into_iter().collect::<Vec<_>>());
                let mut smaller = 0;
                for symbol in 0..1 << width {
                    let one = found.iter().find(|f| f.0 == symbol);
                    let expected = one.map(|&(_, lo, hi)| Found { lo, hi, smaller });
                    prop_assert_eq!(wavelet.follow(&image, lo, hi, symbol), expected);
                    for at in smaller..smaller + counts.get(&symbol).unwrap_or(&0) {
                        prop_assert_eq!(wavelet.sorted_at(&image, lo, hi, at), symbol);
                    }
                    smaller += counts.get(&symbol).unwrap_or(&0);
                }
            }
        }
    }
}
