//! Blocks of queries of one tree, and which keys each of them sees. Knows no heads and no data.

use std::ops::Range;

use super::super::matmul::{MatMut, MatRef};
use super::super::tree::Tree;

/// Queries per block: the scores of a block at 2 048 keys fill half of a 1 MiB L2 cache.
const QUERY_BLOCK: usize = 64;

/// A block of queries with the same shared keys.
///
/// Row `i` of its scores has `shared` columns for the prompt, then those of the row's own part.
pub(super) struct Block {
    /// Rows of the tree's queries.
    pub(super) rows: Range<usize>,
    /// The first tokens of the tree, which every row sees.
    pub(super) shared: usize,
    pub(super) parts: Vec<Part>,
    /// How many own keys each row sees.
    pub(super) own: Vec<usize>,
    /// Columns of the scores.
    pub(super) width: usize,
}

/// Rows of a block that lie in one branch (or in the prompt).
pub(super) struct Part {
    /// Rows of the block.
    pub(super) rows: Range<usize>,
    /// Keys of the tree from the start of the branch to the last that any of the rows sees.
    pub(super) keys: Range<usize>,
}

/// Cuts the queries of a tree into blocks; `tokens` are their places within the tree, ascending.
pub(super) fn blocks(tree: &Tree<'_>, tokens: &[usize]) -> Vec<Block> {
    let start = tree.tokens().start;
    let prompt = tree.prompt().len();
    let in_prompt = tokens.partition_point(|token| *token < prompt);
    let mut blocks = Vec::new();
    for first in (0..in_prompt).step_by(QUERY_BLOCK) {
        let rows = first..in_prompt.min(first + QUERY_BLOCK);
        let seen = |token: &usize| if tree.is_causal() { token + 1 } else { prompt };
        let own: Vec<usize> = tokens[rows.clone()].iter().map(seen).collect();
        let keys = 0..own.last().copied().unwrap_or(0);
        let width = keys.len();
        let parts = vec![Part { rows: 0..rows.len(), keys }];
        blocks.push(Block { rows, shared: 0, parts, own, width });
    }
    let mut branches = tree.branches().map(|range| range.start - start..range.end - start);
    let mut branch = 0..0;
    for first in (in_prompt..tokens.len()).step_by(QUERY_BLOCK) {
        let rows = first..tokens.len().min(first + QUERY_BLOCK);
        let mut parts: Vec<Part> = Vec::new();
        let mut own = Vec::with_capacity(rows.len());
        for (row, token) in tokens[rows.clone()].iter().enumerate() {
            while !branch.contains(token) {
                // Every token behind the prompt lies in a branch, so there is a next one.
                let Some(next) = branches.next() else { break };
                branch = next;
            }
            match parts.last_mut() {
                Some(part) if part.keys.start == branch.start => {
                    part.rows.end = row + 1;
                    part.keys.end = token + 1;
                }
                _ => parts.push(Part { rows: row..row + 1, keys: branch.start..token + 1 }),
            }
            own.push(token + 1 - branch.start);
        }
        let width = prompt + own.iter().copied().max().unwrap_or(0);
        blocks.push(Block { rows, shared: prompt, parts, own, width });
    }
    blocks
}

impl Part {
    /// Its rows among the tree's queries.
    pub(super) fn queries(&self, block: &Block) -> Range<usize> {
        block.rows.start + self.rows.start..block.rows.start + self.rows.end
    }

    pub(super) fn view<'b>(&self, block: &Block, p: &'b [f32]) -> MatRef<'b> {
        let start = self.rows.start * block.width + block.shared;
        MatRef::strided(&p[start..], self.rows.len(), self.keys.len(), block.width)
    }

    pub(super) fn view_mut<'b>(&self, block: &Block, p: &'b mut [f32]) -> MatMut<'b> {
        let start = self.rows.start * block.width + block.shared;
        MatMut::strided(&mut p[start..], self.rows.len(), self.keys.len(), block.width)
    }
}
