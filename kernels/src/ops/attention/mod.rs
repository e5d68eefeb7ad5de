//! Softmax attention over packed sequences and trees, causal or bidirectional, with its gradient.
//!
//! A tree's prompt is one set of keys for all of its branches. Scores of one block of queries exist
//! at a time; the backward pass computes the probabilities again instead of keeping
//! `[heads, seq, seq]` alive (one extra product of five, no memory). Query heads share key-value heads
//! in groups (arXiv:2305.13245). Trees are independent tasks, and so are groups of heads where there
//! are few trees; the sums over branches and over the heads of a group are taken in order within one
//! task.

mod block;
mod task;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::buffer::new_pieces;
use super::cpu::{gradients, with_slices};
use super::cuda;
use super::operation::{Passes, operation};
use super::packing::Packing;
use block::blocks;
use task::{Gradients, HeadShape, Inputs, Task};

const NAME: &str = "packed-attention";

/// With fewer trees than this, heads become tasks of their own. A constant, so that the number of
/// threads changes nothing.
const FEW_TREES: usize = 16;

/// `softmax(q kᵀ / sqrt(head_dim)) v` per head, each query seeing the keys that `packing` lets it see: its
/// tree's prompt up to its own position, and its own branch up to itself; or its whole sequence.
///
/// Shapes: `q [queries, heads, head_dim]`, `k` and `v [tokens, kv_heads, head_dim]`, result like `q`; `f32`.
/// `kv_heads` divides `heads`. `rows` names the tokens whose queries are in `q`, in strictly ascending
/// order; none means all. Differentiable in `q`, `k` and `v`.
///
/// # Errors
/// When shapes, types, packing or rows do not fit.
pub fn packed_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    packing: &Packing,
    rows: Option<&[u32]>,
) -> Result<Tensor> {
    let (queries, heads, head_dim) = q.dims3()?;
    let (tokens, kv_heads, _) = k.dims3()?;
    if k.dims() != v.dims() || k.dims()[2] != head_dim {
        bail!("{NAME}: q {:?}, k {:?} and v {:?} do not fit", q.dims(), k.dims(), v.dims());
    }
    if kv_heads == 0 || heads % kv_heads != 0 {
        bail!("{NAME}: {kv_heads} key-value heads do not divide {heads} heads");
    }
    if packing.tokens() != tokens {
        bail!("{NAME}: the packing has {} tokens, k and v have {tokens}", packing.tokens());
    }
    if rows.map_or(tokens, <[u32]>::len) != queries {
        let wanted = rows.map_or(tokens, <[u32]>::len);
        bail!("{NAME}: expected queries of {wanted} tokens, got {queries}");
    }
    if let Some(rows) = rows {
        let ascending = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || rows.last().is_some_and(|row| *row as usize >= tokens) {
            bail!("{NAME}: rows must be ascending, each once, and below {tokens}");
        }
    }
    let host = |inputs: [&Tensor; 3]| {
        let attention = Attention {
            packing: packing.clone(),
            rows: rows.map(Arc::from),
            shape: HeadShape { heads, kv_heads, head_dim },
        };
        let seen = attention.forward(inputs)?;
        Ok(Passes::new((seen, inputs[0].shape()), move |inputs, g| attention.backward(inputs, g)))
    };
    let cuda = |inputs: [&Tensor; 3]| {
        cuda::packed_attention(inputs, packing.spans(rows, inputs[0].device())?)
    };
    operation(NAME, [q, k, v], host, cuda)
}

struct Attention {
    packing: Packing,
    rows: Option<Arc<[u32]>>,
    shape: HeadShape,
}

impl Attention {
    /// One task per tree, or per tree and key-value head where there are few trees.
    fn tasks(&self) -> Vec<Task<'_>> {
        let step = if self.split_by_heads() { 1 } else { self.shape.kv_heads };
        let mut next = 0;
        let mut tasks = Vec::new();
        for tree in self.packing.iter() {
            let range = tree.tokens();
            let (queries, tokens): (Range<usize>, Vec<usize>) = match &self.rows {
                None => (range.clone(), (0..range.len()).collect()),
                Some(rows) => {
                    let n = rows[next..].partition_point(|row| (*row as usize) < range.end);
                    let own = rows[next..next + n].iter().map(|row| *row as usize - range.start);
                    (next..next + n, own.collect())
                }
            };
            next = queries.end;
            for first in (0..self.shape.kv_heads).step_by(step) {
                let kv_heads = first..first + step;
                let blocks = blocks(&tree, &tokens);
                tasks.push(Task { tree, queries: queries.clone(), blocks, kv_heads });
            }
        }
        tasks
    }

    /// Whether a task is one key-value head of a tree.
    fn split_by_heads(&self) -> bool {
        self.packing.len() < FEW_TREES && self.shape.kv_heads > 1
    }

    /// Puts the dense results of tasks in the order of the tensor they belong to. Tasks of whole trees
    /// are in that order already.
    fn in_rows(&self, dense: Vec<f32>, tasks: &[Task<'_>], side: Side) -> Vec<f32> {
        if !self.split_by_heads() {
            return dense;
        }
        let group = self.shape.group();
        let (part_width, row_width) = match side {
            Side::Queries => (group * self.shape.head_dim, self.shape.heads * self.shape.head_dim),
            Side::Keys => (self.shape.head_dim, self.shape.kv_heads * self.shape.head_dim),
        };
        let mut out = vec![0f32; dense.len()];
        let mut rest = dense.as_slice();
        for task in tasks {
            let rows = match side {
                Side::Queries => task.queries.clone(),
                Side::Keys => task.tree.tokens(),
            };
            let (part, others) = rest.split_at(rows.len() * part_width);
            rest = others;
            let column = task.kv_heads.start * part_width;
            let out = out[rows.start * row_width..].chunks_exact_mut(row_width);
            for (out, part) in out.zip(part.chunks_exact(part_width)) {
                out[column..column + part_width].copy_from_slice(part);
            }
        }
        out
    }

    fn forward(&self, inputs: [&Tensor; 3]) -> Result<Vec<f32>> {
        let tasks = self.tasks();
        let sizes: Vec<_> = tasks.iter().map(|task| [task.sizes(self.shape).0]).collect();
        with_slices(inputs, NAME, |[q, k, v]| {
            let inputs = Inputs { q, k, v, shape: self.shape };
            let ([seen], _) = new_pieces(&sizes, |i, [out]| tasks[i].forward(inputs, out));
            Ok(self.in_rows(seen, &tasks, Side::Queries))
        })
    }

    fn backward(&self, inputs: [&Tensor; 3], gradient: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let tasks = self.tasks();
        let sizes = tasks.iter().map(|task| task.sizes(self.shape));
        let sizes: Vec<_> = sizes.map(|(q, kv)| [q, kv, kv]).collect();
        let [q, k, v] = inputs;
        let [dq, dk, dv] = with_slices([q, k, v, gradient], NAME, |[q, k, v, g]| {
            let inputs = Inputs { q, k, v, shape: self.shape };
            let (dense, _) = new_pieces(&sizes, |i, [dq, dk, dv]| {
                tasks[i].backward(inputs, g, &mut Gradients { dq, dk, dv });
            });
            Ok(dense)
        })?;
        let [dk, dv] = [dk, dv].map(|dense| self.in_rows(dense, &tasks, Side::Keys));
        gradients([self.in_rows(dq, &tasks, Side::Queries), dk, dv], inputs)
    }
}

/// Which tensor a result belongs to.
#[derive(Clone, Copy)]
enum Side {
    Queries,
    Keys,
}
