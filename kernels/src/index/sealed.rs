//! The file of an index: its image, then the BLAKE3 checksum of the image.
//!
//! The checksum guards against truncation and flipped bits. Knows nothing of what is in an image.

use std::io::{self, Write};
use std::path::Path;

use super::error::IndexError;
use crate::map::Bytes;

const CHECKSUM_BYTES: usize = 32;

/// Writes an image and its checksum. Writing whole files or none is up to the caller.
pub(super) fn write(image: &[u8], mut out: impl Write) -> io::Result<()> {
    out.write_all(image)?;
    out.write_all(blake3::hash(image).as_bytes())
}

/// Maps a file and reads an index from it; what is wrong in it is said with its path.
pub(super) fn open<T>(
    path: &Path,
    read: impl FnOnce(Bytes) -> Result<T, IndexError>,
) -> Result<T, IndexError> {
    let bytes = Bytes::map(path)
        .map_err(|source| IndexError::Unreadable { path: path.to_owned(), source })?;
    read(bytes).map_err(|source| IndexError::File { path: path.to_owned(), source: source.into() })
}

/// Whether the bytes are an image of `end` bytes, as its header promises, and its checksum.
pub(super) fn check(bytes: &[u8], end: usize) -> Result<(), IndexError> {
    let expected = end.saturating_add(CHECKSUM_BYTES);
    if bytes.len() != expected {
        return Err(IndexError::corrupt(format!(
            "the header promises {expected} bytes, but there are {}",
            bytes.len()
        )));
    }
    let (image, checksum) = bytes.split_at(end);
    if blake3::hash(image).as_bytes() != checksum {
        return Err(IndexError::corrupt("the checksum does not match the content"));
    }
    Ok(())
}
