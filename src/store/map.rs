//! Read-only memory maps with the errors of this crate; the kernels map the files.

use std::path::Path;

use trieval_kernels::map::Bytes;

use crate::error::{Error, Result};

/// The bytes of a mapped file.
pub type Map = Bytes;

/// Maps a whole file read-only; its pages are loaded when they are first touched.
///
/// # Errors
/// [`Error::Data`] when the file cannot be opened, is empty, or cannot be mapped.
pub fn map(path: &Path) -> Result<Map> {
    let map = Bytes::map(path).map_err(|e| Error::unreadable(path, &e))?;
    if map.is_empty() {
        return Err(Error::data(path, "the file is empty"));
    }
    Ok(map)
}
