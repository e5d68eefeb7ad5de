//! Special tokens that are entries of the text vocabulary too: hidden from it, so that a text that says `<pad>` is text.
//!
//! Their ids stay, since rows of the embedding belong to them; their texts become one that no text holds.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Begins the text of a hidden entry: a character that Unicode keeps free of meaning, which texts lose before they are
/// encoded.
pub(super) const HIDDEN: char = '\u{fdd0}';

/// Hides the texts of a tokenizer's model; whether any was there. A single character stays: some folders fill rows with
/// `!`, which texts need.
pub(super) fn hide(model: &mut Value, specials: &BTreeSet<&str>) -> bool {
    let specials: &BTreeSet<&str> =
        &specials.iter().copied().filter(|text| text.chars().count() > 1).collect();
    let is_special = |text: &Value| text.as_str().is_some_and(|text| specials.contains(text));
    match model.get_mut("vocab") {
        // Unigram: pieces with their scores, whose place is their id.
        Some(Value::Array(pieces)) => {
            let mut any = false;
            for text in pieces.iter_mut().filter_map(|piece| piece.get_mut(0)) {
                if is_special(text) {
                    *text = hidden(text).into();
                    any = true;
                }
            }
            any
        }
        Some(Value::Object(words)) if specials.iter().any(|text| words.contains_key(*text)) => {
            let renamed = std::mem::take(words).into_iter().map(|(word, id)| {
                let is_hidden = specials.contains(word.as_str());
                (if is_hidden { format!("{HIDDEN}{word}") } else { word }, id)
            });
            *words = renamed.collect::<Map<String, Value>>();
            // What is unknown gets its id by its text.
            if let Some(unknown) = model.get_mut("unk_token").filter(|text| is_special(text)) {
                *unknown = hidden(unknown).into();
            }
            if let Some(Value::Array(merges)) = model.get_mut("merges") {
                merges.retain(|merge| !makes_special(merge, specials));
            }
            true
        }
        _ => false,
    }
}

fn hidden(text: &Value) -> String {
    format!("{HIDDEN}{}", text.as_str().unwrap_or_default())
}

/// Whether a merge of byte pairs reads or makes a special text.
fn makes_special(merge: &Value, specials: &BTreeSet<&str>) -> bool {
    let parts: Vec<&str> = match merge {
        Value::String(pair) => pair.split(' ').collect(),
        Value::Array(pair) => pair.iter().filter_map(Value::as_str).collect(),
        _ => return false,
    };
    parts.iter().any(|part| specials.contains(part)) || specials.contains(parts.concat().as_str())
}
