//! Requests as prompts: the one renderer for training, evaluation and search.
//!
//! A model that begins from scratch is prompted with tokens of its own:
//!
//! ```text
//! query:    <|query|> words … <|answer|>                       → identifier
//! history:  <|history|> identifier … identifier                → identifier
//! both:     <|history|> identifier … <|query|> words … <|answer|> → identifier
//! ```
//!
//! A pretrained model is prompted with a template, inside its chat template or plain.

use crate::error::{Error, Result};
use crate::model::item_tokens::ItemTokens;
use crate::model::settings::{ModelSettings, PretrainedSettings, PromptKind};
use crate::model::template::Template;
use crate::model::tokenizer::{Special, Tokenizer};

/// Renders prompts for one model.
pub struct PromptBuilder {
    tokenizer: Tokenizer,
    items: ItemTokens,
    frame: Frame,
    prompt_tokens: usize,
    history_items: usize,
}

/// What stands around query and history.
enum Frame {
    /// Tokens of their own.
    Tokens { query: u32, history: u32, answer: u32 },
    /// A template; `prefix` begins every text that is not a chat.
    Template { template: Template, prefix: Vec<u32> },
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
    /// For a model whose tokenizer spells `items`; the settings bound the tokens of a query and the items of a
    /// history.
    ///
    /// # Errors
    /// [`Error::Recipe`] when the settings ask for a chat and the tokenizer has no chat template, or a template
    /// cannot be read; [`Error::Failed`] when the tokenizer is not one of a model from scratch and should be.
    pub fn new(tokenizer: Tokenizer, items: ItemTokens, settings: &ModelSettings) -> Result<Self> {
        let frame = match settings {
            ModelSettings::Scratch(_) => Frame::own(&tokenizer)?,
            ModelSettings::Pretrained(settings) => Frame::template(&tokenizer, settings)?,
        };
        let prompt_tokens = settings.prompt_tokens() as usize;
        let history_items = settings.history_items() as usize;
        Ok(Self { tokenizer, items, frame, prompt_tokens, history_items })
    }

    /// Renders a request. User text never becomes a special or identifier token.
    ///
    /// # Errors
    /// When the tokenizer or a template fails.
    pub fn build(&self, query: Option<&str>, history: &[u32]) -> Result<Prompt> {
        let newest = history.len().saturating_sub(self.history_items);
        let shown = &history[newest..];
        let mut truncated = newest > 0;
        let tokens = match &self.frame {
            Frame::Tokens { query: opens_query, history: opens_history, answer } => {
                let mut tokens = Vec::new();
                if !history.is_empty() || query.is_none() {
                    tokens.push(*opens_history);
                    tokens.extend(shown.iter().flat_map(|item| self.items.tokens(*item)));
                }
                if let Some(query) = query {
                    let mut words = self.tokenizer.encode(query)?;
                    truncated |= words.len() > self.prompt_tokens;
                    words.truncate(self.prompt_tokens);
                    tokens.push(*opens_query);
                    tokens.extend(words);
                    tokens.push(*answer);
                }
                tokens
            }
            Frame::Template { template, prefix } => {
                let cut = query.map(|query| self.tokenizer.cut(query, self.prompt_tokens));
                let (query, was_cut) = cut.transpose()?.unzip();
                truncated |= was_cut == Some(true);
                let pieces = template.render(query, shown.len())?;
                let item = |number: usize| self.items.tokens(shown[number]);
                let mut tokens = prefix.clone();
                tokens.extend(self.tokenizer.encode_pieces(&pieces, item)?);
                tokens
            }
        };
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

    /// The token that opens a history which is continued item by item, so that one pass learns every next item;
    /// none where a template closes the history before the answer.
    pub fn history_token(&self) -> Option<u32> {
        match self.frame {
            Frame::Tokens { history, .. } => Some(history),
            Frame::Template { .. } => None,
        }
    }
}

impl Frame {
    fn own(tokenizer: &Tokenizer) -> Result<Self> {
        let special = |special: Special| {
            tokenizer.special(special).ok_or_else(|| {
                Error::Failed(format!("the tokenizer lacks {}", special.text()))
            })
        };
        Ok(Self::Tokens {
            query: special(Special::Query)?,
            history: special(Special::History)?,
            answer: special(Special::Answer)?,
        })
    }

    fn template(tokenizer: &Tokenizer, settings: &PretrainedSettings) -> Result<Self> {
        let chat = match settings.prompt {
            PromptKind::Plain => None,
            PromptKind::Chat => Some(tokenizer.chat_template().ok_or_else(|| {
                Error::Recipe(format!(
                    "model: {} has no chat template; set prompt = \"plain\"",
                    settings.path.display()
                ))
            })?),
        };
        let role = |name| tokenizer.role(name).unwrap_or_default();
        let (bos, eos) = (role("bos_token"), role("eos_token"));
        let template = Template::new(&settings.ask, chat, settings.system.as_deref(), bos, eos)?;
        // A chat template writes the token that begins a text itself.
        let prefix = if chat.is_some() { Vec::new() } else { tokenizer.text_prefix()? };
        Ok(Self::Template { template, prefix })
    }
}
