//! What competes for a place in the beam, and the order of equals.

use std::cmp::Ordering;

use crate::top::Ranked;

/// A sequence that competes for a place in the beam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Score after the rule, with the guide's bonus.
    pub score: f32,
    /// What the scorer gave this continuation; 0 for a finished sequence carried on.
    pub own: f32,
    /// Rank of the continued sequence among those kept at the previous level.
    pub parent: u32,
    /// The token appended; [`Candidate::CARRIED`] for a finished sequence carried on.
    pub token: u32,
}

impl Candidate {
    /// Token of a finished sequence that competes on without growing.
    pub const CARRIED: u32 = u32::MAX;

    /// Whether this is a finished sequence carried on from an earlier level.
    pub fn is_carried(&self) -> bool {
        self.token == Self::CARRIED
    }
}

/// Higher score first, then the better parent's, then the smaller token: deterministic, and stable
/// from level to level. Every engine keeps this order, as a constraint that picks the best tokens
/// of a row must know which of two equals is kept. Scores are numbers.
impl Ranked for Candidate {
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        let by_score = other.score.partial_cmp(&self.score).unwrap_or(Ordering::Equal);
        by_score.then(self.parent.cmp(&other.parent)).then(self.token.cmp(&other.token))
    }
}
