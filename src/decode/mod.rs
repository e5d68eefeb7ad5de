//! From a request to items with a trained decoder: prompts, and the decoder as a scorer of the one
//! beam search in `trieval-kernels`, over codes (`retriever`) or over spans of texts (`spans`). Knows no training and no evaluation.

pub mod prompt;
pub mod retriever;
pub mod settings;
pub mod spans;
