//! The bundle of a decoder, the identifiers it speaks and the index it is searched with: made, trained, opened.
//!
//! `bundle` is the one loader and the one layout; `kinds` lists the kinds of models and of objectives. A model begins in
//! `scratch` or `pretrained`, or where a contrastive training ended (`rows` then begins the tokens of identifiers at their
//! centroids); `training` is the training of a decoder whatever its objective, `objectives/` what is
//! learned, `validation` what it is looked at with. `sizes` says in advance what a decoder takes.
//! `spoken` says which identifiers a model answers in, `named` what it is told of them, `vocabulary` which tokens it needs for
//! them; `spans` makes those of texts in its tokens.
//! Who asks it, and who judges the answers, is not known here.

mod bundle;
mod checks;
mod files;
pub mod kinds;
mod named;
mod objectives;
mod pretrained;
mod rows;
mod scratch;
mod sizes;
pub mod spans;
mod spoken;
mod training;
mod validation;
mod vocabulary;

pub use bundle::{Bundle, make_spans, open_index};
pub use checks::DECODER;
pub use files::INDEX_FILE;
pub use objectives::read_census;
pub use sizes::{DecoderSizes, threads};
pub use training::{ADAPTER_DIR, MODEL_DIR, learn};
pub use vocabulary::n_modes;

/// The prompts of the training requests inside a step's folder.
pub const PROMPTS_FILE: &str = "prompts.bin";
