//! The tokens that spell each item: a table `[items, length]` of token ids.
//!
//! Knows neither how identifiers are made nor how they are searched; it only translates between an
//! identifier's codes and the token ids of one tokenizer.

use std::ops::Range;

/// Identifier tokens of every item of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemTokens {
    /// Token id of code 0 of each level; a level's ids follow each other.
    level_base: Vec<u32>,
    /// Token id behind the last code of the last level.
    end: u32,
    /// Token ids `[items, levels]`.
    tokens: Vec<u32>,
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
        Self { level_base, end: next, tokens }
    }

    /// Tokens of one item.
    pub fn tokens(&self, item: u32) -> &[u32] {
        let length = self.length();
        &self.tokens[item as usize * length..][..length]
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

    /// Tokens per identifier.
    pub fn length(&self) -> usize {
        self.level_base.len()
    }

    /// The items of a model that names none.
    pub fn none() -> Self {
        Self { level_base: Vec::new(), end: 0, tokens: Vec::new() }
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.tokens.len().checked_div(self.length()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::ItemTokens;

    #[test]
    fn levels_have_their_own_ranges() {
        let table = ItemTokens::new(&[0, 1, 3, 0], &[4, 2], 100);
        assert_eq!(table.tokens(0), [100, 105]);
        assert_eq!(table.tokens(1), [103, 104]);
        assert_eq!(table.token(1, 1), 105);
        assert_eq!((table.length(), table.n_items()), (2, 2));
        assert_eq!(table.levels().collect::<Vec<_>>(), [100..104, 104..106]);
        assert_eq!(ItemTokens::none().levels().count(), 0);
    }
}
