//! Tables of counts as bytes: the payload of a sealed file, written number by number and read back
//! in the same order.
//!
//! Whole numbers are LEB128 (seven bits per byte, the lowest first, the eighth bit set where
//! another byte follows), so that small ones take one byte; lists begin with their length; rising
//! lists hold the gaps; `f32` are little-endian.

use std::path::{Path, PathBuf};

use super::sealed::{SealKind, read_sealed, write_sealed};
use crate::error::{Error, Result};

/// Writes a table.
#[derive(Default)]
pub struct Packer {
    bytes: Vec<u8>,
}

impl Packer {
    /// Appends a number.
    pub fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    /// Appends a list of numbers.
    pub fn numbers(&mut self, list: &[u32]) {
        self.number(list.len() as u64);
        list.iter().for_each(|&one| self.number(u64::from(one)));
    }

    /// Appends a list whose numbers rise.
    pub fn rising(&mut self, list: impl ExactSizeIterator<Item = u32>) {
        self.number(list.len() as u64);
        let mut before = 0;
        for one in list {
            debug_assert!(one >= before);
            self.number(u64::from(one - before));
            before = one;
        }
    }

    /// Appends a list of numbers with a fraction.
    pub fn floats(&mut self, list: impl ExactSizeIterator<Item = f32>) {
        self.number(list.len() as u64);
        self.bytes.extend(list.flat_map(f32::to_le_bytes));
    }

    /// Appends a text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    /// Writes all of it into a sealed file.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(&self, path: &Path, kind: SealKind) -> Result<()> {
        write_sealed(path, kind, &self.bytes)
    }
}

/// Reads a table back.
pub struct Unpacker {
    path: PathBuf,
    bytes: Vec<u8>,
    at: usize,
}

impl Unpacker {
    /// Opens a sealed file.
    ///
    /// # Errors
    /// As [`read_sealed`].
    pub fn open(path: &Path, kind: SealKind) -> Result<Self> {
        Ok(Self { path: path.to_owned(), bytes: read_sealed(path, kind)?, at: 0 })
    }

    /// The error of a table that does not hold what it should.
    pub fn fault(&self, message: impl Into<String>) -> Error {
        Error::data(&self.path, message)
            .with_help("delete the step's folder; it will be done again")
    }

    fn short(&self) -> Error {
        self.fault(format!("ends or breaks off in the middle of a table, at byte {}", self.at))
    }

    fn take(&mut self, n: usize) -> Result<&[u8]> {
        let from = self.at;
        let to = from.checked_add(n).filter(|&to| to <= self.bytes.len());
        let to = to.ok_or_else(|| self.short())?;
        self.at = to;
        Ok(&self.bytes[from..to])
    }

    /// The next number.
    ///
    /// # Errors
    /// [`Error::Data`] where the file holds none.
    pub fn number(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.short())?;
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.short())
    }

    /// A length, of elements that take at least `size` bytes each.
    fn length(&mut self, size: usize) -> Result<usize> {
        let length = self.number()?;
        let most = (self.bytes.len() - self.at) / size;
        usize::try_from(length).ok().filter(|&n| n <= most).ok_or_else(|| self.short())
    }

    /// The next list of numbers, which are below `end`.
    ///
    /// # Errors
    /// [`Error::Data`] where the file holds no such list.
    pub fn numbers(&mut self, end: u64) -> Result<Vec<u32>> {
        let n = self.length(1)?;
        (0..n).map(|_| self.below(0, end)).collect()
    }

    /// Appends the next list of rising numbers, which are below `end`, to `list`.
    ///
    /// # Errors
    /// [`Error::Data`] where the file holds no such list.
    pub fn rising(&mut self, end: u64, list: &mut Vec<u32>) -> Result<()> {
        let n = self.length(1)?;
        let mut before = 0;
        for _ in 0..n {
            before = self.below(before, end)?;
            list.push(before);
        }
        Ok(())
    }

    /// The next number, counted from `start`.
    fn below(&mut self, start: u32, end: u64) -> Result<u32> {
        let number = self.number()?.checked_add(u64::from(start)).filter(|&one| one < end);
        let number = number.and_then(|one| u32::try_from(one).ok());
        number.ok_or_else(|| self.fault(format!("holds a number that is not below {end}")))
    }

    /// The next list of numbers with a fraction.
    ///
    /// # Errors
    /// [`Error::Data`] where the file holds no such list.
    pub fn floats(&mut self) -> Result<Vec<f32>> {
        let n = self.length(4)?;
        let (floats, _) = self.take(4 * n)?.as_chunks::<4>();
        Ok(floats.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    /// The next text.
    ///
    /// # Errors
    /// [`Error::Data`] where the file holds none.
    pub fn text(&mut self) -> Result<String> {
        let n = self.length(1)?;
        let text = std::str::from_utf8(self.take(n)?).map(str::to_owned);
        text.map_err(|_| self.short())
    }

    /// Makes sure that the file is a table of `expected` rows; `what` they are, in a word.
    ///
    /// # Errors
    /// [`Error::Data`] where the next number is another.
    pub fn expect(&mut self, expected: u64, what: &str) -> Result<()> {
        match self.number()? {
            found if found == expected => Ok(()),
            found => Err(self.fault(format!("expected {expected} {what}, got {found}"))),
        }
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// [`Error::Data`] where something is.
    pub fn finish(self) -> Result<()> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            rest => Err(self.fault(format!("holds {rest} bytes behind the last table"))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KIND: SealKind = SealKind { kind: "table", version: 1 };

    #[allow(clippy::type_complexity)] // said once, and taken apart at once
    fn read(path: &Path) -> Result<(u64, Vec<u32>, Vec<u32>, Vec<f32>, String)> {
        let mut table = Unpacker::open(path, KIND)?;
        table.expect(7, "rows")?;
        let number = table.number()?;
        let numbers = table.numbers(1 << 32)?;
        let mut rising = vec![9];
        table.rising(1_000, &mut rising)?;
        let read = (number, numbers, rising, table.floats()?, table.text()?);
        table.finish()?;
        Ok(read)
    }

    #[test]
    fn tables_read_back_and_every_cut_and_surplus_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let mut table = Packer::default();
        table.number(7);
        table.number(u64::MAX);
        table.numbers(&[0, 127, 128, u32::MAX]);
        table.rising([0, 3, 3, 999].into_iter());
        table.floats([0.1, -0.0, f32::INFINITY].into_iter());
        table.text("Äpfel");
        table.write(&path, KIND).unwrap();
        let (number, numbers, rising, floats, text) = read(&path).unwrap();
        assert_eq!((number, text.as_str()), (u64::MAX, "Äpfel"));
        assert_eq!((numbers, rising), (vec![0, 127, 128, u32::MAX], vec![9, 0, 3, 3, 999]));
        let bits = |list: &[f32]| list.iter().map(|one| one.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&floats), bits(&[0.1, -0.0, f32::INFINITY]));
        let whole = table.bytes;
        for cut in 0..whole.len() {
            write_sealed(&path, KIND, &whole[..cut]).unwrap();
            assert!(read(&path).is_err(), "cut at {cut}");
        }
        write_sealed(&path, KIND, &[&whole[..], &[0]].concat()).unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("1 bytes behind the last table"), "{message}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let opened = |bytes: &[u8]| {
            write_sealed(&path, KIND, bytes).unwrap();
            Unpacker::open(&path, KIND).unwrap()
        };
        let message = opened(&[1, 5]).numbers(5).unwrap_err().to_string();
        assert!(message.contains("not below 5"), "{message}");
        assert!(opened(&[2, 3, 2]).rising(5, &mut Vec::new()).is_err());
        assert!(opened(&[2, 3, 1]).rising(5, &mut Vec::new()).is_ok());
        // Ten bytes hold 70 bits; a length may say more than there is.
        assert!(opened(&[0xff; 10]).number().is_err());
        assert!(opened(&[0xff, 0xff, 0xff, 0xff, 0x0f]).floats().is_err());
        let message = opened(&[3]).expect(4, "items").unwrap_err().to_string();
        assert!(message.contains("expected 4 items, got 3"), "{message}");
    }
}
