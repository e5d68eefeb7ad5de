//! Runs and judgments as one JSON object, `{"request": {"item": number}}`: what pytrec_eval and ranx keep in memory.

use std::fmt;
use std::io::{Read, Write};
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::json_id::{FromNumber, JsonId, JsonNumber, plain, quoted};
use super::source;
use super::trec_run::score_text;
use crate::error::{Error, Result};
use crate::pairs::Pairs;
use crate::qrels::{Qrels, QrelsBuilder};
use crate::run::{Run, RunBuilder};

pub(super) fn read_json_run(path: &Path) -> Result<Run> {
    run(&source::read(path)?, path)
}

pub(super) fn read_json_qrels(path: &Path) -> Result<Qrels> {
    qrels(&source::read(path)?, path)
}

/// Reads a run from bytes, which may be compressed; `path` is for messages and names the run.
pub fn parse_json_run(bytes: &[u8], path: &Path) -> Result<Run> {
    run(&decompress(bytes, path)?, path)
}

/// Reads judgments from bytes, which may be compressed; `path` is for messages.
pub fn parse_json_qrels(bytes: &[u8], path: &Path) -> Result<Qrels> {
    qrels(&decompress(bytes, path)?, path)
}

/// Writes a run, requests with an empty list included. JSON knows no infinite score: refused.
pub fn write_json_run(run: &Run, writer: &mut impl Write) -> Result<()> {
    let failed = |source| Error::Unwritable { what: format!("run {}", run.name()), source };
    for (index, ranking) in run.rankings().enumerate() {
        let before = if index == 0 { "{" } else { ",\n" };
        let request = ranking.request();
        write!(writer, "{before}{}: {{", quoted(request)).map_err(failed)?;
        for (index, (item, score)) in ranking.items().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            let score = json_score(run, request, item, score)?;
            write!(writer, "{before}{}: {score}", quoted(item)).map_err(failed)?;
        }
        write!(writer, "}}").map_err(failed)?;
    }
    writeln!(writer, "{}", if run.is_empty() { "{}" } else { "}" }).map_err(failed)?;
    writer.flush().map_err(failed)
}

/// Writes judgments, requests and items in byte order of their ids.
pub fn write_json_qrels(qrels: &Qrels, writer: &mut impl Write) -> Result<()> {
    let failed = |source| Error::Unwritable { what: "qrels".to_owned(), source };
    for (index, judgments) in qrels.judgments().enumerate() {
        let before = if index == 0 { "{" } else { ",\n" };
        write!(writer, "{before}{}: {{", quoted(judgments.request())).map_err(failed)?;
        let mut grades: Vec<(&str, f64)> = judgments.grades().collect();
        grades.sort_unstable_by_key(|&(item, _)| item);
        for (index, (item, grade)) in grades.into_iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(writer, "{before}{}: {grade}", quoted(item)).map_err(failed)?;
        }
        write!(writer, "}}").map_err(failed)?;
    }
    writeln!(writer, "{}", if qrels.is_empty() { "{}" } else { "}" }).map_err(failed)?;
    writer.flush().map_err(failed)
}

/// The text of a score, if JSON has one.
pub(super) fn json_score(run: &Run, request: &str, item: &str, score: f32) -> Result<String> {
    if score.is_finite() {
        return Ok(score_text(score));
    }
    Err(Error::Run {
        run: run.name().to_owned(),
        what: format!(
            "the score of item {item} for request {request} is {score}, which JSON cannot hold; write TREC or Parquet"
        ),
    })
}

fn decompress(bytes: &[u8], path: &Path) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut reader = source::decompressed(bytes, path)?;
    reader.read_to_end(&mut plain).map_err(|error| source::unreadable(path, error))?;
    Ok(plain)
}

fn run(bytes: &[u8], path: &Path) -> Result<Run> {
    let rows = rows(bytes, path)?;
    RunBuilder::from_rows(source::run_name(path), rows).finish().map_err(|error| at(error, path))
}

fn qrels(bytes: &[u8], path: &Path) -> Result<Qrels> {
    let rows = rows(bytes, path)?;
    QrelsBuilder::from_rows(rows).finish().map_err(|error| at(error, path))
}

/// A pair that comes twice, told with the file.
fn at(error: Error, path: &Path) -> Error {
    match error {
        Error::Duplicate { request, item, .. } => {
            Error::Duplicate { place: path.display().to_string(), request, item }
        }
        other => other,
    }
}

fn rows<V: FromNumber>(bytes: &[u8], path: &Path) -> Result<Pairs<V>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut rows = Pairs::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let requests = Object(Requests { rows: &mut rows });
    let read = requests.deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| {
        let what = format!(
            "{} (column {}); expected `{{\"request\": {{\"item\": number}}}}`",
            plain(&error),
            error.column()
        );
        Error::line(path, error.line(), what)
    })?;
    Ok(rows)
}

/// An object whose entries a visitor takes one by one, so that it never lies in memory as a whole.
struct Object<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Object<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<V::Value, D::Error> {
        deserializer.deserialize_map(self.0)
    }
}

/// The outer object.
struct Requests<'a, V> {
    rows: &'a mut Pairs<V>,
}

/// One request's object.
struct Items<'a, 'b, V> {
    rows: &'a mut Pairs<V>,
    request: &'b str,
    value: PhantomData<V>,
}

impl<'de, V: FromNumber> Visitor<'de> for Requests<'_, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of requests")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(JsonId(request)) = map.next_key()? {
            let items = Items { rows: &mut *self.rows, request: &request, value: PhantomData };
            map.next_value_seed(Object(items))?;
        }
        Ok(())
    }
}

impl<'de, V: FromNumber> Visitor<'de> for Items<'_, '_, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of items with their numbers for request {}", self.request)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        self.rows.open(self.request);
        while let Some((JsonId(item), JsonNumber(number))) = map.next_entry()? {
            self.rows.push(self.request, &item, V::from_number(number));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read() {
        let text = r#"{"q1": {"a": 1, "b": 2.5, "é\n": -1e0}, "q2": {}}"#;
        let run = parse_json_run(text.as_bytes(), Path::new("d/bm25.json")).unwrap();
        assert_eq!((run.name(), run.len(), run.n_entries()), ("bm25", 2, 3));
        let items: Vec<_> = run.get("q1").unwrap().items().collect();
        assert_eq!(items, [("b", 2.5), ("a", 1.0), ("é\n", -1.0)]);
        let mut out = Vec::new();
        write_json_run(&run, &mut out).unwrap();
        assert_eq!(parse_json_run(&out, Path::new("bm25.json")).unwrap(), run);
        let qrels = parse_json_qrels(text.as_bytes(), Path::new("x")).unwrap();
        assert_eq!(qrels.grade("q1", "b"), Some(2.5));
        let mut out = Vec::new();
        write_json_qrels(&qrels, &mut out).unwrap();
        assert_eq!(parse_json_qrels(&out, Path::new("x")).unwrap(), qrels);
        assert!(parse_json_run(b"{}", Path::new("x")).unwrap().is_empty());
    }

    #[test]
    fn faults_name_line_and_column() {
        for (text, expected) in [
            (
                "[1]",
                "f.json:1: invalid type: sequence, expected an object of requests (column 0); expected `{\"request\": {\"item\": number}}`",
            ),
            (
                "{\"q\":\n {\"a\": \"1\"}}",
                "f.json:2: invalid type: string \"1\", expected f64 (column ",
            ),
            ("{\"q\": {\"a\": 1", "f.json:1: EOF while parsing an object (column 13)"),
            ("{\"q\": {\"a\": NaN}}", "f.json:1: expected value (column 13)"),
            (
                "{\"q\": 3}",
                "f.json:1: invalid type: integer `3`, expected an object of items with their numbers for request q",
            ),
            ("{\"q\": {\"a\": 1, \"a\": 2}}", "f.json: item a appears twice for request q"),
            (
                "{\"q\": {\"a\": 1}, \"q\": {\"a\": 2}}",
                "f.json: item a appears twice for request q",
            ),
            ("{} x", "f.json:1: trailing characters (column 4)"),
        ] {
            let message =
                parse_json_run(text.as_bytes(), Path::new("f.json")).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
        let mut builder = Run::builder("s");
        builder.push("q", "a", f32::INFINITY).unwrap();
        let error = write_json_run(&builder.finish().unwrap(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("item a for request q is inf"), "{error}");
    }
}
