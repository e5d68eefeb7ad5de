//! The table of metrics: names, what may stand in the brackets and behind the `@`, and what each measures. The parser and the
//! documentation read it.

use std::mem::discriminant;

use super::expression::{DEFAULT_HEAD, DEFAULT_PERSISTENCE, Gain, MetricKind};
use crate::labelled::{Binning, LabelledMetric, PairOrder, UserWeight};

/// One metric that can be asked for.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The name that is printed.
    pub name: &'static str,
    /// Other names that are understood, those of trec_eval among them.
    pub aliases: &'static [&'static str],
    /// What may stand behind the `@`.
    pub cutoff: Cutoff,
    /// Options that may stand in the brackets.
    pub options: &'static [OptionKey],
    /// What it measures, in a line.
    pub meaning: &'static str,
    /// The kind with its defaults.
    pub(super) kind: MetricKind,
}

/// What may stand behind the `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cutoff {
    /// A number of places, or nothing for the whole list.
    Optional,
    /// A number of places.
    Required,
    /// Nothing.
    Never,
    /// A share of the relevant items, from 0 to 1.
    Recall,
}

/// An option of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKey {
    /// `rel`: the grade from which on an item is relevant, in place of the evaluation's.
    Relevant,
    /// `gain`: what a grade gains.
    Gain,
    /// `p`: the probability of going on to the next place.
    Persistence,
    /// `max`: the highest grade there is.
    Highest,
    /// `head`: the share of what training showed that makes the head.
    Head,
    /// `weight`: what users are weighted by.
    Weight,
    /// `bins`: number of bins.
    Bins,
    /// `mass`: how bins are cut.
    Mass,
    /// `pair`: two grades.
    Pair,
    /// `levels`: grades that levels begin at.
    Levels,
}

impl OptionKey {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relevant => "rel",
            Self::Gain => "gain",
            Self::Persistence => "p",
            Self::Highest => "max",
            Self::Head => "head",
            Self::Weight => "weight",
            Self::Bins => "bins",
            Self::Mass => "mass",
            Self::Pair => "pair",
            Self::Levels => "levels",
        }
    }

    /// What may be given.
    pub fn legal(self) -> &'static str {
        match self {
            Self::Relevant => "a number, such as `rel=2`",
            Self::Gain => "`gain=linear` or `gain=exp`",
            Self::Persistence => "a number between 0 and 1, such as `p=0.8`",
            Self::Highest => "a number above 0, such as `max=4`",
            Self::Head => "a number above 0 and at most 1, such as `head=0.8`",
            Self::Weight => "`weight=impressions` or `weight=users`",
            Self::Bins => "a whole number from 1, such as `bins=15`",
            Self::Mass => "`mass=width` or `mass=equal`",
            Self::Pair => "two grades, the higher first, such as `pair=2:1`",
            Self::Levels => "rising grades that levels begin at, such as `levels=1:2.5`",
        }
    }
}

const BINARY: &[OptionKey] = &[OptionKey::Relevant];

macro_rules! definitions {
    ($($kind:expr, $name:literal, $aliases:expr, $cutoff:ident, $options:expr, $meaning:literal;)*) => {
        /// All metrics, accuracy first.
        pub const DEFINITIONS: &[Definition] = &[$(Definition {
            name: $name,
            aliases: &$aliases,
            cutoff: Cutoff::$cutoff,
            options: $options,
            meaning: $meaning,
            kind: $kind,
        }),*];
    };
}

definitions! {
    MetricKind::Recall, "recall", ["set_recall"], Optional, BINARY,
        "share of the relevant items that is among the first k, or returned at all";
    MetricKind::Precision, "precision", ["p", "set_p"], Optional, BINARY,
        "share of the first k places, or of the returned items, that is relevant";
    MetricKind::F1, "f1", ["set_f"], Optional, BINARY,
        "harmonic mean of precision and recall";
    MetricKind::HitRate, "hit_rate", [], Required, BINARY,
        "whether a relevant item is among the first k";
    MetricKind::Success, "success", [], Required, BINARY,
        "whether a relevant item is among the first k, under trec_eval's name";
    MetricKind::Mrr, "mrr", ["recip_rank"], Optional, BINARY,
        "reciprocal of the rank of the first relevant item";
    MetricKind::AveragePrecision, "ap", ["map"], Optional, BINARY,
        "mean over the relevant items of the precision at their ranks";
    MetricKind::RPrecision, "rprec", [], Never, BINARY,
        "precision after as many places as there are relevant items";
    MetricKind::Bpref, "bpref", [], Never, BINARY,
        "how few judged, not relevant items stand above the relevant ones; items without judgment are passed over";
    MetricKind::Ndcg(Gain::Linear), "ndcg", [], Optional, &[OptionKey::Gain, OptionKey::Relevant],
        "discounted cumulative gain, as a share of the best possible; grades below the threshold gain 0";
    MetricKind::RankBiased { persistence: DEFAULT_PERSISTENCE }, "rbp", [], Optional,
        &[OptionKey::Persistence, OptionKey::Relevant],
        "rank-biased precision: what a reader finds who goes on to the next place with probability p";
    MetricKind::ExpectedReciprocalRank { highest: None }, "err", [], Optional,
        &[OptionKey::Highest, OptionKey::Relevant],
        "expected reciprocal rank of the place where a reader is satisfied; grades below the threshold satisfy nobody";
    MetricKind::InterpolatedPrecision { recall: 0.0 }, "iprec", ["iprec_at_recall"], Recall, BINARY,
        "highest precision at or behind the place where this share of the relevant items has been found";
    MetricKind::Coverage, "coverage", [], Required, &[],
        "share of the catalogue's items that some list holds";
    MetricKind::Gini, "gini", [], Required, &[],
        "Gini coefficient of how often the catalogue's items are listed: 0 where all alike";
    MetricKind::Popularity, "popularity", [], Required, &[],
        "mean over the listed items of the share of items that training showed less often (equally often: half); 0.5 for random lists";
    MetricKind::Novelty, "novelty", [], Required, &[],
        "mean over the listed items of their self-information in training, in bits, with add-one smoothing";
    MetricKind::TailShare { head: DEFAULT_HEAD }, "tail_share", [], Required, &[OptionKey::Head],
        "share of the listed items outside the head, the fewest items that hold this share of what training showed";
    MetricKind::Diversity, "diversity", [], Required, &[],
        "mean over pairs of listed items of 1 minus the cosine of their vectors";
    MetricKind::Labelled(LabelledMetric::Auc), "auc", [], Never, &[],
        "area under the ROC curve over all judged pairs with a score, ties counting half";
    MetricKind::Labelled(LabelledMetric::UserAuc(UserWeight::Impressions)), "user_auc", [], Never,
        &[OptionKey::Weight],
        "AUC within every user, averaged over users with both classes, by impressions or alike";
    MetricKind::Labelled(LabelledMetric::LogLoss), "log_loss", [], Never, &[],
        "mean negative log-likelihood of the labels, in nats; scores must be probabilities";
    MetricKind::Labelled(LabelledMetric::PrAuc), "pr_auc", [], Never, &[],
        "area under the precision-recall curve over all judged pairs with a score, in steps";
    MetricKind::Labelled(LabelledMetric::CalibrationError { bins: 15, binning: Binning::Width }),
        "ece", [], Never, &[OptionKey::Bins, OptionKey::Mass],
        "expected calibration error over bins of equal width or mass; scores must be probabilities";
    MetricKind::Labelled(LabelledMetric::Rmse), "rmse", [], Never, &[],
        "root of the mean squared distance of score and grade";
    MetricKind::Labelled(LabelledMetric::Pairwise(PairOrder::Grades)), "pairwise", [], Never,
        &[OptionKey::Pair, OptionKey::Levels],
        "share of the pairs of items of one request that are scored in the order of their grades, ties counting half";
}

/// The row of a kind.
pub(super) fn definition_of(kind: &MetricKind) -> &'static Definition {
    let is_row = |one: &&Definition| match (&one.kind, kind) {
        (MetricKind::Labelled(row), MetricKind::Labelled(asked)) => {
            discriminant(row) == discriminant(asked)
        }
        (row, asked) => discriminant(row) == discriminant(asked),
    };
    // A test shows that every kind has a row.
    DEFINITIONS.iter().find(is_row).unwrap_or(&DEFINITIONS[0])
}

/// Every name that is understood.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static Definition)> {
    DEFINITIONS.iter().flat_map(|one| {
        std::iter::once(one.name).chain(one.aliases.iter().copied()).map(move |name| (name, one))
    })
}
