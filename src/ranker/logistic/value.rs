//! Values of features: a number, or the tokens of categories and words. Equal tokens are equal in every
//! column, so that words of a query meet words of an item.

use super::settings::Reads;
use crate::corpus::Cell;

/// What a feature is for one item, request or impression.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Value {
    /// Nothing is known.
    #[default]
    Absent,
    /// A number.
    Number(f32),
    /// Ascending, each once; may be empty.
    Tokens(Vec<u64>),
}

impl Value {
    /// Reads a cell.
    pub(super) fn of(cell: &Cell, reads: Reads) -> Self {
        match reads {
            Reads::Number => Self::number(cell.number()),
            Reads::Log => Self::number(cell.number().map(signed_log)),
            Reads::Category => Self::tokens(cell, |text| vec![token(text)]),
            Reads::Words => Self::tokens(cell, words),
        }
    }

    fn number(number: Option<f64>) -> Self {
        let number = number.map(|number| number as f32);
        number.filter(|number| number.is_finite()).map_or(Self::Absent, Self::Number)
    }

    fn tokens(cell: &Cell, split: impl Fn(&str) -> Vec<u64>) -> Self {
        let mut tokens: Vec<u64> = match cell {
            Cell::Absent => return Self::Absent,
            // An empty text says nothing.
            Cell::Text(text) if text.is_empty() => return Self::Absent,
            Cell::Number(number) => split(&number.to_string()),
            Cell::Text(text) => split(text),
            Cell::Texts(texts) => texts.iter().flat_map(|text| split(text)).collect(),
        };
        tokens.sort_unstable();
        tokens.dedup();
        Self::Tokens(tokens)
    }

    /// Its tokens; none where it has none.
    pub(super) fn as_tokens(&self) -> &[u64] {
        match self {
            Self::Tokens(tokens) => tokens,
            Self::Absent | Self::Number(_) => &[],
        }
    }
}

/// `sign(x) ln(1 + |x|)`.
fn signed_log(number: f64) -> f64 {
    number.abs().ln_1p().copysign(number)
}

/// Words in lower case.
fn words(text: &str) -> Vec<u64> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|word| !word.is_empty()).map(|word| token(&word.to_lowercase())).collect()
}

/// Eight bytes of a text's hash: among 10^6 values two are alike with a probability below 10^-7.
fn token(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// A token of two, which depends on their order (the finalizer of SplitMix64).
pub(super) fn combined(a: u64, b: u64) -> u64 {
    let mut mixed = a.rotate_left(23) ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The share of the first tokens that the second hold; none without a first token. Both ascend.
pub(super) fn overlap(first: &[u64], second: &[u64]) -> Option<f32> {
    let held = first.iter().filter(|token| second.binary_search(token).is_ok()).count();
    (!first.is_empty()).then(|| held as f32 / first.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn cells_become_numbers_or_sets_of_tokens() {
        assert_eq!(Value::of(&Cell::Number(2.5), Reads::Number), Value::Number(2.5));
        assert_eq!(Value::of(&Cell::Number(-1.0), Reads::Log), Value::Number(-(2f32.ln())));
        assert_eq!(Value::of(&Cell::Number(f64::NAN), Reads::Number), Value::Absent);
        assert_eq!(Value::of(&text("x"), Reads::Number), Value::Absent);
        let words = Value::of(&text("Red lamp, red-ish LAMP"), Reads::Words);
        assert_eq!(words.as_tokens().len(), 3);
        assert_eq!(words, Value::of(&text("ish lamp red"), Reads::Words));
        assert_ne!(words, Value::of(&text("ish lamp red"), Reads::Category));
        let path = Cell::Texts(vec!["a".into(), "b".into()]);
        assert_eq!(Value::of(&path, Reads::Category).as_tokens().len(), 2);
        assert_eq!(Value::of(&Cell::Absent, Reads::Words), Value::Absent);
        assert_eq!(Value::of(&text(""), Reads::Category), Value::Absent);
    }

    #[test]
    fn overlap_is_a_share_of_the_first_and_combining_knows_the_order() {
        assert_eq!(overlap(&[1, 2, 5], &[2, 5, 9]), Some(2.0 / 3.0));
        assert_eq!(overlap(&[1], &[]), Some(0.0));
        assert_eq!(overlap(&[], &[1]), None);
        assert_ne!(combined(1, 2), combined(2, 1));
        let mut all: Vec<u64> =
            (0..200).flat_map(|a| (0..200).map(move |b| combined(a, b))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 40_000);
    }
}
