//! What a file is, by its name and its first bytes: its format, and what separates its fields.

use std::io::Read;
use std::path::Path;

use super::Reading;
use super::unpacked::Unpacked;
use crate::corpus::settings::Format;
use crate::error::{Error, Result};

/// What of a file is looked at.
const HEAD_BYTES: u64 = 1 << 16;

/// What may separate fields, in the order in which it is looked for.
const DELIMITERS: [u8; 4] = *b"\t;,|";

/// What was found.
#[derive(Debug, Clone)]
pub(in crate::corpus::import) struct Head {
    /// Format.
    pub(in crate::corpus::import) format: Format,
    /// What separates the fields of a line.
    pub(in crate::corpus::import) delimiter: u8,
    /// Whether the first line is Excel's `sep=;`, which is no header.
    pub(super) skips_line: bool,
}

/// Looks at a file.
///
/// # Errors
/// [`Error::Data`] when it cannot be read or is empty.
pub(in crate::corpus::import) fn head(path: &Path, reading: &Reading) -> Result<Head> {
    let mut bytes = Vec::new();
    let read = Unpacked::open(path)?.take(HEAD_BYTES).read_to_end(&mut bytes);
    read.map_err(|e| Error::unreadable(path, &e))?;
    let start = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let start = start.trim_ascii_start();
    if start.is_empty() {
        let message = match reading.format {
            Some(Format::Csv) => "the file is empty; expected a header line",
            _ => "the file is empty",
        };
        return Err(Error::data(path, message));
    }
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Err(Error::data(path, "is UTF-16").with_help("convert the file to UTF-8"));
    }
    if !bytes.starts_with(b"PAR1") && is_wide(&bytes) {
        return Err(Error::data(path, "is UTF-16 (or UTF-32) without a mark at its start")
            .with_help("convert the file to UTF-8"));
    }
    let format = reading.format.unwrap_or_else(|| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = name.trim_end_matches(".gz").trim_end_matches(".zst").to_owned();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if bytes.starts_with(b"PAR1") {
            Format::Parquet
        } else if ends(&[".jsonl", ".ndjson"]) {
            Format::JsonLines
        } else if start[0] == b'[' {
            Format::Json
        } else if start[0] == b'{' {
            if is_lines(start) { Format::JsonLines } else { Format::Json }
        } else {
            Format::Csv
        }
    });
    if format == Format::Parquet && !bytes.starts_with(b"PAR1") {
        return Err(Error::data(path, "is no Parquet file").with_help("correct `format`"));
    }
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = first.strip_suffix(b"\r").unwrap_or(first);
    let told = match first.strip_prefix(b"sep=") {
        Some([delimiter]) => Some(*delimiter),
        _ => None,
    };
    let delimiter = reading.delimiter.or(told).unwrap_or_else(|| shown(first));
    Ok(Head { format, delimiter, skips_line: format == Format::Csv && told.is_some() })
}

/// Whether a text has units of several bytes: letters, blanks and ends of lines then hold zero bytes, which no UTF-8 text has
/// many of.
fn is_wide(bytes: &[u8]) -> bool {
    let n_zeros = bytes.iter().filter(|byte| **byte == 0).count();
    20 * n_zeros > bytes.len()
}

/// Whether the first line is an object of its own: then there is one a line.
fn is_lines(start: &[u8]) -> bool {
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok_and(|_| {
        let more = &start[first.len()..];
        !more.trim_ascii_start().is_empty() || first.len() < start.len()
    })
}

/// What separates the fields of a header outside quotes: the one that it holds most of.
fn shown(header: &[u8]) -> u8 {
    let count = |delimiter: u8| {
        let mut is_quoted = false;
        let mut n_found = 0;
        for &byte in header {
            is_quoted ^= byte == b'"';
            n_found += usize::from(byte == delimiter && !is_quoted);
        }
        n_found
    };
    let most = DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter));
    most.filter(|delimiter| count(*delimiter) > 0).unwrap_or(b',')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn wide_texts_are_told_with_and_without_a_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let text = "item,titel\n1,Grün\n";
        for (mark, big) in [("\u{feff}", true), ("\u{feff}", false), ("", true), ("", false)] {
            let units = mark.encode_utf16().chain(text.encode_utf16());
            let bytes: Vec<u8> = units
                .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect();
            std::fs::write(&path, bytes).unwrap();
            let error = head(&path, &Reading::default()).unwrap_err().to_string();
            assert!(error.contains("is UTF-16"), "{error}");
        }
    }

    #[test]
    fn heads_tell_format_and_delimiter() {
        let folder = tempfile::tempdir().unwrap();
        let look = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let head = head(&path, &Reading::default()).unwrap();
            (head.format, head.delimiter)
        };
        assert_eq!(look("a.csv", "x;y\n1;2\n"), (Format::Csv, b';'));
        assert_eq!(look("a.txt", "x\ty,z\tw\n"), (Format::Csv, b'\t'));
        assert_eq!(look("a.csv", "\"a;b;c;d\",y\n"), (Format::Csv, b','));
        assert_eq!(look("a.csv", "only\n1\n"), (Format::Csv, b','));
        assert_eq!(look("a.csv", "sep=|\nx|y\n"), (Format::Csv, b'|'));
        assert_eq!(look("a.json", "{\"a\": 1}\n{\"a\": 2}\n").0, Format::JsonLines);
        assert_eq!(look("a.json", "{\"a\": {\"b\": 1}}").0, Format::Json);
        assert_eq!(look("a.json", " [\n{\"b\": 1}]").0, Format::Json);
        assert_eq!(look("a.jsonl", "{\"a\": 1}").0, Format::JsonLines);
    }
}
