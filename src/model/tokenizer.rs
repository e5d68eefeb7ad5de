//! Byte-level BPE with special and identifier tokens that user text can never produce.
//!
//! Two tokenizers share one vocabulary: `base` lacks the added tokens and encodes all text, `full`
//! has them and is what is saved. So a query that contains `<|answer|>` or `<a_3>` is plain text.

use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::normalizers::{Lowercase, NFC, Sequence};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper, models::TrainerWrapper};

use crate::error::{Error, Result};
use crate::progress::Context;
use crate::store::{write_atomic, write_json};

/// Name of the tokenizer in a model folder.
pub const TOKENIZER: &str = "tokenizer.json";

/// Name of its description for `transformers`.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// Tokens with a role in a prompt.
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

/// A byte-level BPE tokenizer with special and identifier tokens.
#[derive(Clone)]
pub struct Tokenizer {
    base: tokenizers::Tokenizer,
    full: tokenizers::Tokenizer,
    specials: [u32; Special::ALL.len()],
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
        Self::assemble(base, full)
            .map_err(|name| Error::Failed(format!("tokenizer: token {name} was not added")))
    }

    /// Fails with the text of the first special token that is missing.
    fn assemble(
        base: tokenizers::Tokenizer,
        full: tokenizers::Tokenizer,
    ) -> std::result::Result<Self, &'static str> {
        let mut specials = [0; Special::ALL.len()];
        for (id, special) in specials.iter_mut().zip(Special::ALL) {
            *id = full.token_to_id(special.text()).ok_or(special.text())?;
        }
        Ok(Self { base, full, specials })
    }

    /// Adds identifier tokens, in order, behind all others; returns their ids. Add all at once: each
    /// call rebuilds the matcher.
    ///
    /// # Errors
    /// [`Error::Failed`] when a token is empty, repeated or already known; nothing is added then.
    pub fn extend(&mut self, tokens: &[String]) -> Result<Range<u32>> {
        let start = self.len() as u32;
        let mut seen = std::collections::HashSet::new();
        for token in tokens {
            let known = self.full.token_to_id(token).is_some() || !seen.insert(token);
            if known || token.is_empty() {
                return Err(Error::Failed(format!(
                    "tokenizer: identifier token `{token}` is empty, repeated or already in the vocabulary"
                )));
            }
        }
        let added = tokens.iter().map(|t| AddedToken::from(t.clone(), false).normalized(false));
        let mut full = self.full.clone();
        full.add_tokens(added).map_err(|e| failed("identifier tokens", &*e))?;
        let end = full.get_vocab_size(true) as u32;
        if (end - start) as usize != tokens.len() {
            return Err(Error::Failed(format!(
                "tokenizer: {} of {} identifier tokens were added",
                end - start,
                tokens.len()
            )));
        }
        self.full = full;
        Ok(start..end)
    }

    /// Entries, added tokens included: the least number of embedding rows.
    pub fn len(&self) -> usize {
        self.full.get_vocab_size(true)
    }

    /// Whether there is no entry at all; never true of a trained tokenizer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Id of a special token.
    pub fn special(&self, special: Special) -> u32 {
        self.specials[special as usize]
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
        let encoding = self.base.encode_fast(text, false).map_err(|e| failed("encoding", &*e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of tokens, special and identifier tokens included.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses the ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let text = self.full.decode(ids, false).map_err(|e| failed("decoding", &*e))?;
        Ok(text.trim_start().to_owned())
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json`; `positions` is the longest sequence of the model.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(&self, folder: &Path, positions: usize) -> Result<()> {
        use std::io::Write;
        let path = folder.join(TOKENIZER);
        let text = self.full.to_string(true).map_err(|e| failed("saving", &*e))?;
        write_atomic(&path, |writer| {
            writer.write_all(text.as_bytes()).map_err(|e| Error::unwritable(&path, &e))
        })?;
        let added: std::collections::BTreeMap<u32, AddedToken> =
            self.full.get_added_tokens_decoder().into_iter().collect();
        let entry = |(id, token): (u32, AddedToken)| {
            let value = json!({
                "content": token.content,
                "lstrip": token.lstrip,
                "normalized": token.normalized,
                "rstrip": token.rstrip,
                "single_word": token.single_word,
                "special": token.special,
            });
            (id.to_string(), value)
        };
        let added: Map<String, Value> = added.into_iter().map(entry).collect();
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": positions,
            "clean_up_tokenization_spaces": false,
            "pad_token": Special::Pad.text(),
            "eos_token": Special::End.text(),
            "added_tokens_decoder": added,
        });
        write_json(&folder.join(TOKENIZER_CONFIG), &config)
    }

    /// Reads `tokenizer.json` from a model folder.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing or malformed, lacks a special token of this program, or
    /// has added tokens inside its text vocabulary.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(TOKENIZER);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::unreadable(&path, &e))?;
        let malformed =
            |e: &dyn std::fmt::Display| Error::data(&path, format!("not a tokenizer: {e}"));
        let mut value: Value = serde_json::from_str(&text).map_err(|e| malformed(&e))?;
        let full = tokenizers::Tokenizer::from_bytes(&text).map_err(|e| malformed(&e))?;
        if let Some(object) = value.as_object_mut() {
            object.insert("added_tokens".into(), json!([]));
        }
        let base =
            tokenizers::Tokenizer::from_bytes(value.to_string()).map_err(|e| malformed(&e))?;
        let is_bpe = matches!(base.get_model(), ModelWrapper::BPE(_));
        if !is_bpe {
            return Err(Error::data(&path, "expected a byte-level BPE model"));
        }
        let inside = Special::ALL.iter().find(|s| base.token_to_id(s.text()).is_some());
        if let Some(special) = inside {
            let name = special.text();
            return Err(Error::data(&path, format!("{name} is part of the text vocabulary")));
        }
        Self::assemble(base, full).map_err(|name| {
            Error::data(&path, format!("special token {name} is missing"))
                .with_help("use a model folder that this program wrote")
        })
    }
}

fn failed(what: &str, cause: &(dyn std::error::Error + Send + Sync)) -> Error {
    Error::Failed(format!("tokenizer: {what} failed: {cause}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    fn texts() -> Vec<String> {
        let words =
            ["Red", "blue", "cotton", "shirt", "SHOES", "für", "Kinder", "手机", "case", "42"];
        (0..400)
            .map(|i| format!("{} {} {}", words[i % 10], words[i * 7 % 10], words[(i * i + 3) % 10]))
            .collect()
    }

    pub(crate) fn trained() -> Tokenizer {
        Tokenizer::train_bpe(texts().iter(), 330, &Context::silent()).unwrap()
    }

    #[test]
    fn training_repeats_in_any_order_and_on_any_number_of_threads() {
        let first = trained().full.to_string(false).unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(trained).full.to_string(false).unwrap();
            assert!(first == again, "{threads} threads");
        }
        let mut reversed = texts();
        reversed.reverse();
        let other = Tokenizer::train_bpe(reversed.iter(), 330, &Context::silent()).unwrap();
        assert!(first == other.full.to_string(false).unwrap());
    }

    #[test]
    fn text_survives_a_round_trip_lower_cased() {
        let tokenizer = trained();
        for text in ["red cotton shirt", "手机 case für", "zürich 🚲 never seen"] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
        assert_eq!(tokenizer.encode("RED Shirt").unwrap(), tokenizer.encode("red shirt").unwrap());
        assert!(tokenizer.encode("").unwrap().is_empty());
    }

    #[test]
    fn user_text_never_produces_added_tokens() {
        let mut tokenizer = trained();
        let base = tokenizer.base.get_vocab_size(true) as u32;
        let names: Vec<String> = (0..300).map(|i| format!("<a_{i}>")).collect();
        let ids = tokenizer.extend(&names).unwrap();
        assert_eq!(ids, base + 5..base + 305);
        assert_eq!(tokenizer.token_id("<a_12>"), Some(base + 5 + 12));
        let folder = tempfile::tempdir().unwrap();
        tokenizer.save(folder.path(), 128).unwrap();
        let loaded = Tokenizer::load(folder.path()).unwrap();
        for tokenizer in [&tokenizer, &loaded] {
            for text in ["<a_3>", "x <|answer|><a_12> <|pad|>", " <|END|> <|end|>"] {
                let ids = tokenizer.encode(text).unwrap();
                assert!(ids.iter().all(|id| *id < base), "{text}");
                assert_eq!(tokenizer.decode(&ids).unwrap(), text.trim_start().to_lowercase());
            }
        }
        // The saved tokenizer itself does know them.
        let full = loaded.full.encode("<a_3>", false).unwrap();
        assert_eq!(full.get_ids(), [base + 8]);
    }

    #[test]
    fn repeated_and_known_identifier_tokens_are_refused() {
        let mut tokenizer = trained();
        let before = tokenizer.len();
        for tokens in [vec!["<x>", "<x>"], vec!["<|pad|>"], vec![""]] {
            let tokens: Vec<String> = tokens.into_iter().map(String::from).collect();
            assert!(tokenizer.extend(&tokens).is_err());
        }
        assert_eq!(tokenizer.len(), before);
    }

    #[test]
    fn broken_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = || Tokenizer::load(folder.path()).err().unwrap().to_string();
        assert!(message().contains("tokenizer.json: cannot be read"));
        std::fs::write(folder.path().join(TOKENIZER), "{").unwrap();
        assert!(message().contains("not a tokenizer"));
        let text = trained().base.to_string(false).unwrap();
        std::fs::write(folder.path().join(TOKENIZER), text).unwrap();
        assert!(message().contains("special token <|pad|> is missing"));
        assert!(Tokenizer::train_bpe(texts().iter(), 200, &Context::silent()).is_err());
    }
}
