//! Measurements that a user can repeat on a machine of his own: `trieval bench`.
//!
//! Made of the pieces that a recipe uses, on random tokens; knows no recipe, no corpus and no report.

mod batch;
mod process;
pub mod train;

pub use train::{TrainBench, TrainFigures};
