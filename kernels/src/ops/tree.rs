//! One tree of a packed batch: a prompt and the branches that share it. [`super::Packing`] lays trees behind one another.

use std::ops::Range;

/// One tree of a packed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree<'a> {
    pub(super) start: usize,
    pub(super) prompt: usize,
    pub(super) branches: &'a [usize],
    pub(super) tokens: usize,
    pub(super) causal: bool,
}

impl<'a> Tree<'a> {
    /// Whether a token sees only what lies before it (and itself), and not its whole sequence.
    pub fn is_causal(&self) -> bool {
        self.causal
    }

    /// Its tokens in the batch: the prompt, then each branch.
    pub fn tokens(&self) -> Range<usize> {
        self.start..self.start + self.tokens
    }

    /// The tokens of its prompt in the batch.
    pub fn prompt(&self) -> Range<usize> {
        self.start..self.start + self.prompt
    }

    /// The tokens of each of its branches in the batch.
    pub fn branches(&self) -> impl ExactSizeIterator<Item = Range<usize>> + use<'a> {
        let mut start = self.start + self.prompt;
        self.branches.iter().map(move |length| {
            start += length;
            start - length..start
        })
    }
}
