//! Tokenizers on disk: `tokenizer.json`, or `vocab.json` with `merges.txt`, and `tokenizer_config.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::keys::TOKENIZER_KEYS;
use super::{Special, Tokenizer, checks, failed, hidden};
use crate::error::{Error, Result};
use crate::model::keys::read_object;
use crate::model::template::ChatTemplate;
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
pub(super) const QWEN_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

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
        let (base, full, value) = if path.is_file() {
            from_json(&path, &config)?
        } else if folder.join(VOCAB).is_file() && folder.join(MERGES).is_file() {
            let (base, full) = from_merges(folder, &config)?;
            (base, full, Value::Null)
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
        let tokenizer = Self::assemble(base, full, config)?;
        let has = |ids: Vec<u32>, role: &str| {
            let id = tokenizer.role(role).and_then(|text| tokenizer.token_id(text));
            id.is_some_and(|id| ids.contains(&id))
        };
        let framed = [
            ("add_bos_token", has(tokenizer.text_prefix()?, "bos_token")),
            ("add_eos_token", has(tokenizer.text_suffix()?, "eos_token")),
        ];
        match checks::contradiction(&tokenizer.config, &value, framed) {
            Some(fault) => Err(Error::data(folder.join(TOKENIZER_CONFIG), fault)
                .with_help("correct the one that is wrong: in Python, load the tokenizer and call save_pretrained")),
            None => Ok(Self {
                folder: folder.to_owned(),
                chat_origin: chat_origin(folder),
                ..tokenizer
            }),
        }
    }

    /// The chat template, where the model's folder has one; of several, the one that is called `default`.
    ///
    /// # Errors
    /// [`Error::Data`] when there are several and none is called so, or what is there is no template.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate<'_>>> {
        let stated = match self.config.get(CHAT_TEMPLATE_KEY) {
            None | Some(Value::Null) => return Ok(None),
            Some(stated) => stated,
        };
        let named: BTreeMap<&str, &Value> = match stated {
            Value::String(_) => BTreeMap::from([(DEFAULT_TEMPLATE, stated)]),
            Value::Object(named) => {
                named.iter().map(|(name, template)| (name.as_str(), template)).collect()
            }
            Value::Array(named) => named
                .iter()
                .filter_map(|one| Some((one.get("name")?.as_str()?, one.get("template")?)))
                .collect(),
            _ => BTreeMap::new(),
        };
        let origin = self.chat_origin.as_path();
        match named.get(DEFAULT_TEMPLATE).map(|template| template.as_str()) {
            Some(Some(text)) => Ok(Some(ChatTemplate { text, origin })),
            Some(None) => Err(Error::data(origin, "its chat template `default` is not a text")),
            None if named.is_empty() => Err(Error::data(
                origin,
                "chat_template is neither a text nor a list of templates with names",
            )),
            None => {
                let names: Vec<String> = named.keys().map(|name| format!("`{name}`")).collect();
                Err(Error::data(
                    origin,
                    format!(
                        "has several chat templates ({}), of which none is called `{DEFAULT_TEMPLATE}`",
                        names.join(", ")
                    ),
                )
                .with_help("call the one that is meant `default`, or set prompt = \"plain\""))
            }
        }
    }

    /// Longest text in tokens by `tokenizer_config.json`, where it says so.
    ///
    /// # Errors
    /// [`Error::Data`] when it leaves no token.
    pub fn max_length(&self) -> Result<Option<usize>> {
        let Some(stated) = self.config.get("model_max_length").and_then(Value::as_f64) else {
            return Ok(None);
        };
        if stated >= 1.0 {
            // No limit at all is written as 10^30, which is rounded down to what a number can hold.
            return Ok(Some(stated as usize));
        }
        let message = format!("model_max_length is {stated}, expected at least 1");
        Err(Error::data(self.folder.join(TOKENIZER_CONFIG), message))
    }

    /// Refuses a vocabulary with ids that have no row in an embedding of so many.
    ///
    /// # Errors
    /// [`Error::Data`] naming the entry.
    pub fn check_rows(&self, rows: usize) -> Result<()> {
        if self.len() <= rows {
            return Ok(());
        }
        let last = self.len() as u32 - 1;
        let text = self.full.id_to_token(last).unwrap_or_default();
        Err(Error::data(
            self.folder.join(TOKENIZER),
            format!(
                "{text:?} has the id {last}, but the model has only {rows} embedding rows (config.json: vocab_size)"
            ),
        )
        .with_help("the tokenizer belongs to another model, or config.json's vocab_size is wrong"))
    }

    /// Refuses a vocabulary with a hole in its ids: tokens that are added would get ids that others have.
    ///
    /// # Errors
    /// [`Error::Data`] naming the id and the entry behind it.
    pub fn check_holes(&self) -> Result<()> {
        let Some(hole) = self.hole else { return Ok(()) };
        let behind = (hole..self.len() as u32)
            .find_map(|id| Some((id, self.full.id_to_token(id)?)))
            .map(|(id, text)| format!(", but {text:?} has {id}"));
        Err(Error::data(
            self.folder.join(TOKENIZER),
            format!("no entry has the id {hole}{}", behind.unwrap_or_default()),
        )
        .with_help("ids must follow each other without gaps, since tokens are added behind them: add entries for the missing ids"))
    }
}

/// The key of chat templates, and the name of the one that is used.
const CHAT_TEMPLATE_KEY: &str = "chat_template";
const DEFAULT_TEMPLATE: &str = "default";

/// `tokenizer_config.json`, empty where there is none; the chat template may lie beside it.
fn read_config(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join(TOKENIZER_CONFIG);
    let mut config = Map::new();
    if path.is_file() {
        config = read_object(&path, "a tokenizer's description")?;
        let faults = TOKENIZER_KEYS.faults(&config);
        if !faults.is_empty() {
            return Err(Error::data(&path, faults.join("; ")));
        }
    }
    let path = folder.join(CHAT_TEMPLATE);
    if path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(|e| Error::unreadable(&path, &e))?;
        config.insert(CHAT_TEMPLATE_KEY.into(), text.into());
    }
    Ok(config)
}

/// The file that the chat template of a folder is from.
fn chat_origin(folder: &Path) -> PathBuf {
    let path = folder.join(CHAT_TEMPLATE);
    if path.is_file() { path } else { folder.join(TOKENIZER_CONFIG) }
}

/// An added token as `tokenizer.json` has it.
#[derive(Deserialize)]
struct Numbered {
    #[serde(rename = "id")]
    _id: u32,
    #[serde(flatten)]
    token: AddedToken,
}

/// A tokenizer without its added tokens, the same with them, and what its file says.
fn from_json(
    path: &Path,
    config: &Map<String, Value>,
) -> Result<(tokenizers::Tokenizer, tokenizers::Tokenizer, Value)> {
    let malformed = |e: &dyn std::fmt::Display| Error::data(path, format!("not a tokenizer: {e}"));
    let mut value = Value::Object(read_object(path, "a tokenizer")?);
    if let Some(fault) = checks::fault(&value) {
        return Err(Error::data(path, fault));
    }
    // The library numbers added tokens in their order, and reads past the ids that are stated.
    if let Some(added) = value.get_mut("added_tokens").and_then(Value::as_array_mut) {
        added.sort_by_key(|token| token.get("id").and_then(Value::as_u64));
    }
    let added = value.get_mut("added_tokens").map(Value::take);
    if let Some(object) = value.as_object_mut() {
        object.insert("added_tokens".into(), json!([]));
    }
    let build =
        |value: &Value| tokenizers::Tokenizer::deserialize(value).map_err(|e| malformed(&e));
    let plain = build(&value)?;
    let parsed = added.as_ref().map_or(Ok(Vec::new()), Vec::<Numbered>::deserialize);
    let parsed = parsed.map_err(|e| malformed(&e))?.into_iter().map(|one| one.token);
    let mut full = plain.clone();
    full.add_tokens(parsed).map_err(|e| malformed(&e))?;
    let added = added.as_ref().and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let stated = added.iter().filter_map(|token| {
        Some((token.get("content")?.as_str()?, u32::try_from(token.get("id")?.as_u64()?).ok()?))
    });
    for (text, id) in stated {
        if let Some(got) = full.token_to_id(text).filter(|got| *got != id) {
            return Err(Error::data(
                path,
                format!(
                    "added_tokens: `{text}` has the id {id}, but would get {got}{}",
                    beyond(&full)
                ),
            )
            .with_help(
                "ids of added tokens must be those of the vocabulary, or follow it without gaps",
            ));
        }
    }
    let mut specials: BTreeSet<&str> = added
        .iter()
        .filter(|token| token.get("special").and_then(Value::as_bool) == Some(true))
        .filter_map(|token| token.get("content")?.as_str())
        .collect();
    // `transformers` makes added tokens of those that have a role.
    let roles: Vec<&str> = ROLES.iter().filter_map(|role| super::role(config, role)).collect();
    let missing =
        roles.iter().filter(|text| !specials.contains(*text) && full.token_to_id(text).is_some());
    let missing: Vec<AddedToken> =
        missing.map(|text| AddedToken::from(*text, true).normalized(false)).collect();
    full.add_special_tokens(missing).map_err(|e| malformed(&e))?;
    specials.extend(roles);
    // To build costs more than all else of opening a small model: a second time only where it is another.
    let hides = value.get_mut("model").is_some_and(|model| hidden::hide(model, &specials));
    let mut base = if hides { build(&value)? } else { plain };
    // Prompts are cut and padded by this program alone.
    for tokenizer in [&mut full, &mut base] {
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| malformed(&e))?;
    }
    Ok((base, full, value))
}

/// Names the entry of the text vocabulary that leaves a hole before it, where there is one: the cause of other faults.
fn beyond(full: &tokenizers::Tokenizer) -> String {
    let words = full.get_vocab(false);
    let last = words.iter().max_by_key(|(_, id)| **id);
    let last = last.filter(|(_, id)| **id as usize >= words.len());
    last.map_or_else(String::new, |(text, id)| {
        format!(": {text:?} has the id {id} in a vocabulary of {} entries", words.len())
    })
}

/// Tokens that `tokenizer_config.json` names by their role.
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

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
