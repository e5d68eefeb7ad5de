//! Runs, qrels, metrics, significance and reports: every ranker is judged alike, from what it returned and nothing else.
//! No model, no tensor and no corpus is known here.

pub mod contest;
pub mod error;
mod evaluate;
pub mod fusion;
mod ids;
pub mod io;
mod judge;
pub mod labelled;
pub mod metric;
mod pairs;
pub mod policy;
mod qrels;
pub mod remarks;
pub mod report;
mod run;
mod scores;
pub mod settings;
pub mod significance;
pub mod slice;

pub use error::{Error, Result};
pub use evaluate::{evaluate, evaluate_all};
pub use metric::{Catalogue, Pooled};
pub use qrels::{Judgments, Qrels, QrelsBuilder};
pub use run::{Ranking, Run, RunBuilder};
pub use scores::{Column, Options, ScoreCounts, SystemScores, Values};
