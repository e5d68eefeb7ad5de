//! Decoders: configuration, training forward pass, inference with shared prompts, tokenizer, folders
//! on disk; text encoders of the BERT family, and decoders used as such. Knows nothing of identifiers beyond the names of their tokens, nor of objectives.

pub mod adapter;
pub mod added_rows;
pub mod checkpoint;
pub mod config;
pub mod decoder;
mod embedding;
pub mod encoder;
pub mod folder;
pub mod hidden_states;
pub mod inference;
pub mod item_tokens;
mod keys;
pub mod lora;
pub mod parameters;
mod projection;
pub mod recompute;
pub mod settings;
pub mod template;
mod text_reader;
pub mod tokenizer;

pub use config::DecoderConfig;
pub use decoder::Decoder;
pub use folder::ModelFolder;
pub use hidden_states::HiddenStateEncoder;
pub use inference::{BeamCache, FrozenDecoder, PromptCache};
pub use parameters::{Parameter, ParameterSpec, Parameters};
pub use projection::{TokenKeys, token_keys};
pub use tokenizer::{Special, Tokenizer};
