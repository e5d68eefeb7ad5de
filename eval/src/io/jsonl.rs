//! Runs and judgments as JSON lines: `{"request": …, "item": …, "score": …}`, or one line per request with lists `items` and
//! `scores`; judgments say `grade` and `grades`. Keys that are not known are passed over.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::path::Path;

use serde::Deserialize;

use super::json::json_score;
use super::json_id::{FromNumber, JsonId, JsonNumber, plain, quoted};
use super::lines::{ParsedLine, read_rows, with_line};
use super::source;
use crate::error::{Error, Result};
use crate::pairs::Part;
use crate::qrels::{Qrels, QrelsBuilder};
use crate::run::{Run, RunBuilder};

/// A line of a run.
#[derive(Deserialize)]
struct RunLine<'a> {
    #[serde(borrow, alias = "q_id", alias = "query_id", alias = "qid")]
    request: JsonId<'a>,
    #[serde(borrow, alias = "doc_id", alias = "item_id", alias = "docno")]
    item: Option<JsonId<'a>>,
    score: Option<JsonNumber>,
    #[serde(borrow)]
    items: Option<Vec<JsonId<'a>>>,
    scores: Option<Vec<JsonNumber>>,
}

/// A line of judgments.
#[derive(Deserialize)]
struct QrelsLine<'a> {
    #[serde(borrow, alias = "q_id", alias = "query_id", alias = "qid")]
    request: JsonId<'a>,
    #[serde(borrow, alias = "doc_id", alias = "item_id", alias = "docno")]
    item: Option<JsonId<'a>>,
    #[serde(alias = "relevance", alias = "rel")]
    grade: Option<JsonNumber>,
    #[serde(borrow)]
    items: Option<Vec<JsonId<'a>>>,
    grades: Option<Vec<JsonNumber>>,
}

/// Either kind of line.
struct Line<'a> {
    request: Cow<'a, str>,
    one: (Option<JsonId<'a>>, Option<JsonNumber>),
    many: (Option<Vec<JsonId<'a>>>, Option<Vec<JsonNumber>>),
    /// What the number is called.
    number: &'static str,
}

pub(super) fn read_jsonl_run(path: &Path) -> Result<Run> {
    run(&|| source::open(path), path)
}

pub(super) fn read_jsonl_qrels(path: &Path) -> Result<Qrels> {
    qrels(&|| source::open(path), path)
}

/// Reads a run from bytes, which may be compressed; `path` is for messages and names the run.
pub fn parse_jsonl_run(bytes: &[u8], path: &Path) -> Result<Run> {
    run(&|| source::decompressed(bytes, path), path)
}

/// Reads judgments from bytes, which may be compressed; `path` is for messages.
pub fn parse_jsonl_qrels(bytes: &[u8], path: &Path) -> Result<Qrels> {
    qrels(&|| source::decompressed(bytes, path), path)
}

/// Writes a run, one line per request with its items in evaluated order. JSON knows no infinite score: refused.
pub fn write_jsonl_run(run: &Run, writer: &mut impl Write) -> Result<()> {
    let failed = |source| Error::Unwritable { what: format!("run {}", run.name()), source };
    for ranking in run.rankings() {
        let request = ranking.request();
        let items: Vec<String> = ranking.items().map(|(item, _)| quoted(item)).collect();
        let scores: Vec<String> = ranking
            .items()
            .map(|(item, score)| json_score(run, request, item, score))
            .collect::<Result<_>>()?;
        writeln!(
            writer,
            "{{\"request\": {}, \"items\": [{}], \"scores\": [{}]}}",
            quoted(request),
            items.join(", "),
            scores.join(", ")
        )
        .map_err(failed)?;
    }
    writer.flush().map_err(failed)
}

/// Writes judgments, one line per request, requests and items in byte order of their ids.
pub fn write_jsonl_qrels(qrels: &Qrels, writer: &mut impl Write) -> Result<()> {
    let failed = |source| Error::Unwritable { what: "qrels".to_owned(), source };
    for judgments in qrels.judgments() {
        let mut grades: Vec<(&str, f64)> = judgments.grades().collect();
        grades.sort_unstable_by_key(|&(item, _)| item);
        let items: Vec<String> = grades.iter().map(|&(item, _)| quoted(item)).collect();
        let grades: Vec<String> = grades.iter().map(|(_, grade)| grade.to_string()).collect();
        writeln!(
            writer,
            "{{\"request\": {}, \"items\": [{}], \"grades\": [{}]}}",
            quoted(judgments.request()),
            items.join(", "),
            grades.join(", ")
        )
        .map_err(failed)?;
    }
    writer.flush().map_err(failed)
}

fn run<'a>(open: &dyn Fn() -> Result<Box<dyn Read + Send + 'a>>, path: &Path) -> Result<Run> {
    let rows = read_rows(&mut *open()?, path, |_| {}, parse_run_line)?;
    RunBuilder::from_rows(source::run_name(path), rows)
        .finish()
        .map_err(|error| with_line(error, open(), path, "appears", parse_run_line))
}

fn qrels<'a>(open: &dyn Fn() -> Result<Box<dyn Read + Send + 'a>>, path: &Path) -> Result<Qrels> {
    let rows = read_rows(&mut *open()?, path, |_| {}, parse_qrels_line)?;
    QrelsBuilder::from_rows(rows)
        .finish()
        .map_err(|error| with_line(error, open(), path, "is judged", parse_qrels_line))
}

fn parse_run_line(line: &str, rows: &mut Part<'_, f32>) -> ParsedLine {
    let RunLine { request, item, score, items, scores } =
        serde_json::from_str(line).map_err(|error| expected(&error, "score"))?;
    let one = (item, score);
    Line { request: request.0, one, many: (items, scores), number: "score" }.push(rows)
}

fn parse_qrels_line(line: &str, rows: &mut Part<'_, f64>) -> ParsedLine {
    let QrelsLine { request, item, grade, items, grades } =
        serde_json::from_str(line).map_err(|error| expected(&error, "grade"))?;
    let one = (item, grade);
    Line { request: request.0, one, many: (items, grades), number: "grade" }.push(rows)
}

fn expected(error: &serde_json::Error, number: &str) -> String {
    format!(
        "{} (column {}); expected `{{\"request\": …, \"item\": …, \"{number}\": …}}` or `{{\"request\": …, \"items\": […], \"{number}s\": […]}}`",
        plain(error),
        error.column()
    )
}

impl Line<'_> {
    fn push<V: FromNumber>(self, rows: &mut Part<'_, V>) -> ParsedLine {
        let number = self.number;
        match (self.one, self.many) {
            ((Some(item), Some(value)), (None, None)) => {
                rows.push(&self.request, &item.0, V::from_number(value.0));
                Ok(())
            }
            ((None, None), (Some(items), Some(values))) => {
                if items.len() != values.len() {
                    return Err(format!(
                        "{} items have {} {number}s; give one {number} per item",
                        items.len(),
                        values.len()
                    ));
                }
                rows.open(&self.request);
                for (item, value) in items.iter().zip(values) {
                    rows.push(&self.request, &item.0, V::from_number(value.0));
                }
                Ok(())
            }
            _ => Err(format!(
                "a line has either `item` and `{number}`, or `items` and `{number}s`; give both of one kind"
            )),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_line_are_read() {
        let text = r#"{"request": "q", "item": 7, "score": 1, "rank": 3}
{"q_id": "q", "doc_id": "b\u00e9", "score": 2.5}

{"request": 12, "items": ["x", -3], "scores": [0.5, 1]}
{"request": "none", "items": [], "scores": []}
"#;
        let run = parse_jsonl_run(text.as_bytes(), Path::new("d/s.jsonl")).unwrap();
        assert_eq!((run.name(), run.len(), run.n_entries()), ("s", 3, 4));
        assert_eq!(run.get("q").unwrap().items().next(), Some(("bé", 2.5)));
        assert_eq!(run.get("12").unwrap().items().next(), Some(("-3", 1.0)));
        let mut out = Vec::new();
        write_jsonl_run(&run, &mut out).unwrap();
        assert_eq!(parse_jsonl_run(&out, Path::new("s.jsonl")).unwrap(), run);
        let text = r#"{"query_id": "q", "item_id": "a", "relevance": 2}
{"request": "q", "items": ["b"], "grades": [-1]}"#;
        let qrels = parse_jsonl_qrels(text.as_bytes(), Path::new("x")).unwrap();
        assert_eq!((qrels.grade("q", "a"), qrels.grade("q", "b")), (Some(2.0), Some(-1.0)));
        let mut out = Vec::new();
        write_jsonl_qrels(&qrels, &mut out).unwrap();
        assert_eq!(parse_jsonl_qrels(&out, Path::new("x")).unwrap(), qrels);
    }

    #[test]
    fn faults_name_the_line() {
        let good = r#"{"request": "q", "item": "a", "score": 1}"#;
        for (line, expected) in [
            (good, "f:2: item a appears twice for request q; keep one line per request and item"),
            (
                "{\"request\": \"q\"",
                "f:2: EOF while parsing an object (column 15); expected `{\"request\": …, \"item\": …, \"score\": …}` or",
            ),
            ("{\"item\": \"q\"}", "f:2: missing field `request` (column 13)"),
            (
                "{\"request\": \"q\", \"item\": \"b\", \"score\": null}",
                "f:2: a line has either `item` and `score`, or",
            ),
            (
                "{\"request\": \"q\", \"items\": [\"b\"], \"scores\": []}",
                "f:2: 1 items have 0 scores",
            ),
            (
                "{\"request\": true, \"item\": \"b\", \"score\": 1}",
                "f:2: invalid type: boolean `true`, expected an id: a string or a whole number",
            ),
        ] {
            let text = format!("{good}\n{line}\n");
            let message = parse_jsonl_run(text.as_bytes(), Path::new("f")).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
        let twice = r#"{"request": "q", "items": ["a", "b", "a"], "grades": [1, 1, 1]}"#;
        let message = parse_jsonl_qrels(twice.as_bytes(), Path::new("f")).unwrap_err().to_string();
        assert!(message.starts_with("f:1: item a is judged twice for request q"), "{message}");
    }
}
