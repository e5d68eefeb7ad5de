//! One beam search for everything that is decoded under a constraint.
//!
//! [`Search`] is what callers see: a batch of prompts goes in, with one [`Filter`] each, and lists
//! of hits come out. [`HostSearch`] does it on the CPU over seams, all static: the [`Constraint`]
//! says which tokens may follow and which items a sequence names, the [`Scorer`] how good each is,
//! the [`Rule`] joins that to the score of the parent, the [`Guide`] adds what is known of the
//! items ahead, and [`Collect`] says what is found. A semantic-ID index with a language model adds
//! log-probabilities; a tree index with a node network (TDM, OTM) replaces the parent's score; an
//! index of spans collects every sequence on its way. It knows nothing of models, prompts or items
//! beyond their numbers.

mod candidate;
mod collect;
mod constraint;
mod filter;
mod guide;
mod host;
mod rule;
mod scorer;
mod search;
#[cfg(test)]
mod tests;

pub use candidate::Candidate;
pub use collect::{Collect, Every, Hypothesis, Leaves, Level};
pub use constraint::{Constraint, Places, Row};
pub use filter::{Filter, Filtered, FilteredState};
pub use guide::{BestBelow, Guide};
pub use host::HostSearch;
pub use rule::Rule;
pub use scorer::{Frontier, FrontierBeam, Scorer};
pub use search::{Hit, Search, SearchError};
