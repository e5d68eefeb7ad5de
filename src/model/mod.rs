//! Decoders: configuration, training forward pass, inference with shared prompts, tokenizer, folders
//! on disk. Knows nothing of identifiers beyond the names of their tokens, nor of objectives.

pub mod config;
pub mod decoder;

pub mod inference;
pub mod settings;

pub use config::DecoderConfig;
pub use decoder::Decoder;

pub use inference::{BeamCache, FrozenDecoder, PromptCache};
