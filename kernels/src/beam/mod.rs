//! One beam search for everything that is decoded under a constraint.
//!
//! Five seams, all static: the [`Constraint`] says which tokens may follow, the [`Scorer`] says how
//! good each is, the [`Combine`] rule joins that to the score of the parent, the [`TieRule`] orders
//! equals, and the [`Observer`] sees every level. A semantic-ID index with a language model adds
//! log-probabilities; a tree index with a node network (TDM, OTM) replaces the parent's score.
//! It knows nothing of models, prompts or items beyond their numbers.

mod rules;
mod seams;
mod search;
mod select;
#[cfg(test)]
mod tests;

pub use rules::{Add, Multiply, ParentThenToken, Replace};
pub use seams::{
    Candidate, Combine, Constraint, Frontier, FrontierBeam, Observer, Scorer, TieRule,
};
pub use search::{BeamSearch, Hit, SearchError};
