//! Logged actions: what was shown, how likely that was, what it earned, and how likely the target policy would have shown it.
//! Knows no estimator.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};

/// One logged action, an item or a whole list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedRow {
    /// Id of the request; may be empty.
    #[serde(default)]
    pub request: String,
    /// The item or list that was shown, for messages; may be empty.
    #[serde(default)]
    pub item: String,
    /// What it earned.
    pub reward: f64,
    /// Probability with which the logging policy showed it, in (0, 1].
    pub propensity: f64,
    /// Probability with which the target policy would show it, in [0, 1].
    pub target: f64,
    /// A model's estimate of the reward of the logged action; for the doubly robust estimate.
    #[serde(default)]
    pub estimate: Option<f64>,
    /// The model's expected reward under the target policy; for the doubly robust estimate.
    #[serde(default)]
    pub expectation: Option<f64>,
}

/// Checked rows of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyLog {
    rows: Vec<LoggedRow>,
    place: String,
}

/// Collects rows, checking each.
#[derive(Debug, Clone)]
pub struct PolicyLogBuilder {
    rows: Vec<LoggedRow>,
    place: String,
}

/// Reads a log of JSON lines with the fields of [`LoggedRow`]. Blank lines are skipped; faults name the line.
pub fn read_log(path: &Path) -> Result<PolicyLog> {
    let bytes = std::fs::read(path)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    PolicyLog::parse(&bytes, path)
}

impl PolicyLog {
    /// Starts a log; `place` names it in messages.
    pub fn builder(place: impl Into<String>) -> PolicyLogBuilder {
        PolicyLogBuilder { rows: Vec::new(), place: place.into() }
    }

    /// Reads the bytes of such a file; `path` is for messages.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut rows = Vec::new();
        for (line, number) in bytes.split(|&byte| byte == b'\n').zip(1..) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let row: LoggedRow = serde_json::from_slice(line)
                .map_err(|fault| Error::line(path, number, format!("no logged row: {fault}")))?;
            check(&row).map_err(|what| Error::line(path, number, what))?;
            rows.push(row);
        }
        let place = path.display().to_string();
        PolicyLogBuilder { rows, place }.finish()
    }

    /// The rows, in the order of the log.
    pub fn rows(&self) -> &[LoggedRow] {
        &self.rows
    }

    /// The log's name in messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

impl PolicyLogBuilder {
    /// Adds a row. A propensity that is not in (0, 1], a target probability that is not in [0, 1], and rewards or estimates
    /// that are not finite are refused.
    pub fn push(&mut self, row: LoggedRow) -> Result<()> {
        check(&row).map_err(|what| Error::Comparison {
            what: format!("{}, row {}: {what}", self.place, self.rows.len() + 1),
        })?;
        self.rows.push(row);
        Ok(())
    }

    /// The log; refused where it is empty.
    pub fn finish(self) -> Result<PolicyLog> {
        if self.rows.is_empty() {
            return Err(Error::Comparison { what: format!("{}: there is no row", self.place) });
        }
        Ok(PolicyLog { rows: self.rows, place: self.place })
    }
}

/// Says what is wrong with a row.
fn check(row: &LoggedRow) -> std::result::Result<(), String> {
    let of = match (row.request.is_empty(), row.item.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(" of item {}", row.item),
        (false, true) => format!(" of request {}", row.request),
        (false, false) => format!(" of item {} for request {}", row.item, row.request),
    };
    if !(row.propensity > 0.0 && row.propensity <= 1.0) {
        return Err(format!(
            "the propensity{of} is {}, but what was logged had a probability above 0 and at most 1; leave out what the logging policy could not show",
            row.propensity
        ));
    }
    if !(0.0..=1.0).contains(&row.target) {
        return Err(format!(
            "the target's probability{of} is {}, but must be from 0 to 1",
            row.target
        ));
    }
    let figures = [
        ("reward", Some(row.reward)),
        ("estimate", row.estimate),
        ("expectation", row.expectation),
    ];
    match figures.into_iter().find(|(_, value)| value.is_some_and(|value| !value.is_finite())) {
        Some((what, _)) => Err(format!("the {what}{of} is not a finite number")),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<PolicyLog> {
        PolicyLog::parse(text.as_bytes(), Path::new("log.jsonl"))
    }

    #[test]
    fn rows_are_read() {
        let log = parse(
            "{\"request\": \"q\", \"reward\": 1, \"propensity\": 0.5, \"target\": 0}\n\n{\"reward\": -2.5, \"propensity\": 1, \"target\": 1, \"estimate\": 0.1, \"expectation\": 0.2}\n",
        )
        .unwrap();
        assert_eq!((log.rows().len(), log.rows()[1].expectation), (2, Some(0.2)));
    }

    #[test]
    fn faults_name_the_place() {
        for (propensity, target, part) in [
            ("0", "0.5", "log.jsonl:2: the propensity of item a for request q is 0,"),
            ("-0.1", "0.5", "is -0.1,"),
            ("1.5", "0.5", "is 1.5,"),
            ("0.5", "1.01", "the target's probability of item a for request q is 1.01"),
        ] {
            let text = format!(
                "\n{{\"request\": \"q\", \"item\": \"a\", \"reward\": 1, \"propensity\": {propensity}, \"target\": {target}}}"
            );
            let message = parse(&text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let message = parse("{\"reward\": 1}").unwrap_err().to_string();
        assert!(
            message.contains("log.jsonl:1: no logged row: missing field `propensity`"),
            "{message}"
        );
        assert!(parse("\n").unwrap_err().to_string().contains("there is no row"));
        let mut builder = PolicyLog::builder("simulation");
        let row =
            parse("{\"reward\": 1, \"propensity\": 1, \"target\": 1}").unwrap().rows()[0].clone();
        builder.push(row.clone()).unwrap();
        let message = builder.push(LoggedRow { reward: f64::NAN, ..row }).unwrap_err().to_string();
        assert!(
            message.contains("simulation, row 2: the reward is not a finite number"),
            "{message}"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = PolicyLog::parse(&bytes, Path::new("x"));
        }
    }
}
