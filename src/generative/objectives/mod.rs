//! What a decoder learns, one file per kind.

mod preference;
mod supervised;
