//! The one syntax for everything that can be measured: metrics of lists (`ndcg@10`) and figures of labelled predictions
//! (`auc`, `ece(bins=10)`). Reads, prints and splits expressions; computes nothing.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::labelled::{self, LabelledMetric};
use crate::metric::{Metric, nearest};

/// Something that can be measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// What a list is worth, per request or over all lists.
    List(Metric),
    /// What scores say about judged pairs.
    Label(LabelledMetric),
}

impl Measure {
    /// Number of first places looked at, where it states one.
    pub fn cutoff(&self) -> Option<u32> {
        match self {
            Self::List(metric) => metric.cutoff(),
            Self::Label(_) => None,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(metric) => metric.fmt(f),
            Self::Label(metric) => metric.fmt(f),
        }
    }
}

impl FromStr for Measure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let refuse = |what: String| Error::Metric { text: text.trim().to_owned(), what };
        let name = lower.split(['(', '@']).next().unwrap_or_default().trim();
        if labelled::NAMES.contains(&name) {
            let options = options(&lower[lower.find(name).unwrap_or(0) + name.len()..]);
            let options = options.map_err(&refuse)?;
            return match labelled::parse(name, &options) {
                Some(parsed) => parsed.map(Self::Label).map_err(refuse),
                None => Err(refuse(format!("{name} is not measured"))),
            };
        }
        lower.parse().map(Self::List).map_err(|error| match error {
            // No metric of lists is near, but a labelled one is.
            Error::Metric { what, .. } if !what.contains("did you mean") => {
                match nearest(name, labelled::NAMES).first() {
                    Some(near) => refuse(format!("did you mean `{near}`?")),
                    None => refuse(what),
                }
            }
            other => other,
        })
    }
}

/// `(key=value, …)` as pairs; no cutoff may follow.
fn options(text: &str) -> std::result::Result<Vec<(&str, &str)>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let inside = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .ok_or("figures of labelled predictions have no cutoff, and options in brackets")?;
    inside
        .split(',')
        .map(|option| {
            let (key, value) = option
                .split_once('=')
                .ok_or_else(|| format!("an option is written `key=value`, not `{option}`"))?;
            Ok((key.trim(), value.trim()))
        })
        .collect()
}

/// Parses a list of measures; each text may hold several, separated by commas outside brackets. Refuses an empty list and
/// the same measure twice.
pub fn parse_measures<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Measure>> {
    let mut measures: Vec<Measure> = Vec::new();
    for text in texts.iter().flat_map(|text| split(text.as_ref())) {
        let measure: Measure = text.parse()?;
        if measures.contains(&measure) {
            return Err(Error::Metric {
                text: text.to_owned(),
                what: format!("{measure} is asked for twice; remove one"),
            });
        }
        measures.push(measure);
    }
    if measures.is_empty() {
        return Err(Error::Metric {
            text: String::new(),
            what: "no metric is asked for; name one, such as `recall@10`".to_owned(),
        });
    }
    Ok(measures)
}

/// Pieces between commas that stand outside brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth <= 0
    })
    .map(str::trim)
    .filter(|piece| !piece.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_as_they_are_printed() {
        let texts = ["ndcg(gain=exp,rel=2)@10, AUC", "ece(bins=10, mass=equal),recall@5"];
        let measures = parse_measures(&texts).unwrap();
        let printed: Vec<String> = measures.iter().map(ToString::to_string).collect();
        assert_eq!(printed.len(), 4);
        assert_eq!(printed[1..], ["auc", "ece(bins=10,mass=equal)", "recall@5"]);
        assert_eq!(parse_measures(&printed).unwrap(), measures);
        assert_eq!(measures[0].cutoff(), Some(10));
        assert_eq!(measures[1].cutoff(), None);
    }

    #[test]
    fn faults_say_what_is_legal() {
        for (text, part) in [
            ("logloss", "did you mean `log_loss`"),
            ("recal@10", "did you mean `recall@10`"),
            ("auc@10", "no cutoff"),
            ("ece(bins)", "key=value"),
            ("ece(bins=0)", "from 1 to"),
            ("auc,auc", "twice"),
            ("", "no metric"),
        ] {
            let message = parse_measures(&[text]).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
