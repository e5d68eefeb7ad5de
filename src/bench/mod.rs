//! Measurements that a user can repeat on a machine of his own: `trieval bench`.
//!
//! Made of the pieces that a recipe uses, on random tokens and vectors; knows no recipe, no corpus and no report.

mod batch;
pub mod index;
mod process;
pub mod train;

pub use index::{IndexBench, IndexFigures, ItemVectors};
pub use train::{TrainBench, TrainFigures};
