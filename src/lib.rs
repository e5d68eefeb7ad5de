//! trieval fine-tunes a decoder language model to generate the identifiers of the items that answer
//! a request, aligns it with clicks, decodes it so that it can only name what exists, and measures
//! it beside every other ranker. See ARCHITECTURE.md for the map.

pub mod bench;
pub mod cli;
pub mod corpus;
pub mod decode;
pub mod error;
pub mod generative;
pub mod identifier;
pub mod inputs;
pub mod judging;
pub mod kind;
pub mod memory;
pub mod model;
pub mod pipeline;
pub mod progress;
pub mod quantizer;
pub mod ranker;
pub mod recipe;
pub mod seed;
pub mod steps;
pub mod store;
pub mod text;
pub mod train;
pub mod trained;
pub mod vectors;

pub use error::{Error, Result};
