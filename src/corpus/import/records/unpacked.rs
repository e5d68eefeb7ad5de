//! A file as a stream of bytes, unpacked where it is packed (gzip, Zstandard), with limits: a small
//! file that unpacks to very much is refused, as is a row without end.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use super::MAX_ROW;
use crate::corpus::import::text::open;
use crate::error::{Error, Result};

/// Said of a file that unpacks to more than [`most_unpacked`].
pub(super) const TOO_MUCH_UNPACKED: &str =
    "it unpacks to more than 1000 times its size; unpack it yourself if that is right";

/// What a packed file of `size` bytes may unpack to: 64 MiB are nothing to fear of any file.
pub(super) fn most_unpacked(size: u64) -> u64 {
    size.saturating_mul(1_000).max(64 << 20)
}

const BUFFER: usize = 1 << 18;

/// How far into a file a reader is, and how much it may read before the next row ends.
#[derive(Clone, Default)]
pub(super) struct Position {
    packed: Rc<Cell<u64>>,
    row: Rc<Cell<u64>>,
}

impl Position {
    /// Bytes read of the file as it lies on disk.
    pub(super) fn get(&self) -> u64 {
        self.packed.get()
    }

    /// A row was read whole: the next one may be as long as rows may be.
    pub(super) fn row_ends(&self) {
        self.row.set(0);
    }

    /// Bytes since a row ended: who reads rows sets it to 0 after each.
    pub(super) fn since_row(&self) -> Rc<Cell<u64>> {
        self.row.clone()
    }
}

/// The unpacked bytes of a file.
pub(super) struct Unpacked {
    reader: BufReader<Limited>,
    position: Position,
}

impl Unpacked {
    /// Opens a file; gzip and Zstandard are told by their first bytes.
    ///
    /// # Errors
    /// [`Error::Data`] when it is missing or a folder.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| Error::unreadable(path, &e);
        let file = open(path)?;
        let size = file.metadata().map_err(failed)?.len();
        let position = Position::default();
        let counted = Counted { file, read: position.packed.clone() };
        let mut reader = BufReader::with_capacity(BUFFER, counted);
        let magic = reader.fill_buf().map_err(failed)?;
        let is_gzip = magic.starts_with(&[0x1f, 0x8b]);
        let is_zstd = magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        let inner: Box<dyn Read> = match (is_gzip, is_zstd) {
            (true, _) => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            (_, true) => {
                Box::new(zstd::stream::read::Decoder::with_buffer(reader).map_err(failed)?)
            }
            _ => Box::new(reader),
        };
        let most = match is_gzip || is_zstd {
            true => most_unpacked(size),
            false => u64::MAX,
        };
        let limited = Limited { inner, left: most, row: position.row.clone() };
        Ok(Self { reader: BufReader::with_capacity(BUFFER, limited), position })
    }

    /// How far into the file it is.
    pub(super) fn position(&self) -> u64 {
        self.position.get()
    }

    /// A way to ask how far it is while something else reads it; rows that end must be told.
    pub(super) fn watch(&self) -> Position {
        self.position.row.set(0);
        self.position.clone()
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Unpacked {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        // Lines are limited by those who read them.
        self.position.row.set(0);
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_read = self.file.read(buffer)?;
        self.read.set(self.read.get() + n_read as u64);
        Ok(n_read)
    }
}

struct Limited {
    inner: Box<dyn Read>,
    left: u64,
    /// Bytes since a row ended.
    row: Rc<Cell<u64>>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        let left = self.left.checked_sub(n_read as u64);
        self.left = left.ok_or_else(|| std::io::Error::other(TOO_MUCH_UNPACKED))?;
        let row = self.row.get() + n_read as u64;
        self.row.set(row);
        if row > (MAX_ROW + 2 * BUFFER) as u64 {
            let most = MAX_ROW >> 20;
            return Err(std::io::Error::other(format!("a row of more than {most} MiB is no row")));
        }
        Ok(n_read)
    }
}
