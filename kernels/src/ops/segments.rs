//! Where the sequences of a packed batch begin and end.

use std::sync::Arc;

/// Boundaries of sequences that lie behind one another in a `[tokens, …]` tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments(Arc<[usize]>);

impl Segments {
    /// From the length of each sequence, in order; empty sequences are allowed.
    pub fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0;
        let mut offsets = vec![0];
        offsets.extend(lengths.into_iter().map(|length| {
            end += length;
            end
        }));
        Self(offsets.into())
    }

    /// `batch` sequences of `seq` tokens each: a padded `[batch, seq]` batch read row by row.
    pub fn uniform(batch: usize, seq: usize) -> Self {
        Self::new(std::iter::repeat_n(seq, batch))
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.0.len() - 1
    }

    /// Whether there is no sequence at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens in all sequences together.
    pub fn tokens(&self) -> usize {
        self.0[self.len()]
    }

    /// The token range of each sequence, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + '_ {
        self.0.windows(2).map(|w| w[0]..w[1])
    }

    /// Position of every token within its sequence, counted from 0: `[tokens]`.
    pub fn positions(&self) -> Vec<u32> {
        self.ranges().flat_map(|r| 0..r.len() as u32).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Segments;

    #[test]
    fn positions_restart_in_every_sequence() {
        let segments = Segments::new([3, 0, 2]);
        assert_eq!(segments.positions(), [0, 1, 2, 0, 1]);
        assert_eq!((segments.len(), segments.tokens()), (3, 5));
        assert_eq!(segments.ranges().collect::<Vec<_>>(), [0..3, 3..3, 3..5]);
        assert_eq!(Segments::uniform(2, 2), Segments::new([2, 2]));
        assert!(Segments::new([]).is_empty());
    }
}
