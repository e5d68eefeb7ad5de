//! What a bag holds of a text: its tokens, and sequences of neighboring ones that share embeddings by a hash.

/// Longest text of a bag in tokens; the rest is not read.
pub(super) const TOKENS: usize = 64;

/// Rows of the embeddings: `vocabulary` for tokens, and behind them `buckets` for sequences.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bag {
    pub(super) vocabulary: usize,
    /// Longest sequence in tokens.
    pub(super) ngrams: usize,
    pub(super) buckets: usize,
}

impl Bag {
    /// Rows of the embeddings.
    pub(super) fn rows(&self) -> usize {
        self.vocabulary + if self.ngrams > 1 { self.buckets } else { 0 }
    }

    /// Rows of all that is in a text: its first [`TOKENS`] tokens, then every sequence of 2 to `ngrams` of them.
    pub(super) fn of(&self, mut tokens: Vec<u32>) -> Vec<u32> {
        tokens.truncate(TOKENS);
        let words = tokens.len();
        for n in 2..=self.ngrams.min(words) {
            for start in 0..=words - n {
                let row =
                    self.vocabulary as u64 + hash(&tokens[start..start + n]) % self.buckets as u64;
                tokens.push(row as u32);
            }
        }
        tokens
    }
}

/// The same on every machine and in every version: trained embeddings lie where it says (FNV-1a, with the last step of
/// splitmix64 so that low bits are as good as others).
fn hash(tokens: &[u32]) -> u64 {
    let bytes = tokens.iter().flat_map(|token| token.to_le_bytes());
    let mut x = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bag_holds_tokens_and_their_sequences() {
        let bag = Bag { vocabulary: 10, ngrams: 3, buckets: 1_000_000 };
        let of = bag.of(vec![1, 2, 3, 1, 2]);
        // Five tokens, four pairs, three triples.
        assert_eq!(of.len(), 12);
        assert_eq!(of[..5], [1, 2, 3, 1, 2]);
        assert!(of[5..].iter().all(|row| (10..bag.rows() as u32).contains(row)));
        // The same pair is the same row, order and length count.
        assert_eq!(of[5], of[8]);
        assert_eq!(bag.of(vec![1, 2])[2], of[5]);
        assert_ne!(bag.of(vec![2, 1])[2], of[5]);
        let distinct: std::collections::BTreeSet<u32> = of[5..].iter().copied().collect();
        assert_eq!(distinct.len(), 6);
        // Trained embeddings depend on it.
        assert_eq!(hash(&[1, 2]) % 1_000_000, u64::from(of[5]) - 10);
    }

    #[test]
    fn short_texts_and_single_tokens_have_no_sequences() {
        let bag = Bag { vocabulary: 10, ngrams: 2, buckets: 7 };
        assert!(bag.of(Vec::new()).is_empty());
        assert_eq!(bag.of(vec![4]), [4]);
        assert_eq!(bag.of(vec![3; 200]).len(), TOKENS + TOKENS - 1);
        let single = Bag { ngrams: 1, ..bag };
        assert_eq!((single.rows(), single.of(vec![3, 4])), (10, vec![3, 4]));
    }
}
