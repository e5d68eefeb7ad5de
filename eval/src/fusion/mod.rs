//! Several runs as one: reciprocal rank fusion, CombSUM and CombMNZ, with weights given or tuned on validation judgments. A
//! fused run is a run like any other, and its name says what is in it. Knows runs and judgments, no ranker.

mod fuse;
mod lists;
mod normalize;
pub mod settings;
mod tune;

pub use fuse::fuse;
pub use lists::{Fusion, fuse_lists};
pub use settings::{FusionMethod, FusionSettings, Normalization};
pub use tune::{Tuned, tune_weights, tune_weights_by};
