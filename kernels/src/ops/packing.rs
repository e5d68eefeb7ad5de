//! Which tokens of a packed batch belong together, and which of them see each other.
//!
//! Sequences and *trees* lie behind one another in one `[tokens, …]` tensor. A tree is a prompt followed
//! by branches: a token of a branch sees the whole prompt and its own branch up to itself, and is
//! counted on behind the prompt. So a prompt with several continuations is encoded once, and gives
//! the numbers that each continuation alone behind a copy of the prompt would give. In a *bidirectional*
//! packing, as encoders use it, every token sees its whole sequence. Knows nothing of what is computed
//! with it.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};

use super::cuda::Spans;
use super::once::Once;
use super::tree::Tree;

/// The trees of a packed batch; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing(Arc<Trees>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Trees {
    heads: Vec<Head>,
    /// Tokens of every branch, tree after tree.
    branches: Vec<usize>,
    tokens: usize,
    causal: bool,
    /// Of all tokens, on the GPU that asked first.
    spans: Once<Arc<Spans>>,
}

/// The position of every token of a batch; cheap to clone.
#[derive(Debug, Clone)]
pub struct Positions(Arc<OnAnyDevice>);

#[derive(Debug)]
struct OnAnyDevice {
    host: Vec<u32>,
    device: Once<Tensor>,
}

impl Positions {
    /// Positions `[tokens]`.
    pub fn new(positions: Vec<u32>) -> Self {
        Self(Arc::new(OnAnyDevice { host: positions, device: Once::default() }))
    }

    /// The positions as a tensor; all calls name the same device.
    pub(super) fn on(&self, device: &Device) -> Result<&Tensor> {
        self.0.device.get_or_try(|| Tensor::new(self.0.host.as_slice(), device))
    }
}

impl std::ops::Deref for Positions {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.0.host
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    /// First token of the tree.
    start: usize,
    prompt: usize,
    /// First branch of the tree in the list of all.
    branch: usize,
}

impl Packing {
    /// Plain sequences (trees without branches) of the given lengths, in order; 0 is allowed.
    pub fn sequences(lengths: impl IntoIterator<Item = usize>) -> Self {
        Self::trees(lengths.into_iter().map(|length| (length, [])))
    }

    /// Sequences of the given lengths, in order, whose tokens all see each other; 0 is allowed.
    pub fn bidirectional(lengths: impl IntoIterator<Item = usize>) -> Self {
        let lengths = lengths.into_iter().map(|length| (length, []));
        Self(Arc::new(Trees { causal: false, ..Trees::new(lengths) }))
    }

    /// `batch` plain sequences of `seq` tokens each: a padded `[batch, seq]` batch read row by row.
    pub fn uniform(batch: usize, seq: usize) -> Self {
        Self::sequences(std::iter::repeat_n(seq, batch))
    }

    /// Trees of the given tokens: those of the prompt, then those of each branch; 0 is allowed
    /// everywhere.
    pub fn trees<B: IntoIterator<Item = usize>>(
        trees: impl IntoIterator<Item = (usize, B)>,
    ) -> Self {
        Self(Arc::new(Trees::new(trees)))
    }

    /// Number of trees.
    pub fn len(&self) -> usize {
        self.0.heads.len()
    }

    /// Whether there is no tree at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of all trees together.
    pub fn tokens(&self) -> usize {
        self.0.tokens
    }

    /// The trees, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Tree<'_>> + Clone {
        let trees = &*self.0;
        (0..trees.heads.len()).map(move |i| {
            let head = &trees.heads[i];
            let next = trees.heads.get(i + 1);
            let end = next.map_or(trees.tokens, |next| next.start);
            let last = next.map_or(trees.branches.len(), |next| next.branch);
            Tree {
                start: head.start,
                prompt: head.prompt,
                branches: &trees.branches[head.branch..last],
                tokens: end - head.start,
                causal: trees.causal,
            }
        })
    }

    /// Position of every token, counted from the start of its tree's prompt: `[tokens]`.
    pub fn positions(&self) -> Positions {
        let mut positions = Vec::with_capacity(self.tokens());
        for tree in self.iter() {
            positions.extend(0..tree.prompt as u32);
            for branch in tree.branches {
                positions.extend(tree.prompt as u32..(tree.prompt + branch) as u32);
            }
        }
        Positions::new(positions)
    }

    /// What the queries of `rows` (all where none are named) see, on a GPU.
    pub(super) fn spans(&self, rows: Option<&[u32]>, device: &Device) -> Result<Arc<Spans>> {
        let new = || Ok(Arc::new(Spans::new(self.iter(), rows, device)?));
        match rows {
            None => self.0.spans.get_or_try(new).cloned(),
            Some(_) => new(),
        }
    }
}

impl Trees {
    fn new<B: IntoIterator<Item = usize>>(trees: impl IntoIterator<Item = (usize, B)>) -> Self {
        let mut all = Self { causal: true, ..Self::default() };
        for (prompt, branches) in trees {
            all.heads.push(Head { start: all.tokens, prompt, branch: all.branches.len() });
            let first = all.branches.len();
            all.branches.extend(branches);
            all.tokens += prompt + all.branches[first..].iter().sum::<usize>();
        }
        all
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Packing;

    #[test]
    fn positions_restart_in_every_sequence() {
        let packing = Packing::sequences([3, 0, 2]);
        assert_eq!(*packing.positions(), [0, 1, 2, 0, 1]);
        assert_eq!((packing.len(), packing.tokens()), (3, 5));
        let ranges: Vec<_> = packing.iter().map(|tree| tree.tokens()).collect();
        assert_eq!(ranges, [0..3, 3..3, 3..5]);
        assert!(packing.iter().all(|tree| tree.prompt() == tree.tokens()));
        assert_eq!(Packing::uniform(2, 2), Packing::sequences([2, 2]));
        assert!(Packing::sequences([]).is_empty());
        assert_eq!(Packing::sequences([]).tokens(), 0);
    }

    #[test]
    fn branches_are_counted_on_behind_their_prompt() {
        let packing = Packing::trees([(2, vec![1, 0, 3]), (0, vec![2]), (1, vec![])]);
        assert_eq!(*packing.positions(), [0, 1, 2, 2, 3, 4, 0, 1, 0]);
        assert_eq!((packing.len(), packing.tokens()), (3, 9));
        let branches: Vec<_> = packing.iter().flat_map(|tree| tree.branches()).collect();
        assert_eq!(branches, [2..3, 3..3, 3..6, 6..8]);
        let counts: Vec<_> = packing.iter().map(|tree| tree.branches().len()).collect();
        assert_eq!(counts, [3, 1, 0]);
        let trees: Vec<_> = packing.iter().map(|tree| (tree.tokens(), tree.prompt())).collect();
        assert_eq!(trees, [(0..6, 0..2), (6..8, 6..6), (8..9, 8..9)]);
    }
}
