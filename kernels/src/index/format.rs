//! The semantic-ID index as one sealed file.
//!
//! Beside the checksum the table of offsets and the item numbers are checked, so that no file,
//! however made, can make a search read outside it.

use std::io::{self, Write};
use std::path::Path;

use super::error::IndexError;
use super::layout::Layout;
use super::sealed;
use super::sid::SidIndex;
use crate::map::Bytes;

impl SidIndex {
    /// Writes the index, checksum included. Writing whole files or none is up to the caller.
    ///
    /// # Errors
    /// Whatever the writer reports.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        sealed::write(&self.image()[..self.bytes()], out)
    }

    /// Opens a file by memory map, after checking it.
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
        let index = Self::from_parts(bytes, layout);
        index.check_tables()?;
        Ok(index)
    }

    fn check_tables(&self) -> Result<(), IndexError> {
        let layout = Layout::parse(self.image())?;
        let n_items = layout.n_items as u32;
        let mut last = 0;
        for entry in 0..=layout.n_slots {
            let offset = self.offset(entry);
            if offset < last || (entry == 0 && offset != 0) {
                return Err(IndexError::corrupt("the head table is not ascending from 0"));
            }
            last = offset;
        }
        if last != n_items || (0..layout.n_items).any(|row| self.item_at(row) >= n_items) {
            return Err(IndexError::corrupt("the tables name rows or items that do not exist"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> (SidIndex, Vec<u8>) {
        let codes: Vec<u32> = (0..90u32).flat_map(|i| [i * 7 % 5, i % 11, i / 11]).collect();
        let index = SidIndex::build(&codes, &[5, 11, 9]).unwrap();
        let mut bytes = Vec::new();
        index.write(&mut bytes).unwrap();
        (index, bytes)
    }

    #[test]
    fn comes_back_from_memory_and_from_a_map() {
        let (index, bytes) = sample();
        let path = std::env::temp_dir().join(format!("trieval-sid-{}.idx", std::process::id()));
        std::fs::write(&path, &bytes).unwrap();
        for back in [SidIndex::read(&bytes).unwrap(), SidIndex::open(&path).unwrap()] {
            assert_eq!(back.codes_per_level(), index.codes_per_level());
            for row in 0..=index.n_items() {
                assert_eq!(back.path_at(row), index.path_at(row));
            }
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_refused() {
        let (_, bytes) = sample();
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 0x10;
            assert!(SidIndex::read(&damaged).is_err(), "byte {i} flipped");
            assert!(SidIndex::read(&bytes[..i]).is_err(), "cut at {i}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(SidIndex::read(&longer).is_err());
    }

    #[test]
    fn messages_say_what_is_wrong() {
        let (_, bytes) = sample();
        let message = |bytes: &[u8]| SidIndex::read(bytes).map(|_| ()).unwrap_err().to_string();
        assert!(message(b"PK").contains("not a semantic-ID index"));
        let mut other = bytes.clone();
        other[8] = 9;
        assert!(message(&other).contains("index format 9, but this program reads formats 1 and 2"));
        assert!(message(&bytes[..bytes.len() - 1]).contains("the header promises"));
        let mut flipped = bytes;
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        assert!(message(&flipped).contains("checksum"));
        let missing = SidIndex::open(Path::new("/nonexistent/sid.idx")).map(|_| ()).unwrap_err();
        assert!(missing.to_string().starts_with("/nonexistent/sid.idx: cannot be read"));
    }

    #[test]
    fn a_forged_checksum_cannot_lead_outside() {
        let (index, bytes) = sample();
        let layout = Layout::parse(index.image()).unwrap();
        for at in [layout.head_at + 4, layout.items_at] {
            let mut forged = bytes[..layout.end].to_vec();
            forged[at + 3] = 0xff;
            let checksum = *blake3::hash(&forged).as_bytes();
            forged.extend_from_slice(&checksum);
            assert!(SidIndex::read(&forged).is_err());
        }
    }
}
