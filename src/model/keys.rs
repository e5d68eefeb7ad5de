//! What is done with every key of a folder's JSON files: it is read, known to mean nothing here, or refused by name.
//!
//! A folder describes a model for another program. A key that is passed over in silence may be the one that makes it
//! another model. Each file has a table of its keys; the check and the documents read the same table.

#[cfg(test)]
use std::fmt::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Most of what a file may count: layers, widths, tokens. Memory is checked against the weights; this keeps products
/// of two counts within 64 bits.
const MOST: u64 = 1 << 31;

/// A type of JSON, as far as it is checked.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) enum Is {
    /// A whole number, 0 or more.
    Count,
    /// Any finite number.
    Number,
    /// True or false.
    Flag,
    /// A text.
    Text,
    /// The id of a token; -1 says "none".
    Id,
    /// One such id, or several.
    Ids,
    /// A list of texts.
    Texts,
    /// Keys and values, checked where they are read.
    Object,
    /// Checked where it is read.
    Any,
}

/// What is done with a key.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) enum Role {
    /// It is read, and of this type.
    Read(Is),
    /// It may have one of these values, as JSON; nothing else can be done here.
    Only(&'static [&'static str]),
    /// It changes nothing that is computed here.
    Harmless,
}

/// A key, what is done with it, and why.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Key {
    name: &'static str,
    role: Role,
    note: &'static str,
}

/// A key that is read.
pub(in crate::model) const fn read(name: &'static str, is: Is, note: &'static str) -> Key {
    Key { name, role: Role::Read(is), note }
}

/// A key that may say one thing.
pub(in crate::model) const fn only(
    name: &'static str,
    values: &'static [&'static str],
    note: &'static str,
) -> Key {
    Key { name, role: Role::Only(values), note }
}

/// The keys of one file.
pub(in crate::model) struct Keys {
    /// Keys with a row of their own.
    pub(in crate::model) keys: &'static [Key],
    /// Keys that change nothing, and why.
    pub(in crate::model) harmless: &'static [(&'static str, &'static [&'static str])],
    /// Whether a key that no table knows is passed over.
    pub(in crate::model) others_are_harmless: bool,
}

impl Keys {
    /// Reads a type from an object whose keys are all right.
    ///
    /// # Errors
    /// What is wrong with it: with its keys or, where those are all right, with what is missing.
    pub(in crate::model) fn read<T: DeserializeOwned>(
        &self,
        object: Map<String, Value>,
    ) -> Result<T, Vec<String>> {
        let faults = self.faults(&object);
        let read = self.deserialize(object);
        if faults.is_empty() { read.map_err(|fault| vec![fault]) } else { Err(faults) }
    }

    /// As [`Keys::read`], whatever its keys say beyond what is read of it.
    pub(in crate::model) fn deserialize<T: DeserializeOwned>(
        &self,
        object: Map<String, Value>,
    ) -> Result<T, String> {
        let is_own = |name: &str| self.keys.iter().any(|key| key.name == name);
        let stated = object.into_iter().filter(|(name, value)| !(value.is_null() && is_own(name)));
        serde_json::from_value(Value::Object(stated.collect())).map_err(|e| e.to_string())
    }

    /// What is wrong with the keys of an object, one sentence each.
    pub(in crate::model) fn faults(&self, object: &Map<String, Value>) -> Vec<String> {
        object.iter().filter_map(|(name, value)| self.fault(name, value)).collect()
    }

    fn fault(&self, name: &str, value: &Value) -> Option<String> {
        let shown = shown(value);
        match self.role(name) {
            // As in Python, where what is left out is `None`.
            _ if value.is_null() => None,
            Some((Role::Harmless, _)) => None,
            Some((Role::Read(is), _)) => {
                let expected = is.fault(value)?;
                Some(format!("{name} is {shown}, expected {expected}"))
            }
            Some((Role::Only(values), note)) => {
                if values.iter().any(|known| is_same(known, value)) {
                    return None;
                }
                let known: Vec<String> = values.iter().map(|known| told(known)).collect();
                Some(format!("{name} is {shown}, expected {}: {note}", known.join(" or ")))
            }
            None if self.others_are_harmless => None,
            None => Some(format!("{name} ({shown}) is not known here, and may change the model")),
        }
    }

    fn role(&self, name: &str) -> Option<(Role, &'static str)> {
        let own = self.keys.iter().find(|key| key.name == name);
        own.map(|key| (key.role, key.note)).or_else(|| {
            let mut groups = self.harmless.iter();
            groups
                .find(|(_, names)| names.iter().any(|known| matches(known, name)))
                .map(|(why, _)| (Role::Harmless, *why))
        })
    }

    /// The table as the documents show it.
    #[cfg(test)]
    pub(in crate::model) fn table(&self) -> String {
        let mut text = String::from("| key | accepted | |\n|---|---|---|\n");
        for Key { name, role, note } in self.keys {
            let accepted = match role {
                Role::Read(is) => is.name().to_owned(),
                Role::Only(values) => {
                    let known: Vec<String> = values.iter().map(|value| told(value)).collect();
                    format!("only {}", known.join(", "))
                }
                Role::Harmless => "anything".to_owned(),
            };
            writeln!(text, "| `{name}` | {accepted} | {note} |").ok();
        }
        for (why, names) in self.harmless {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            writeln!(text, "\nPassed over, {why}: {}.", names.join(", ")).ok();
        }
        let others = if self.others_are_harmless { "passed over" } else { "refused by name" };
        writeln!(text, "\nAny other key is {others}. `null` is read as if the key were left out.")
            .ok();
        text
    }
}

/// Whether a pattern of the table, whose `*` at the end stands for anything, is this key.
fn matches(known: &str, name: &str) -> bool {
    match known.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => known == name,
    }
}

/// Whether JSON is this value; numbers are compared as such, so that `1` is `1.0`.
fn is_same(known: &str, value: &Value) -> bool {
    let known: Value = serde_json::from_str(known).unwrap_or(Value::Null);
    match (known.as_f64(), value.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => known == *value,
    }
}

/// A value of the table as messages show it.
fn told(known: &str) -> String {
    serde_json::from_str(known).map_or_else(|_| known.to_owned(), |value| shown(&value))
}

/// A value in a message: texts in backquotes, long ones cut.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    };
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

impl Is {
    #[cfg(test)]
    fn name(self) -> &'static str {
        match self {
            Self::Count => "a whole number",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Text => "a text",
            Self::Id => "the id of a token",
            Self::Ids => "ids of tokens",
            Self::Texts => "a list of texts",
            Self::Object => "an object",
            Self::Any => "read",
        }
    }

    /// What was expected, where the value is of another type.
    fn fault(self, value: &Value) -> Option<String> {
        let id =
            |value: &Value| value.as_i64().is_some_and(|id| id >= -1 && id <= i64::from(u32::MAX));
        let (fits, expected) = match self {
            Self::Count => {
                let fits = value.as_u64().is_some_and(|n| n <= MOST);
                return (!fits).then(|| format!("a whole number from 0 to {MOST}"));
            }
            Self::Number => (value.as_f64().is_some_and(f64::is_finite), "a number"),
            Self::Flag => (value.is_boolean(), "true or false"),
            Self::Text => (value.is_string(), "a text"),
            Self::Id => (id(value), "the id of a token"),
            Self::Ids => {
                let fits = value.as_array().map_or_else(|| id(value), |ids| ids.iter().all(id));
                (fits, "the id of a token, or a list of them")
            }
            Self::Texts => {
                let all = |list: &Vec<Value>| list.iter().all(Value::is_string);
                (value.as_array().is_some_and(all), "a list of texts")
            }
            Self::Object => (value.is_object(), "an object"),
            Self::Any => return None,
        };
        (!fits).then(|| expected.to_owned())
    }
}

/// Reads the object of a JSON file; `what` it should be.
///
/// # Errors
/// [`Error::Data`] when the file cannot be read or holds something else.
pub(in crate::model) fn read_object(path: &Path, what: &str) -> Result<Map<String, Value>> {
    read_as(path, what)
}

/// As [`read_object`], of a list of objects.
///
/// # Errors
/// As [`read_object`].
pub(in crate::model) fn read_list(path: &Path, what: &str) -> Result<Vec<Map<String, Value>>> {
    read_as(path, what)
}

fn read_as<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::unreadable(path, &e))?;
    serde_json::from_str(&text)
        .map_err(|e| Error::data_at(path, e.line() as u64, format!("not {what}: {e}")))
}

/// Keys of any `config.json` of `transformers` that say how it was made, or how its heads and its sampling work.
pub(in crate::model) const COMMON: &[(&str, &[&str])] = &[
    (
        "since they say where the file is from",
        &[
            "_name_or_path",
            "name_or_path",
            "_commit_hash",
            "transformers_version",
            "tokenizer_class",
            "finetuning_task",
            "task_specific_params",
            "output_past",
            "unsloth_*",
        ],
    ),
    (
        "since they say how `transformers` computes, and not what",
        &[
            "_attn_implementation*",
            "attn_implementation",
            "_flash_attn_2_enabled",
            "_from_model_config",
            "use_cache",
            "pretraining_tp",
            "chunk_size_feed_forward",
            "gradient_checkpointing",
            "use_bfloat16",
            "torchscript",
            "tf_legacy_loss",
            "return_dict",
            "use_return_dict",
            "return_dict_in_generate",
            "output_attentions",
            "output_hidden_states",
            "output_scores",
            "low_cpu_mem_usage",
        ],
    ),
    (
        "since they are of training in `transformers`, and trainings here have keys of their own",
        &[
            "attention_dropout",
            "attention_probs_dropout_prob",
            "hidden_dropout",
            "hidden_dropout_prob",
            "resid_pdrop",
            "embd_pdrop",
            "attn_pdrop",
            "neftune_noise_alpha",
            "initializer_factor",
        ],
    ),
    (
        "since they are of heads that nothing reads here",
        &[
            "id2label",
            "label2id",
            "num_labels",
            "problem_type",
            "classifier_dropout",
            "classifier_dropout_prob",
            "summary_*",
            "pooler_*",
            "sep_token_id",
            "cls_token_id",
            "mask_token_id",
            "unk_token_id",
            "decoder_start_token_id",
            "ignore_index",
        ],
    ),
    (
        "since they are of sampling, and decoding is a beam search of its own",
        &[
            "max_length",
            "min_length",
            "max_new_tokens",
            "do_sample",
            "early_stopping",
            "num_beams",
            "num_beam_groups",
            "num_return_sequences",
            "diversity_penalty",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
            "repetition_penalty",
            "length_penalty",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "bad_words_ids",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "remove_invalid_values",
            "exponential_decay_length_penalty",
            "suppress_tokens",
            "begin_suppress_tokens",
            "prefix",
            "generation_config",
        ],
    ),
];

#[cfg(test)]
pub(in crate::model) mod tests {
    use serde_json::json;

    use super::*;

    const KEYS: Keys = Keys {
        keys: &[
            read("layers", Is::Count, "layers"),
            read("eps", Is::Number, "for norms"),
            read("ends", Is::Ids, "end a text"),
            only("bias", &["\"none\"", "[]"], "no bias is adapted here"),
            only("share", &["1"], "all is turned"),
        ],
        harmless: &[("since it says nothing", &["note", "_own*"])],
        others_are_harmless: false,
    };

    #[test]
    fn every_key_is_read_known_or_refused_by_name() {
        let faults = |value: Value| KEYS.faults(value.as_object().expect("an object")).join("; ");
        let fine = json!({"layers": 2, "eps": 1e-6, "ends": [1, -1], "bias": [], "share": 1.0,
            "note": [1], "_own_note": {}});
        assert_eq!(faults(fine), "");
        assert_eq!(faults(json!({"layers": null, "bias": null, "what": null})), "");
        for bad in [json!(-1), json!(2.5), json!("2"), json!(1u64 << 40), json!(1e30), json!([2])] {
            let told = faults(json!({ "layers": bad }));
            assert!(told.contains("expected a whole number from 0 to"), "{told}");
        }
        assert!(faults(json!({"eps": "x"})).contains("eps is `x`, expected a number"));
        assert!(faults(json!({"ends": 1.5})).contains("ends is 1.5, expected the id of a token"));
        let told = faults(json!({"bias": "all", "share": 0.5, "is_causal": false}));
        assert_eq!(
            told,
            "bias is `all`, expected `none` or []: no bias is adapted here; share is 0.5, expected 1: \
             all is turned; is_causal (false) is not known here, and may change the model"
        );
        let long = faults(json!({"other": "x".repeat(1000)}));
        assert!(long.len() < 300, "{long}");
    }

    /// Compares what a document says of a table, between two comments of its name, with the table.
    pub(in crate::model) fn assert_documented(document: &str, name: &str, keys: &Keys) {
        // A document has several tables, which may be written side by side.
        static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _writing = WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(document);
        let text = std::fs::read_to_string(&path).expect("the document");
        let (begin, end) = (format!("<!-- keys: {name} -->\n"), "<!-- end of keys -->");
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
        let (written, after) = rest.split_once(end).expect("the end of the table");
        let table = keys.table();
        if std::env::var_os("TRIEVAL_UPDATE_DOCS").is_some_and(|value| value == "1") {
            std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).expect("written");
            return;
        }
        assert!(
            written == table,
            "docs/{document} is stale: run TRIEVAL_UPDATE_DOCS=1 cargo test -p trieval --lib keys"
        );
    }
}
