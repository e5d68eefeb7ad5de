//! Bytes of a file that live in memory or in a read-only memory map: the one audited place of the
//! workspace that maps files. Knows nothing of what the bytes mean.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;

/// Immutable bytes, owned or mapped from a file.
#[derive(Debug)]
pub struct Bytes(Source);

#[derive(Debug)]
enum Source {
    Owned(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl Bytes {
    /// Maps a whole file read-only; its pages are loaded when they are first touched. An empty file
    /// gives no bytes.
    ///
    /// # Errors
    /// Whatever the system reports when the file cannot be opened or mapped.
    pub fn map(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self(Source::Owned(Vec::new())));
        }
        // SAFETY: a map is undefined behavior only if the file is changed or shortened while it is
        // mapped. Files of this project are written under a temporary name, renamed into place and
        // never changed afterwards; a rename over this one leaves the mapped inode as it was. Files
        // of the user are mapped only while they are read, and must not be rewritten meanwhile.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(Source::Mapped(map)))
    }

    /// The bytes of a range as the little-endian numbers that they are, without a copy; none where the range does not lie
    /// in the bytes, does not begin and end at whole numbers in memory, or the machine orders bytes otherwise.
    pub fn f32s(&self, range: Range<usize>) -> Option<&[f32]> {
        if cfg!(target_endian = "big") {
            return None;
        }
        // SAFETY: any four bytes are an `f32`, and the middle part is aligned for it.
        let (before, numbers, after) = unsafe { self.get(range)?.align_to::<f32>() };
        (before.is_empty() && after.is_empty()).then_some(numbers)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Source::Owned(bytes))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Owned(bytes) => bytes,
            Source::Mapped(map) => map,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_seen_where_they_lie_whole() {
        let numbers = [1.0f32, -2.5, 1e-30];
        let bytes = Bytes::from(numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        // Memory of bytes may begin anywhere; where it begins at a whole number, all of it is seen.
        let is_whole = bytes.as_ptr().addr().is_multiple_of(4);
        assert_eq!(bytes.f32s(0..12).is_some(), is_whole && cfg!(target_endian = "little"));
        let Some(all) = bytes.f32s(0..12) else { return };
        assert_eq!(all, numbers);
        assert_eq!(bytes.f32s(4..8), Some(&numbers[1..2]));
        assert_eq!(bytes.f32s(4..4), Some(&[][..]));
        assert_eq!((bytes.f32s(1..5), bytes.f32s(4..7), bytes.f32s(8..16)), (None, None, None));
    }
}
