//! A metric with its options and cutoff, as recipes, the command line and reports spell it: `recall@10`, `p(rel=2)@5`,
//! `ndcg(gain=exp)@10`. Prints and computes it; `parse` reads it. Knows no run.

use std::fmt;
use std::num::NonZeroU32;

use super::catalogue::Needs;
use super::definition::{Definition, definition_of};
use super::judged::JudgedList;
use super::{
    average_precision, bpref, expected_reciprocal_rank, f1, hit_rate, interpolated_precision, ndcg,
    precision, r_precision, rank_biased, recall, reciprocal_rank,
};
use crate::labelled::LabelledMetric;

/// A metric with its options and cutoff. Equal metrics print alike, and what is printed reads back equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    pub(super) kind: MetricKind,
    /// Threshold of relevance of this metric alone.
    pub(super) relevant_grade: Option<f64>,
    pub(super) cutoff: Option<NonZeroU32>,
}

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// Share of the relevant items that was returned.
    Recall,
    /// Share of the first k places that hold a relevant item.
    Precision,
    /// Harmonic mean of the two.
    F1,
    /// Whether a relevant item was returned.
    HitRate,
    /// The same under trec_eval's name.
    Success,
    /// Reciprocal rank of the first relevant item.
    Mrr,
    /// Average precision.
    AveragePrecision,
    /// Precision after as many places as there are relevant items.
    RPrecision,
    /// Binary preference.
    Bpref,
    /// Normalized discounted cumulative gain.
    Ndcg(Gain),
    /// Rank-biased precision.
    RankBiased {
        /// Probability of going on to the next place, in (0, 1).
        persistence: f64,
    },
    /// Expected reciprocal rank.
    ExpectedReciprocalRank {
        /// The highest grade there is; by default the highest in the judgments.
        highest: Option<f64>,
    },
    /// Interpolated precision.
    InterpolatedPrecision {
        /// Share of the relevant items that must have been found, in [0, 1].
        recall: f64,
    },
    /// Share of the catalogue's items that some list holds.
    Coverage,
    /// Gini coefficient of how often items are listed.
    Gini,
    /// Mean popularity rank of the listed items.
    Popularity,
    /// Mean self-information of the listed items, in bits.
    Novelty,
    /// Share of the listed items that are not in the head.
    TailShare {
        /// The share of what training showed that makes the head, in (0, 1].
        head: f64,
    },
    /// Mean distance of the listed items' vectors.
    Diversity,
    /// A figure of labelled predictions: of scores of judged pairs, not of places in a list.
    Labelled(LabelledMetric),
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

/// `p` of rank-biased precision where none is given: Moffat & Zobel's patient reader.
pub(super) const DEFAULT_PERSISTENCE: f64 = 0.8;
/// `head` of the tail share where none is given: the Pareto rule.
pub(super) const DEFAULT_HEAD: f64 = 0.8;

impl Metric {
    /// What is measured.
    pub fn kind(&self) -> MetricKind {
        self.kind
    }

    /// Number of first places looked at; none for the whole list.
    pub fn cutoff(&self) -> Option<u32> {
        self.cutoff.map(NonZeroU32::get)
    }

    /// Threshold of relevance, where the metric states one of its own.
    pub fn relevant_grade(&self) -> Option<f64> {
        self.relevant_grade
    }

    /// What must be given beside runs and judgments.
    pub fn needs(&self) -> Needs {
        match self.kind {
            MetricKind::Coverage | MetricKind::Gini => Needs::Items,
            MetricKind::Popularity | MetricKind::Novelty | MetricKind::TailShare { .. } => {
                Needs::Exposures
            }
            MetricKind::Diversity => Needs::Vectors,
            _ => Needs::Nothing,
        }
    }

    /// Whether its expected value under ties in random order has a closed form.
    pub fn expects_ties(&self) -> bool {
        !matches!(
            self.kind,
            MetricKind::Bpref
                | MetricKind::InterpolatedPrecision { .. }
                | MetricKind::Coverage
                | MetricKind::Gini
                | MetricKind::Diversity
        )
    }

    /// Its row in the table of metrics.
    pub fn definition(&self) -> &'static Definition {
        definition_of(&self.kind)
    }

    /// The value for one request; `relevant_grade` is the evaluation's threshold, `highest` the highest grade there is.
    /// Metrics that need a catalogue, and those of labelled predictions, are not computed here: 0.
    pub(crate) fn value(&self, list: &JudgedList<'_>, relevant_grade: f64, highest: f64) -> f64 {
        let cutoff = self.cutoff();
        let relevant = self.relevant_grade.unwrap_or(relevant_grade);
        match self.kind {
            MetricKind::Recall => recall::value(list, relevant, cutoff),
            MetricKind::Precision => precision::value(list, relevant, cutoff),
            MetricKind::F1 => f1::value(list, relevant, cutoff),
            MetricKind::HitRate | MetricKind::Success => hit_rate::value(list, relevant, cutoff),
            MetricKind::Mrr => reciprocal_rank::value(list, relevant, cutoff),
            MetricKind::AveragePrecision => average_precision::value(list, relevant, cutoff),
            MetricKind::RPrecision => r_precision::value(list, relevant),
            MetricKind::Bpref => bpref::value(list, relevant),
            MetricKind::Ndcg(gain) => ndcg::value(list, relevant, cutoff, gain),
            MetricKind::RankBiased { persistence } => {
                rank_biased::value(list, relevant, cutoff, persistence)
            }
            MetricKind::ExpectedReciprocalRank { highest: own } => {
                expected_reciprocal_rank::value(list, relevant, cutoff, own.unwrap_or(highest))
            }
            MetricKind::InterpolatedPrecision { recall } => {
                interpolated_precision::value(list, relevant, recall)
            }
            MetricKind::Coverage
            | MetricKind::Gini
            | MetricKind::Popularity
            | MetricKind::Novelty
            | MetricKind::TailShare { .. }
            | MetricKind::Diversity
            | MetricKind::Labelled(_) => 0.0,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options: Vec<String> = Vec::new();
        match self.kind {
            MetricKind::Labelled(labelled) => return write!(f, "{labelled}"),
            MetricKind::Ndcg(Gain::Exponential) => options.push("gain=exp".to_owned()),
            // Always said: rank-biased precision means little without it.
            MetricKind::RankBiased { persistence } => options.push(format!("p={persistence}")),
            MetricKind::ExpectedReciprocalRank { highest: Some(highest) } => {
                options.push(format!("max={highest}"));
            }
            MetricKind::TailShare { head } if head != DEFAULT_HEAD => {
                options.push(format!("head={head}"));
            }
            _ => {}
        }
        options.extend(self.relevant_grade.map(|grade| format!("rel={grade}")));
        f.write_str(self.definition().name)?;
        if !options.is_empty() {
            write!(f, "({})", options.join(","))?;
        }
        match (self.kind, self.cutoff) {
            (MetricKind::InterpolatedPrecision { recall }, _) => write!(f, "@{recall}"),
            (_, Some(cutoff)) => write!(f, "@{cutoff}"),
            (_, None) => Ok(()),
        }
    }
}
