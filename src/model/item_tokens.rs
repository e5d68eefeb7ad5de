//! The tokens that spell each item.
//!
//! Knows neither how identifiers are made nor how they are searched; it only translates between an
//! identifier's codes and the token ids of one tokenizer.

use std::collections::HashMap;
use std::ops::Range;

/// Identifier tokens of every item of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemTokens {
    /// Token id of code 0 of each level; a level's ids follow each other.
    level_base: Vec<u32>,
    /// Token id behind the last code of the last level.
    end: u32,
    /// Token ids of all items, one item after another.
    tokens: Vec<u32>,
    /// Where items begin, where some are spelled with a token less: `[items + 1]`.
    starts: Option<Vec<usize>>,
    silence: Option<Silence>,
}

/// The code of a level that is not spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The level (0-based).
    pub level: usize,
    /// Its code.
    pub code: u32,
    /// Whether scores are means over the tokens, else their sums.
    pub is_mean: bool,
}

impl ItemTokens {
    /// From codes `[items, levels]`, codes per level, and the token id of the very first code; the
    /// levels' tokens follow each other.
    pub fn new(codes: &[u32], levels: &[u32], first_token: u32) -> Self {
        let mut next = first_token;
        let level_base: Vec<u32> = levels
            .iter()
            .map(|n| {
                let base = next;
                next += n;
                base
            })
            .collect();
        let tokens = codes.iter().enumerate().map(|(i, code)| level_base[i % levels.len()] + code);
        let tokens = tokens.collect();
        Self { level_base, end: next, tokens, starts: None, silence: None }
    }

    /// The same, where a code of a level is not spelled.
    pub fn without(self, silence: Silence) -> Self {
        let length = self.level_base.len();
        let silent = self.level_base[silence.level] + silence.code;
        let (mut tokens, mut starts) = (Vec::with_capacity(self.tokens.len()), vec![0]);
        for item in self.tokens.chunks_exact(length) {
            tokens.extend(item.iter().copied().filter(|&token| token != silent));
            starts.push(tokens.len());
        }
        Self { tokens, starts: Some(starts), silence: Some(silence), ..self }
    }

    /// Tokens of one item.
    pub fn tokens(&self, item: u32) -> &[u32] {
        let item = item as usize;
        match &self.starts {
            Some(starts) => &self.tokens[starts[item]..starts[item + 1]],
            None => {
                let length = self.length();
                &self.tokens[item * length..][..length]
            }
        }
    }

    /// Token id of a code of a level (0-based).
    pub fn token(&self, level: usize, code: u32) -> u32 {
        self.level_base[level] + code
    }

    /// Token ids of all codes of each level, ascending.
    pub fn levels(&self) -> impl Iterator<Item = Range<u32>> {
        let ends = self.level_base.iter().skip(1).chain([&self.end]);
        self.level_base.iter().zip(ends).map(|(base, end)| *base..*end)
    }

    /// Tokens of the longest identifier.
    pub fn length(&self) -> usize {
        self.level_base.len()
    }

    /// The code that is not spelled, where identifiers are of different lengths.
    pub fn silence(&self) -> Option<Silence> {
        self.silence
    }

    /// The first item that is spelled as each item is; none where no two are spelled alike.
    pub fn leaves(&self) -> Option<Vec<u32>> {
        let mut first: HashMap<&[u32], u32> = HashMap::with_capacity(self.n_items());
        let items = 0..self.n_items() as u32;
        let leaves = items.map(|item| *first.entry(self.tokens(item)).or_insert(item));
        let leaves: Vec<u32> = leaves.collect();
        (first.len() < leaves.len()).then_some(leaves)
    }

    /// The items of a model that names none.
    pub fn none() -> Self {
        Self { level_base: Vec::new(), end: 0, tokens: Vec::new(), starts: None, silence: None }
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        match &self.starts {
            Some(starts) => starts.len() - 1,
            None => self.tokens.len().checked_div(self.length()).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ItemTokens, Silence};

    #[test]
    fn levels_have_their_own_ranges() {
        let table = ItemTokens::new(&[0, 1, 3, 0], &[4, 2], 100);
        assert_eq!(table.tokens(0), [100, 105]);
        assert_eq!(table.tokens(1), [103, 104]);
        assert_eq!(table.token(1, 1), 105);
        assert_eq!((table.length(), table.n_items()), (2, 2));
        assert_eq!(table.levels().collect::<Vec<_>>(), [100..104, 104..106]);
        assert_eq!(ItemTokens::none().levels().count(), 0);
        assert_eq!(table.leaves(), None);
        let shared = ItemTokens::new(&[0, 1, 3, 0, 0, 1], &[4, 2], 100);
        assert_eq!(shared.leaves(), Some(vec![0, 1, 0]));
    }

    #[test]
    fn a_code_that_is_not_spelled_makes_some_items_shorter() {
        let table = ItemTokens::new(&[0, 2, 1, 1, 0, 1], &[2, 3, 2], 10);
        let table = table.without(Silence { level: 1, code: 2, is_mean: false });
        assert_eq!((table.tokens(0), table.tokens(1)), (&[10, 16][..], &[11, 12, 16][..]));
        assert_eq!((table.length(), table.n_items()), (3, 2));
    }
}
