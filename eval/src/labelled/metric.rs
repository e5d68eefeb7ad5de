//! Names of figures of labelled predictions: `auc`, `user_auc(weight=users)`, `ece(bins=15,mass=equal)`. Parses their options,
//! prints and computes them. Knows no syntax of expressions: name and options arrive apart.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::metric::Pooled;

use super::calibration::{Binning, CalibrationError};
use super::pairwise::{MOST_LEVELS, PairOrder, PairwiseAccuracy};
use super::pointwise::MeanError;
use super::predictions::Predictions;
use super::roc::{Auc, PrAuc, UserAuc, UserWeight};

/// Bins of the calibration error where none are asked for.
const DEFAULT_BINS: u32 = 15;

/// Most bins that can be asked for.
const MOST_BINS: u32 = 10_000;

/// A figure of labelled predictions. Equal ones print alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LabelledMetric {
    /// Area under the ROC curve over all rows, ties counting half.
    Auc,
    /// AUC within every user, averaged over users with both classes.
    UserAuc(UserWeight),
    /// Mean negative log-likelihood of the labels, in nats; needs probabilities.
    LogLoss,
    /// Average precision over all rows.
    PrAuc,
    /// Expected calibration error; needs probabilities.
    CalibrationError {
        /// Number of bins.
        bins: u32,
        /// How they are cut.
        binning: Binning,
    },
    /// Root mean squared distance of score and grade.
    Rmse,
    /// Share of the pairs of items of one request that are scored in the order of their grades.
    Pairwise(PairOrder),
}

fn plain(
    metric: LabelledMetric,
    options: &[(&str, &str)],
) -> std::result::Result<LabelledMetric, String> {
    match options.first() {
        None => Ok(metric),
        Some((key, _)) => Err(format!("`{metric}` takes no option, but got `{key}`")),
    }
}

fn user_auc(options: &[(&str, &str)]) -> std::result::Result<LabelledMetric, String> {
    let mut weight = UserWeight::default();
    for option in options {
        weight = match option {
            ("weight", "impressions") => UserWeight::Impressions,
            ("weight", "users") => UserWeight::Users,
            ("weight", other) => {
                return Err(format!("`weight` must be `impressions` or `users`, not `{other}`"));
            }
            (key, _) => return Err(format!("`user_auc` has the option `weight`, not `{key}`")),
        };
    }
    Ok(LabelledMetric::UserAuc(weight))
}

fn calibration_error(options: &[(&str, &str)]) -> std::result::Result<LabelledMetric, String> {
    let (mut bins, mut binning) = (DEFAULT_BINS, Binning::default());
    for option in options {
        match option {
            ("bins", text) => {
                bins =
                    text.parse().ok().filter(|n| (1..=MOST_BINS).contains(n)).ok_or_else(|| {
                        format!("`bins` must be a whole number from 1 to {MOST_BINS}, not `{text}`")
                    })?;
            }
            ("mass", "equal") => binning = Binning::Mass,
            ("mass", "width") => binning = Binning::Width,
            ("mass", other) => {
                return Err(format!(
                    "`mass` must be `equal` (bins of equal mass) or `width` (bins of equal width), not `{other}`"
                ));
            }
            (key, _) => {
                return Err(format!("`ece` has the options `bins` and `mass`, not `{key}`"));
            }
        }
    }
    Ok(LabelledMetric::CalibrationError { bins, binning })
}

fn pairwise(options: &[(&str, &str)]) -> std::result::Result<LabelledMetric, String> {
    let numbers = |text: &str| -> Option<Vec<f64>> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|one| one.is_finite());
        text.split(':').map(number).collect()
    };
    let order = match options {
        [] => PairOrder::Grades,
        [("pair", text)] => match numbers(text).as_deref() {
            Some(&[higher, lower]) if higher > lower => PairOrder::Two { higher, lower },
            _ => {
                return Err(format!(
                    "`pair` must be two grades, the higher first, such as `pairwise(pair=2:1)`, not `{text}`"
                ));
            }
        },
        [("levels", text)] => match numbers(text) {
            Some(from) if from.len() <= MOST_LEVELS && from.is_sorted_by(|a, b| a < b) => {
                let mut levels = [f64::INFINITY; MOST_LEVELS];
                levels[..from.len()].copy_from_slice(&from);
                PairOrder::Levels(levels)
            }
            _ => {
                return Err(format!(
                    "`levels` must be at most {MOST_LEVELS} rising grades, each the lowest of its level, such as \
                     `pairwise(levels=1:2.5)`, not `{text}`"
                ));
            }
        },
        [(key @ ("pair" | "levels"), _), (other @ ("pair" | "levels"), _), ..] => {
            let what = if key == other { "is given twice" } else { "cannot stand with the other" };
            return Err(format!(
                "`pairwise` takes `pair` or `levels`: `{other}` {what}; remove one"
            ));
        }
        [("pair" | "levels", _), (key, _), ..] | [(key, _), ..] => {
            return Err(format!("`pairwise` has the options `pair` and `levels`, not `{key}`"));
        }
    };
    Ok(LabelledMetric::Pairwise(order))
}

impl fmt::Display for LabelledMetric {
    /// The name with those options that are not the default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Auc => f.write_str("auc"),
            Self::UserAuc(UserWeight::Impressions) => f.write_str("user_auc"),
            Self::UserAuc(UserWeight::Users) => f.write_str("user_auc(weight=users)"),
            Self::LogLoss => f.write_str("log_loss"),
            Self::PrAuc => f.write_str("pr_auc"),
            Self::Rmse => f.write_str("rmse"),
            Self::Pairwise(PairOrder::Grades) => f.write_str("pairwise"),
            Self::Pairwise(PairOrder::Two { higher, lower }) => {
                write!(f, "pairwise(pair={higher}:{lower})")
            }
            Self::Pairwise(PairOrder::Levels(levels)) => {
                let levels: Vec<String> = levels
                    .iter()
                    .filter(|grade| grade.is_finite())
                    .map(ToString::to_string)
                    .collect();
                write!(f, "pairwise(levels={})", levels.join(":"))
            }
            Self::CalibrationError { bins, binning } => match (bins, binning) {
                (DEFAULT_BINS, Binning::Width) => f.write_str("ece"),
                (DEFAULT_BINS, Binning::Mass) => f.write_str("ece(mass=equal)"),
                (bins, Binning::Width) => write!(f, "ece(bins={bins})"),
                (bins, Binning::Mass) => write!(f, "ece(bins={bins},mass=equal)"),
            },
        }
    }
}

impl LabelledMetric {
    /// The same figure under these options, given as `(key, value)`; a message where one is not understood.
    pub(crate) fn with_options(
        self,
        options: &[(&str, &str)],
    ) -> std::result::Result<Self, String> {
        match self {
            Self::Auc | Self::LogLoss | Self::PrAuc | Self::Rmse => plain(self, options),
            Self::UserAuc(_) => user_auc(options),
            Self::CalibrationError { .. } => calibration_error(options),
            Self::Pairwise(_) => pairwise(options),
        }
    }

    /// The figure of these predictions, ready to be resampled by requests. Refused where it needs
    /// probabilities and gets other scores.
    pub(super) fn pooled(&self, predictions: &Predictions) -> Result<Arc<dyn Pooled>> {
        Ok(match *self {
            Self::Auc => Arc::new(Auc::new(predictions)),
            Self::UserAuc(weight) => Arc::new(UserAuc::new(predictions, weight)),
            Self::LogLoss => Arc::new(MeanError::log_loss(predictions)?),
            Self::PrAuc => Arc::new(PrAuc::new(predictions)),
            Self::CalibrationError { bins, binning } => {
                Arc::new(CalibrationError::new(predictions, bins, binning)?)
            }
            Self::Rmse => Arc::new(MeanError::rmse(predictions)),
            Self::Pairwise(order) => Arc::new(PairwiseAccuracy::new(predictions, order)),
        })
    }

    /// What must be there for the figure to be defined.
    pub(super) fn needs(&self) -> String {
        match self {
            Self::Auc => "it needs rows that are relevant and rows that are not; judge both, or change the grade of relevance".to_owned(),
            Self::UserAuc(_) => "no user has rows that are relevant and rows that are not".to_owned(),
            Self::PrAuc => "it needs a relevant row; change the grade of relevance".to_owned(),
            Self::Pairwise(PairOrder::Two { higher, lower }) => {
                format!("no request has scored items of grade {higher} and of grade {lower}")
            }
            Self::Pairwise(_) => "no request has scored items of different grades".to_owned(),
            Self::LogLoss | Self::CalibrationError { .. } | Self::Rmse => "it needs a row".to_owned(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::metric::Metric;

    #[test]
    fn options_that_mean_nothing_are_refused_with_the_legal_ones() {
        for (text, part) in [
            ("auc(weight=users)", "takes no option"),
            ("user_auc(weight=clicks)", "`impressions` or `users`"),
            ("user_auc(by=x)", "option `weight`"),
            ("ece(bins=0)", "from 1 to 10000"),
            ("ece(mass=some)", "`equal`"),
            ("ece(width=3)", "`bins` and `mass`"),
            ("pairwise(levels=2:1)", "rising grades"),
            ("pairwise(levels=1:2:3:4:5)", "at most 4"),
            ("pairwise(levels=1,pair=2:1)", "remove one"),
            ("pairwise(pair=2:1,by=x)", "not `by`"),
            ("pairwise(grades=2:1)", "`pair` and `levels`"),
            ("pairwise(pair=1:2)", "higher first"),
            ("pairwise(pair=nan:1)", "higher first"),
            ("pairwise(pair=2:1,pair=3:1)", "twice"),
        ] {
            let message = text.parse::<Metric>().unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
