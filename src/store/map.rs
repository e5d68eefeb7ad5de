//! Read-only memory maps: the one audited place of this crate that maps files.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// The bytes of a mapped file.
pub type Map = Mmap;

/// Maps a whole file read-only; its pages are loaded when they are first touched.
///
/// # Errors
/// [`Error::Data`] when the file cannot be opened, is empty, or cannot be mapped.
pub fn map(path: &Path) -> Result<Map> {
    let unreadable = |e: std::io::Error| Error::unreadable(path, &e);
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() == 0 {
        return Err(Error::data(path, "the file is empty"));
    }
    // SAFETY: a map is undefined behavior only if the file is changed or shortened while it is
    // mapped. Files this program writes appear by rename and are never changed afterwards; inputs
    // of the user are mapped only while they are read, and must not be rewritten meanwhile.
    unsafe { Mmap::map(&file) }.map_err(unreadable)
}
