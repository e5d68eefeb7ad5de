//! The combine and tie rules that ship with the search.

use std::cmp::Ordering;

use super::seams::{Candidate, Combine, TieRule};

/// Parent's score plus own score: log-probabilities of a sequence.
#[derive(Debug, Clone, Copy, Default)]
pub struct Add;

impl Combine for Add {
    const START: f32 = 0.0;

    #[inline]
    fn combine(&self, parent: f32, own: f32) -> f32 {
        parent + own
    }
}

/// Own score alone: a node's score already speaks for its whole path (TDM, arXiv 1801.02294; OTM).
#[derive(Debug, Clone, Copy, Default)]
pub struct Replace;

impl Combine for Replace {
    const START: f32 = 0.0;

    #[inline]
    fn combine(&self, _parent: f32, own: f32) -> f32 {
        own
    }
}

/// Parent's score times own score: conditional probabilities along a path (PLT).
#[derive(Debug, Clone, Copy, Default)]
pub struct Multiply;

impl Combine for Multiply {
    const START: f32 = 1.0;

    #[inline]
    fn combine(&self, parent: f32, own: f32) -> f32 {
        parent * own
    }
}

/// Better parent first, then the smaller token: deterministic, and stable from level to level.
#[derive(Debug, Clone, Copy, Default)]
pub struct ParentThenToken;

impl TieRule for ParentThenToken {
    #[inline]
    fn compare(&self, a: &Candidate, b: &Candidate) -> Ordering {
        a.parent.cmp(&b.parent).then(a.token.cmp(&b.token))
    }
}
