//! What is in a file, in 32 bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// BLAKE3 of a file's content, in hexadecimal.
///
/// # Errors
/// [`Error::Data`] when the file cannot be read.
pub fn hash_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| {
        Error::unreadable(path, &e)
            .with_help("check the path; data is given with --set corpus.path=DIR")
    })?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(|e| Error::unreadable(path, &e))?;
        if n == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..n]);
    }
}
