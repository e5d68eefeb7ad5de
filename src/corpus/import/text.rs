//! Text files: CSV with named columns, and whole UTF-8 files. Knows nothing of items or queries.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::error::{Error, Result};

use super::faults::Faults;
use super::quotes::{Quotes, Strays};

/// Longest title and longest further text of an item that are kept, in bytes; what is beyond is
/// cut at a character and counted.
pub(super) const MAX_TEXT: usize = 32_768;

/// Longest line of a file of lines, in bytes.
const MAX_LINE: usize = 16 << 20;

/// Likeness (Jaro-Winkler) from which another column is offered.
const LEAST_LIKENESS: f64 = 0.75;

/// A CSV file with a header line.
pub(super) struct CsvFile {
    path: PathBuf,
    reader: Reader<Quotes<Box<dyn Read>>>,
    strays: Strays,
    header: Vec<String>,
    /// Records read, the header among them.
    records: u64,
    /// Lines by which the reader is behind: a record begins before the line feed that ends the one
    /// before, where lines end in a carriage return, too.
    behind: u64,
    /// Bytes since a row ended, counted by the reader.
    since_row: Rc<Cell<u64>>,
}

impl CsvFile {
    /// Reads the header of a file that is opened already; `skips_line` where one stands before it. The reader counts in
    /// `since_row` what it read, and refuses a row without end: each row begins the count anew.
    ///
    /// # Errors
    /// [`Error::Data`] when it is empty, not UTF-8 in the header, or names a column twice there.
    pub(super) fn of(
        path: &Path,
        mut reader: impl BufRead + 'static,
        delimiter: u8,
        skips_line: bool,
        since_row: Rc<Cell<u64>>,
    ) -> Result<Self> {
        if skips_line {
            reader.skip_until(b'\n').map_err(|e| Error::unreadable(path, &e))?;
        }
        let first_line = 1 + u64::from(skips_line);
        let quotes = Quotes::new(Box::new(reader) as Box<dyn Read>, delimiter, first_line);
        let strays = quotes.strays();
        let mut reader =
            ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(quotes);
        let record =
            reader.byte_headers().map_err(|e| Error::data_at(path, 1, e.to_string()))?.clone();
        if record.is_empty() {
            return Err(Error::data(path, "the file is empty; expected a header line"));
        }
        if let Some(stray) = strays.of(0) {
            let message = format!("a quotation mark {}", stray.what);
            return Err(Error::data_at(path, stray.line, message));
        }
        let header: Vec<String> = record
            .iter()
            .map(|name| {
                std::str::from_utf8(name)
                    .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
                    .map_err(|_| Error::data_at(path, 1, "the header is not UTF-8"))
            })
            .collect::<Result<_>>()?;
        let is_twice =
            |(place, name): (usize, &String)| !name.is_empty() && header[..place].contains(name);
        if let Some(place) = header.iter().enumerate().position(is_twice) {
            let message = format!("the header names the column `{}` twice", header[place]);
            return Err(Error::data_at(path, first_line, message)
                .with_help("give each column a name of its own"));
        }
        // The header was read: the reader stands behind its end, before the line feed or after it.
        let behind = u64::from(reader.position().line() < 2) + u64::from(skips_line);
        since_row.set(0);
        Ok(Self { path: path.to_owned(), reader, strays, header, records: 1, behind, since_row })
    }

    /// Names of the columns.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// Place of a column that the recipe names with `key`.
    ///
    /// # Errors
    /// [`Error::Data`] that offers the nearest column.
    pub(super) fn column(&self, name: &str, key: &str) -> Result<usize> {
        if let Some(place) = self.header.iter().position(|column| column == name) {
            return Ok(place);
        }
        Err(without_column(&self.path, name, key, &self.header))
    }

    /// Reads the next row; `None` at the end. A row with another number of fields than the header
    /// or with broken quotes is a fault, and the next one is read.
    ///
    /// # Errors
    /// [`Error::Data`] when the disk refuses.
    pub(super) fn next(&mut self, faults: &mut Faults) -> Result<Option<CsvRow>> {
        loop {
            let mut record = ByteRecord::new();
            match self.reader.read_byte_record(&mut record) {
                Ok(false) => return Ok(None),
                Ok(true) => {}
                Err(e) => return Err(Error::data(&self.path, format!("cannot be read: {e}"))),
            }
            self.since_row.set(0);
            faults.row();
            let line = record.position().map_or(0, csv::Position::line) + self.behind;
            let number = self.records;
            self.records += 1;
            if let Some(stray) = self.strays.of(number) {
                faults.fault(stray.line, format!("a quotation mark {}", stray.what));
                // Each line that it swallowed is a row that is lost.
                for line in stray.line + 1..=stray.last_line {
                    faults.row();
                    let message = format!("inside the quotation mark of line {}", stray.line);
                    faults.fault(line, message);
                }
                continue;
            }
            if record.len() == self.header.len() {
                return Ok(Some(CsvRow { line, record }));
            }
            let (found, expected) = (record.len(), self.header.len());
            faults.fault(line, format!("{found} fields; the header has {expected}"));
        }
    }
}

/// A row of a CSV file.
pub(super) struct CsvRow {
    /// 1-based line at which it starts.
    pub(super) line: u64,
    record: ByteRecord,
}

impl CsvRow {
    /// A field without surrounding white space.
    ///
    /// # Errors
    /// The text of a fault when the field is not UTF-8.
    pub(super) fn field(&self, column: usize) -> std::result::Result<&str, String> {
        let bytes = self.record.get(column).unwrap_or_default();
        std::str::from_utf8(bytes)
            .map(str::trim)
            .map_err(|e| format!("field {} is not UTF-8 from byte {}", column + 1, e.valid_up_to()))
    }
}

/// What is said where a file has no column of a name; `key` names it in the recipe.
pub(super) fn without_column(path: &Path, name: &str, key: &str, header: &[String]) -> Error {
    let likeness =
        |column: &String| strsim::jaro_winkler(&column.to_lowercase(), &name.to_lowercase());
    let columns = header.iter().map(|column| (likeness(column), column));
    let nearest = columns.max_by(|left, right| left.0.total_cmp(&right.0));
    let help = match nearest {
        Some((likeness, column)) if likeness >= LEAST_LIKENESS => {
            format!("did you mean `{column}`? set {key} = \"{column}\"")
        }
        _ => format!("set {key} to one of these columns"),
    };
    let found: Vec<String> = header.iter().map(|column| format!("`{column}`")).collect();
    Error::data_at(path, 1, format!("no column `{name}`; the header has {}", found.join(", ")))
        .with_help(help)
}

/// Opens an input file; a folder is refused by name.
pub(super) fn open(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|e| {
        Error::unreadable(path, &e).with_help(
            "set corpus.path to the folder that holds the files, and the file names relative to it",
        )
    })?;
    if path.is_dir() {
        return Err(Error::data(path, "is a folder; expected a file"));
    }
    Ok(file)
}

/// Reads the next line into `bytes` and counts it; `false` at the end.
///
/// # Errors
/// [`Error::Data`] for a line of more than [`MAX_LINE`] bytes, or a disk that refuses.
pub(super) fn next_line(
    reader: &mut impl BufRead,
    bytes: &mut Vec<u8>,
    path: &Path,
    line: &mut u64,
) -> Result<bool> {
    bytes.clear();
    let mut limited = reader.take(MAX_LINE as u64 + 1);
    let n_read = limited.read_until(b'\n', bytes).map_err(|e| Error::unreadable(path, &e))?;
    *line += u64::from(n_read > 0);
    if n_read > MAX_LINE {
        let message = format!("the line is longer than {} MiB", MAX_LINE >> 20);
        return Err(Error::data_at(path, *line, message).with_help("is it a text file of lines?"));
    }
    Ok(n_read > 0)
}

/// Reads a whole UTF-8 file; a broken byte is reported with its line.
pub(super) fn read_utf8(path: &Path) -> Result<String> {
    open(path)?;
    let bytes = std::fs::read(path).map_err(|e| Error::unreadable(path, &e))?;
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..good].iter().filter(|&&b| b == b'\n').count() as u64;
        Error::data_at(path, line, "is not UTF-8 here").with_help("convert the file to UTF-8")
    })
}

/// Refuses an id that no list of results could name.
///
/// # Errors
/// The text of a fault.
pub(super) fn check_id(id: &str) -> std::result::Result<(), String> {
    match id.chars().any(|c| c.is_whitespace() || c.is_control()) {
        false => Ok(()),
        true => Err(format!(
            "`{}`; an id holds no blanks and no control characters, because run files separate their \
             columns by blanks",
            id.escape_debug()
        )),
    }
}

/// A text without control characters: each run of them, and of blanks around it, is a blank.
pub(super) fn plain(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    if !text.contains(|c: char| c.is_control()) {
        return text.trim().to_owned();
    }
    let words = text.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Cuts a text to [`MAX_TEXT`] bytes at a character; whether anything was cut.
pub(super) fn truncate(text: &mut String) -> bool {
    if text.len() <= MAX_TEXT {
        return false;
    }
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    true
}

/// Number of rows of a text file when it is small enough to count (64 MB); newlines, less header.
pub(super) fn count_lines(path: &Path, header: u64) -> Option<u64> {
    const SMALL: u64 = 64 << 20;
    if std::fs::metadata(path).ok()?.len() > SMALL {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let unfinished = u64::from(bytes.last().is_some_and(|&b| b != b'\n'));
    let lines = bytes.iter().filter(|&&b| b == b'\n').count() as u64 + unfinished;
    Some(lines.saturating_sub(header))
}
