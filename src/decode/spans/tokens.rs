//! Texts and queries as the tokens that spans are made of.

use std::ops::Range;

use crate::error::Result;
use crate::identifier::spans::Piece;
use crate::identifier::spans::settings::SpanSettings;
use crate::model::Tokenizer;

/// Turns texts and queries into the tokens that spans are made of.
#[derive(Clone)]
pub struct SpanTokenizer {
    tokenizer: Tokenizer,
    fold_case: bool,
}

impl SpanTokenizer {
    /// In the tokens of a model, as the settings fold cases.
    pub fn new(tokenizer: &Tokenizer, settings: &SpanSettings) -> Self {
        Self { tokenizer: tokenizer.clone(), fold_case: settings.fold_case }
    }

    /// The tokens of a text, behind a blank, and where they stand in it.
    ///
    /// # Errors
    /// [`crate::Error::Failed`] when the tokenizer refuses the text.
    pub fn pieces(&self, text: &str) -> Result<Vec<Piece>> {
        let folded = self.fold_case.then(|| Folded::new(text));
        let read = folded.as_ref().map_or(text, |folded| &folded.text);
        // Blanks around a text are no words of it.
        let first = read.len() - read.trim_start().len();
        let encoded = match read.trim() {
            "" => Vec::new(),
            words => self.tokenizer.encode_words(words)?,
        };
        let encoded = encoded
            .into_iter()
            .map(|(token, bytes)| (token, first + bytes.start..first + bytes.end));
        let blank_at = |at: usize| read.get(at..).and_then(|rest| rest.chars().next());
        let begins = |at: usize| {
            let before = read.get(..at).and_then(|head| head.chars().next_back());
            before.is_none_or(char::is_whitespace) || blank_at(at).is_some_and(char::is_whitespace)
        };
        let piece = |(token, bytes): (u32, Range<usize>)| {
            let begins_word = begins(bytes.start);
            let bytes = folded.as_ref().map_or(bytes.clone(), |folded| folded.origin(&bytes));
            Piece { token, begins_word, start: bytes.start as u32, end: bytes.end as u32 }
        };
        Ok(encoded.map(piece).collect())
    }
}

/// A text in lower case, and where it came from.
struct Folded {
    text: String,
    /// First and last byte, exclusive, of the letter that each byte came from; none where lengths stayed.
    origins: Option<Vec<(u32, u32)>>,
}

impl Folded {
    fn new(text: &str) -> Self {
        let folded = text.to_lowercase();
        let stays = |letter: char| {
            let lower: usize = letter.to_lowercase().map(char::len_utf8).sum();
            lower == letter.len_utf8()
        };
        // A sigma at the end of a word has another form of the same length.
        if text.chars().all(stays) {
            return Self { text: folded, origins: None };
        }
        let (mut lower, mut origins) = (String::new(), Vec::new());
        for (at, letter) in text.char_indices() {
            let before = lower.len();
            lower.extend(letter.to_lowercase());
            let origin = (at as u32, (at + letter.len_utf8()) as u32);
            origins.resize(origins.len() + lower.len() - before, origin);
        }
        Self { text: lower, origins: Some(origins) }
    }

    fn origin(&self, bytes: &Range<usize>) -> Range<usize> {
        let Some(origins) = &self.origins else { return bytes.clone() };
        let end = origins.last().map_or(0, |last| last.1 as usize);
        let start = origins.get(bytes.start).map_or(end, |origin| origin.0 as usize);
        match bytes.end.checked_sub(1).filter(|_| !bytes.is_empty()) {
            Some(last) => start..origins.get(last).map_or(end, |origin| origin.1 as usize),
            None => start..start,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::progress::Context;

    fn tokenizer(fold: bool) -> SpanTokenizer {
        let texts = ["red oak table", "blue oak sofa", "1/2 in. pipe", "i\u{307}stanbul"].repeat(4);
        let tokenizer = Tokenizer::train_bpe(texts.iter(), 320, &Context::silent()).unwrap();
        let settings = toml::from_str(&format!("fold_case = {fold}")).unwrap();
        SpanTokenizer::new(&tokenizer, &settings)
    }

    #[test]
    fn a_word_has_the_same_tokens_wherever_it_stands() {
        let tokenizer = tokenizer(true);
        let tokens = |text: &str| -> Vec<u32> {
            tokenizer.pieces(text).unwrap().iter().map(|piece| piece.token).collect()
        };
        let oak = tokens("oak");
        assert_eq!(tokens("red oak"), [tokens("red"), oak.clone()].concat());
        assert_eq!(tokens("OAK table")[..oak.len()], oak[..]);
        assert!(tokens("").is_empty() && tokens(" \t ").is_empty());
        assert_eq!(tokens("  oak "), oak);
    }

    #[test]
    fn pieces_say_where_they_stand_in_the_text_as_people_read_it() {
        for (fold, text) in [
            (true, "İstanbul OAK Table"),
            (true, "  red Oak "),
            (false, "red oak  sofa"),
            (true, "1/2 In. Pipe"),
        ] {
            let tokenizer = tokenizer(fold);
            let pieces = tokenizer.pieces(text).unwrap();
            let shown = |piece: &Piece| &text[piece.start as usize..piece.end as usize];
            let joined: String = pieces.iter().map(shown).collect();
            if !text.contains('İ') {
                assert_eq!(joined.trim(), text.trim());
            }
            for piece in &pieces {
                let before = text[..piece.start as usize].chars().next_back();
                let is_start = before.is_none_or(char::is_whitespace)
                    || shown(piece).starts_with(char::is_whitespace);
                // A letter of several tokens begins a word with its first.
                assert!(is_start || !piece.begins_word, "{text}: {piece:?}");
            }
            let words = pieces.iter().filter(|piece| piece.begins_word).count();
            assert!(words >= text.split_whitespace().count(), "{text}: {pieces:?}");
        }
    }
}
