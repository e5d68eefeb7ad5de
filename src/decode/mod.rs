//! From a request to items with a trained decoder: prompts, and the decoder as a scorer of the one
//! beam search in `trieval-kernels`. Knows no training and no evaluation.

pub mod prompt;
pub mod retriever;
pub mod settings;
