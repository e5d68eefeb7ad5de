//! Text files: CSV with named columns, and whole UTF-8 files. Knows nothing of items or queries.

use std::fs::File;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::error::{Error, Result};

use super::faults::Faults;
use super::quotes::{MAX_BYTES, Stray, Strict};

/// Longest title and longest further text of an item that are kept, in bytes; what is beyond is
/// cut at a character and counted.
pub(super) const MAX_TEXT: usize = 32_768;

/// Likeness (Jaro-Winkler) from which another column is offered.
const LEAST_NEARNESS: f64 = 0.75;

/// A CSV file with a header line; other than `.tsv` files are separated by commas.
pub(super) struct CsvFile {
    path: PathBuf,
    reader: Reader<Strict<File>>,
    header: Vec<String>,
    separator: char,
    /// Lines by which the reader is behind: a record begins before the line feed that ends the one
    /// before, where lines end in a carriage return, too.
    behind: u64,
}

impl CsvFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, empty or not UTF-8 in the header.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let tabs = path.extension().is_some_and(|extension| extension == "tsv");
        let separator = if tabs { b'\t' } else { b',' };
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .buffer_capacity(1 << 18)
            .from_reader(Strict::new(file, separator));
        let record = reader.byte_headers().map_err(|e| unreadable(path, &e))?.clone();
        if record.is_empty() {
            return Err(Error::data(path, "the file is empty; expected a header line"));
        }
        let header: Vec<String> = record
            .iter()
            .map(|name| {
                std::str::from_utf8(name)
                    .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
                    .map_err(|_| Error::data_at(path, 1, "the header is not UTF-8"))
            })
            .collect::<Result<_>>()?;
        check_header(path, &header)?;
        // The header was read: the reader stands behind its end, before the line feed or after it.
        let behind = u64::from(reader.position().line() < 2);
        let separator = char::from(separator);
        Ok(Self { path: path.to_owned(), reader, header, separator, behind })
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
        if let Some(other) = self.other_separator(name) {
            let (own, other) = (separator_name(self.separator), separator_name(other));
            let message = format!("the fields seem to be separated by {other}, not by {own}");
            let help = format!(
                "save the file with commas, or with tabs under a name that ends in .tsv: then `{name}` is looked for again"
            );
            return Err(Error::data_at(&self.path, 1, message).with_help(help));
        }
        let nearness =
            |column: &String| strsim::jaro_winkler(&column.to_lowercase(), &name.to_lowercase());
        let nearest = self.header.iter().map(|column| (nearness(column), column));
        let nearest = nearest.max_by(|left, right| left.0.total_cmp(&right.0));
        let found: Vec<String> = self.header.iter().map(|column| format!("`{column}`")).collect();
        let message = format!("no column `{name}`; the header has {}", found.join(", "));
        let help = match nearest {
            Some((near, column)) if near >= LEAST_NEARNESS => {
                format!("did you mean `{column}`? set {key} = \"{column}\"")
            }
            _ => format!("set {key} to one of them, or add the column"),
        };
        Err(Error::data_at(&self.path, 1, message).with_help(help))
    }

    /// Another character that separates the fields of the header, where a column is missing.
    fn other_separator(&self, wanted: &str) -> Option<char> {
        let line = self.header.join(&self.separator.to_string());
        let splits = |&other: &char| {
            let mut parts = line.split(other).map(|part| part.trim().trim_matches('"'));
            let is_alone = self.header.len() == 1 && line.contains(other);
            other != self.separator
                && line.contains(other)
                && (is_alone || parts.any(|part| part == wanted))
        };
        ['\t', ';', ',', '|'].into_iter().find(splits)
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
                Err(e) => return Err(unreadable(&self.path, &e)),
            }
            faults.row();
            let line = record.position().map_or(0, csv::Position::line) + self.behind;
            if record.len() == self.header.len() {
                return Ok(Some(CsvRow { line, record }));
            }
            let (found, expected) = (record.len(), self.header.len());
            faults.fault(line, format!("{found} fields; the header has {expected}"));
        }
    }
}

/// Refuses a header with a column twice, or one that is a note of Excel's.
fn check_header(path: &Path, header: &[String]) -> Result<()> {
    if header.first().is_some_and(|first| first.to_ascii_lowercase().starts_with("sep=")) {
        let message = "the first line names the separator, as Excel writes it; expected the header";
        let help = "remove the line and save the file with commas, or with tabs under a name that ends in .tsv";
        return Err(Error::data_at(path, 1, message).with_help(help));
    }
    let again =
        |(place, name): &(usize, &String)| !name.is_empty() && header[..*place].contains(name);
    match header.iter().enumerate().find(again) {
        Some((_, name)) => {
            let message = format!("the header names the column `{name}` twice");
            Err(Error::data_at(path, 1, message).with_help("rename or remove one of them"))
        }
        None => Ok(()),
    }
}

fn separator_name(separator: char) -> String {
    if separator == '\t' { "tabs".into() } else { format!("`{separator}`") }
}

/// A fault of the CSV reader; a stray quotation mark has its line.
fn unreadable(path: &Path, error: &csv::Error) -> Error {
    if let csv::ErrorKind::Io(io) = error.kind()
        && let Some(stray) = io.get_ref().and_then(|inner| inner.downcast_ref::<Stray>())
    {
        return Error::data_at(path, stray.line, stray.what.clone()).with_help(
            "put quotation marks around the whole field and double those inside, as in `\"a \"\"big\"\" sofa\"`",
        );
    }
    Error::data(path, format!("cannot be read: {error}"))
}

/// Reads the next line into `bytes`, at most so many; `false` at the end.
///
/// # Errors
/// [`Error::Data`] for a line that is too long or a disk that refuses.
pub(super) fn next_line(
    reader: &mut impl BufRead,
    bytes: &mut Vec<u8>,
    path: &Path,
    line: &mut u64,
) -> Result<bool> {
    bytes.clear();
    let mut limited = std::io::Read::take(reader, MAX_BYTES as u64 + 1);
    let n_read = limited.read_until(b'\n', bytes).map_err(|e| Error::unreadable(path, &e))?;
    *line += u64::from(n_read > 0);
    if n_read > MAX_BYTES {
        let message = format!("the line is longer than {MAX_BYTES} bytes");
        return Err(Error::data_at(path, *line, message).with_help("is it a text file of lines?"));
    }
    Ok(n_read > 0)
}

/// What is wrong with an id. Run files and judgments are fields between blanks for every reader of theirs, and an escape
/// would be another id to trec_eval: an id with a blank is refused before any work.
pub(super) fn id_fault(what: &str, id: &str) -> Option<String> {
    if id.is_empty() {
        return Some(format!("the {what} id is empty"));
    }
    let shown = id.escape_debug();
    let is_bad = |c: char| c.is_whitespace() || c.is_control();
    id.contains(is_bad).then(|| {
        format!(
            "{what} id `{shown}` holds a blank or control character, which run files cannot; replace it, by `_` say"
        )
    })
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
