//! Where everything lies in the image of an index of spans: the same in memory and on disk.
//!
//! All numbers little-endian, every part but the last from a multiple of 64 bytes on:
//!
//! | part    | content                                                                         |
//! |---------|---------------------------------------------------------------------------------|
//! | header  | magic `[8]`; version, kind, alphabet, items (u32 each); texts, tokens, stored       |
//! |         | (u64 each); levels, stride (u32 each); zeros up to 64 bytes                      |
//! | used    | counted bits `[alphabet]`: tokens that occur                                     |
//! | ends    | counted bits `[rows]`: rows behind which a text ends                             |
//! | marks   | counted bits `[rows]`: rows whose item is stored; only with a stride             |
//! | levels  | counted bits `[tokens]` each: wavelet matrix of the tokens behind the other rows |
//! | items   | packed `[stored]`: items of marked rows, of ends without marks, or of all rows   |
//!
//! There is a row per token and one more per text: rows = tokens + texts.

use super::bits::{BLOCK_BYTES, Bits};
use super::packed::{Packed, width_of};
use crate::index::error::IndexError;
use crate::index::layout::{u32_at, u64_at};

const MAGIC: [u8; 8] = *b"TRVLFMI\0";
const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 64;

/// Tokens that an alphabet may have.
pub(super) const MOST_TOKENS: u32 = 1 << 20;

/// Tokens between two rows of a text whose item is stored, in a compact build.
pub(super) const STRIDE: u32 = 16;

/// How the item of a row is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Build {
    /// By walking to the next row whose item is stored: the end of its text, or one of every 16
    /// tokens of a longer text (a sampled suffix array, Ferragina and Manzini 2000).
    Compact,
    /// By an array with the item of every row (a document array, Muthukrishnan 2002).
    Fast,
}

/// What sizes and offsets follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) build: Build,
    pub(super) alphabet: u32,
    pub(super) n_items: u32,
    pub(super) n_texts: u64,
    pub(super) n_tokens: u64,
    /// Items stored.
    pub(super) n_stored: u64,
    /// Levels of the wavelet matrix.
    pub(super) n_levels: u32,
    /// Tokens between two rows of a text whose item is stored; 0 where only ends have theirs.
    pub(super) stride: u32,
}

impl Counts {
    /// Number of rows; `None` if that overflows.
    pub(super) fn n_rows(&self) -> Option<u64> {
        self.n_tokens.checked_add(self.n_texts)
    }
}

/// Sizes and places of all parts.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) counts: Counts,
    pub(super) n_rows: u64,
    pub(super) used: Bits,
    pub(super) ends: Bits,
    pub(super) marks: Option<Bits>,
    pub(super) levels: Vec<Bits>,
    pub(super) items: Packed,
    pub(super) end: usize,
}

impl Layout {
    /// The layout of an index of these sizes; `None` where they overflow.
    pub(super) fn new(counts: Counts) -> Option<Self> {
        let n_rows = counts.n_rows()?;
        let mut end = HEADER_BYTES;
        let mut bits = |len: u64| {
            let (bits, behind) = Bits::at(end, len)?;
            end = behind.checked_next_multiple_of(BLOCK_BYTES)?;
            Some(bits)
        };
        let used = bits(counts.alphabet.into())?;
        let ends = bits(n_rows)?;
        let marks = if counts.stride > 0 { Some(bits(n_rows)?) } else { None };
        let levels =
            (0..counts.n_levels).map(|_| bits(counts.n_tokens)).collect::<Option<Vec<_>>>()?;
        let (items, end) = Packed::at(end, width_of(counts.n_items.into()), counts.n_stored)?;
        Some(Self { counts, n_rows, used, ends, marks, levels, items, end })
    }

    /// Writes the header.
    pub(super) fn write_header(&self, image: &mut [u8]) {
        let counts = &self.counts;
        let kind = match counts.build {
            Build::Compact => 1,
            Build::Fast => 2,
        };
        let mut header = MAGIC.to_vec();
        for number in [VERSION, kind, counts.alphabet, counts.n_items] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        for number in [counts.n_texts, counts.n_tokens, counts.n_stored] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        for number in [counts.n_levels, counts.stride] {
            header.extend_from_slice(&number.to_le_bytes());
        }
        image[..header.len()].copy_from_slice(&header);
    }

    /// Reads the header back; the bytes behind it are not looked at.
    pub(super) fn parse(image: &[u8]) -> Result<Self, IndexError> {
        if image.len() < HEADER_BYTES || image[..8] != MAGIC {
            return Err(IndexError::corrupt("not an index of spans (no header found)"));
        }
        let version = u32_at(image, 8);
        if version != VERSION {
            return Err(IndexError::corrupt(format!(
                "format {version} of an index of spans, but this program reads format {VERSION}"
            )));
        }
        let impossible = || IndexError::corrupt("the header states impossible sizes");
        let counts = Counts {
            build: match u32_at(image, 12) {
                1 => Build::Compact,
                2 => Build::Fast,
                _ => return Err(impossible()),
            },
            alphabet: u32_at(image, 16),
            n_items: u32_at(image, 20),
            n_texts: u64_at(image, 24),
            n_tokens: u64_at(image, 32),
            n_stored: u64_at(image, 40),
            n_levels: u32_at(image, 48),
            stride: u32_at(image, 52),
        };
        let is_possible = (1..=MOST_TOKENS).contains(&counts.alphabet)
            && counts.n_levels <= width_of(MOST_TOKENS.into())
            && counts.n_items > 0
            && counts.n_texts > 0
            && counts.n_tokens >= counts.n_texts
            && [0, STRIDE].contains(&counts.stride)
            && u64_at(image, 56) == 0
            && match counts.build {
                Build::Compact if counts.stride == 0 => counts.n_stored == counts.n_texts,
                Build::Compact => true,
                Build::Fast => counts.stride == 0 && Some(counts.n_stored) == counts.n_rows(),
            };
        if !is_possible {
            return Err(impossible());
        }
        Self::new(counts).ok_or_else(impossible)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Bytes of an index over those of its tokens as packed numbers.
    fn ratio(build: Build, bits: u32, length: u64) -> f64 {
        let n_tokens = 100_000_000;
        let n_texts = n_tokens / length;
        let stride = if build == Build::Compact && length > 16 { STRIDE } else { 0 };
        let counts = Counts {
            build,
            alphabet: 1 << bits,
            n_items: n_texts as u32,
            n_texts,
            n_tokens,
            n_stored: match build {
                Build::Compact if stride > 0 => n_texts * (length / u64::from(STRIDE) + 1),
                Build::Compact => n_texts,
                Build::Fast => n_tokens + n_texts,
            },
            n_levels: bits,
            stride,
        };
        let packed = n_tokens as f64 * f64::from(bits) / 8.0;
        Layout::new(counts).unwrap().end as f64 / packed
    }

    #[test]
    fn an_index_is_at_most_one_and_a_half_or_three_times_its_packed_tokens() {
        for bits in 14..=18 {
            for length in [8, 12, 16, 40, 1_000] {
                assert!(ratio(Build::Compact, bits, length) <= 1.5, "{bits} {length}");
            }
            for length in [12, 16, 40, 1_000] {
                assert!(ratio(Build::Fast, bits, length) <= 3.0, "{bits} {length}");
            }
        }
    }
}
