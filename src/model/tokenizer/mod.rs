//! Tokenizers: one learnt from a corpus, or that of a pretrained model, with tokens that user text can
//! never produce.
//!
//! Two tokenizers share one vocabulary: `base` lacks the added tokens and encodes all text, `full`
//! has them and is what is saved. So a query that contains `<|answer|>` or `<a_3>` is plain text.

mod checks;
mod files;
mod hidden;
mod keys;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::{Map, Value};
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::normalizers::{Lowercase, NFC, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, NormalizerWrapper, models::TrainerWrapper};

pub use files::{TOKENIZER, TOKENIZER_CONFIG};

use crate::error::{Error, Result};
use crate::model::template::Piece;
use crate::progress::Context;

/// Tokens with a role in the prompts of models that begin from scratch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Fills short rows of a batch.
    Pad,
    /// Ends an answer.
    End,
    /// Precedes the text of a query.
    Query,
    /// Precedes the items of a history.
    History,
    /// Precedes the identifier.
    Answer,
}

impl Special {
    /// All of them, in the order of their ids.
    pub const ALL: [Self; 5] = [Self::Pad, Self::End, Self::Query, Self::History, Self::Answer];

    /// The token's text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Pad => "<|pad|>",
            Self::End => "<|end|>",
            Self::Query => "<|query|>",
            Self::History => "<|history|>",
            Self::Answer => "<|answer|>",
        }
    }
}

/// A tokenizer with special and identifier tokens.
#[derive(Clone)]
pub struct Tokenizer {
    base: tokenizers::Tokenizer,
    full: tokenizers::Tokenizer,
    /// Ids of [`Special::ALL`]; none in a pretrained model's tokenizer.
    specials: Option<[u32; Special::ALL.len()]>,
    /// `tokenizer_config.json` of a pretrained model.
    config: Map<String, Value>,
    added: AddedTokens,
    /// One more than the largest id.
    rows: usize,
    /// The first id below it that no entry has.
    hole: Option<u32>,
    /// Where it was read, for messages; empty where it was learnt.
    folder: PathBuf,
    chat_origin: PathBuf,
}

/// Text of a token by its role in a `tokenizer_config.json`.
fn role<'c>(config: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    let value = config.get(name)?;
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// One more than the largest id, and the first id below it that no entry has.
fn numbering(full: &tokenizers::Tokenizer) -> (usize, Option<u32>) {
    let mut ids: Vec<u32> = full.get_vocab(true).into_values().collect();
    ids.sort_unstable();
    ids.dedup();
    let hole = (0..).zip(&ids).find(|(expected, id)| expected != *id).map(|(expected, _)| expected);
    (ids.last().map_or(0, |last| *last as usize + 1), hole)
}

/// The added tokens, to be found in the words of a template.
#[derive(Clone)]
struct AddedTokens {
    matcher: AhoCorasick,
    /// Id of each pattern, and whether it swallows blanks before and behind it.
    tokens: Vec<(u32, bool, bool)>,
}

impl AddedTokens {
    fn of(full: &tokenizers::Tokenizer) -> Result<Self> {
        let all: BTreeMap<u32, AddedToken> = full.get_added_tokens_decoder().into_iter().collect();
        let patterns = all.values().map(|token| token.content.as_str());
        // Leftmost and longest, as the tokenizers library matches them.
        let matcher = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns)
            .map_err(|e| failed("matching added tokens", &e))?;
        let tokens = all.iter().map(|(id, token)| (*id, token.lstrip, token.rstrip)).collect();
        Ok(Self { matcher, tokens })
    }
}

impl Tokenizer {
    /// Learns a vocabulary of at most `vocabulary` entries (256 of them bytes) from texts, lower-cased;
    /// the special tokens follow behind it. The same texts give the same vocabulary, in any order and
    /// on any number of threads.
    ///
    /// # Errors
    /// [`Error::Recipe`] when the vocabulary is smaller than the bytes, [`Error::Failed`] when training fails.
    pub fn train_bpe<S: AsRef<str> + Send>(
        texts: impl Iterator<Item = S> + Send,
        vocabulary: usize,
        context: &Context,
    ) -> Result<Self> {
        if vocabulary < 256 {
            return Err(Error::Recipe(format!(
                "model: vocabulary = {vocabulary} is too small; the bytes alone take 256 entries"
            )));
        }
        context.check_interrupt()?;
        let mut base = tokenizers::Tokenizer::new(BPE::default());
        let steps = vec![NormalizerWrapper::NFC(NFC), NormalizerWrapper::Lowercase(Lowercase)];
        base.with_normalizer(Some(Sequence::new(steps))).map_err(|e| failed("normalizer", &*e))?;
        base.with_pre_tokenizer(Some(ByteLevel::new(true, false, true)));
        base.with_decoder(Some(ByteLevel::new(true, false, true)));
        let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable();
        let trainer = BpeTrainerBuilder::new()
            .show_progress(false)
            .vocab_size(vocabulary)
            .min_frequency(2)
            .initial_alphabet(alphabet.into_iter().collect())
            .build();
        let mut trainer = TrainerWrapper::BpeTrainer(trainer);
        base.train(&mut trainer, texts).map_err(|e| failed("training", &*e))?;
        context.check_interrupt()?;
        let mut full = base.clone();
        let added = Special::ALL.map(|s| AddedToken::from(s.text(), true).normalized(false));
        full.add_special_tokens(added).map_err(|e| failed("special tokens", &*e))?;
        Self::assemble(base, full, Map::new())
    }

    fn assemble(
        base: tokenizers::Tokenizer,
        full: tokenizers::Tokenizer,
        config: Map<String, Value>,
    ) -> Result<Self> {
        let ids: Option<Vec<u32>> =
            Special::ALL.iter().map(|special| full.token_to_id(special.text())).collect();
        let specials = ids.and_then(|ids| ids.try_into().ok());
        let added = AddedTokens::of(&full)?;
        let (rows, hole) = numbering(&full);
        let (folder, chat_origin) = Default::default();
        Ok(Self { base, full, specials, config, added, rows, hole, folder, chat_origin })
    }

    /// Adds identifier tokens, in order, behind all others; returns their ids. Add all at once: each
    /// call rebuilds the matcher.
    ///
    /// # Errors
    /// [`Error::Failed`] when a token is empty, repeated or already known; nothing is added then.
    pub fn extend(&mut self, tokens: &[String]) -> Result<Range<u32>> {
        self.add(tokens, false)
    }

    /// As [`Tokenizer::extend`], for tokens that have a role in prompts and spell nothing.
    ///
    /// # Errors
    /// As [`Tokenizer::extend`].
    pub fn extend_special(&mut self, tokens: &[String]) -> Result<Range<u32>> {
        self.add(tokens, true)
    }

    fn add(&mut self, tokens: &[String], special: bool) -> Result<Range<u32>> {
        let start = self.len() as u32;
        if tokens.is_empty() {
            return Ok(start..start);
        }
        self.check_holes()?;
        let mut seen = std::collections::HashSet::new();
        for token in tokens {
            let known = self.full.token_to_id(token).is_some() || !seen.insert(token);
            if known || token.is_empty() {
                return Err(Error::Failed(format!(
                    "tokenizer: identifier token `{token}` is empty, repeated or already in the vocabulary"
                )));
            }
        }
        let added = tokens.iter().map(|t| AddedToken::from(t.clone(), special).normalized(false));
        let mut full = self.full.clone();
        full.add_tokens(added).map_err(|e| failed("identifier tokens", &*e))?;
        let (rows, _) = numbering(&full);
        let end = rows as u32;
        if (end - start) as usize != tokens.len() {
            return Err(Error::Failed(format!(
                "tokenizer: {} of {} identifier tokens were added",
                end - start,
                tokens.len()
            )));
        }
        self.added = AddedTokens::of(&full)?;
        self.full = full;
        self.rows = rows;
        Ok(start..end)
    }

    /// The ids of `tokens` where all of them are in the vocabulary already, one behind the other.
    pub fn find(&self, tokens: &[String]) -> Option<Range<u32>> {
        let first = self.full.token_to_id(tokens.first()?)?;
        let end = first + tokens.len() as u32;
        let in_place = |(token, id): (&String, u32)| self.full.token_to_id(token) == Some(id);
        tokens.iter().zip(first..).all(in_place).then_some(first..end)
    }

    /// The least number of embedding rows: one more than the largest id, those of added tokens included.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no entry at all; never true of a trained tokenizer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Id of a special token of models that begin from scratch; a pretrained model's tokenizer has none.
    pub fn special(&self, special: Special) -> Option<u32> {
        self.specials.map(|ids| ids[special as usize])
    }

    /// Text of a token by its role in `tokenizer_config.json`, such as `bos_token`.
    pub fn role(&self, name: &str) -> Option<&str> {
        role(&self.config, name)
    }

    /// Tokens that the tokenizer puts before every text, if any.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses to encode.
    pub fn text_prefix(&self) -> Result<Vec<u32>> {
        let (with, without) = (self.probe(true)?, self.probe(false)?);
        let first = without.first();
        Ok(with.into_iter().take_while(|id| Some(id) != first).collect())
    }

    /// Tokens that the tokenizer puts behind every text, if any.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses to encode.
    pub fn text_suffix(&self) -> Result<Vec<u32>> {
        let (with, without) = (self.probe(true)?, self.probe(false)?);
        let last = without.last();
        let n = with.iter().rev().take_while(|id| Some(*id) != last).count();
        Ok(with[with.len() - n..].to_vec())
    }

    /// A short text's tokens, with or without what the tokenizer adds.
    fn probe(&self, special: bool) -> Result<Vec<u32>> {
        let encoding = self.full.encode_fast("a", special);
        encoding.map(|e| e.get_ids().to_vec()).map_err(|e| failed("encoding", &*e))
    }

    /// Id of any token by its exact text, for instance an identifier's `<a_3>`.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.full.token_to_id(token)
    }

    /// Tokens of a text; never a special or an identifier token, whatever the text says.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let text = plain(text);
        let encoding = self.base.encode_fast(&*text, false);
        Ok(encoding.map_err(|e| failed("encoding", &*e))?.get_ids().to_vec())
    }

    /// Tokens of a text behind a blank, so that a word has the same tokens wherever it stands, each with its bytes in `text`.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses the text.
    pub fn encode_words(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>> {
        let text = format!(" {}", plain(text));
        let encoding = self.base.encode(&*text, false).map_err(|e| failed("encoding", &*e))?;
        // Bytes are counted behind the blank, which belongs to no token of its own.
        let of = |&(start, end): &(usize, usize)| start.saturating_sub(1)..end.saturating_sub(1);
        let offsets = encoding.get_offsets().iter().map(of);
        Ok(encoding.get_ids().iter().copied().zip(offsets).collect())
    }

    /// As [`Tokenizer::encode`], of the text's beginning up to `limit` tokens; the text that is kept, and whether
    /// that is less than all.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses the text.
    pub fn cut<'t>(&self, text: &'t str, limit: usize) -> Result<(&'t str, bool)> {
        let encoding = self.base.encode(&*plain(text), false);
        let encoding = encoding.map_err(|e| failed("encoding", &*e))?;
        if encoding.len() <= limit {
            return Ok((text, false));
        }
        // Offsets are bytes; a token may end inside a character.
        let mut end = encoding.get_offsets().get(limit).map_or(text.len(), |(start, _)| *start);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Ok((&text[..end], true))
    }

    /// Tokens of a rendered prompt: the template's words may name added tokens, a user's never do, and items are
    /// spelt by `item`. Between added tokens, words are encoded together, as `transformers` does.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses the text.
    pub fn encode_pieces<'t>(
        &self,
        pieces: &[Piece],
        item: impl Fn(usize) -> &'t [u32],
    ) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut words = String::new();
        let mut strip = false;
        let flush = |words: &mut String, ids: &mut Vec<u32>| -> Result<()> {
            if !words.is_empty() {
                ids.extend(self.encode(words)?);
                words.clear();
            }
            Ok(())
        };
        for piece in pieces {
            match piece {
                Piece::User(text) => words.push_str(text),
                Piece::Item(number) => {
                    flush(&mut words, &mut ids)?;
                    ids.extend_from_slice(item(*number));
                }
                Piece::Frame(text) => {
                    let mut at = 0;
                    for found in self.added.matcher.find_iter(text) {
                        let (id, before, behind) = self.added.tokens[found.pattern().as_usize()];
                        let part = &text[at..found.start()];
                        words.push_str(if strip { part.trim_start() } else { part });
                        if before {
                            words.truncate(words.trim_end().len());
                        }
                        flush(&mut words, &mut ids)?;
                        ids.push(id);
                        strip = behind;
                        at = found.end();
                    }
                    let part = &text[at..];
                    words.push_str(if strip { part.trim_start() } else { part });
                }
            }
            strip = false;
        }
        flush(&mut words, &mut ids)?;
        Ok(ids)
    }

    /// Text of tokens, special and identifier tokens included.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses the ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let text = self.full.decode(ids, false).map_err(|e| failed("decoding", &*e))?;
        Ok(text.trim_start().to_owned())
    }
}

/// A text without the character that hides entries of the vocabulary; as long as before.
fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(hidden::HIDDEN) {
        Cow::Owned(text.replace(hidden::HIDDEN, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn failed(what: &str, cause: &(dyn std::error::Error + Send + Sync)) -> Error {
    Error::Failed(format!("tokenizer: {what} failed: {cause}"))
}

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
#[path = "tests.rs"]
pub(crate) mod tests;
