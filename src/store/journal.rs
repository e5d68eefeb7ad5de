//! A journal: frames appended one after the other, each with its length and checksum, so that what
//! a killed process wrote can be used up to the last whole frame.
//!
//! Layout of a frame, little-endian: `u32` payload length, the first 8 bytes of the payload's
//! BLAKE3, payload.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const HEADER: usize = 4 + 8;

/// An open journal.
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens a journal, creating it where there is none, and returns the frames it holds. What
    /// stands behind the last whole frame is cut off.
    ///
    /// # Errors
    /// [`Error::Environment`] when the file cannot be read or written.
    pub fn open(path: &Path) -> Result<(Self, Vec<Vec<u8>>)> {
        let unwritable = |e: std::io::Error| Error::unwritable(path, &e);
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::unreadable(path, &e)),
        };
        let mut frames = Vec::new();
        let mut whole = 0;
        while let Some(payload) = frame(&bytes[whole..]) {
            whole += HEADER + payload.len();
            frames.push(payload.to_vec());
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let mut file = file.map_err(unwritable)?;
        file.set_len(whole as u64).map_err(unwritable)?;
        file.seek(SeekFrom::End(0)).map_err(unwritable)?;
        Ok((Self { path: path.to_owned(), file }, frames))
    }

    /// Appends a frame and hands it to the system: it survives the death of this process.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses, also for more than 4 GiB at once.
    pub fn append(&mut self, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len()).map_err(|_| {
            let e = std::io::Error::other("more than 4 GiB in one frame");
            Error::unwritable(&self.path, &e)
        })?;
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend(length.to_le_bytes());
        bytes.extend(&blake3::hash(payload).as_bytes()[..8]);
        bytes.extend(payload);
        self.file.write_all(&bytes).map_err(|e| Error::unwritable(&self.path, &e))
    }
}

/// The payload of the frame at the beginning of `bytes`, where a whole one stands there.
fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let payload = rest.get(..u32::from_le_bytes(*length) as usize)?;
    (&blake3::hash(payload).as_bytes()[..8] == checksum).then_some(payload)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_and_every_flipped_bit_leaves_the_frames_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, frames) = Journal::open(&path).unwrap();
        assert!(frames.is_empty());
        for payload in [b"one".as_slice(), b"", b"three"] {
            journal.append(payload).unwrap();
        }
        let good = std::fs::read(&path).unwrap();
        let ends = [HEADER + 3, 2 * HEADER + 3, 3 * HEADER + 8];
        assert_eq!(good.len(), ends[2]);
        for at in 0..good.len() {
            let whole = ends.iter().filter(|&&end| end <= at).count();
            std::fs::write(&path, &good[..at]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1.len(), whole, "cut at {at}");
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1.len(), whole, "flipped at {at}");
        }
    }

    #[test]
    fn a_reopened_journal_goes_on_behind_the_last_whole_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Journal::open(&path).unwrap().0.append(b"first").unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend([9, 0, 0]);
        std::fs::write(&path, bytes).unwrap();
        Journal::open(&path).unwrap().0.append(b"second").unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, [b"first".to_vec(), b"second".to_vec()]);
    }
}
