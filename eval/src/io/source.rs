//! Bytes of a file, decompressed where it is gzip or zstd, and what its name says of the format. Knows no format's content.

use std::fs::File;
use std::io::{BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Unpacked bytes below which the ratio does not matter.
const FREE_BYTES: u64 = 64 << 20;
/// Most unpacked bytes per packed one; lists of items pack to a tenth, seldom to a hundredth.
const MOST_RATIO: u64 = 200;

/// Formats that runs and judgments come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines of whitespace-separated fields.
    Trec,
    /// One object: request → item → number.
    Json,
    /// One object per line.
    Jsonl,
    /// Columns `request`, `item` and `score` or `grade`.
    Parquet,
}

impl Format {
    /// The format that the name of a file stands for, `.gz` and `.zst` aside; any other ending is taken for TREC.
    pub fn of(path: &Path) -> Self {
        let name = plain_name(path).to_ascii_lowercase();
        match name.rsplit_once('.').map_or("", |parts| parts.1) {
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            "parquet" | "pq" => Self::Parquet,
            _ => Self::Trec,
        }
    }
}

/// Name of a run whose file does not say: the file's name without its endings.
pub(super) fn run_name(path: &Path) -> String {
    let name = plain_name(path);
    let stem = match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => &name,
    };
    if stem.is_empty() { "run".to_owned() } else { stem.to_owned() }
}

/// The file's name without `.gz` or `.zst`.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let cut = [".gz", ".zst"].iter().find_map(|ending| {
        let at = name.len().checked_sub(ending.len())?;
        name.get(at..)?.eq_ignore_ascii_case(ending).then_some(at)
    });
    match cut {
        Some(at) if at > 0 => name[..at].to_owned(),
        _ => name,
    }
}

/// Opens a file for reading once, from the start.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    decompressed(file, path)
}

/// Reads a whole file, decompressed.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|source| unreadable(path, source))?;
    Ok(bytes)
}

/// The bytes of a reader, decompressed where its first bytes are those of gzip or zstd. A name that ends in `.gz` or `.zst`
/// must not lie.
pub(super) fn decompressed<'a>(
    mut reader: impl Read + Send + 'a,
    path: &Path,
) -> Result<Box<dyn Read + Send + 'a>> {
    let mut magic = [0; 4];
    let mut length = 0;
    while length < magic.len() {
        match reader.read(&mut magic[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(path, error)),
        }
    }
    let magic = &magic[..length];
    let is_gzip = magic.starts_with(&[0x1f, 0x8b]);
    let is_zstd = magic == [0x28, 0xb5, 0x2f, 0xfd];
    let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(magic.to_vec()).chain(reader);
    if is_gzip {
        let packed = Counted::new(whole);
        let count = Arc::clone(&packed.count);
        let inner = flate2::bufread::MultiGzDecoder::new(BufReader::new(packed));
        return Ok(Box::new(Unpacked { inner, packed: count, unpacked: 0 }));
    }
    if is_zstd {
        let packed = Counted::new(whole);
        let count = Arc::clone(&packed.count);
        let decoder = zstd::stream::read::Decoder::new(packed);
        let inner = decoder.map_err(|source| unreadable(path, source))?;
        return Ok(Box::new(Unpacked { inner, packed: count, unpacked: 0 }));
    }
    let ending =
        path.extension().map_or_else(String::new, |ending| ending.to_string_lossy().into());
    match ending.to_ascii_lowercase().as_str() {
        "gz" => {
            Err(Error::file(path, "the file is not gzip, though its name ends in .gz; rename it"))
        }
        "zst" => {
            Err(Error::file(path, "the file is not zstd, though its name ends in .zst; rename it"))
        }
        _ => Ok(Box::new(whole)),
    }
}

/// Counts the bytes that pass.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    fn new(inner: R) -> Self {
        Self { inner, count: Arc::default() }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.count.fetch_add(n_read as u64, Ordering::Relaxed);
        Ok(n_read)
    }
}

/// Unpacked bytes, refused where they are out of all proportion to the packed ones.
struct Unpacked<R> {
    inner: R,
    packed: Arc<AtomicU64>,
    unpacked: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.unpacked += n_read as u64;
        let packed = self.packed.load(Ordering::Relaxed);
        if self.unpacked > FREE_BYTES && self.unpacked > MOST_RATIO * packed {
            let what = format!(
                "the file unpacks to more than {MOST_RATIO} times its {packed} bytes, which no such file does; unpack it yourself if it is sound"
            );
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, what));
        }
        Ok(n_read)
    }
}

/// A failed read: a compressed file that breaks off says so.
pub(super) fn unreadable(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::file(
            path,
            "the compressed file breaks off before its end; copy or write it again",
        ),
        std::io::ErrorKind::FileTooLarge => Error::file(path, source.to_string()),
        std::io::ErrorKind::InvalidInput
        | std::io::ErrorKind::InvalidData
        | std::io::ErrorKind::Other => Error::file(
            path,
            format!("the compressed file is damaged: {source}; copy or write it again"),
        ),
        _ => Error::Unreadable { path: path.to_owned(), source },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn names_say_format_and_run() {
        for (name, format, run) in [
            ("dir/a.run", Format::Trec, "a"),
            ("a", Format::Trec, "a"),
            ("bm25.v2.json", Format::Json, "bm25.v2"),
            ("a.JSONL.gz", Format::Jsonl, "a"),
            ("a.parquet", Format::Parquet, "a"),
            ("a.txt.zst", Format::Trec, "a"),
            (".gz", Format::Trec, ".gz"),
            ("é.gz", Format::Trec, "é"),
            ("", Format::Trec, "run"),
        ] {
            assert_eq!(
                (Format::of(Path::new(name)), run_name(Path::new(name)).as_str()),
                (format, run)
            );
        }
    }

    fn gz(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn text_of(bytes: &[u8], name: &str) -> Result<String> {
        let path = Path::new(name);
        let mut text = String::new();
        let mut reader = decompressed(bytes, path)?;
        reader.read_to_string(&mut text).map_err(|source| unreadable(path, source))?;
        Ok(text)
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = vec![b'0'; 80 << 20];
        for bytes in [zstd::encode_all(&zeros[..], 1).unwrap(), gz(&zeros)] {
            let message = text_of(&bytes, "f").err().unwrap().to_string();
            assert!(message.starts_with("f: the file unpacks to more than 200 times"), "{message}");
        }
    }

    #[test]
    fn compressed_and_plain_bytes_read_alike() {
        let text = "a line\n".repeat(1_000);
        let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
        let gzip = gz(text.as_bytes());
        let twice = [gz(b"one "), gz(b"two")].concat();
        assert_eq!(text_of(text.as_bytes(), "a").unwrap(), text);
        assert_eq!(text_of(&gzip, "a.gz").unwrap(), text);
        assert_eq!(text_of(&gzip, "a").unwrap(), text);
        assert_eq!(text_of(&zst, "a.zst").unwrap(), text);
        assert_eq!(text_of(&twice, "a.gz").unwrap(), "one two");
        assert_eq!(text_of(b"", "a").unwrap(), "");
        for bytes in [&gzip[..gzip.len() - 3], &gzip[..5], &zst[..zst.len() - 3], &zst[..6]] {
            let message = text_of(bytes, "f").unwrap_err().to_string();
            assert!(message.starts_with("f: the compressed file breaks off"), "{message}");
        }
        assert!(text_of(b"q 0 a 1", "f.gz").unwrap_err().to_string().contains("not gzip"));
        assert!(text_of(b"", "f.zst").unwrap_err().to_string().contains("not zstd"));
        let mut bad = gzip.clone();
        let last = bad.len() - 6;
        bad[last] ^= 1;
        assert!(text_of(&bad, "f").unwrap_err().to_string().contains("is damaged"));
    }
}
