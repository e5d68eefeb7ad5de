//! Numbers of few bits, one after another without gaps, little-endian.

use rayon::prelude::*;

use crate::index::layout::u64_at;

/// Numbers per unit of work: whole bytes for any width.
const PER_TASK: usize = 1 << 12;
/// Bytes behind the last number, so that any can be read as one word.
pub(super) const PADDING: usize = 8;

/// Where packed numbers lie in an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    at: usize,
    width: u32,
    len: u64,
}

/// Bits that hold every number below `n`.
pub(super) fn width_of(n: u64) -> u32 {
    u64::BITS - n.saturating_sub(1).leading_zeros()
}

impl Packed {
    /// `len` numbers of at most 32 bits from a byte on, and the byte behind them and their padding;
    /// `None` where that overflows.
    pub(super) fn at(start: usize, width: u32, len: u64) -> Option<(Self, usize)> {
        let bits = len.checked_mul(u64::from(width))?;
        let bytes = usize::try_from(bits.div_ceil(8)).ok()?.checked_add(PADDING)?;
        Some((Self { at: start, width, len }, start.checked_add(bytes)?))
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// A number, by its place.
    #[inline]
    pub(super) fn get(&self, image: &[u8], place: u64) -> u32 {
        let bit = place * u64::from(self.width);
        let word = u64_at(image, self.at + (bit / 8) as usize);
        (word >> (bit % 8) & ((1 << self.width) - 1)) as u32
    }

    /// Writes all numbers, side by side.
    pub(super) fn fill(&self, image: &mut [u8], number: impl Fn(u64) -> u32 + Sync) {
        let width = self.width as usize;
        if width == 0 {
            return;
        }
        let bytes = (self.len as usize * width).div_ceil(8);
        let tasks = image[self.at..self.at + bytes].par_chunks_mut(PER_TASK / 8 * width);
        tasks.enumerate().for_each(|(task, bytes)| {
            let mut next = (task * PER_TASK) as u64;
            let (mut word, mut filled) = (0u64, 0);
            for byte in bytes {
                while filled < 8 && next < self.len {
                    word |= u64::from(number(next)) << filled;
                    filled += width;
                    next += 1;
                }
                *byte = word as u8;
                word >>= 8;
                filled = filled.saturating_sub(8);
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_width_come_back() {
        assert_eq!([0, 1, 2, 3, 256, 257].map(width_of), [0, 0, 1, 2, 8, 9]);
        for width in 0..=32 {
            let number =
                |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & ((1 << width) - 1)) as u32;
            for len in [0, 1, 7, 4095, 4096, 9001] {
                let (packed, end) = Packed::at(3, width, len).unwrap();
                let mut image = vec![0; end];
                packed.fill(&mut image, number);
                assert!((0..len).all(|i| packed.get(&image, i) == number(i)), "{width} {len}");
                assert_eq!(image[end - PADDING..], [0; PADDING]);
            }
        }
    }
}
