//! TREC run files: `request Q0 item rank score tag`, one line per returned item. Read: the rank is ignored, the score is
//! parsed as `f64` and kept as `f32`, as trec_eval does. Written: in evaluated order, with scores that read back exactly.

use std::io::{Read, Write};
use std::path::Path;

use super::lines::{
    Notice, ParsedLine, fields, is_one_field, read_rows_noticing, shorten, with_line,
};
use super::ranks::Ranks;
use super::source;
use crate::error::{Error, Result};
use crate::pairs::Part;
use crate::run::{Run, RunBuilder};

const FIELDS: &str = "request Q0 item rank score tag";

/// Reads a run file, which may be compressed. The run's name is the tag of the first line.
pub fn read_trec_run(path: &Path) -> Result<Run> {
    Ok(parse::<()>(&|| source::open(path), path)?.0)
}

/// Reads a run file, and what is to be said of ranks that contradict its scores.
pub(super) fn read_trec_run_with_ranks(path: &Path) -> Result<(Run, Option<String>)> {
    let (run, ranks) = parse::<Ranks>(&|| source::open(path), path)?;
    Ok((run, ranks.told(path)))
}

/// Reads a run from bytes; `path` is for messages, and names the run where no line has a tag.
pub fn parse_trec_run(bytes: &[u8], path: &Path) -> Result<Run> {
    Ok(parse::<()>(&|| source::decompressed(bytes, path), path)?.0)
}

fn parse<'a, N: Rows>(
    open: &dyn Fn() -> Result<Box<dyn Read + Send + 'a>>,
    path: &Path,
) -> Result<(Run, N)> {
    let mut name = source::run_name(path);
    let tag_of = |line: &str| {
        if let Ok([.., tag]) = fields::<6>(line, FIELDS) {
            name = tag.to_owned();
        }
    };
    let (rows, noticed) = read_rows_noticing(&mut *open()?, path, tag_of, parse_line::<N>)?;
    let again = |line: &str, rows: &mut Part<'_, f32>| parse_line(line, 1, rows, &mut ());
    let run = RunBuilder::from_rows(name, rows)
        .finish()
        .map_err(|error| with_line(error, open(), path, "appears", again))?;
    Ok((run, noticed))
}

/// What is noticed of a row.
trait Rows: Notice {
    fn see(&mut self, line: usize, request: &str, rank: &str, score: f32);
}

impl Rows for () {
    fn see(&mut self, _: usize, _: &str, _: &str, _: f32) {}
}

impl Rows for Ranks {
    fn see(&mut self, line: usize, request: &str, rank: &str, score: f32) {
        self.row(line, request, rank, score);
    }
}

fn parse_line<N: Rows>(
    line: &str,
    number: usize,
    rows: &mut Part<'_, f32>,
    noticed: &mut N,
) -> ParsedLine {
    let [request, _, item, rank, score, _] = fields(line, FIELDS)?;
    let value = score.parse::<f64>().ok().filter(|value| !value.is_nan());
    let value =
        value.ok_or_else(|| format!("the score must be a number, not `{}`", shorten(score)))?;
    rows.push(request, item, value as f32);
    noticed.see(number, request, rank, value as f32);
    Ok(())
}

/// Writes a run in evaluated order, ranks from 1. Whitespace in the run's name becomes `_` in the tag; an id that is empty
/// or holds whitespace is refused, for no reader could read it back. Requests with an empty list leave no line.
pub fn write_trec_run(run: &Run, writer: &mut impl Write) -> Result<()> {
    let tag: String = match run.name() {
        "" => "run".to_owned(),
        name => name.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect(),
    };
    let failed = |source| Error::Unwritable { what: format!("run {}", run.name()), source };
    let refuse = |what: &str, id: &str| {
        let what = format!(
            "{what} id `{}` is empty or holds whitespace, which a TREC file cannot",
            shorten(id)
        );
        Err(Error::Run { run: run.name().to_owned(), what })
    };
    for ranking in run.rankings() {
        let request = ranking.request();
        if !is_one_field(request) {
            return refuse("request", request);
        }
        for (index, (item, score)) in ranking.items().enumerate() {
            if !is_one_field(item) {
                return refuse("item", item);
            }
            let rank = index + 1;
            let score = score_text(score);
            writeln!(writer, "{request} Q0 {item} {rank} {score} {tag}").map_err(failed)?;
        }
    }
    writer.flush().map_err(failed)
}

/// Shortest text that gives the same `f32` back when it is read as `f64` and rounded.
pub(super) fn score_text(score: f32) -> String {
    let short = score.to_string();
    match short.parse::<f64>() {
        Ok(value) if value as f32 == score => short,
        // Rounding twice missed: the value as f64 is exact.
        _ => f64::from(score).to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Run> {
        parse_trec_run(text.as_bytes(), Path::new("dir/a.run"))
    }

    #[test]
    fn the_rank_column_is_not_believed() {
        let run = parse("q Q0 a 1 0.5 sys\nq Q0 b 2 1e0 sys\r\n\n q\tQ0\tc 9 0.5 sys").unwrap();
        assert_eq!(run.name(), "sys");
        let items: Vec<_> = run.get("q").unwrap().items().collect();
        assert_eq!(items, [("b", 1.0), ("c", 0.5), ("a", 0.5)]);
    }

    #[test]
    fn faults_name_file_and_line() {
        for (text, expected) in [
            (
                "q Q0 a 1 0.5 s\nq Q0 b 2 s",
                "dir/a.run:2: expected 6 fields, `request Q0 item rank score tag`, but got 5: `q Q0 b 2 s`",
            ),
            ("\nq Q0 a 1 high s", "dir/a.run:2: the score must be a number, not `high`"),
            ("q Q0 a 1 NaN s", "dir/a.run:1: the score must be a number, not `NaN`"),
            (
                "q Q0 a 1 1 s\nq Q0 b 1 1 s\nq Q0 a 3 2 s",
                "dir/a.run:3: item a appears twice for request q; keep one line per request and item",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
        let error = parse_trec_run(b"q Q0 \xff 1 1 s", Path::new("x")).unwrap_err();
        assert_eq!(error.to_string(), "x:1: the line is not UTF-8; convert the file");
    }

    #[test]
    fn ids_that_would_not_read_back_are_refused() {
        for (request, item) in [("a b", "x"), ("q", ""), ("q", "x\n")] {
            let mut builder = Run::builder("s");
            builder.push(request, item, 1.0).unwrap();
            let mut out = Vec::new();
            assert!(write_trec_run(&builder.finish().unwrap(), &mut out).is_err());
        }
    }

    proptest! {
        #[test]
        fn runs_read_back_equal_and_written_order_is_evaluated_order(
            lists in prop::collection::vec(
                prop::collection::btree_map("[a-z0-9_é]{1,3}", prop::num::f32::ANY, 1..8), 1..6),
        ) {
            let mut builder = Run::builder("my system");
            for (request, list) in lists.iter().enumerate() {
                let finite = list.iter().map(|(item, &score)| (item, if score.is_nan() { 0.0 } else { score }));
                builder.push_list(&request.to_string(), finite).unwrap();
            }
            let run = builder.finish().unwrap().renamed("my_system");
            let mut out = Vec::new();
            write_trec_run(&run, &mut out).unwrap();
            let back = parse_trec_run(&out, Path::new("x")).unwrap();
            prop_assert_eq!(&back, &run);
            let mut again = Vec::new();
            write_trec_run(&back, &mut again).unwrap();
            prop_assert_eq!(out, again);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_trec_run(&bytes, Path::new("x"));
        }

        #[test]
        fn mutated_lines_are_read_or_refused(at in 0_usize..60, byte in any::<u8>(), cut in 0_usize..60) {
            let mut bytes = b"q1 Q0 a 1 0.5 s\nq1 Q0 b 2 0.25 s\nq2 Q0 a 1 3e-1 s\n".to_vec();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length.saturating_sub(cut / 4));
            let _ = parse_trec_run(&bytes, Path::new("x"));
        }
    }
}
