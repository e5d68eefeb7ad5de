//! The laws of the search, for every engine and every constraint.
//!
//! `laws` are functions generic over both; `cases` are the constraints, `reference` a plain search
//! over whole paths that knows none of them, `device` a second engine in the form that a GPU asks
//! for, `table` the scorer that exists on all of them. What only the host engine has (seams of its
//! own, errors of a scorer) is in `host`; `stream` and `trees` are guests with needs of their own.
#![allow(clippy::unwrap_used)]

mod cases;
mod device;
mod guided;
mod host;
mod laws;
mod reference;
mod stream;
mod table;
mod trees;

use std::num::NonZeroU32;

use super::*;

/// The hits with what tells one search from another.
fn pairs(hits: &[Hit]) -> Vec<(u32, f32)> {
    hits.iter().map(|hit| (hit.item, hit.score)).collect()
}

fn width(beam: usize) -> NonZeroU32 {
    NonZeroU32::new(beam as u32).unwrap()
}
