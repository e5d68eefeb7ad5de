//! The corpus: items, requests and feedback in six tables, however they came about.
//!
//! - `build`: source to folder; `folder`: folder to typed rows; `catalogue`: items in memory
//! - `table`, `rows`, `types`, `summary`: the format of the folder
//! - `facts`: what a corpus turns out to hold
//! - `labels`: impressions as labelled examples; `features`: what requests carry; `daily`: items before a day
//! - `cell`, `cells`: columns by name, fixed and open; `levels`, `impressions`: how far shown items got
//! - `values`: attributes and categories of items
//! - `position_bias`: how likely each position of a page is looked at
//! - `heard`: what of a question a system makes use of
//! - `folds`: training requests held out, as a corpus of its own
//! - `import`: corpora from files; `export`: the way back; `simulator`: the shop with known truth
//! - `profile`: a corpus in figures for people
//!
//! Knows nothing of models, identifiers, rankers or metrics.

mod build;
mod catalogue;
mod cell;
mod cells;
mod daily;
mod export;
mod exposure;
mod facts;
mod features;
mod folder;
mod folds;
mod heard;
mod histories;
mod import;
mod impressions;
pub mod kinds;
mod labels;
mod levels;
mod position_bias;
mod profile;
mod rows;
pub mod settings;
pub mod simulator;
mod summary;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod types;
mod values;

pub use build::{build, build_seeded, world_seed};
pub use catalogue::{Catalogue, Names};
pub use cell::{Cell, ColumnName, Entity, Holds, OpenColumn};
pub use daily::{DailyStatistics, Shown};
pub use export::check_export;
pub use exposure::{training_exposure, weighted_exposure};
pub use folder::Corpus;
pub use folds::Fold;
pub use heard::{Heard, Words};
pub use histories::{choices, near_pairs, training_histories};
pub use import::propose;
pub use labels::{Labelled, Labels};
pub use levels::{LevelRule, default_levels};
pub use position_bias::{PositionBias, Told, Untold};
pub use profile::Profile;
pub use rows::{
    ImpressionRow, ItemName, ItemRow, ItemTextRow, JudgementRow, RequestRow, SessionRow, UserRow,
};
pub use settings::LabelRule;
pub use summary::{
    CorpusSummary, FORMAT, Malformed, Overlap, SizeEstimate, SourceFile, SplitCounts, TableFile,
};
pub use table::{Row, TableReader, TableWriter};
pub use types::{Ask, Impression, ItemIdx, Level, Request, RequestIdx, Split, newest};
