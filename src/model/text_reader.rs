//! How texts become tokens for models that turn a text into one vector: framed as the tokenizer frames them, and cut.

use crate::error::Result;
use crate::model::tokenizer::Tokenizer;

/// A tokenizer with what stands around every text.
#[derive(Clone)]
pub(in crate::model) struct TextReader {
    pub(in crate::model) tokenizer: Tokenizer,
    /// Tokens before and behind every text.
    pub(in crate::model) frame: (Vec<u32>, Vec<u32>),
    /// Longest text in tokens, the frame included.
    pub(in crate::model) max_tokens: usize,
    pub(in crate::model) lowercases: bool,
}

impl TextReader {
    /// Tokens of a text between those of the frame, which is never cut.
    pub(in crate::model) fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let (before, behind) = &self.frame;
        let lower;
        let text = if self.lowercases {
            lower = text.to_lowercase();
            &lower
        } else {
            text
        };
        let mut tokens = before.clone();
        tokens.extend(self.tokenizer.encode(text)?);
        tokens.truncate(self.max_tokens.saturating_sub(behind.len()));
        tokens.extend(behind);
        Ok(tokens)
    }
}
