//! Bytes of a file that live in memory or in a read-only memory map: the one audited place of the
//! workspace that maps files. Knows nothing of what the bytes mean.

use std::fs::File;
use std::io;
use std::ops::Deref;
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
