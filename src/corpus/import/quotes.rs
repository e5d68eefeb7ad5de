//! Strict quotation marks: bytes of a CSV file pass through while every quoted field is closed, ends before a separator, and is
//! not too long. A lenient reader makes one field of many rows where a title merely begins with a quotation mark.

use std::io::{Error, ErrorKind, Read, Result};

/// Longest field or line, in bytes.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Where the next byte stands.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Start,
    Plain,
    Quoted,
    /// Behind a quotation mark inside quotes: the end of the field, or the first half of a doubled one.
    Mark,
}

/// A reader that refuses stray quotation marks.
pub(super) struct Strict<R> {
    inner: R,
    separator: u8,
    at: At,
    line: u64,
    /// Line where the open field began.
    opened: u64,
    /// Bytes of the field so far.
    length: usize,
}

/// A fault and the line where it began.
#[derive(Debug)]
pub(super) struct Stray {
    pub(super) line: u64,
    pub(super) what: String,
}

impl std::fmt::Display for Stray {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.what)
    }
}

impl std::error::Error for Stray {}

impl<R> Strict<R> {
    pub(super) fn new(inner: R, separator: u8) -> Self {
        Self { inner, separator, at: At::Start, line: 1, opened: 1, length: 0 }
    }

    fn stray(&self, what: String) -> Error {
        Error::new(ErrorKind::InvalidData, Stray { line: self.opened, what })
    }

    fn byte(&mut self, byte: u8) -> Result<()> {
        let ends = byte == self.separator || byte == b'\n' || byte == b'\r';
        self.at = match (self.at, byte) {
            (At::Start, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::Mark,
            (At::Mark, b'"') | (At::Quoted, _) => At::Quoted,
            (At::Mark, _) if !ends => {
                let line = self.line;
                return Err(self.stray(format!(
                    "a field begins with a quotation mark, and in line {line} text follows the mark that closes it"
                )));
            }
            _ if ends => At::Start,
            _ => At::Plain,
        };
        self.length += 1;
        if self.length > MAX_BYTES {
            let quoted =
                if self.at == At::Quoted { "; is a quotation mark not closed?" } else { "" };
            return Err(self.stray(format!("a field is longer than {MAX_BYTES} bytes{quoted}")));
        }
        self.line += u64::from(byte == b'\n');
        if self.at == At::Start {
            (self.opened, self.length) = (self.line, 0);
        }
        Ok(())
    }
}

impl<R: Read> Read for Strict<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n_read = self.inner.read(buffer)?;
        for &byte in &buffer[..n_read] {
            self.byte(byte)?;
        }
        if n_read == 0 && !buffer.is_empty() && self.at == At::Quoted {
            return Err(self.stray("a quotation mark is not closed".to_owned()));
        }
        Ok(n_read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(u64, String)> {
        let mut out = Vec::new();
        let error = Strict::new(text.as_bytes(), b',').read_to_end(&mut out).err()?;
        let stray = error.get_ref().and_then(|inner| inner.downcast_ref::<Stray>()).unwrap();
        Some((stray.line, stray.what.clone()))
    }

    #[test]
    fn stray_marks_are_told_with_the_line_where_the_field_begins() {
        for sound in
            ["a,b\n", "a,\"b\"\r\n", "5\" pipe,x\n", "\"a \"\"b\"\"\",\"x\ny\"", "\"\",\"\"\n"]
        {
            assert_eq!(read(sound), None, "{sound}");
        }
        let (line, what) = read("a,b\n\"Big\" sofa,x\n").unwrap();
        assert_eq!((line, what.contains("line 2 text follows")), (2, true));
        let (line, what) = read("a,b\n\"Big,x\ny,\"z\"\n").unwrap();
        assert_eq!((line, what.contains("line 3 text follows")), (2, true), "{what}");
        assert_eq!(read("a\n\"b\nc\n").unwrap(), (2, "a quotation mark is not closed".into()));
        assert!(
            read(&format!("a\n\"{}", "x\n".repeat(MAX_BYTES))).unwrap().1.contains("not closed?")
        );
    }
}
