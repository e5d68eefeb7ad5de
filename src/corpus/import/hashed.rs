//! Splits by a hash of a text: the same text is always in the same part.

use crate::corpus::types::Split;

/// The first 53 bits of the BLAKE3 of the text, as a number in [0, 1): below `test` is test, below
/// `test + validation` is validation.
pub(super) fn split_by_hash(text: &str, validation: f64, test: f64) -> Split {
    let hash = blake3::hash(text.to_lowercase().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    let point = (u64::from_le_bytes(first) >> 11) as f64 / (1_u64 << 53) as f64;
    if point < test {
        Split::Test
    } else if point < test + validation {
        Split::Validation
    } else {
        Split::Train
    }
}
