//! Systems that answer requests: everything that is judged beside the generative model, and the
//! seat that the generative model itself takes among them.
//!
//! A ranker turns a request into ranked items with scores and nothing else; who judges it, how
//! often it is asked and how long it took are not its business.

pub mod bm25;
pub mod cascade;
pub mod click_rate;
pub mod collaborative;
pub mod fusion;
pub mod generative;
pub mod harness;
pub mod kinds;
pub mod logistic;
pub mod nearest;
pub mod oracle;
pub mod popularity;
pub mod run_file;
pub mod sasrec;
pub mod settings;
pub mod slate;
pub mod tuned;

pub use harness::{Rank, Retrieve, Scored};
