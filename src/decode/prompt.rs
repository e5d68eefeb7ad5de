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
//!
//! A model of several identifiers has a *mode token* for each. It is the last token of any prompt,
//! and says in which identifier the answer is written; the history is spelled in the same.

use crate::error::{Error, Result};
use crate::model::item_tokens::ItemTokens;
use crate::model::settings::{ModelSettings, PretrainedSettings, PromptKind};
use crate::model::template::{ChatTemplate, Template};
use crate::model::tokenizer::{Special, Tokenizer};

/// Renders prompts for one model.
pub struct PromptBuilder {
    tokenizer: Tokenizer,
    items: ItemTokens,
    frame: Frame,
    /// Ends every prompt, where the model has several identifiers.
    mode: Option<u32>,
    prompt_tokens: usize,
    history_items: usize,
    /// Whether histories enter prompts.
    hears_history: bool,
}

/// What stands around query and history.
enum Frame {
    /// Tokens of their own.
    Tokens { query: u32, history: u32, answer: u32 },
    /// A template; `prefix` begins every text that is not a chat.
    Template { template: Box<Template>, prefix: Vec<u32> },
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
        let (mode, hears_history) = (None, true);
        Ok(Self { tokenizer, items, frame, mode, prompt_tokens, history_items, hears_history })
    }

    /// The same, whose prompts end with a mode token where there is one.
    #[must_use]
    pub fn in_mode(self, mode: Option<u32>) -> Self {
        Self { mode, ..self }
    }

    /// The same, whose prompts say nothing of histories: what answers in words has no names for their items.
    #[must_use]
    pub fn deaf_to_history(self) -> Self {
        Self { hears_history: false, history_items: 0, ..self }
    }

    /// Renders a request. User text never becomes a special or identifier token.
    ///
    /// # Errors
    /// When the tokenizer or a template fails.
    pub fn build(&self, query: Option<&str>, history: &[u32]) -> Result<Prompt> {
        let history = if self.hears_history { history } else { &[] };
        let newest = history.len().saturating_sub(self.history_items);
        let shown = &history[newest..];
        let mut truncated = newest > 0;
        let mut tokens = match &self.frame {
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
        tokens.extend(self.mode);
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
    /// none where a template or a mode token stands between the history and the answer.
    pub fn history_token(&self) -> Option<u32> {
        match self.frame {
            Frame::Tokens { history, .. } => Some(history).filter(|_| self.mode.is_none()),
            Frame::Template { .. } => None,
        }
    }
}

/// Whether a pretrained model's requests can be rendered, and leave room among its positions: renders one.
///
/// # Errors
/// As [`PromptBuilder::new`] and [`PromptBuilder::build`]; [`Error::Data`] when the frame alone is longer than the model
/// reads.
pub fn check_template(
    tokenizer: &Tokenizer,
    settings: &PretrainedSettings,
    positions: usize,
) -> Result<()> {
    let (chat, [bos, eos]) = chat(tokenizer, settings)?;
    let prefix = if chat.is_some() { Vec::new() } else { tokenizer.text_prefix()? };
    for pieces in Template::try_out(&settings.ask, chat, settings.system.as_deref(), bos, eos)? {
        let tokens = prefix.len() + tokenizer.encode_pieces(&pieces, |_| &[])?.len();
        if tokens >= positions {
            let message = format!(
                "a short request becomes a prompt of {tokens} tokens, but the model has {positions} positions"
            );
            return Err(Error::data(settings.path.path()?, message)
                .with_help("see its chat template, and `system` and `ask` of the model"));
        }
    }
    Ok(())
}

impl Frame {
    fn own(tokenizer: &Tokenizer) -> Result<Self> {
        let special = |special: Special| {
            tokenizer
                .special(special)
                .ok_or_else(|| Error::Failed(format!("the tokenizer lacks {}", special.text())))
        };
        Ok(Self::Tokens {
            query: special(Special::Query)?,
            history: special(Special::History)?,
            answer: special(Special::Answer)?,
        })
    }

    fn template(tokenizer: &Tokenizer, settings: &PretrainedSettings) -> Result<Self> {
        let (chat, [bos, eos]) = chat(tokenizer, settings)?;
        let template = Template::new(&settings.ask, chat, settings.system.as_deref(), bos, eos)?;
        // A chat template writes the token that begins a text itself.
        let prefix = if chat.is_some() { Vec::new() } else { tokenizer.text_prefix()? };
        Ok(Self::Template { template: Box::new(template), prefix })
    }
}

/// The chat template where prompts are chats, and the texts that it knows as `bos_token` and `eos_token`.
fn chat<'t>(
    tokenizer: &'t Tokenizer,
    settings: &PretrainedSettings,
) -> Result<(Option<ChatTemplate<'t>>, [&'t str; 2])> {
    let chat = match settings.prompt {
        PromptKind::Plain => None,
        PromptKind::Chat => Some(tokenizer.chat_template()?.ok_or_else(|| {
            Error::Recipe(format!(
                "model: {} has no chat template; set prompt = \"plain\"",
                settings.path
            ))
        })?),
    };
    let role = |name| tokenizer.role(name).unwrap_or_default();
    Ok((chat, [role("bos_token"), role("eos_token")]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use crate::model::settings::ScratchSettings;
    use crate::progress::Context;

    /// Settings whose queries are cut behind 12 tokens and histories to two items.
    pub(crate) fn scratch() -> ModelSettings {
        ModelSettings::Scratch(ScratchSettings {
            identifier: Some("sid".into()),
            identifiers: None,
            init: None,
            rows: None,
            vocabulary: 300,
            layers: 1,
            hidden: 8,
            heads: 1,
            kv_heads: None,
            head_dim: None,
            ffn: None,
            prompt_tokens: 12,
            history_items: 2,
            seed: None,
        })
    }

    fn pretrained(prompt: PromptKind) -> PretrainedSettings {
        PretrainedSettings {
            path: "model".into(),
            identifier: Some("sid".into()),
            identifiers: None,
            init: None,
            rows: None,
            adapter: None,
            dtype: None,
            prompt,
            system: None,
            ask: "{% for item in history %}{{ item }},{% endfor %}{{ query }}".into(),
            prompt_tokens: 4,
            history_items: 2,
            seed: None,
        }
    }

    fn builder(settings: PretrainedSettings) -> Result<PromptBuilder> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut tokenizer =
            Tokenizer::load(&folder.join("tests/golden/tokenizers/llama3")).unwrap();
        let tokens: Vec<String> = (0..5).map(|i| format!("<a_{i}>")).collect();
        let first = tokenizer.extend(&tokens).unwrap().start;
        let items = ItemTokens::new(&[0, 1, 2, 3, 4], &[5], first);
        PromptBuilder::new(tokenizer, items, &ModelSettings::Pretrained(settings))
    }

    #[test]
    fn templates_hold_the_newest_items_and_the_beginning_of_the_query() {
        let builder = builder(pretrained(PromptKind::Plain)).unwrap();
        let text = |prompt: &Prompt| builder.tokenizer.decode(&prompt.tokens).unwrap();
        let short = builder.build(Some("shirt"), &[3]).unwrap();
        assert_eq!(
            (text(&short).as_str(), short.truncated),
            ("<|begin_of_text|><a_3>,shirt", false)
        );
        let long = builder.build(Some("red cotton shirt blue shoes"), &[1, 2, 3]).unwrap();
        assert!(text(&long).starts_with("<|begin_of_text|><a_2>,<a_3>,red"), "{}", text(&long));
        assert!(long.truncated && !text(&long).ends_with("shoes"));
        assert_eq!(builder.history_token(), None);
    }

    #[test]
    fn a_mode_token_is_the_last_of_any_prompt_and_items_are_spelled_in_its_identifier() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("tests/golden/tokenizers/llama3");
        let own = Tokenizer::train_bpe(["red"; 4].iter(), 270, &Context::silent()).unwrap();
        let pretrained = ModelSettings::Pretrained(pretrained(PromptKind::Plain));
        for (mut tokenizer, settings) in
            [(own, scratch()), (Tokenizer::load(&folder).unwrap(), pretrained)]
        {
            let tokens = ["<a_0>", "<a_1>", "<2:a_0>", "<2:a_1>"].map(str::to_owned);
            let first = tokenizer.extend(&tokens).unwrap().start;
            let modes = ["<|as:1|>", "<|as:2|>"].map(str::to_owned);
            let mode = tokenizer.extend_special(&modes).unwrap().start;
            for place in [0, 1] {
                let items = ItemTokens::new(&[0, 1], &[2], first + 2 * place);
                let plain = PromptBuilder::new(tokenizer.clone(), items, &settings).unwrap();
                let expected = |query, history: &[u32]| {
                    let mut tokens = plain.build(query, history).unwrap().tokens;
                    tokens.push(mode + place);
                    tokens
                };
                let cases: [(Option<&str>, &[u32]); 3] =
                    [(Some("<|as:1|> red"), &[]), (None, &[1, 0]), (Some("red"), &[1])];
                let expected = cases.map(|(query, history)| expected(query, history));
                let builder = plain.in_mode(Some(mode + place));
                assert_eq!(builder.history_token(), None, "an answer does not follow the history");
                for ((query, history), expected) in cases.into_iter().zip(expected) {
                    let tokens = builder.build(query, history).unwrap().tokens;
                    assert_eq!(tokens, expected);
                    let is_code = |token: &&u32| (first..mode).contains(*token);
                    let spelled: Vec<u32> = tokens.iter().filter(is_code).copied().collect();
                    let items: Vec<u32> =
                        history.iter().map(|item| first + 2 * place + item).collect();
                    assert_eq!(spelled, items);
                    assert_eq!(tokens.iter().filter(|token| **token >= mode).count(), 1);
                }
            }
        }
    }

    #[test]
    fn a_chat_opens_with_one_begin_token_and_ends_with_the_assistant() {
        let builder = builder(pretrained(PromptKind::Chat)).unwrap();
        let prompt = builder.build(Some("shirt"), &[]).unwrap();
        let text = builder.tokenizer.decode(&prompt.tokens).unwrap();
        assert_eq!(text.matches("<|begin_of_text|>").count(), 1);
        assert!(text.ends_with("<|start_header_id|>assistant<|end_header_id|>\n\n"), "{text}");
    }

    #[test]
    fn faults_of_templates_are_found_before_any_request() {
        let fault = |settings| builder(settings).err().map(|e| e.to_string());
        let broken = PretrainedSettings { ask: "{{".into(), ..pretrained(PromptKind::Plain) };
        assert!(fault(broken).unwrap().contains("ask is not a template"));
        let folder = tempfile::tempdir().unwrap();
        let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden = golden.join("tests/golden/tokenizers/llama3/tokenizer.json");
        std::fs::copy(golden, folder.path().join("tokenizer.json")).unwrap();
        let bare = Tokenizer::load(folder.path()).unwrap();
        let told =
            check_template(&bare, &pretrained(PromptKind::Chat), 256).unwrap_err().to_string();
        assert!(told.contains("has no chat template; set prompt = \"plain\""), "{told}");
        check_template(&bare, &pretrained(PromptKind::Plain), 256).unwrap();
        let long =
            check_template(&bare, &pretrained(PromptKind::Plain), 3).unwrap_err().to_string();
        assert!(long.contains("but the model has 3 positions"), "{long}");
    }
}
