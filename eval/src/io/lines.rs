//! Lines to rows: a text is read in blocks, the lines of a block are parsed by all threads, and their rows are joined in the
//! order of the file, so that the result does not depend on the number of threads. Knows no format.

use std::io::Read;
use std::path::Path;

use rayon::prelude::*;

use super::source::unreadable;
use crate::error::{Error, Result};
use crate::pairs::{Pairs, Part, PartRows, Segment};

/// Bytes that are read at a time; a longer line is refused.
const BLOCK_BYTES: usize = 16 << 20;
/// Bytes below which another thread is not worth it.
const LEAST_BYTES: usize = 64 << 10;
/// Longest piece of a faulty line that a message shows, in characters.
const SHOWN_CHARS: usize = 80;

/// What a format makes of one line: rows, or what is wrong with it.
pub(super) type ParsedLine = std::result::Result<(), String>;

/// Rows of parts joined in order.
pub(super) struct Joiner<V> {
    width: usize,
    joined: Pairs<V>,
}

impl<V: Copy + Send + Sync> Joiner<V> {
    /// For as many parts at a time as there are threads.
    pub(super) fn new() -> Self {
        Self { width: rayon::current_num_threads().max(1), joined: Pairs::default() }
    }

    /// Parts that are best made at a time.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Fills one part per element, in parallel, and joins their rows in order.
    pub(super) fn fill<T: Send, R: Send>(
        &mut self,
        elements: Vec<T>,
        each: impl Fn(T, &mut Part<'_, V>) -> R + Sync,
    ) -> Vec<R> {
        let known = &self.joined;
        let parts: Vec<(R, PartRows<V>)> = elements
            .into_par_iter()
            .map(|element| {
                let mut part = Part::new(known);
                let result = each(element, &mut part);
                (result, part.into_rows())
            })
            .collect();
        let join = |(result, rows)| {
            self.joined.join(rows);
            result
        };
        parts.into_iter().map(join).collect()
    }

    /// Makes room for so many rows at once: a vector that doubles touches three times the memory. Only a hint, as a file that
    /// lies about its length must cost nothing: room that is not used is never touched, and none where there is none.
    pub(super) fn expect(&mut self, n_rows: usize) {
        let missing = n_rows.saturating_sub(self.joined.entries.len());
        let _ = self.joined.entries.try_reserve_exact(missing);
    }

    /// All rows.
    pub(super) fn finish(self) -> Pairs<V> {
        self.joined
    }
}

/// What a format notices beside the rows: one for every part, appended in the order of the file.
pub(super) trait Notice: Default + Send {
    /// Appends what was noticed in the lines that follow; `before` lines stand before them.
    fn append(&mut self, before: usize, next: Self);
}

impl Notice for () {
    fn append(&mut self, _: usize, (): ()) {}
}

/// Reads rows from lines. `first` sees the first line that is not blank, `parse` every such line.
pub(super) fn read_rows<V: Copy + Send + Sync>(
    reader: &mut (dyn Read + Send),
    path: &Path,
    first: impl FnMut(&str) + Send,
    parse: impl Fn(&str, &mut Part<'_, V>) -> ParsedLine + Sync,
) -> Result<Pairs<V>> {
    let rows =
        read_rows_noticing(reader, path, first, |line, _, rows, (): &mut ()| parse(line, rows));
    Ok(rows?.0)
}

/// The same, where `parse` also notices something; it is told the number of the line within its part, from 1.
pub(super) fn read_rows_noticing<V: Copy + Send + Sync, N: Notice>(
    reader: &mut (dyn Read + Send),
    path: &Path,
    mut first: impl FnMut(&str) + Send,
    parse: impl Fn(&str, usize, &mut Part<'_, V>, &mut N) -> ParsedLine + Sync,
) -> Result<(Pairs<V>, N)> {
    let mut joiner = Joiner::new();
    let mut noticed = N::default();
    let mut seen_first = false;
    for_each_block(reader, path, |block, lines_before| {
        if !seen_first {
            let line =
                block.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
            if let Some(text) = line.and_then(|line| std::str::from_utf8(line).ok()) {
                first(text.trim());
            }
            seen_first = line.is_some();
        }
        let threads = joiner.width().min(block.len() / LEAST_BYTES + 1);
        let results =
            joiner.fill(cut(block, threads), |part, rows| parse_lines(part, rows, &parse));
        if lines_before == 0
            && let Ok(file) = path.metadata()
        {
            // If all lines are like those of the first block; fewer where the file is packed.
            let blocks = file.len() as f64 / block.len() as f64;
            joiner.expect((joiner.joined.entries.len() as f64 * blocks * 1.02) as usize);
        }
        let mut before = lines_before;
        for result in results {
            match result {
                Ok((n_lines, next)) => {
                    noticed.append(before, next);
                    before += n_lines;
                }
                Err((line, what)) => return Err(Error::line(path, before + line, what)),
            }
        }
        Ok(before)
    })?;
    Ok((joiner.finish(), noticed))
}

/// A fault about a pair that comes twice, with the line on which it comes again. `reader` starts over, `how` says what comes
/// twice; other faults stay as they are.
pub(super) fn with_line<V: Copy>(
    error: Error,
    reader: Result<Box<dyn Read + Send + '_>>,
    path: &Path,
    how: &str,
    parse: impl Fn(&str, &mut Part<'_, V>) -> ParsedLine + Sync,
) -> Error {
    let (Error::Duplicate { request, item, .. }, Ok(mut reader)) = (&error, reader) else {
        return error;
    };
    let mut n_seen = 0;
    let mut found = None;
    // The file was read before: a fault of reading it again leaves the line unnamed.
    let _ = for_each_block(&mut *reader, path, |block, lines_before| {
        let mut number = lines_before;
        for line in block.split_inclusive(|&byte| byte == b'\n') {
            number += 1;
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let nothing = Pairs::default();
            let mut part = Part::new(&nothing);
            if n_seen < 2 && parse(line, &mut part).is_ok() {
                let mut rows = Pairs::default();
                rows.join(part.into_rows());
                let same = |segment: &Segment| rows.requests.name(segment.request) == request;
                if rows.segments.iter().any(same) {
                    let same = |entry: &&(u32, V)| rows.items.name(entry.0) == item;
                    n_seen += rows.entries.iter().filter(same).count();
                }
                if n_seen >= 2 {
                    found = Some(number);
                }
            }
        }
        Ok(number)
    });
    match found {
        Some(line) => {
            let what = format!(
                "item {item} {how} twice for request {request}; keep one line per request and item"
            );
            Error::line(path, line, what)
        }
        None => error,
    }
}

/// Calls `each` with whole lines, block by block, and the number of lines before; it answers with their number behind. The
/// next block is read meanwhile.
fn for_each_block(
    reader: &mut (dyn Read + Send),
    path: &Path,
    mut each: impl FnMut(&[u8], usize) -> Result<usize> + Send,
) -> Result<()> {
    let mut fill = |buffer: &mut Vec<u8>| {
        // No more: a buffer that doubles would be twice as large.
        buffer.reserve_exact(BLOCK_BYTES);
        let mut limited = (&mut *reader).take(BLOCK_BYTES as u64);
        limited.read_to_end(buffer).map_err(|source| unreadable(path, source))
    };
    let (mut buffer, mut next) = (Vec::new(), Vec::new());
    let mut n_read = fill(&mut buffer)?;
    let mut n_lines = 0;
    let mut is_start = true;
    loop {
        let is_end = n_read < BLOCK_BYTES;
        let whole = match memchr::memrchr(b'\n', &buffer) {
            _ if is_end => buffer.len(),
            Some(at) => at + 1,
            None => return Err(too_long(path, n_lines + 1)),
        };
        let (block, rest) = buffer.split_at(whole);
        let block = match block.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if is_start => rest,
            _ => block,
        };
        is_start = false;
        if is_end {
            return each(block, n_lines).map(|_| ());
        }
        next.clear();
        next.extend_from_slice(rest);
        let (read, lines) = rayon::join(|| fill(&mut next), || each(block, n_lines));
        // What is wrong with this block is told first.
        (n_lines, n_read) = (lines?, read?);
        std::mem::swap(&mut buffer, &mut next);
    }
}

/// A line that is no line: what unpacks to it would take all memory.
fn too_long(path: &Path, line: usize) -> Error {
    let what = format!(
        "the line is longer than {} MiB, which no line of such a file is",
        BLOCK_BYTES >> 20
    );
    Error::line(path, line, what)
}

/// Lines of a text file, decompressed where it is packed: its numbered lines that are not blank.
pub fn for_each_line(
    path: &Path,
    mut each: impl FnMut(usize, &str) -> std::result::Result<(), String> + Send,
) -> Result<()> {
    let mut reader = super::source::open(path)?;
    for_each_block(&mut *reader, path, |block, before| {
        let mut number = before;
        for line in block.split_inclusive(|&byte| byte == b'\n') {
            number += 1;
            let line = std::str::from_utf8(line).map_err(|_| {
                Error::line(path, number, "the line is not UTF-8; convert the file")
            })?;
            let line = line.trim_end_matches(['\n', '\r']);
            if !line.trim().is_empty() {
                each(number, line).map_err(|what| Error::line(path, number, what))?;
            }
        }
        Ok(number)
    })
}

/// Pieces of about equal length that end at line ends.
fn cut(block: &[u8], pieces: usize) -> Vec<&[u8]> {
    let mut rest = block;
    let mut parts = Vec::with_capacity(pieces);
    for left in (1..=pieces).rev() {
        let goal = rest.len() / left;
        let end = match memchr::memchr(b'\n', &rest[goal..]) {
            Some(at) if left > 1 => goal + at + 1,
            _ => rest.len(),
        };
        let (part, tail) = rest.split_at(end);
        parts.push(part);
        rest = tail;
    }
    parts
}

/// Parses all lines; answers with their number and what was noticed, or with the number of the first faulty one and what is
/// wrong with it.
fn parse_lines<V: Copy, N: Notice>(
    bytes: &[u8],
    rows: &mut Part<'_, V>,
    parse: &(impl Fn(&str, usize, &mut Part<'_, V>, &mut N) -> ParsedLine + Sync),
) -> std::result::Result<(usize, N), (usize, String)> {
    let (text, is_whole) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        // What stands before the bad bytes is parsed, so that the first fault is the one that is told.
        Err(error) => {
            let valid = &bytes[..error.valid_up_to()];
            let valid = &valid[..memchr::memrchr(b'\n', valid).map_or(0, |at| at + 1)];
            (std::str::from_utf8(valid).unwrap_or_default(), false)
        }
    };
    let mut start = 0;
    let mut number = 0;
    let mut noticed = N::default();
    while start < text.len() {
        let end =
            memchr::memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |at| start + at);
        number += 1;
        let line = &text[start..end];
        if !line.as_bytes().trim_ascii().is_empty() {
            parse(line, number, rows, &mut noticed).map_err(|what| (number, what))?;
        }
        start = end + 1;
    }
    if is_whole {
        return Ok((number, noticed));
    }
    Err((number + 1, "the line is not UTF-8; convert the file".to_owned()))
}

/// The `N` fields of a line, separated by ASCII whitespace; `expected` names them for the message.
pub(super) fn fields<'a, const N: usize>(
    line: &'a str,
    expected: &str,
) -> std::result::Result<[&'a str; N], String> {
    let bytes = line.as_bytes();
    let mut fields = [""; N];
    let mut n_fields = 0;
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at == bytes.len() {
            break;
        }
        let end = next_blank(bytes, at);
        if let Some(slot) = fields.get_mut(n_fields) {
            *slot = &line[at..end];
        }
        n_fields += 1;
        at = end;
    }
    if n_fields == N {
        return Ok(fields);
    }
    let shown = shorten(line.trim());
    Err(format!("expected {N} fields, `{expected}`, but got {n_fields}: `{shown}`"))
}

/// Where the next ASCII whitespace stands at or behind `at`, or the end. Eight bytes at a time: a byte below 0x21 leaves its
/// highest bit set in `(word − 0x21…) & !word`, and the lowest such bit is right.
fn next_blank(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let low = word.wrapping_sub(ONES * 0x21) & !word & (ONES * 0x80);
        if low == 0 {
            at += 8;
            continue;
        }
        at += (low.trailing_zeros() / 8) as usize;
        if bytes[at].is_ascii_whitespace() {
            return at;
        }
        // Some other control character.
        at += 1;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    tail.iter().position(u8::is_ascii_whitespace).map_or(bytes.len(), |behind| at + behind)
}

/// Text cut to what a message can show, control characters replaced.
pub(super) fn shorten(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().map(clean).take(SHOWN_CHARS).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether an id can stand in a whitespace-separated line.
pub(super) fn is_one_field(id: &str) -> bool {
    !id.is_empty() && !id.bytes().any(|byte| byte.is_ascii_whitespace())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_pair(line: &str, rows: &mut Part<'_, u32>) -> ParsedLine {
        let [request, item, value] = fields(line, "request item value")?;
        rows.push(request, item, value.parse().map_err(|_| "no number".to_owned())?);
        Ok(())
    }

    fn sequential(text: &str) -> Pairs<u32> {
        let mut rows = Pairs::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let [request, item, value] = fields(line, "").unwrap();
            rows.push(request, item, value.parse().unwrap());
        }
        rows
    }

    #[test]
    fn many_blocks_and_threads_equal_one_pass() {
        // 40 MiB in three blocks, cut between threads; ids repeat and requests go on over seams.
        let mut text = String::from("\u{feff}");
        for at in 0..2_000_000_u32 {
            let item = at.wrapping_mul(2_654_435_761) % 5_000;
            text.push_str(&format!("request{} item{item} {at}\n", at / 700 % 300));
        }
        let expected = sequential(text.strip_prefix('\u{feff}').unwrap());
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut first = String::new();
            let rows = pool.install(|| {
                read_rows(
                    &mut text.as_bytes(),
                    Path::new("f"),
                    |line| first = line.to_owned(),
                    parse_pair,
                )
            });
            let rows = rows.unwrap();
            assert_eq!(first, "request0 item0 0");
            assert!(rows.entries == expected.entries && rows.segments == expected.segments);
            assert!(rows.items.names().eq(expected.items.names()));
            assert!(rows.requests.names().eq(expected.requests.names()));
        }
        let bad = format!("{text}q a x\nq b 1");
        let error =
            read_rows(&mut bad.as_bytes(), Path::new("f"), |_| {}, parse_pair).err().unwrap();
        assert_eq!(error.to_string(), "f:2000001: no number");
    }

    /// Lines that are made when they are read, so that no text is ever whole in memory.
    struct Generated {
        next: u32,
        n_lines: u32,
        line: Vec<u8>,
        at: usize,
    }

    impl Read for Generated {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let mut filled = 0;
            while filled < buffer.len() {
                if self.at == self.line.len() {
                    if self.next == self.n_lines {
                        break;
                    }
                    use std::io::Write;
                    let (request, item) = (self.next / 1_000, self.next % 1_000);
                    self.line.clear();
                    writeln!(self.line, "request{request} item{item} {}", self.next)?;
                    (self.next, self.at) = (self.next + 1, 0);
                }
                let n = (buffer.len() - filled).min(self.line.len() - self.at);
                buffer[filled..filled + n].copy_from_slice(&self.line[self.at..self.at + n]);
                (filled, self.at) = (filled + n, self.at + n);
            }
            Ok(filled)
        }
    }

    #[test]
    fn a_line_costs_its_row_and_no_text() {
        const N_LINES: u32 = 3_000_000;
        let mut reader = Generated { next: 0, n_lines: N_LINES, line: Vec::new(), at: 0 };
        let mut largest = 0;
        for_each_block(&mut reader, Path::new("f"), |block, before| {
            largest = largest.max(block.len());
            Ok(before + memchr::memchr_iter(b'\n', block).count())
        })
        .unwrap();
        // 70 MB of text, of which a block and the beginning of a line are held at a time.
        assert!(largest <= BLOCK_BYTES + 64, "{largest}");
        let mut reader = Generated { next: 0, n_lines: N_LINES, line: Vec::new(), at: 0 };
        let rows = read_rows(&mut reader, Path::new("f"), |_| {}, parse_pair).unwrap();
        assert_eq!(rows.entries.len(), N_LINES as usize);
        assert_eq!((rows.requests.len(), rows.items.len()), (3_000, 1_000));
        // Eight bytes per row, at most twice where the vector has just grown; 4,000 ids are next to nothing.
        let bytes = rows.bytes();
        assert!(bytes < 17 * N_LINES as usize, "{:.1} per line", bytes as f64 / f64::from(N_LINES));
        assert!(bytes >= 8 * N_LINES as usize);
    }

    #[test]
    fn room_that_there_is_not_is_done_without() {
        let mut joiner = Joiner::<u32>::new();
        joiner.expect(usize::MAX);
        joiner.expect(1 << 58);
        assert_eq!(joiner.finish().entries.capacity(), 0);
        let mut joiner = Joiner::<u32>::new();
        joiner.expect(1_000);
        assert_eq!(joiner.finish().entries.capacity(), 1_000);
    }

    #[test]
    fn a_line_without_end_is_refused_early() {
        let mut endless = (&b"a b 1\n"[..]).chain(std::io::repeat(b'x'));
        let error = read_rows(&mut endless, Path::new("f"), |_| {}, parse_pair).err().unwrap();
        assert!(error.to_string().starts_with("f:2: the line is longer than 16 MiB"), "{error}");
    }

    #[test]
    fn the_first_fault_is_told() {
        for (bytes, expected) in [
            (&b"a b x\n\xff"[..], "f:1: no number"),
            (b"a b 1\n\n\xff \xff\na b x", "f:3: the line is not UTF-8; convert the file"),
            (b"a b 1\n  \na b", "f:3: expected 3 fields, `request item value`, but got 2: `a b`"),
        ] {
            let mut bytes = bytes;
            let error = read_rows(&mut bytes, Path::new("f"), |_| {}, parse_pair).err().unwrap();
            assert_eq!(error.to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn fields_are_those_of_the_standard_library(line in "[a-cé\\x00-\\x21\\x7f]{0,60}") {
            let expected: Vec<&str> = line.split_ascii_whitespace().collect();
            let mut at = 0;
            let mut found = Vec::new();
            while at < line.len() {
                let end = next_blank(line.as_bytes(), at);
                found.extend((end > at).then(|| &line[at..end]));
                at = end + 1;
            }
            prop_assert_eq!(&found, &expected);
            if let [a, b, c] = expected[..] {
                prop_assert_eq!(fields::<3>(&line, ""), Ok([a, b, c]));
            } else {
                prop_assert!(fields::<3>(&line, "").is_err());
            }
        }

        #[test]
        fn pieces_are_the_block(block in "[ab\\n]{0,40}", pieces in 1_usize..6) {
            let parts = cut(block.as_bytes(), pieces);
            prop_assert_eq!(parts.len(), pieces);
            prop_assert_eq!(parts.concat(), block.as_bytes());
            for (at, part) in parts.iter().enumerate() {
                let rest: usize = parts[at + 1..].iter().map(|part| part.len()).sum();
                prop_assert!(part.is_empty() || part.ends_with(b"\n") || rest == 0);
            }
        }
    }
}
