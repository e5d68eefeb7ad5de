//! The table of metrics: names, what may stand in the brackets and behind the `@`, which way each
//! is better, how it behaves under ties, and what computes it. Parser, judge, significance, tuning
//! and documentation read it: a metric is a file and a row.

use super::better::Better;
use super::catalogue::{Catalogue, Needs};
use super::exposure::Spread;
use super::judged::JudgedList;
use super::parameters::{Asked, OptionKey, Parameters};
use super::{
    average_precision, bpref, diversity, expected_reciprocal_rank, f1, hit_rate,
    interpolated_precision, item_figure, ndcg, precision, r_precision, rank_biased, recall,
    reciprocal_rank,
};
use crate::labelled::{Binning, LabelledMetric, PairOrder, UserWeight};

/// One metric that can be asked for.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The name that is printed.
    pub name: &'static str,
    /// Other names that are understood, those of trec_eval and ir_measures among them.
    pub aliases: &'static [&'static str],
    /// What may stand behind the `@`.
    pub cutoff: Cutoff,
    /// Options that may stand in the brackets, in the order in which they are printed.
    pub options: &'static [OptionKey],
    /// Which way it is better.
    pub better: Better,
    /// What it is where scores are equal.
    pub under_ties: UnderTies,
    /// What it measures, in a line.
    pub meaning: &'static str,
    /// What computes it, with its defaults.
    pub(crate) basis: Basis,
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

/// What a metric is where the order of equal scores is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderTies {
    /// Its exact expectation is computed.
    Expected,
    /// It has no closed form: ties must be broken by a rule.
    RuleOnly,
}

/// What a metric is computed from, and by what. It implies what must be given, so that the two
/// cannot contradict.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Basis {
    /// The grades along one list.
    Grades(fn(&JudgedList<'_>, &Asked) -> f64),
    /// `[items]`: a figure that training's counts give each item of the catalogue; a list has the
    /// mean of its items.
    Figures(fn(&Catalogue, &Parameters) -> Vec<f64>),
    /// The vectors of the listed items, as catalogue numbers up to the cutoff; the buffer is reused
    /// between lists.
    Vectors(fn(&Catalogue, &[u32], usize, &mut Vec<f64>) -> f64),
    /// All lists of a run together.
    Lists(Spread),
    /// Scores of judged pairs, not places in a list.
    Labelled(LabelledMetric),
}

impl Basis {
    /// What must be given beside runs and judgments.
    pub(crate) fn needs(self) -> Needs {
        match self {
            Self::Grades(_) | Self::Labelled(_) => Needs::Nothing,
            Self::Lists(_) => Needs::Items,
            Self::Figures(_) => Needs::Exposures,
            Self::Vectors(_) => Needs::Vectors,
        }
    }

    /// The figure of labelled predictions that it is.
    pub(super) fn labelled(self) -> Option<LabelledMetric> {
        match self {
            Self::Labelled(labelled) => Some(labelled),
            Self::Grades(_) | Self::Figures(_) | Self::Vectors(_) | Self::Lists(_) => None,
        }
    }
}

const BINARY: &[OptionKey] = &[OptionKey::Relevant];

macro_rules! definitions {
    ($(
        $basis:expr, $name:literal, $aliases:expr, $cutoff:ident, $options:expr, $better:ident,
        $ties:ident, $meaning:literal;
    )*) => {
        /// All metrics, accuracy first.
        pub const DEFINITIONS: &[Definition] = &[$(Definition {
            name: $name,
            aliases: &$aliases,
            cutoff: Cutoff::$cutoff,
            options: $options,
            better: Better::$better,
            under_ties: UnderTies::$ties,
            meaning: $meaning,
            basis: $basis,
        }),*];
    };
}

definitions! {
    Basis::Grades(recall::value), "recall", ["r", "set_recall", "setr"], Optional, BINARY, Higher, Expected,
        "share of the relevant items that is among the first k, or returned at all";
    Basis::Grades(precision::value), "precision", ["p", "set_p", "setp"],
        Optional, BINARY, Higher, Expected,
        "share of the first k places, or of the returned items, that is relevant";
    Basis::Grades(f1::value), "f1", ["set_f", "setf"], Optional, BINARY, Higher, Expected,
        "harmonic mean of precision and recall";
    Basis::Grades(hit_rate::value), "hit_rate", ["hr", "hit", "hits"], Required, BINARY, Higher, Expected,
        "whether a relevant item is among the first k";
    Basis::Grades(hit_rate::value), "success", [], Required, BINARY, Higher, Expected,
        "whether a relevant item is among the first k, under trec_eval's name";
    Basis::Grades(reciprocal_rank::value), "mrr", ["rr", "recip_rank"],
        Optional, BINARY, Higher, Expected,
        "reciprocal of the rank of the first relevant item";
    Basis::Grades(average_precision::value), "ap", ["map"], Optional, BINARY, Higher, Expected,
        "mean over the relevant items of the precision at their ranks";
    Basis::Grades(r_precision::value), "rprec", ["r_prec", "r_precision", "r-prec", "r-precision"], Never, BINARY, Higher, Expected,
        "precision after as many places as there are relevant items";
    Basis::Grades(bpref::value), "bpref", [], Never, BINARY, Higher, RuleOnly,
        "how few judged, not relevant items stand above the relevant ones; items without judgment are passed over";
    Basis::Grades(ndcg::value), "ndcg", [],
        Optional, &[OptionKey::Gain, OptionKey::Relevant], Higher, Expected,
        "discounted cumulative gain, as a share of the best possible; grades below the threshold gain 0";
    Basis::Grades(rank_biased::value), "rbp", [],
        Optional, &[OptionKey::Persistence, OptionKey::Relevant], Higher, Expected,
        "rank-biased precision: what a reader finds who goes on to the next place with probability p";
    Basis::Grades(expected_reciprocal_rank::value), "err", [],
        Optional, &[OptionKey::Highest, OptionKey::Relevant], Higher, Expected,
        "expected reciprocal rank of the place where a reader is satisfied; grades below the threshold satisfy nobody";
    Basis::Grades(interpolated_precision::value), "iprec", ["iprec_at_recall"],
        Recall, BINARY, Higher, RuleOnly,
        "highest precision at or behind the place where this share of the relevant items has been found";
    Basis::Lists(Spread::Coverage), "coverage", [], Required, &[], Higher, RuleOnly,
        "share of the catalogue's items that some list holds";
    Basis::Lists(Spread::Gini), "gini", [], Required, &[], Lower, RuleOnly,
        "Gini coefficient of how often the catalogue's items are listed: 0 where all alike";
    Basis::Figures(item_figure::popularity), "popularity", [], Required, &[], Lower, Expected,
        "mean over the listed items of the share of items that training showed less often (equally often: half); 0.5 for random lists";
    Basis::Figures(item_figure::novelty), "novelty", [], Required, &[], Higher, Expected,
        "mean over the listed items of their self-information in training, in bits, with add-one smoothing";
    Basis::Figures(item_figure::tail), "tail_share", [],
        Required, &[OptionKey::Head], Higher, Expected,
        "share of the listed items outside the head, the fewest items that hold this share of what training showed";
    Basis::Vectors(diversity::value), "diversity", [], Required, &[], Higher, RuleOnly,
        "mean over pairs of listed items of 1 minus the cosine of their vectors";
    Basis::Labelled(LabelledMetric::Auc), "auc", [], Never, &[], Higher, Expected,
        "area under the ROC curve over all judged pairs with a score, ties counting half";
    Basis::Labelled(LabelledMetric::UserAuc(UserWeight::Impressions)), "user_auc", [],
        Never, &[OptionKey::Weight], Higher, Expected,
        "AUC within every user, averaged over users with both classes, by impressions or alike";
    Basis::Labelled(LabelledMetric::LogLoss), "log_loss", [], Never, &[], Lower, Expected,
        "mean negative log-likelihood of the labels, in nats; scores must be probabilities";
    Basis::Labelled(LabelledMetric::PrAuc), "pr_auc", [], Never, &[], Higher, Expected,
        "area under the precision-recall curve over all judged pairs with a score, in steps";
    Basis::Labelled(LabelledMetric::CalibrationError { bins: 15, binning: Binning::Width }), "ece", [],
        Never, &[OptionKey::Bins, OptionKey::Mass], Lower, Expected,
        "expected calibration error over bins of equal width or mass; scores must be probabilities";
    Basis::Labelled(LabelledMetric::Rmse), "rmse", [], Never, &[], Lower, Expected,
        "root of the mean squared distance of score and grade";
    Basis::Labelled(LabelledMetric::Pairwise(PairOrder::Grades)), "pairwise", [],
        Never, &[OptionKey::Pair, OptionKey::Levels], Higher, Expected,
        "share of the pairs of items of one request that are scored in the order of their grades, ties counting half";
}

/// Every name that is understood.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static Definition)> {
    DEFINITIONS.iter().flat_map(|one| {
        std::iter::once(one.name).chain(one.aliases.iter().copied()).map(move |name| (name, one))
    })
}
