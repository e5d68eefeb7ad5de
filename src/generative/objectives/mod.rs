//! What a decoder learns, one file per kind.

mod contrastive;
mod distillation;
mod preference;
mod supervised;
