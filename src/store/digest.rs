//! What is in a file, in 32 bytes: the one place that reads files to hash them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Bytes read at once; files of less are hashed by one thread each.
const CHUNK: usize = 4 << 20;

/// Size and content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its content, in hexadecimal.
    pub blake3: String,
}

/// Reads a file and hashes it, a large one with all threads.
///
/// # Errors
/// [`Error::Data`] when the file cannot be read.
pub fn digest(path: &Path) -> Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let bytes = hash_content(&mut hasher, path)?;
    Ok(Digest { bytes, blake3: hasher.finalize().to_hex().to_string() })
}

/// Adds a file's content to a hash, that of a large one with all threads; its size.
///
/// # Errors
/// [`Error::Data`] when the file cannot be read.
pub fn hash_content(hasher: &mut blake3::Hasher, path: &Path) -> Result<u64> {
    let unreadable = |e: std::io::Error| Error::unreadable(path, &e);
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut chunk = Vec::with_capacity(usize::try_from(size).unwrap_or(CHUNK).min(CHUNK) + 1);
    let (mut rest, mut bytes) = (file, 0);
    loop {
        chunk.clear();
        // Not mapped: a file that another program cuts meanwhile is an error, and no signal.
        rest.by_ref().take(CHUNK as u64).read_to_end(&mut chunk).map_err(unreadable)?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        bytes += chunk.len() as u64;
        if chunk.len() == CHUNK {
            hasher.update_rayon(&chunk);
        } else {
            hasher.update(&chunk);
        }
    }
}

/// Digests of many files, in their order: small ones side by side, large ones one after another,
/// each with all threads.
pub(super) fn digests(paths: &[PathBuf]) -> Vec<Result<Digest>> {
    let is_small = |path: &Path| path.metadata().is_ok_and(|file| file.len() < CHUNK as u64);
    let small: Vec<Option<Result<Digest>>> =
        paths.par_iter().map(|path| is_small(path).then(|| digest(path))).collect();
    let each = paths.iter().zip(small);
    each.map(|(path, done)| done.unwrap_or_else(|| digest(path))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_blake3_at_any_size_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        let mut expected = Vec::new();
        for size in [2 * CHUNK + 17, 0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 100_000] {
            let bytes: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            let path = folder.path().join(format!("{size}"));
            std::fs::write(&path, &bytes).unwrap();
            let blake3 = blake3::hash(&bytes).to_hex().to_string();
            expected.push(Digest { bytes: size as u64, blake3 });
            paths.push(path);
        }
        let found: Vec<Digest> = digests(&paths).into_iter().map(Result::unwrap).collect();
        assert_eq!(found, expected);
        paths.insert(1, folder.path().join("absent"));
        let found = digests(&paths);
        assert_eq!(found[2].as_ref().unwrap(), &expected[1]);
        let error = found[1].as_ref().unwrap_err();
        assert!(error.to_string().contains("absent: cannot be read"), "{error}");
        assert!(digest(folder.path()).is_err(), "a folder has no content");
    }
}
