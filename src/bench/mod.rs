//! Measurements that a user can repeat on a machine of his own: `trieval bench`.
//!
//! Made of the pieces that a recipe uses, on random tokens and vectors; knows no recipe, no corpus and no report.

mod batch;
mod clumps;
pub mod index;
mod process;
pub mod quantizer;
pub mod train;

pub use index::{IndexBench, IndexFigures, ItemVectors};
pub use quantizer::{QuantizerBench, QuantizerFigures};
pub use train::{TrainBench, TrainFigures};
