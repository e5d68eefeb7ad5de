//! The index of spans as one sealed file.
//!
//! Beside the checksum all counts are compared with their bits, and items and symbols with their
//! bounds, so that no file, however made, can lead a walk outside of it or around in a circle.

use std::io::{self, Write};
use std::path::Path;

use rayon::prelude::*;

use super::fm_index::FmIndex;
use super::layout::{Build, Layout};
use super::packed::width_of;
use crate::index::error::IndexError;
use crate::index::sealed;
use crate::map::Bytes;

impl FmIndex {
    /// Writes the index, checksum included. Writing whole files or none is up to the caller.
    ///
    /// # Errors
    /// Whatever the writer reports.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        sealed::write(&self.image()[..self.bytes()], out)
    }

    /// Opens a file by memory map, after checking it: which reads all of it once.
    ///
    /// # Errors
    /// The file cannot be read, or is not a whole and unchanged index.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        sealed::open(path, Self::from_file_bytes)
    }

    /// Reads an index from the bytes of its file.
    ///
    /// # Errors
    /// The bytes are not a whole and unchanged index.
    pub fn read(bytes: &[u8]) -> Result<Self, IndexError> {
        Self::from_file_bytes(Bytes::from(bytes.to_vec()))
    }

    fn from_file_bytes(bytes: Bytes) -> Result<Self, IndexError> {
        let layout = Layout::parse(&bytes)?;
        sealed::check(&bytes, layout.end)?;
        check_counts(&bytes, &layout)?;
        let index = Self::from_parts(bytes, layout);
        index.check_content()?;
        Ok(index)
    }

    fn check_content(&self) -> Result<(), IndexError> {
        let (image, layout) = (self.image(), self.layout());
        let n_used = layout.used.ones(image, layout.used.len());
        let n_items = layout.counts.n_items;
        let is_item = |at: u64| layout.items.get(image, at) < n_items;
        if !(0..layout.items.len()).into_par_iter().all(is_item) {
            return Err(IndexError::corrupt("it names items that do not exist"));
        }
        let n_tokens = self.wavelet().len();
        let largest = self.wavelet().sorted_at(image, 0, n_tokens, n_tokens - 1);
        if u64::from(largest) >= n_used {
            return Err(IndexError::corrupt("it names tokens that do not exist"));
        }
        Ok(())
    }
}

/// Whether all counts are those of their bits, and agree with each other.
fn check_counts(image: &[u8], layout: &Layout) -> Result<(), IndexError> {
    let wrong = || IndexError::corrupt("its counts are not those of its bits");
    let counts = &layout.counts;
    let used = layout.used.verified(image).ok_or_else(wrong)?;
    let ends = layout.ends.verified(image).ok_or_else(wrong)?;
    for level in &layout.levels {
        level.verified(image).ok_or_else(wrong)?;
    }
    if used == 0 || width_of(used) != counts.n_levels || ends != counts.n_texts {
        return Err(wrong());
    }
    if let (Some(marks), Build::Compact) = (&layout.marks, counts.build) {
        let is_stored = |row: u64| !layout.ends.bit(image, row) || marks.bit(image, row);
        let all = (0..layout.n_rows).into_par_iter().all(is_stored);
        if marks.verified(image) != Some(counts.n_stored) || !all {
            return Err(wrong());
        }
    }
    Ok(())
}
