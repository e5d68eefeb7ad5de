//! Bits that count themselves: how many ones stand before a place, for one cache line.
//!
//! A block is 64 bytes, eight little-endian words: its lowest 32 bits count the ones before it, the
//! other 480 are the bits. The count starts anew every 2^22 blocks, for which a table of 64-bit
//! counts stands in front; that table is one entry up to 2·10^9 bits. With both a bit costs 1.067
//! bits. (Counts in the block that they belong to: Gog and Petri, 2014.)

use rayon::prelude::*;

use crate::index::layout::u64_at;

/// Bits of a block.
pub(super) const BLOCK_BITS: u64 = 480;
pub(super) const BLOCK_BYTES: usize = 64;
/// Bits that the count of a block takes.
const COUNT_BITS: u32 = 32;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Blocks per entry of the table, as a power of two: their ones fit the count. Few in tests, so that
/// they reach a second entry.
const LARGE_SHIFT: u32 = if cfg!(test) { 2 } else { 22 };
/// Blocks per unit of parallel work.
const BLOCKS_PER_TASK: usize = 1 << 8;

/// Calls a function that is always inlined, compiled a second time for processors that count the ones
/// of a word in one instruction, which is found out at run time: six times as fast.
macro_rules! counting {
    ($body:path, ($($arg:ident: $ty:ty = $value:expr),* $(,)?) -> $ret:ty) => {{
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "popcnt")]
            fn wide($($arg: $ty),*) -> $ret {
                $body($($arg),*)
            }
            if std::arch::is_x86_feature_detected!("popcnt") {
                // SAFETY: the processor has the feature, as the line above found.
                return unsafe { wide($($value),*) };
            }
        }
        $body($($value),*)
    }};
}
pub(super) use counting;

/// Where counted bits lie in an image, and how many they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits {
    /// Byte of the table of counts.
    table: usize,
    /// Byte of the first block.
    blocks: usize,
    len: u64,
}

impl Bits {
    /// Bits from a byte on that is a multiple of 64, and the byte behind them; `None` where that
    /// overflows.
    pub(super) fn at(start: usize, len: u64) -> Option<(Self, usize)> {
        // One more, so that the count before the end has a block.
        let n_blocks = usize::try_from(len / BLOCK_BITS).ok()?.checked_add(1)?;
        let table = (8 * n_blocks.div_ceil(1 << LARGE_SHIFT)).next_multiple_of(BLOCK_BYTES);
        let blocks = start.checked_add(table)?;
        let end = n_blocks.checked_mul(BLOCK_BYTES)?.checked_add(blocks)?;
        Some((Self { table: start, blocks, len }, end))
    }

    /// Number of bits.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn n_blocks(&self) -> usize {
        (self.len / BLOCK_BITS) as usize + 1
    }

    /// Ones before a block.
    #[inline(always)]
    fn before(&self, image: &[u8], block: usize) -> u64 {
        let large = u64_at(image, self.table + 8 * (block >> LARGE_SHIFT));
        large + (u64_at(image, self.blocks + block * BLOCK_BYTES) & COUNT_MASK)
    }

    /// Number of ones before a place, `at <= len`.
    #[inline(always)]
    pub(super) fn ones(&self, image: &[u8], at: u64) -> u64 {
        self.bit_and_ones(image, at).1
    }

    /// Number of zeros before a place, `at <= len`.
    #[inline(always)]
    pub(super) fn zeros(&self, image: &[u8], at: u64) -> u64 {
        at - self.ones(image, at)
    }

    /// The bit of a place, which is 0 at the end, and the number of ones before it.
    #[inline(always)]
    pub(super) fn bit_and_ones(&self, image: &[u8], at: u64) -> (bool, u64) {
        let block = (at / BLOCK_BITS) as usize;
        let bit = (at % BLOCK_BITS) as u32 + COUNT_BITS;
        let line = self.blocks + block * BLOCK_BYTES;
        let line = &image[line..line + BLOCK_BYTES];
        let large = u64_at(image, self.table + 8 * (block >> LARGE_SHIFT));
        let first = u64_at(line, 0);
        let mut ones = large + (first & COUNT_MASK);
        // No branch on the place, which nobody could predict.
        for word in 0..8 {
            let bits = if word == 0 { first & !COUNT_MASK } else { u64_at(line, 8 * word) };
            let n = bit.saturating_sub(64 * word as u32).min(64);
            let mask = if n == 64 { u64::MAX } else { (1 << n) - 1 };
            ones += u64::from((bits & mask).count_ones());
        }
        let word = u64_at(line, 8 * (bit / 64) as usize);
        (word >> (bit % 64) & 1 == 1, ones)
    }

    /// The bit of a place, which is 0 at the end.
    #[inline]
    pub(super) fn bit(&self, image: &[u8], at: u64) -> bool {
        let bit = (at % BLOCK_BITS) as u32 + COUNT_BITS;
        let line = self.blocks + (at / BLOCK_BITS) as usize * BLOCK_BYTES;
        u64_at(image, line + 8 * (bit / 64) as usize) >> (bit % 64) & 1 == 1
    }

    /// The place of the one before which there are `n` others, if there are so many.
    pub(super) fn place_of_one(&self, image: &[u8], n: u64) -> Option<u64> {
        let (mut lo, mut hi) = (0, self.n_blocks());
        while hi - lo > 1 {
            let middle = lo + (hi - lo) / 2;
            if self.before(image, middle) <= n { lo = middle } else { hi = middle }
        }
        let mut left = n.checked_sub(self.before(image, lo))?;
        for word in 0..8 {
            let mut bits = u64_at(image, self.blocks + lo * BLOCK_BYTES + 8 * word);
            if word == 0 {
                bits &= !COUNT_MASK;
            }
            let ones = u64::from(bits.count_ones());
            if left >= ones {
                left -= ones;
                continue;
            }
            for _ in 0..left {
                bits &= bits - 1;
            }
            let bit = 64 * word as u64 + u64::from(bits.trailing_zeros());
            return Some(lo as u64 * BLOCK_BITS + bit - u64::from(COUNT_BITS));
        }
        None
    }

    /// Writes the bits and their counts into the image, side by side.
    pub(super) fn fill(&self, image: &mut [u8], bit: impl Fn(u64) -> bool + Sync) {
        let n_blocks = self.n_blocks();
        let (front, blocks) =
            image[..self.blocks + n_blocks * BLOCK_BYTES].split_at_mut(self.blocks);
        let tasks = blocks.par_chunks_mut(BLOCKS_PER_TASK * BLOCK_BYTES).enumerate();
        tasks.for_each(|(task, blocks)| {
            for (block, line) in blocks.chunks_exact_mut(BLOCK_BYTES).enumerate() {
                let start = (task * BLOCKS_PER_TASK + block) as u64 * BLOCK_BITS;
                let mut ones = 0;
                for (word, bytes) in line.chunks_exact_mut(8).enumerate() {
                    let bits = word_at(start, word, self.len, &bit);
                    ones += u64::from(bits.count_ones());
                    bytes.copy_from_slice(&bits.to_le_bytes());
                }
                // The block's own ones, until the ones before it are known.
                let first = u64_at(line, 0) | ones;
                line[..8].copy_from_slice(&first.to_le_bytes());
            }
        });
        let (mut total, mut large) = (0u64, 0);
        for (block, line) in blocks.chunks_exact_mut(BLOCK_BYTES).enumerate() {
            if block % (1 << LARGE_SHIFT) == 0 {
                large = total;
                let entry = self.table + 8 * (block >> LARGE_SHIFT);
                front[entry..entry + 8].copy_from_slice(&large.to_le_bytes());
            }
            let word = u64_at(line, 0);
            let count = total - large;
            line[..8].copy_from_slice(&(word & !COUNT_MASK | count).to_le_bytes());
            total += word & COUNT_MASK;
        }
    }

    /// The number of ones, if the counts are those of the bits and no bit lies behind the end.
    pub(super) fn verified(&self, image: &[u8]) -> Option<u64> {
        let blocks = &image[self.blocks..self.blocks + self.n_blocks() * BLOCK_BYTES];
        let ones_of = |line: &[u8]| -> u64 {
            let words = (0..8).map(|word| u64_at(line, 8 * word));
            words.enumerate().fold(0, |ones, (word, bits)| {
                let bits = if word == 0 { bits & !COUNT_MASK } else { bits };
                ones + u64::from(bits.count_ones())
            })
        };
        let ones: Vec<u64> = blocks.par_chunks_exact(BLOCK_BYTES).map(ones_of).collect();
        let mut total = 0;
        for (block, ones) in ones.into_iter().enumerate() {
            if self.before(image, block) != total {
                return None;
            }
            total += ones;
        }
        (self.ones(image, self.len) == total).then_some(total)
    }
}

/// A word of the block that begins with the bit `start`; the bits of its count are 0.
#[inline(always)]
fn word_at(start: u64, word: usize, len: u64, bit: &impl Fn(u64) -> bool) -> u64 {
    let first = if word == 0 { u64::from(COUNT_BITS) } else { 0 };
    let mut bits = 0;
    for at in first..64 {
        let place = start + 64 * word as u64 + at - u64::from(COUNT_BITS);
        if place < len && bit(place) {
            bits |= 1 << at;
        }
    }
    bits
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_equal_plain_sums(
            seed: u64, len in prop_oneof![0u64..5, 470u64..490, 900u64..5000], shape in 0u32..4,
        ) {
            let is_one = |at: u64| match shape {
                0 => false,
                1 => true,
                2 => (seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1,
                _ => (seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58 == 1,
            };
            let (bits, end) = Bits::at(64, len).unwrap();
            let mut image = vec![0; end];
            bits.fill(&mut image, is_one);
            let mut ones = 0;
            for at in 0..len {
                prop_assert_eq!(bits.bit_and_ones(&image, at), (is_one(at), ones));
                prop_assert_eq!(bits.bit(&image, at), is_one(at));
                prop_assert_eq!(bits.zeros(&image, at), at - ones);
                if is_one(at) {
                    prop_assert_eq!(bits.place_of_one(&image, ones), Some(at));
                    ones += 1;
                }
            }
            prop_assert_eq!(bits.ones(&image, len), ones);
            prop_assert_eq!(bits.place_of_one(&image, ones), None);
            prop_assert_eq!(bits.verified(&image), Some(ones));
        }
    }
}
