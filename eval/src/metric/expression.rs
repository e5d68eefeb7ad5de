//! Names of metrics: `recall@10`, `mrr`, `ndcg(gain=exp)@10`. Parses, prints and computes them; a misspelt name is answered
//! with the nearest legal ones.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::{
    JudgedList, average_precision, hit_rate, ndcg, nearest::nearest, precision, recall,
    reciprocal_rank,
};
use crate::error::{Error, Result};

/// A metric with its cutoff. Equal metrics print alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Metric {
    kind: MetricKind,
    cutoff: Option<NonZeroU32>,
}

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Share of the relevant items that was returned.
    Recall,
    /// Share of the first k places that hold a relevant item.
    Precision,
    /// Whether a relevant item was returned.
    HitRate,
    /// The same under trec_eval's name.
    Success,
    /// Reciprocal rank of the first relevant item.
    Mrr,
    /// Average precision.
    AveragePrecision,
    /// Normalized discounted cumulative gain.
    Ndcg(Gain),
}

/// What a grade gains in ndcg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Gain {
    /// The grade itself.
    #[default]
    Linear,
    /// `2^grade − 1`.
    Exponential,
}

/// Legal names; the first of a kind is the one that is printed.
const NAMES: &[(&str, MetricKind)] = &[
    ("recall", MetricKind::Recall),
    ("precision", MetricKind::Precision),
    ("p", MetricKind::Precision),
    ("hit_rate", MetricKind::HitRate),
    ("success", MetricKind::Success),
    ("mrr", MetricKind::Mrr),
    ("recip_rank", MetricKind::Mrr),
    ("ap", MetricKind::AveragePrecision),
    ("map", MetricKind::AveragePrecision),
    ("ndcg", MetricKind::Ndcg(Gain::Linear)),
];

impl Metric {
    /// What is measured.
    pub fn kind(&self) -> MetricKind {
        self.kind
    }

    /// Number of first places looked at; none for the whole list.
    pub fn cutoff(&self) -> Option<u32> {
        self.cutoff.map(NonZeroU32::get)
    }

    /// The value for one request, in [0, 1].
    pub fn value(&self, list: &JudgedList<'_>) -> f64 {
        let cutoff = self.cutoff();
        // Kinds that need a cutoff always have one: the parser refuses them without.
        let required = cutoff.unwrap_or(u32::MAX);
        match self.kind {
            MetricKind::Recall => recall::value(list, cutoff),
            MetricKind::Precision => precision::value(list, required),
            MetricKind::HitRate | MetricKind::Success => hit_rate::value(list, required),
            MetricKind::Mrr => reciprocal_rank::value(list, cutoff),
            MetricKind::AveragePrecision => average_precision::value(list, cutoff),
            MetricKind::Ndcg(gain) => ndcg::value(list, cutoff, gain),
        }
    }
}

/// Parses a list of metrics; refuses an empty list and the same metric twice.
pub fn parse_metrics<S: AsRef<str>>(names: &[S]) -> Result<Vec<Metric>> {
    let mut metrics: Vec<Metric> = Vec::with_capacity(names.len());
    for name in names {
        let metric: Metric = name.as_ref().parse()?;
        if metrics.contains(&metric) {
            return Err(Error::Metric {
                text: name.as_ref().to_owned(),
                what: format!("{metric} is asked for twice; remove one"),
            });
        }
        metrics.push(metric);
    }
    if metrics.is_empty() {
        return Err(Error::Metric {
            text: String::new(),
            what: "no metric is asked for; name one, such as `recall@10`".to_owned(),
        });
    }
    Ok(metrics)
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, option) = match self.kind {
            MetricKind::Recall => ("recall", ""),
            MetricKind::Precision => ("precision", ""),
            MetricKind::HitRate => ("hit_rate", ""),
            MetricKind::Success => ("success", ""),
            MetricKind::Mrr => ("mrr", ""),
            MetricKind::AveragePrecision => ("ap", ""),
            MetricKind::Ndcg(Gain::Linear) => ("ndcg", ""),
            MetricKind::Ndcg(Gain::Exponential) => ("ndcg", "(gain=exp)"),
        };
        write!(f, "{name}{option}")?;
        match self.cutoff {
            Some(cutoff) => write!(f, "@{cutoff}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// `name`, `name@k` or `name(key=value)@k`; spaces around are allowed, letters may be of either case.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |what: String| Error::Metric { text: text.trim().to_owned(), what };
        let lower = text.trim().to_ascii_lowercase();
        let (head, cutoff_text) = match lower.split_once('@') {
            Some((head, cutoff)) => (head.trim(), Some(cutoff.trim())),
            None => (lower.as_str(), None),
        };
        let (name, option) = match head.split_once('(') {
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')').ok_or_else(|| {
                    refuse("the option is not closed by `)` before the `@`".to_owned())
                })?;
                (name.trim(), Some(inside.trim()))
            }
            None => (head, None),
        };
        let mut kind = kind_of(name, cutoff_text).map_err(&refuse)?;
        if let Some(option) = option {
            kind = with_option(kind, name, option).map_err(&refuse)?;
        }
        let cutoff = match cutoff_text {
            None => None,
            Some(digits) => {
                let cutoff = digits.parse::<NonZeroU32>().map_err(|_| {
                    refuse(format!(
                        "after `@` a whole number from 1 is expected, such as `{name}@10`, not `{digits}`"
                    ))
                })?;
                Some(cutoff)
            }
        };
        let needs_cutoff = matches!(
            kind,
            MetricKind::Precision | MetricKind::HitRate | MetricKind::Success | MetricKind::Recall
        );
        if cutoff.is_none() && needs_cutoff {
            return Err(refuse(format!("{name} needs a cutoff, such as `{name}@10`")));
        }
        Ok(Self { kind, cutoff })
    }
}

fn kind_of(name: &str, cutoff: Option<&str>) -> std::result::Result<MetricKind, String> {
    if let Some(found) = NAMES.iter().find(|entry| entry.0 == name) {
        return Ok(found.1);
    }
    let names: Vec<&str> = NAMES.iter().map(|entry| entry.0).collect();
    // `recall10`, `recall_10` and `P_10` miss only the `@`.
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[stem.len()..];
    let stem = stem.trim_end_matches(['_', '-', '.']).trim_end_matches("_cut");
    if !digits.is_empty() && cutoff.is_none() && names.contains(&stem) {
        return Err(format!("did you mean `{stem}@{digits}`?"));
    }
    let spelled = name.replace(['-', ' '], "_");
    let suffix = cutoff.or(Some(digits).filter(|d| !d.is_empty()));
    let suffix = suffix.map_or_else(String::new, |cutoff| format!("@{cutoff}"));
    let word = if digits.is_empty() { spelled.as_str() } else { stem };
    let near: Vec<String> =
        nearest(word, &names).into_iter().map(|near| format!("`{near}{suffix}`")).collect();
    if near.is_empty() {
        let all: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        return Err(format!(
            "the metrics are {}, each with a cutoff such as `@10`",
            all.join(", ")
        ));
    }
    Err(format!("did you mean {}?", near.join(" or ")))
}

fn with_option(
    kind: MetricKind,
    name: &str,
    option: &str,
) -> std::result::Result<MetricKind, String> {
    let MetricKind::Ndcg(_) = kind else {
        return Err(format!("{name} has no options; write `{name}@10`"));
    };
    let compact: String = option.chars().filter(|c| !c.is_whitespace()).collect();
    match compact.as_str() {
        "gain=exp" => Ok(MetricKind::Ndcg(Gain::Exponential)),
        "gain=linear" => Ok(MetricKind::Ndcg(Gain::Linear)),
        _ => Err(format!("the options of ndcg are `gain=linear` and `gain=exp`, not `{option}`")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::Judged;

    #[test]
    fn names_print_as_they_are_read() {
        for (text, printed) in [
            ("recall@10", "recall@10"),
            (" NDCG@5 ", "ndcg@5"),
            ("ndcg", "ndcg"),
            ("ndcg(gain=exp)@10", "ndcg(gain=exp)@10"),
            ("ndcg( gain = linear )@10", "ndcg@10"),
            ("p@3", "precision@3"),
            ("mrr", "mrr"),
            ("recip_rank", "mrr"),
            ("map", "ap"),
            ("hit_rate@1", "hit_rate@1"),
            ("success@1", "success@1"),
        ] {
            let metric: Metric = text.parse().unwrap();
            assert_eq!(metric.to_string(), printed);
            assert_eq!(printed.parse::<Metric>().unwrap(), metric);
        }
    }

    #[test]
    fn misspelt_names_are_answered_with_the_nearest() {
        for (text, expected) in [
            ("recal@10", "unknown metric `recal@10`: did you mean `recall@10`?"),
            ("ndgc@5", "unknown metric `ndgc@5`: did you mean `ndcg@5`?"),
            ("hit-rate@5", "unknown metric `hit-rate@5`: did you mean `hit_rate@5`?"),
            ("recall10", "unknown metric `recall10`: did you mean `recall@10`?"),
            ("P_10", "unknown metric `P_10`: did you mean `p@10`?"),
            ("ndcg_cut_10", "unknown metric `ndcg_cut_10`: did you mean `ndcg@10`?"),
            ("recall", "unknown metric `recall`: recall needs a cutoff, such as `recall@10`"),
            (
                "recall@0",
                "unknown metric `recall@0`: after `@` a whole number from 1 is expected, such as `recall@10`, not `0`",
            ),
            (
                "ndcg(gain=log)@10",
                "unknown metric `ndcg(gain=log)@10`: the options of ndcg are `gain=linear` and `gain=exp`, not `gain=log`",
            ),
        ] {
            assert_eq!(text.parse::<Metric>().unwrap_err().to_string(), expected);
        }
        assert!(
            "latency".parse::<Metric>().unwrap_err().to_string().contains("`recall`, `precision`")
        );
    }

    #[test]
    fn lists_refuse_repetition_and_emptiness() {
        assert_eq!(parse_metrics(&["mrr", "p@1"]).unwrap().len(), 2);
        assert!(parse_metrics(&["p@1", "precision@1"]).unwrap_err().to_string().contains("twice"));
        assert!(parse_metrics::<&str>(&[]).is_err());
    }

    #[test]
    fn values_by_hand() {
        // Relevant items of grades 3, 2 and 1; the list finds 1 at rank 1 and 3 at rank 3.
        let hit = |grade| Judged { relevant: true, grade };
        let miss = Judged { relevant: false, grade: 0.0 };
        let list =
            JudgedList { ranked: &[hit(1.0), miss, hit(3.0), miss], ideal: &[3.0, 2.0, 1.0] };
        let log3 = 3.0_f64.log2();
        for (name, expected) in [
            ("recall@2", 1.0 / 3.0),
            ("recall@100", 2.0 / 3.0),
            ("precision@3", 2.0 / 3.0),
            ("precision@10", 0.2),
            ("hit_rate@1", 1.0),
            ("mrr", 1.0),
            ("ap", (1.0 + 2.0 / 3.0) / 3.0),
            ("ap@2", 1.0 / 3.0),
            ("ndcg", (1.0 + 1.5) / (3.0 + 2.0 / log3 + 0.5)),
            ("ndcg@2", 1.0 / (3.0 + 2.0 / log3)),
            ("ndcg(gain=exp)@3", (1.0 + 3.5) / (7.0 + 3.0 / log3 + 0.5)),
        ] {
            let value = name.parse::<Metric>().unwrap().value(&list);
            assert!((value - expected).abs() < 1e-12, "{name}: {value} instead of {expected}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,20}") {
            let _ = text.parse::<Metric>();
        }

        #[test]
        fn near_names_never_panic(text in "[a-z_]{0,8}[(]?[a-z=]{0,8}[)]?[@_]?[0-9]{0,11}") {
            if let Ok(metric) = text.parse::<Metric>() {
                prop_assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
            }
        }
    }
}
