//! Collaborative filtering by counting: items that the same people chose, without any text.
//!
//! `histories` says what counts as one person's choices, `similarity` is the sparse item-to-item matrix,
//! `item_cf` and `item_knn` are two ways to fill and read it. `vectors` makes item vectors of the leading directions of
//! such a matrix, which `eigen` finds. Learns from the training part alone.

mod eigen;
mod histories;
mod item_cf;
mod item_knn;
pub mod settings;
mod similarity;
pub mod vectors;

pub(super) use histories::choices;
pub use item_cf::ItemCf;
pub use item_knn::ItemKnn;
