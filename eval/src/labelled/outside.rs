//! Values per request that were measured elsewhere, such as a list's true utility or regret in a simulation: one value per
//! line, joined to the evaluated requests by id. Knows nothing of what they mean.

use std::collections::HashMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::io::for_each_line;
use crate::metric::Better;
use crate::scores::{Column, Values};

/// Requests that a message names when many are missing.
const SHOWN_REQUESTS: usize = 3;

/// A named value for each of many requests.
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideValues {
    name: String,
    better: Better,
    /// Request → (value, line of the file).
    values: HashMap<String, (f64, usize)>,
}

/// What becomes of evaluated requests without a value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Absent {
    /// They are a fault.
    #[default]
    Refuse,
    /// They count as this value.
    CountAs(f64),
}

/// Reads values from a file whose lines are either `{"request": "q1", "value": 0.5}` or `q1 0.5`, the two separated by a
/// comma, a tab or spaces. The last separator counts, so that ids may hold spaces or commas; a first line that ends in the
/// word `value` is a heading. Blank lines are skipped; a request that appears twice and values that are not finite are
/// refused with the line. `better` says which way they are better: nobody else can know.
pub fn read_values(path: &Path, name: &str, better: Better) -> Result<OutsideValues> {
    let mut lines = ValueLines::default();
    for_each_line(path, |number, line| lines.take(number, line))?;
    Ok(OutsideValues { name: name.to_owned(), better, values: lines.0 })
}

/// One line in JSON.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine {
    request: String,
    value: f64,
}

/// Values by request, with the line of each.
#[derive(Default)]
struct ValueLines(HashMap<String, (f64, usize)>);

impl ValueLines {
    fn take(&mut self, number: usize, text: &str) -> std::result::Result<(), String> {
        let text = text.trim();
        if text.is_empty() || (number == 1 && is_heading(text)) {
            return Ok(());
        }
        let (request, value) = if text.starts_with('{') {
            let line: JsonLine = serde_json::from_str(text)
                .map_err(|fault| format!("expected {{\"request\": …, \"value\": …}}: {fault}"))?;
            (line.request, line.value)
        } else {
            let (request, value) = separate(text)
                .ok_or("expected a request and a value, such as `q1 0.5`".to_owned())?;
            let parsed: f64 =
                value.parse().map_err(|_| format!("the value `{value}` is not a number"))?;
            (request.to_owned(), parsed)
        };
        if !value.is_finite() {
            return Err(format!("the value of request {request} is {value}, not a finite number"));
        }
        if let Some((_, first)) = self.0.get(&request) {
            return Err(format!("request {request} already has a value in line {first}; keep one"));
        }
        self.0.insert(request, (value, number));
        Ok(())
    }
}

impl OutsideValues {
    /// Reads the bytes of such a file; `path` is for messages.
    pub fn parse(bytes: &[u8], path: &Path, name: &str, better: Better) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut lines = ValueLines::default();
        for (line, number) in bytes.split(|&byte| byte == b'\n').zip(1..) {
            let text = std::str::from_utf8(line)
                .map_err(|_| "the line is not UTF-8; convert the file".to_owned());
            let taken = text.and_then(|text| lines.take(number, text));
            taken.map_err(|what| Error::line(path, number, what))?;
        }
        Ok(Self { name: name.to_owned(), better, values: lines.0 })
    }

    /// Number of requests with a value.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// What the values are called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether no request has a value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values of the evaluated requests as a column beside metrics, and the number of requests without one, which were
    /// counted as told. Values of other requests are left out.
    pub fn column(&self, requests: &[String], absent: Absent) -> Result<(Column, usize)> {
        let refuse =
            |what: String| Err(Error::Comparison { what: format!("{}: {what}", self.name) });
        let missing: Vec<&str> = requests
            .iter()
            .filter(|request| !self.values.contains_key(*request))
            .map(String::as_str)
            .collect();
        let instead = match absent {
            _ if requests.is_empty() => return refuse("no request was evaluated".to_owned()),
            Absent::CountAs(value) if !value.is_finite() => {
                return refuse(format!("missing requests cannot count as {value}"));
            }
            Absent::CountAs(value) => value,
            Absent::Refuse if missing.is_empty() => 0.0,
            Absent::Refuse => {
                let shown = missing[..missing.len().min(SHOWN_REQUESTS)].join(", ");
                return refuse(format!(
                    "{} of {} evaluated requests have no value, such as {shown}; add them, or say what they count as",
                    missing.len(),
                    requests.len()
                ));
            }
        };
        let values: Vec<f64> = requests
            .iter()
            .map(|request| self.values.get(request).map_or(instead, |found| found.0))
            .collect();
        let value = values.iter().sum::<f64>() / values.len() as f64;
        let (metric, better) = (self.name.clone(), self.better);
        let column = Column { metric, better, value, values: Values::PerRequest(values) };
        Ok((column, missing.len()))
    }
}

/// Whether a first line names its columns.
fn is_heading(text: &str) -> bool {
    separate(text).is_some_and(|(_, value)| value.eq_ignore_ascii_case("value"))
}

/// Cuts at the last comma, tab or space, spaces beside a comma being no separators of their own.
fn separate(text: &str) -> Option<(&str, &str)> {
    let at = text.rfind([',', '\t', ' '])?;
    let (request, value) = (text[..at].trim_end(), text[at + 1..].trim());
    // In `q1, 0.5` the last separator is the space, and the comma before it is another.
    let request = request.strip_suffix(',').unwrap_or(request).trim();
    (!request.is_empty() && !value.is_empty()).then_some((request, value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<OutsideValues> {
        OutsideValues::parse(text.as_bytes(), Path::new("u.csv"), "utility", Better::Higher)
    }

    fn requests(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn every_form_of_line_is_read() {
        let text = "request,value\r\nq1,0.5\nq2\t-1e-3\n\nq 3  7\n{\"request\": \"q,4\", \"value\": 2}\nq,5, 1.5\n";
        let values = parse(text).unwrap();
        let ids = requests(&["q1", "q2", "q 3", "q,4", "q,5"]);
        let (column, missing) = values.column(&ids, Absent::Refuse).unwrap();
        let Values::PerRequest(got) = column.values else { panic!("per request") };
        assert_eq!((got, missing), (vec![0.5, -1e-3, 7.0, 2.0, 1.5], 0));
        assert_eq!((values.len(), column.metric.as_str()), (5, "utility"));
        assert!((column.value - 10.999 / 5.0).abs() < 1e-12);
    }

    #[test]
    fn faults_name_the_line() {
        for (text, part) in [
            ("q1 0.5\nq1 0.6", "u.csv:2: request q1 already has a value in line 1"),
            ("q1 0.5\n\nq2 x", "u.csv:3: the value `x` is not a number"),
            ("q1 inf", "u.csv:1: the value of request q1 is inf"),
            ("q1", "u.csv:1: expected a request and a value"),
            ("{\"request\": \"a\"}", "u.csv:1: expected {\"request\": …, \"value\": …}"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let error =
            OutsideValues::parse(b"q\xff 1", Path::new("u"), "x", Better::Lower).unwrap_err();
        assert!(error.to_string().contains("not UTF-8"));
    }

    #[test]
    fn missing_requests_are_refused_or_counted() {
        let values = parse("a 1\nb 3\nunknown 9").unwrap();
        let ids = requests(&["a", "b", "c", "d"]);
        let message = values.column(&ids, Absent::Refuse).unwrap_err().to_string();
        assert!(
            message.contains("2 of 4 evaluated requests have no value, such as c, d"),
            "{message}"
        );
        let (column, missing) = values.column(&ids, Absent::CountAs(-2.0)).unwrap();
        assert_eq!((column.value, missing), (0.0, 2));
        assert!(values.column(&ids, Absent::CountAs(f64::NAN)).is_err());
        assert!(values.column(&[], Absent::Refuse).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = OutsideValues::parse(&bytes, Path::new("x"), "x", Better::Lower);
        }

        #[test]
        fn no_text_panics_the_reader(text in "[q0-9,. \t\n{}\":a-z…]{0,60}") {
            let _ = parse(&text);
        }
    }
}
