//! Collaborative filtering by counting: items that the same people chose, without any text.
//!
//! `similarity` is the sparse item-to-item matrix, `item_cf` and `item_knn` are two ways to fill and read it. Learns from
//! the training part alone.

mod item_cf;
mod item_knn;
mod kind;
pub mod settings;
mod similarity;

pub use item_cf::ItemCf;
pub use item_knn::ItemKnn;
pub(super) use kind::answers_histories;
