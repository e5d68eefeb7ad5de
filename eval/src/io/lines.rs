//! Lines of whitespace-separated fields, with the number of each line. Knows no format.

use std::path::Path;

use crate::error::{Error, Result};

/// Longest piece of a faulty line that a message shows, in characters.
const SHOWN_CHARS: usize = 80;

/// Calls `each` with the number (from 1) and the `N` fields of every line that is not blank. Fields are separated by ASCII
/// whitespace; `expected` names them for messages.
pub(super) fn for_each_line<const N: usize>(
    bytes: &[u8],
    path: &Path,
    expected: &str,
    mut each: impl FnMut(usize, [&str; N]) -> Result<()>,
) -> Result<()> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = index + 1;
        let line = std::str::from_utf8(line)
            .map_err(|_| Error::line(path, number, "the line is not UTF-8; convert the file"))?;
        let mut fields = [""; N];
        let mut n_fields = 0;
        for field in line.split_ascii_whitespace() {
            if let Some(slot) = fields.get_mut(n_fields) {
                *slot = field;
            }
            n_fields += 1;
        }
        if n_fields == 0 {
            continue;
        }
        if n_fields != N {
            let shown = shorten(line.trim());
            return Err(Error::line(
                path,
                number,
                format!("expected {N} fields, `{expected}`, but got {n_fields}: `{shown}`"),
            ));
        }
        each(number, fields)?;
    }
    Ok(())
}

/// The line on which a pair of fields appears for the second time, for the message about a duplicate.
pub(super) fn second_line<const N: usize>(
    bytes: &[u8],
    path: &Path,
    matches: impl Fn([&str; N]) -> bool,
) -> Option<usize> {
    let mut found = (0, None);
    for_each_line(bytes, path, "", |number, fields| {
        if found.1.is_none() && matches(fields) {
            found.0 += 1;
            found.1 = (found.0 == 2).then_some(number);
        }
        Ok(())
    })
    .ok()?;
    found.1
}

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })
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
