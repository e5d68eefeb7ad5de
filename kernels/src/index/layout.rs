//! Where everything lies in the image of an index: the same in memory and on disk.
//!
//! All numbers little-endian:
//!
//! | part    | content                                                                      |
//! |---------|------------------------------------------------------------------------------|
//! | header  | magic `[8]`, version, levels L, head depth d, items N, zero `[2]` (u32 each)  |
//! | sizes   | codes per level, u32 `[L]`                                                    |
//! | head    | first row of every prefix of d codes, u32 `[K_0 · … · K_(d-1) + 1]`           |
//! | items   | item of every row, u32 `[N]`                                                  |
//! | rows    | codes of the levels d..L, bit-packed, rows ascending, whole bytes per row     |
//! | padding | eight zero bytes, so that any code can be read as one 8-byte word             |
//!
//! The first d codes of a row are not stored: its place in the head table says them.

use super::error::IndexError;

pub(super) const MAGIC: [u8; 8] = *b"TRVLSID\0";
/// Every item has a path of its own.
const OWN: u32 = 1;
/// Items may share a path; readers that know only the other version would name one of them.
pub(super) const SHARED: u32 = 2;
pub(super) const HEADER_BYTES: usize = 32;
const MAX_LEVELS: usize = 64;
const PADDING: usize = 8;

/// Items per entry of the head table: at 4 the table costs at most 1 byte per item, and with
/// uniform codes a range below it holds about four rows, less than a cache line or two.
const ITEMS_PER_HEAD_ENTRY: usize = 4;

/// Where one level's code lies inside a packed row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Field {
    pub(super) bit: usize,
    pub(super) mask: u64,
}

/// Sizes and offsets that follow from the level sizes and the number of items.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) version: u32,
    pub(super) codes: Vec<u32>,
    pub(super) head_depth: usize,
    pub(super) n_items: usize,
    /// Entries of the head table that lie below one code of a level; `[head_depth]`.
    pub(super) strides: Vec<usize>,
    /// Number of prefixes of `head_depth` codes.
    pub(super) n_slots: usize,
    /// Place of each level in a packed row; unused for levels of the head.
    pub(super) fields: Vec<Field>,
    pub(super) row_bytes: usize,
    pub(super) head_at: usize,
    pub(super) items_at: usize,
    pub(super) rows_at: usize,
    pub(super) end: usize,
}

impl Layout {
    /// The layout for `n_items` rows; picks the deepest head table that stays small.
    pub(super) fn for_items(codes: &[u32], n_items: usize) -> Result<Self, IndexError> {
        let mut slots = 1usize;
        let mut depth = 0;
        for &size in codes {
            match slots.checked_mul(size as usize) {
                Some(next) if next <= n_items / ITEMS_PER_HEAD_ENTRY => slots = next,
                _ => break,
            }
            depth += 1;
        }
        // An index whose head held every level would have no rows to tell items apart.
        Self::new(codes, depth.min(codes.len().saturating_sub(1)), n_items)
    }

    pub(super) fn new(
        codes: &[u32],
        head_depth: usize,
        n_items: usize,
    ) -> Result<Self, IndexError> {
        if codes.is_empty() || codes.len() > MAX_LEVELS || codes.contains(&0) {
            let sizes: Vec<String> = codes.iter().map(u32::to_string).collect();
            return Err(IndexError::Levels(format!("[{}]", sizes.join(", "))));
        }
        if n_items == 0 {
            return Err(IndexError::Empty);
        }
        if u32::try_from(n_items).is_err() {
            return Err(IndexError::TooManyItems(n_items));
        }
        let too_large = || IndexError::corrupt("the sizes in the header overflow");
        let mut strides = vec![1usize; head_depth];
        let mut n_slots = 1usize;
        for level in (0..head_depth).rev() {
            strides[level] = n_slots;
            n_slots = n_slots.checked_mul(codes[level] as usize).ok_or_else(too_large)?;
        }
        let mut fields = vec![Field::default(); codes.len()];
        let mut bit = 0;
        for (field, &size) in fields.iter_mut().zip(codes).skip(head_depth) {
            let bits = u32::BITS - (size - 1).leading_zeros();
            *field = Field { bit, mask: (1 << bits) - 1 };
            bit += bits as usize;
        }
        let row_bytes = bit.div_ceil(8);
        let head_at = HEADER_BYTES + 4 * codes.len();
        let section = |at: usize, n: usize, each: usize| {
            n.checked_mul(each).and_then(|bytes| at.checked_add(bytes)).ok_or_else(too_large)
        };
        let items_at = section(head_at, n_slots.checked_add(1).ok_or_else(too_large)?, 4)?;
        let rows_at = section(items_at, n_items, 4)?;
        let end =
            section(rows_at, n_items, row_bytes)?.checked_add(PADDING).ok_or_else(too_large)?;
        Ok(Self {
            version: OWN,
            codes: codes.to_vec(),
            head_depth,
            n_items,
            strides,
            n_slots,
            fields,
            row_bytes,
            head_at,
            items_at,
            rows_at,
            end,
        })
    }

    /// Header and level sizes, as they open the image.
    pub(super) fn header(&self) -> Vec<u8> {
        let numbers =
            [self.version, self.codes.len() as u32, self.head_depth as u32, self.n_items as u32];
        let mut bytes = MAGIC.to_vec();
        for number in numbers.iter().chain(&[0, 0]).chain(&self.codes) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads the header back; the bytes behind it are not looked at.
    pub(super) fn parse(image: &[u8]) -> Result<Self, IndexError> {
        if image.len() < HEADER_BYTES || image[..8] != MAGIC {
            return Err(IndexError::corrupt("not a semantic-ID index (no header found)"));
        }
        let version = u32_at(image, 8);
        if ![OWN, SHARED].contains(&version) {
            return Err(IndexError::corrupt(format!(
                "index format {version}, but this program reads formats {OWN} and {SHARED}"
            )));
        }
        let n_levels = u32_at(image, 12) as usize;
        let head_depth = u32_at(image, 16) as usize;
        let n_items = u32_at(image, 20) as usize;
        if n_levels > MAX_LEVELS
            || head_depth >= n_levels.max(1)
            || image.len() < HEADER_BYTES + 4 * n_levels
        {
            return Err(IndexError::corrupt("the header states impossible levels"));
        }
        let codes: Vec<u32> =
            (0..n_levels).map(|level| u32_at(image, HEADER_BYTES + 4 * level)).collect();
        Ok(Self { version, ..Self::new(&codes, head_depth, n_items)? })
    }
}

/// The little-endian u32 at a byte offset that the caller keeps inside the slice.
#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// The little-endian u64 at a byte offset that the caller keeps inside the slice.
#[inline]
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
