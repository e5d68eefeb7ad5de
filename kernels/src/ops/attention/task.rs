//! Attention of some heads of one tree: the products of every block, forward and backward.

use std::ops::Range;

use super::super::matmul::{MatMut, MatRef, Threads, matmul};
use super::super::simd::{softmax_backward, softmax_in_place};
use super::super::tree::Tree;
use super::block::Block;

#[derive(Clone, Copy)]
pub(super) struct HeadShape {
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
}

impl HeadShape {
    pub(super) fn group(self) -> usize {
        self.heads / self.kv_heads
    }
}

/// What one task works on: some heads of one tree.
pub(super) struct Task<'a> {
    pub(super) tree: Tree<'a>,
    /// The tree's rows of `q`.
    pub(super) queries: Range<usize>,
    /// Blocks of these rows.
    pub(super) blocks: Vec<Block>,
    /// Key-value heads of this task; their query heads follow from it.
    pub(super) kv_heads: Range<usize>,
}

/// `q`, `k` and `v` as they lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) shape: HeadShape,
}

/// Where the heads of one task lie in a tensor.
#[derive(Clone, Copy)]
struct Place {
    /// Entry of the task's first row and first head.
    start: usize,
    /// Entries from one row to the next.
    stride: usize,
}

impl Place {
    /// In a whole tensor of `heads` heads, where `row` and `head` are the first of the task.
    fn whole(row: usize, head: usize, heads: usize, head_dim: usize) -> Self {
        Self { start: (row * heads + head) * head_dim, stride: heads * head_dim }
    }

    fn at(self, row: usize, head: usize, head_dim: usize) -> usize {
        self.start + row * self.stride + head * head_dim
    }
}

/// One head of a task: views of its rows.
#[derive(Clone, Copy)]
struct HeadView<'a> {
    inputs: Inputs<'a>,
    q_place: Place,
    kv_place: Place,
    /// Query head and key-value head, counted within the task.
    head: usize,
    kv_head: usize,
}

impl<'a> HeadView<'a> {
    fn scale(&self) -> f32 {
        1.0 / (self.inputs.shape.head_dim as f32).sqrt()
    }

    fn rows<'b>(
        &self,
        data: &'b [f32],
        place: Place,
        rows: Range<usize>,
        head: usize,
    ) -> MatRef<'b> {
        let dim = self.inputs.shape.head_dim;
        MatRef::strided(&data[place.at(rows.start, head, dim)..], rows.len(), dim, place.stride)
    }

    fn queries<'b>(&self, data: &'b [f32], rows: Range<usize>) -> MatRef<'b> {
        self.rows(data, self.q_place, rows, self.head)
    }

    fn keys<'b>(&self, data: &'b [f32], rows: Range<usize>) -> MatRef<'b> {
        self.rows(data, self.kv_place, rows, self.kv_head)
    }

    /// Fills `p [rows, width]` with `lhs · keysᵀ` in every column that some row of a part sees.
    fn products(&self, block: &Block, lhs: &[f32], keys: &[f32], p: &mut [f32]) {
        if block.shared > 0 {
            let lhs = self.queries(lhs, block.rows.clone());
            let shared = self.keys(keys, 0..block.shared);
            let mut out = MatMut::strided(p, block.rows.len(), block.shared, block.width);
            matmul(&mut out, 0.0, 1.0, lhs, shared.t(), Threads::One);
        }
        for part in &block.parts {
            let lhs = self.queries(lhs, part.queries(block));
            let own = self.keys(keys, part.keys.clone());
            let mut out = part.view_mut(block, p);
            matmul(&mut out, 0.0, 1.0, lhs, own.t(), Threads::One);
        }
    }

    /// Fills `p [rows, width]` with attention probabilities; entries that a row does not see become 0.
    fn probabilities(&self, block: &Block, p: &mut [f32]) {
        self.products(block, self.inputs.q, self.inputs.k, p);
        for (row, own) in p.chunks_exact_mut(block.width).zip(&block.own) {
            let (seen, unseen) = row.split_at_mut(block.shared + own);
            softmax_in_place(seen, self.scale());
            unseen.fill(0.0);
        }
    }

    /// `out ← p · keys`, where `out` lies like the task's queries at `place`.
    fn mix(&self, block: &Block, p: &[f32], keys: &[f32], out: &mut [f32], place: Place) {
        let dim = self.inputs.shape.head_dim;
        let mut rows_of = |rows: Range<usize>, keep: f32, p: MatRef<'_>, keys: MatRef<'_>| {
            let start = place.at(rows.start, self.head, dim);
            let mut out = MatMut::strided(&mut out[start..], rows.len(), dim, place.stride);
            matmul(&mut out, keep, 1.0, p, keys, Threads::One);
        };
        if block.shared > 0 {
            let shared = MatRef::strided(p, block.rows.len(), block.shared, block.width);
            rows_of(block.rows.clone(), 0.0, shared, self.keys(keys, 0..block.shared));
        }
        let keep = if block.shared > 0 { 1.0 } else { 0.0 };
        for part in &block.parts {
            let own = self.keys(keys, part.keys.clone());
            rows_of(part.queries(block), keep, part.view(block, p), own);
        }
    }

    /// `out ← out + pᵀ · lhs`, where `out` lies like the task's keys at `place`.
    fn spread(&self, block: &Block, p: &[f32], lhs: &[f32], out: &mut [f32], place: Place) {
        let dim = self.inputs.shape.head_dim;
        let mut rows_of = |keys: Range<usize>, p: MatRef<'_>, lhs: MatRef<'_>| {
            let start = place.at(keys.start, self.kv_head, dim);
            let mut out = MatMut::strided(&mut out[start..], keys.len(), dim, place.stride);
            matmul(&mut out, 1.0, 1.0, p.t(), lhs, Threads::One);
        };
        if block.shared > 0 {
            let shared = MatRef::strided(p, block.rows.len(), block.shared, block.width);
            rows_of(0..block.shared, shared, self.queries(lhs, block.rows.clone()));
        }
        for part in &block.parts {
            let lhs = self.queries(lhs, part.queries(block));
            rows_of(part.keys.clone(), part.view(block, p), lhs);
        }
    }
}

impl Task<'_> {
    /// Entries of the largest block of scores.
    fn scratch(&self) -> usize {
        self.blocks.iter().map(|block| block.rows.len() * block.width).max().unwrap_or(0)
    }

    /// The query heads of the task.
    fn heads(&self, shape: HeadShape) -> Range<usize> {
        self.kv_heads.start * shape.group()..self.kv_heads.end * shape.group()
    }

    /// Entries of the task in a tensor like `q`, and in one like `k`.
    pub(super) fn sizes(&self, shape: HeadShape) -> (usize, usize) {
        let q = self.queries.len() * self.heads(shape).len() * shape.head_dim;
        (q, self.tree.tokens().len() * self.kv_heads.len() * shape.head_dim)
    }

    fn views<'a>(&self, inputs: Inputs<'a>) -> impl Iterator<Item = HeadView<'a>> + use<'a> {
        let shape = inputs.shape;
        let heads = self.heads(shape);
        let dim = shape.head_dim;
        let q_place = Place::whole(self.queries.start, heads.start, shape.heads, dim);
        let kv_place =
            Place::whole(self.tree.tokens().start, self.kv_heads.start, shape.kv_heads, dim);
        (0..heads.len()).map(move |head| {
            let kv_head = head / shape.group();
            HeadView { inputs, q_place, kv_place, head, kv_head }
        })
    }

    /// The task's own rows and heads, densely, behind one another.
    fn dense(&self, shape: HeadShape) -> (Place, Place) {
        let q = self.heads(shape).len() * shape.head_dim;
        let kv = self.kv_heads.len() * shape.head_dim;
        (Place { start: 0, stride: q }, Place { start: 0, stride: kv })
    }

    /// The output of the task's rows and heads, densely.
    pub(super) fn forward(&self, inputs: Inputs<'_>, out: &mut [f32]) {
        let (place, _) = self.dense(inputs.shape);
        let mut scratch = vec![0f32; self.scratch()];
        for view in self.views(inputs) {
            for block in &self.blocks {
                let p = &mut scratch[..block.rows.len() * block.width];
                view.probabilities(block, p);
                view.mix(block, p, inputs.v, out, place);
            }
        }
    }

    /// The gradients of the task's rows and heads, densely, given the gradient `g` of the output.
    pub(super) fn backward(&self, inputs: Inputs<'_>, g: &[f32], gradients: &mut Gradients<'_>) {
        let (q_place, kv_place) = self.dense(inputs.shape);
        let (mut p_scratch, mut dp_scratch) =
            (vec![0f32; self.scratch()], vec![0f32; self.scratch()]);
        for view in self.views(inputs) {
            for block in &self.blocks {
                let size = block.rows.len() * block.width;
                let (p, dp) = (&mut p_scratch[..size], &mut dp_scratch[..size]);
                view.probabilities(block, p);
                view.spread(block, p, g, gradients.dv, kv_place);
                view.products(block, g, inputs.v, dp);
                // ds = scale * p ∘ (dp − Σ p ∘ dp), over what the row sees; p is zero elsewhere.
                let rows = p.chunks_exact_mut(block.width).zip(dp.chunks_exact(block.width));
                for ((p, dp), own) in rows.zip(&block.own) {
                    let seen = block.shared + own;
                    softmax_backward(&mut p[..seen], &dp[..seen], view.scale());
                }
                view.mix(block, p, inputs.k, gradients.dq, q_place);
                view.spread(block, p, inputs.q, gradients.dk, kv_place);
            }
        }
    }
}

/// The gradients of one task, to be filled; `dk` and `dv` start at 0.
pub(super) struct Gradients<'a> {
    pub(super) dq: &'a mut [f32],
    pub(super) dk: &'a mut [f32],
    pub(super) dv: &'a mut [f32],
}
