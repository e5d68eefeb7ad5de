//! Tokenizers on disk: `tokenizer.json`, or `vocab.json` with `merges.txt`, and `tokenizer_config.json`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::{Special, Tokenizer, failed};
use crate::error::{Error, Result};
use crate::store::{write_atomic, write_json};

/// Name of the tokenizer in a model folder.
pub const TOKENIZER: &str = "tokenizer.json";
/// Name of its description for `transformers`.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// Vocabulary and merges, where there is no `tokenizer.json`.
const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";
/// Where newer folders keep the chat template.
const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// How Qwen2 and Qwen3 cut texts into words before byte pairs are merged.
const QWEN_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Tokenizer {
    /// Writes `tokenizer.json` and `tokenizer_config.json`; `positions` is the longest sequence of the model.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(&self, folder: &Path, positions: usize) -> Result<()> {
        let path = folder.join(TOKENIZER);
        let text = self.full.to_string(true).map_err(|e| failed("saving", &*e))?;
        write_atomic(&path, |writer| {
            writer.write_all(text.as_bytes()).map_err(|e| Error::unwritable(&path, &e))
        })?;
        let added: BTreeMap<u32, AddedToken> =
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
        let mut config = self.config.clone();
        if self.specials.is_some() {
            let own = json!({
                "clean_up_tokenization_spaces": false,
                "pad_token": Special::Pad.text(),
                "eos_token": Special::End.text(),
            });
            config
                .extend(own.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        }
        // The class that reads `tokenizer.json` as it is, whatever the family.
        config.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
        config.entry("model_max_length").or_insert(positions.into());
        config.insert("added_tokens_decoder".into(), added.into());
        write_json(&folder.join(TOKENIZER_CONFIG), &config)
    }

    /// Reads the tokenizer of a model folder, one that this program wrote or a pretrained model's.
    ///
    /// # Errors
    /// [`Error::Data`] when there is none, a file is malformed, or an identifier's or special token of this
    /// program is part of the text vocabulary.
    pub fn load(folder: &Path) -> Result<Self> {
        let config = read_config(folder)?;
        let path = folder.join(TOKENIZER);
        let (base, full) = if path.is_file() {
            from_json(&path)?
        } else if folder.join(VOCAB).is_file() && folder.join(MERGES).is_file() {
            from_merges(folder, &config)?
        } else {
            return Err(Error::data(
                folder,
                format!("has no tokenizer: neither {TOKENIZER} nor {VOCAB} with {MERGES}"),
            )
            .with_help("give a model folder in the layout of Hugging Face"));
        };
        let inside = Special::ALL.iter().find(|s| base.token_to_id(s.text()).is_some());
        if let Some(special) = inside {
            let name = special.text();
            return Err(Error::data(&path, format!("{name} is part of the text vocabulary")));
        }
        Self::assemble(base, full, config)
    }
}

/// `tokenizer_config.json`, empty where there is none; the chat template may lie beside it.
fn read_config(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join(TOKENIZER_CONFIG);
    let mut config: Map<String, Value> = if path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(|e| Error::unreadable(&path, &e))?;
        serde_json::from_str(&text).map_err(|e| {
            Error::data_at(&path, e.line() as u64, format!("not a tokenizer's description: {e}"))
        })?
    } else {
        Map::new()
    };
    let path = folder.join(CHAT_TEMPLATE);
    if path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(|e| Error::unreadable(&path, &e))?;
        config.insert("chat_template".into(), text.into());
    }
    Ok(config)
}

fn from_json(path: &Path) -> Result<(tokenizers::Tokenizer, tokenizers::Tokenizer)> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))?;
    let malformed = |e: &dyn std::fmt::Display| Error::data(path, format!("not a tokenizer: {e}"));
    let mut value: Value = serde_json::from_str(&text).map_err(|e| malformed(&e))?;
    let mut full = tokenizers::Tokenizer::from_bytes(&text).map_err(|e| malformed(&e))?;
    if let Some(object) = value.as_object_mut() {
        object.insert("added_tokens".into(), json!([]));
    }
    let mut base =
        tokenizers::Tokenizer::from_bytes(value.to_string()).map_err(|e| malformed(&e))?;
    // Prompts are cut and padded by this program alone.
    for tokenizer in [&mut full, &mut base] {
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| malformed(&e))?;
    }
    Ok((base, full))
}

/// The byte-level BPE of Qwen, from its two files; other classes cut texts in other ways.
fn from_merges(
    folder: &Path,
    config: &Map<String, Value>,
) -> Result<(tokenizers::Tokenizer, tokenizers::Tokenizer)> {
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or("none");
    if !class.starts_with("Qwen2Tokenizer") {
        return Err(Error::data(
            folder.join(TOKENIZER_CONFIG),
            format!("tokenizer_class is `{class}`; {VOCAB} with {MERGES} are read of Qwen2Tokenizer only"),
        )
        .with_help(format!(
            "write a {TOKENIZER}: in Python, AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )));
    }
    let malformed = |e: &dyn std::fmt::Display| {
        Error::data(folder, format!("{VOCAB} and {MERGES} are not a vocabulary: {e}"))
    };
    let file = |name: &str| folder.join(name).display().to_string();
    let model = BPE::from_file(&file(VOCAB), &file(MERGES)).build().map_err(|e| malformed(&e))?;
    let mut base = tokenizers::Tokenizer::new(model);
    base.with_normalizer(Some(NFC)).map_err(|e| malformed(&e))?;
    let words =
        Split::new(SplitPattern::Regex(QWEN_WORDS.into()), SplitDelimiterBehavior::Isolated, false)
            .map_err(|e| malformed(&e))?;
    let bytes = ByteLevel::new(false, false, false);
    base.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Split(words),
        PreTokenizerWrapper::ByteLevel(bytes),
    ])));
    base.with_decoder(Some(bytes));
    let mut full = base.clone();
    let mut added: BTreeMap<u32, AddedToken> = BTreeMap::new();
    let empty = Map::new();
    let stated = config.get("added_tokens_decoder").and_then(Value::as_object).unwrap_or(&empty);
    for (id, token) in stated {
        let fault = || {
            let path = folder.join(TOKENIZER_CONFIG);
            Error::data(path, format!("added_tokens_decoder: {id} is not a token"))
        };
        let number: u32 = id.parse().map_err(|_| fault())?;
        let token: AddedToken = serde_json::from_value(token.clone()).map_err(|_| fault())?;
        added.insert(number, token);
    }
    full.add_tokens(added.values().cloned()).map_err(|e| malformed(&e))?;
    for (id, token) in &added {
        if full.token_to_id(&token.content) != Some(*id) {
            return Err(Error::data(
                folder.join(TOKENIZER_CONFIG),
                format!("added_tokens_decoder: `{}` cannot get the id {id}", token.content),
            )
            .with_help("ids of added tokens must follow those of the vocabulary without gaps"));
        }
    }
    Ok((base, full))
}
