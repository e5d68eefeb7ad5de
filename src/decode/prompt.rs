//! Requests as prompts: the one renderer for training, evaluation and search.
//!
//! ```text
//! query:    <|query|> words … <|answer|>                       → identifier
//! history:  <|history|> identifier … identifier                → identifier
//! both:     <|history|> identifier … <|query|> words … <|answer|> → identifier
//! ```

use crate::error::Result;
use crate::model::item_tokens::ItemTokens;
use crate::model::tokenizer::{Special, Tokenizer};

/// Renders prompts for one model.
pub struct PromptBuilder {
    tokenizer: Tokenizer,
    items: ItemTokens,
    prompt_tokens: usize,
    history_items: usize,
}

/// A rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Whether query words or history items were cut off.
    pub truncated: bool,
}

impl PromptBuilder {
    /// `prompt_tokens` bounds the words of a query, `history_items` the items of a history.
    pub fn new(
        tokenizer: Tokenizer,
        items: ItemTokens,
        prompt_tokens: usize,
        history_items: usize,
    ) -> Self {
        Self { tokenizer, items, prompt_tokens, history_items }
    }

    /// Renders a request. User text never becomes a special or identifier token.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn build(&self, query: Option<&str>, history: &[u32]) -> Result<Prompt> {
        let mut tokens = Vec::new();
        let mut truncated = false;
        if !history.is_empty() || query.is_none() {
            let newest = history.len().saturating_sub(self.history_items);
            truncated |= newest > 0;
            tokens.push(self.history_token());
            for &item in &history[newest..] {
                tokens.extend_from_slice(self.items.tokens(item));
            }
        }
        if let Some(query) = query {
            let mut words = self.tokenizer.encode(query)?;
            truncated |= words.len() > self.prompt_tokens;
            words.truncate(self.prompt_tokens);
            tokens.push(self.tokenizer.special(Special::Query));
            tokens.extend(words);
            tokens.push(self.tokenizer.special(Special::Answer));
        }
        Ok(Prompt { tokens, truncated })
    }

    /// Identifier tokens of the items.
    pub fn items(&self) -> &ItemTokens {
        &self.items
    }

    /// Items of a history that enter a prompt.
    pub fn history_items(&self) -> usize {
        self.history_items
    }

    /// The token that opens a history.
    pub fn history_token(&self) -> u32 {
        self.tokenizer.special(Special::History)
    }
}
