//! TREC judgments: `request 0 item grade`, one line per judged item; the second field is ignored. Grades may be fractions.

use std::io::{Read, Write};
use std::path::Path;

use super::lines::{ParsedLine, fields, is_one_field, read_rows, shorten, with_line};
use super::source;
use crate::error::{Error, Result};
use crate::pairs::Part;
use crate::qrels::{Qrels, QrelsBuilder};

const FIELDS: &str = "request 0 item grade";

/// Reads a file of judgments, which may be compressed.
pub fn read_trec_qrels(path: &Path) -> Result<Qrels> {
    parse(&|| source::open(path), path)
}

/// Reads judgments from bytes; `path` is for messages.
pub fn parse_trec_qrels(bytes: &[u8], path: &Path) -> Result<Qrels> {
    parse(&|| source::decompressed(bytes, path), path)
}

fn parse<'a>(open: &dyn Fn() -> Result<Box<dyn Read + Send + 'a>>, path: &Path) -> Result<Qrels> {
    let rows = read_rows(&mut *open()?, path, |_| {}, parse_line)?;
    QrelsBuilder::from_rows(rows)
        .finish()
        .map_err(|error| with_line(error, open(), path, "is judged", parse_line))
}

fn parse_line(line: &str, rows: &mut Part<'_, f64>) -> ParsedLine {
    let [request, _, item, grade] = fields(line, FIELDS)?;
    let value = grade.parse::<f64>().ok().filter(|value| value.is_finite());
    let value = value
        .ok_or_else(|| format!("the grade must be a finite number, not `{}`", shorten(grade)))?;
    rows.push(request, item, value);
    Ok(())
}

/// Writes judgments, requests and items in byte order of their ids. An id that is empty or holds whitespace is refused.
pub fn write_trec_qrels(qrels: &Qrels, writer: &mut impl Write) -> Result<()> {
    let failed = |source| Error::Unwritable { what: "qrels".to_owned(), source };
    for judgments in qrels.judgments() {
        let request = judgments.request();
        let mut grades: Vec<(&str, f64)> = judgments.grades().collect();
        grades.sort_unstable_by_key(|&(item, _)| item);
        for (item, grade) in grades {
            if !is_one_field(request) || !is_one_field(item) {
                let what = format!(
                    "request id `{}` or item id `{}` is empty or holds whitespace, which a TREC file cannot",
                    shorten(request),
                    shorten(item)
                );
                return Err(Error::Qrels { what });
            }
            writeln!(writer, "{request} 0 {item} {grade}").map_err(failed)?;
        }
    }
    writer.flush().map_err(failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn faults_name_file_and_line() {
        for (text, expected) in [
            (
                "q 0 a 1\nq 0 b\n",
                "f:2: expected 4 fields, `request 0 item grade`, but got 3: `q 0 b`",
            ),
            ("q 0 a inf", "f:1: the grade must be a finite number, not `inf`"),
            (
                "q 0 a 1\nq 0 b 1\nq 0 a 2",
                "f:3: item a is judged twice for request q; keep one line per request and item",
            ),
        ] {
            let error = parse_trec_qrels(text.as_bytes(), Path::new("f")).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn judgments_read_back_equal(
            entries in prop::collection::btree_map(("[a-c]{1,2}", "[x-z]{1,2}"), -1e9_f64..1e9, 0..20),
        ) {
            let mut builder = Qrels::builder();
            for ((request, item), grade) in &entries {
                builder.push(request, item, *grade).unwrap();
            }
            let qrels = builder.finish().unwrap();
            let mut out = Vec::new();
            write_trec_qrels(&qrels, &mut out).unwrap();
            prop_assert_eq!(parse_trec_qrels(&out, Path::new("x")).unwrap(), qrels);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(text in "[q0-9a \\n\\t.-]{0,80}") {
            let _ = parse_trec_qrels(text.as_bytes(), Path::new("x"));
        }
    }
}
