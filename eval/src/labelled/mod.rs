//! Figures of labelled predictions: what a score says about one judged pair, rather than where an item stands in a list. AUC,
//! per-user AUC, log-loss, PR-AUC, calibration error, RMSE and pairwise accuracy, each a pooled figure that is resampled by
//! requests; and values per request that were measured elsewhere. Knows no other system and no test.

mod calibration;
mod judge;
mod metric;
mod outside;
mod pairwise;
mod pointwise;
mod predictions;
mod roc;

pub use calibration::{Binning, reliability};
pub(crate) use judge::score;
pub use judge::{column, evaluate};
pub use metric::LabelledMetric;
pub use outside::{Absent, OutsideValues, read_values};
pub use pairwise::PairOrder;
pub use predictions::{PredictionCounts, Predictions, PredictionsBuilder};
pub use roc::{UserCounts, UserWeight, user_counts};
