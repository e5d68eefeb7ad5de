//! The texts of all items in the tokens of one model, and where each token stands in the text as people read it.
//!
//! Layout, little-endian: 8 bytes magic `trtexts\0`; `u64` version, items, texts, tokens; per item, and once more, its first
//! text (`u64`); per text, and once more, its first token (`u64`); per text its field (`u32`): 0 the title, then those of the
//! settings; per token three `u32`: the token, its highest bit set where a word begins, and first and last byte, exclusive,
//! in the original text. The texts of an item follow each other.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use crate::error::{Error, Result};
use crate::store::{Map, map, write_atomic};

const MAGIC: &[u8; 8] = b"trtexts\0";
const VERSION: u64 = 1;
const HEADER: usize = 8 + 4 * 8;
const RECORD: usize = 12;
const BEGINS_WORD: u32 = 1 << 31;

/// A token of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The token.
    pub token: u32,
    /// Whether a word begins with it.
    pub begins_word: bool,
    /// First byte in the original text.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

/// A text in tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// 0 for the title, from 1 on the fields of the settings.
    pub field: u32,
    /// Its tokens.
    pub pieces: Vec<Piece>,
}

/// Collects the texts of items, in the order of items.
#[derive(Debug, Default)]
pub struct TextsWriter {
    items: Vec<u64>,
    texts: Vec<u64>,
    fields: Vec<u32>,
    records: Vec<u8>,
}

impl TextsWriter {
    /// Adds the next item. A text without tokens adds nothing.
    pub fn push(&mut self, texts: &[Text]) {
        self.items.push(self.texts.len() as u64);
        for text in texts.iter().filter(|text| !text.pieces.is_empty()) {
            self.texts.push((self.records.len() / RECORD) as u64);
            self.fields.push(text.field);
            for piece in &text.pieces {
                let flag = if piece.begins_word { BEGINS_WORD } else { 0 };
                for word in [piece.token | flag, piece.start, piece.end] {
                    self.records.extend(word.to_le_bytes());
                }
            }
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses; no file appears then.
    pub fn write(&self, path: &Path) -> Result<()> {
        let n_tokens = (self.records.len() / RECORD) as u64;
        let counts = [VERSION, self.items.len() as u64, self.texts.len() as u64, n_tokens];
        write_atomic(path, |writer| {
            let mut put =
                |bytes: &[u8]| writer.write_all(bytes).map_err(|e| Error::unwritable(path, &e));
            put(MAGIC)?;
            counts.iter().try_for_each(|number| put(&number.to_le_bytes()))?;
            let items = self.items.iter().chain([&counts[2]]);
            let texts = self.texts.iter().chain([&n_tokens]);
            items.chain(texts).try_for_each(|number| put(&number.to_le_bytes()))?;
            self.fields.iter().try_for_each(|field| put(&field.to_le_bytes()))?;
            put(&self.records)
        })
    }
}

/// The texts of all items, mapped.
#[derive(Debug)]
pub struct SpanTexts {
    map: Map,
    n_items: usize,
    n_texts: usize,
    n_tokens: usize,
}

impl SpanTexts {
    /// Maps a file of texts, whose tokens must be below `alphabet` and fields below `fields`.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, of another version, cut, or names what does not exist.
    pub fn open(path: &Path, alphabet: u32, fields: u32) -> Result<Self> {
        let fault = |message: &str| {
            Error::data(path, message).with_help("delete the step's folder; it will be done again")
        };
        let map = map(path)?;
        if map.len() < HEADER || &map[..8] != MAGIC {
            return Err(fault("is not a file of texts of trieval"));
        }
        let version = number(&map, 8);
        if version != VERSION {
            return Err(fault(&format!("has format version {version}, expected {VERSION}")));
        }
        let [n_items, n_texts, n_tokens] = [16, 24, 32].map(|at| number(&map, at));
        let table = |n: u64| n.checked_add(1)?.checked_mul(8);
        let parts = [
            Some(HEADER as u64),
            table(n_items),
            table(n_texts),
            n_texts.checked_mul(4),
            n_tokens.checked_mul(RECORD as u64),
        ];
        let sum = parts.into_iter().try_fold(0u64, |sum, part| sum.checked_add(part?));
        if sum != Some(map.len() as u64) {
            return Err(fault("is cut or altered: its parts do not add up to its length"));
        }
        // All are smaller than the file's length now.
        let [n_items, n_texts, n_tokens] = [n_items, n_texts, n_tokens].map(|n| n as usize);
        let texts = Self { map, n_items, n_texts, n_tokens };
        if !texts.is_sound(alphabet, fields) {
            return Err(fault("is altered: it names texts, tokens or fields that do not exist"));
        }
        Ok(texts)
    }

    fn is_sound(&self, alphabet: u32, fields: u32) -> bool {
        let rises = |at: usize, n: usize, end: usize| {
            let all = (0..=n).map(|i| number(&self.map, at + 8 * i));
            number(&self.map, at) == 0
                && all.clone().zip(all.skip(1)).all(|(a, b)| a <= b)
                && number(&self.map, at + 8 * n) == end as u64
        };
        let offsets = rises(HEADER, self.n_items, self.n_texts)
            && rises(self.texts_at(), self.n_texts, self.n_tokens);
        offsets
            && (0..self.n_texts).all(|text| self.field(text) < fields)
            && (0..self.n_tokens).all(|place| {
                let piece = self.piece(place);
                piece.token < alphabet && piece.start <= piece.end
            })
    }

    fn texts_at(&self) -> usize {
        HEADER + 8 * (self.n_items + 1)
    }

    fn fields_at(&self) -> usize {
        self.texts_at() + 8 * (self.n_texts + 1)
    }

    fn piece(&self, place: usize) -> Piece {
        let at = self.fields_at() + 4 * self.n_texts + RECORD * place;
        let [token, start, end] = [0, 4, 8].map(|offset| word(&self.map, at + offset));
        Piece { token: token & !BEGINS_WORD, begins_word: token & BEGINS_WORD > 0, start, end }
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.n_items
    }

    /// Number of texts with a token.
    pub fn n_texts(&self) -> usize {
        self.n_texts
    }

    /// Number of tokens of all texts.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// The field of a text: 0 for the title.
    pub fn field(&self, text: usize) -> u32 {
        word(&self.map, self.fields_at() + 4 * text)
    }

    /// The texts of an item; none of one that does not exist.
    pub fn of(&self, item: u32) -> Range<usize> {
        if item as usize >= self.n_items {
            return 0..0;
        }
        let [first, end] =
            [0, 1].map(|next| number(&self.map, HEADER + 8 * (item as usize + next)));
        first as usize..end as usize
    }

    /// The tokens of a text.
    pub fn pieces(&self, text: usize) -> impl ExactSizeIterator<Item = Piece> + '_ {
        let [first, end] =
            [0, 1].map(|next| number(&self.map, self.texts_at() + 8 * (text + next)));
        (first as usize..end as usize).map(|place| self.piece(place))
    }

    /// For each token of the alphabet whether a word begins with it anywhere, `[alphabet]`.
    pub fn word_starts(&self, alphabet: u32) -> Vec<bool> {
        let mut starts = vec![false; alphabet as usize];
        for place in 0..self.n_tokens {
            let piece = self.piece(place);
            starts[piece.token as usize] |= piece.begins_word;
        }
        starts
    }
}

/// The number whose eight bytes begin at `at`.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

/// The number whose four bytes begin at `at`.
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(field: u32, tokens: &[u32]) -> Text {
        let piece = |(place, token): (u32, &u32)| Piece {
            token: *token,
            begins_word: token % 2 == 0,
            start: 3 * place,
            end: 3 * place + 3,
        };
        Text { field, pieces: (0..).zip(tokens).map(piece).collect() }
    }

    fn written(items: &[Vec<Text>]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.bin");
        let mut writer = TextsWriter::default();
        items.iter().for_each(|texts| writer.push(texts));
        writer.write(&path).unwrap();
        (folder, path)
    }

    #[test]
    fn texts_read_back_and_an_item_may_have_none() {
        let items = [
            vec![text(0, &[2, 3]), text(1, &[4])],
            vec![],
            vec![text(0, &[])],
            vec![text(2, &[5, 6, 2])],
        ];
        let (_folder, path) = written(&items);
        let texts = SpanTexts::open(&path, 7, 3).unwrap();
        assert_eq!((texts.n_items(), texts.n_texts(), texts.n_tokens()), (4, 3, 6));
        for (item, expected) in (0..).zip(&items) {
            let read = texts
                .of(item)
                .map(|one| Text { field: texts.field(one), pieces: texts.pieces(one).collect() });
            let expected: Vec<&Text> =
                expected.iter().filter(|text| !text.pieces.is_empty()).collect();
            assert_eq!(read.collect::<Vec<_>>().iter().collect::<Vec<_>>(), expected);
        }
        assert!(texts.of(9).is_empty());
        let starts = texts.word_starts(7);
        assert_eq!(starts, [false, false, true, false, true, false, true]);
        assert!(SpanTexts::open(&path, 6, 3).is_err(), "a token that is none of the model's");
        assert!(SpanTexts::open(&path, 7, 2).is_err(), "a field that nobody asked for");
    }

    #[test]
    fn a_damaged_file_is_refused_or_still_sound() {
        let (_folder, path) = written(&[vec![text(0, &[2, 3])], vec![text(0, &[1])]]);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(SpanTexts::open(&path, 7, 1).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x80;
            std::fs::write(&path, &flipped).unwrap();
            // What is not refused here is told by the checksum of the step; nothing reads outside of the file.
            if let Ok(texts) = SpanTexts::open(&path, 7, 1) {
                let all = (0..texts.n_items() as u32).flat_map(|item| texts.of(item));
                all.for_each(|text| texts.pieces(text).for_each(drop));
            }
        }
    }
}
