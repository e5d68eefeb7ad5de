//! What a decoder learns, one file per kind.

mod contrastive;
mod distillation;
mod pairs;
mod preference;
mod supervised;

pub use pairs::read_census;
