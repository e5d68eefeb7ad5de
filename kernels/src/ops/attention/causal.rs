//! Causal softmax attention over packed sequences, with its gradient.
//!
//! Scores of one block of queries exist at a time; the backward pass computes the probabilities
//! again instead of keeping `[heads, seq, seq]` alive (one extra product of five, no memory).
//! Query heads share key-value heads in groups (arXiv:2305.13245). Sequences are independent tasks.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::super::cpu::{slice, tensor, with_slices};
use super::super::matmul::{MatMut, MatRef, Threads, matmul};
use super::super::segments::Segments;
use super::super::simd::{softmax_backward, softmax_in_place};

const NAME: &str = "causal-attention";

/// Queries per block: the scores of a block at 2 048 keys fill half of a 1 MiB L2 cache.
const QUERY_BLOCK: usize = 64;

/// `softmax(q kᵀ / sqrt(head_dim)) v` per head, each query seeing the keys up to its own position.
///
/// Shapes: `q [queries, heads, head_dim]`, `k` and `v [keys, kv_heads, head_dim]`, result like `q`; `f32`.
/// `kv_heads` divides `heads`. Sequence `s` has its queries in `query_segments` and its keys in
/// `key_segments`; where it has fewer queries than keys, they are its last positions (a training
/// loss that reads only the last rows, or decoding with a cache). Differentiable in `q`, `k` and `v`.
///
/// # Errors
/// When shapes, types or segments do not fit.
pub fn causal_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    query_segments: &Segments,
    key_segments: &Segments,
) -> Result<Tensor> {
    let (queries, heads, head_dim) = q.dims3()?;
    let (keys, kv_heads, _) = k.dims3()?;
    if k.dims() != v.dims() || k.dims()[2] != head_dim {
        bail!("{NAME}: q {:?}, k {:?} and v {:?} do not fit", q.dims(), k.dims(), v.dims());
    }
    if kv_heads == 0 || heads % kv_heads != 0 {
        bail!("{NAME}: {kv_heads} key-value heads do not divide {heads} heads");
    }
    if query_segments.tokens() != queries || key_segments.tokens() != keys {
        bail!(
            "{NAME}: segments hold {} queries and {} keys, the tensors {queries} and {keys}",
            query_segments.tokens(),
            key_segments.tokens()
        );
    }
    let fits = query_segments.len() == key_segments.len()
        && query_segments.ranges().zip(key_segments.ranges()).all(|(q, k)| q.len() <= k.len());
    if !fits {
        bail!("{NAME}: every sequence needs at least as many keys as queries");
    }
    let op = Attention {
        query_segments: query_segments.clone(),
        key_segments: key_segments.clone(),
        shape: HeadShape { heads, kv_heads, head_dim },
    };
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op)
}

#[derive(Clone, Copy)]
struct HeadShape {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

struct Attention {
    query_segments: Segments,
    key_segments: Segments,
    shape: HeadShape,
}

/// One sequence: its queries, keys and values.
#[derive(Clone, Copy)]
struct Sequence<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    n_queries: usize,
    n_keys: usize,
    shape: HeadShape,
}

/// The gradients of one sequence, to be filled.
struct Gradients<'a> {
    dq: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
}

/// A block of queries of one head and the keys it may see.
struct Block {
    first: usize,
    rows: usize,
    keys: usize,
    head: usize,
}

impl<'a> Sequence<'a> {
    fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        let (n_queries, before) = (self.n_queries, self.n_keys - self.n_queries);
        (0..self.shape.heads).flat_map(move |head| {
            (0..n_queries).step_by(QUERY_BLOCK).map(move |first| {
                let rows = QUERY_BLOCK.min(n_queries - first);
                Block { first, rows, keys: before + first + rows, head }
            })
        })
    }

    /// Rows of a block in a tensor laid out like `q`.
    fn query_rows<'b>(&self, data: &'b [f32], block: &Block) -> MatRef<'b> {
        let width = self.shape.heads * self.shape.head_dim;
        let start = block.first * width + block.head * self.shape.head_dim;
        MatRef::strided(&data[start..], block.rows, self.shape.head_dim, width)
    }

    fn query_rows_mut<'b>(&self, data: &'b mut [f32], block: &Block) -> MatMut<'b> {
        let width = self.shape.heads * self.shape.head_dim;
        let start = block.first * width + block.head * self.shape.head_dim;
        MatMut::strided(&mut data[start..], block.rows, self.shape.head_dim, width)
    }

    fn kv_start(&self, block: &Block) -> (usize, usize) {
        let group = self.shape.heads / self.shape.kv_heads;
        (block.head / group * self.shape.head_dim, self.shape.kv_heads * self.shape.head_dim)
    }

    /// The visible rows of a tensor laid out like `k`.
    fn key_rows<'b>(&self, data: &'b [f32], block: &Block) -> MatRef<'b> {
        let (start, width) = self.kv_start(block);
        MatRef::strided(&data[start..], block.keys, self.shape.head_dim, width)
    }

    fn key_rows_mut<'b>(&self, data: &'b mut [f32], block: &Block) -> MatMut<'b> {
        let (start, width) = self.kv_start(block);
        MatMut::strided(&mut data[start..], block.keys, self.shape.head_dim, width)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_dim as f32).sqrt()
    }

    /// Fills `p [rows, keys]` with attention probabilities; entries beyond the diagonal become 0.
    fn probabilities(&self, block: &Block, p: &mut [f32]) {
        let (q, k) = (self.query_rows(self.q, block), self.key_rows(self.k, block));
        matmul(&mut MatMut::new(p, block.rows, block.keys), 0.0, 1.0, q, k.t(), Threads::One);
        for (i, row) in p.chunks_exact_mut(block.keys).enumerate() {
            let (seen, unseen) = row.split_at_mut(block.keys - block.rows + i + 1);
            softmax_in_place(seen, self.scale());
            unseen.fill(0.0);
        }
    }

    fn forward(&self, out: &mut [f32]) {
        let mut scratch = vec![0f32; QUERY_BLOCK.min(self.n_queries) * self.n_keys];
        for block in self.blocks() {
            let p = &mut scratch[..block.rows * block.keys];
            self.probabilities(&block, p);
            let p = MatRef::new(p, block.rows, block.keys);
            let v = self.key_rows(self.v, &block);
            matmul(&mut self.query_rows_mut(out, &block), 0.0, 1.0, p, v, Threads::One);
        }
    }

    fn backward(&self, g: &[f32], gradients: &mut Gradients<'_>) {
        let size = QUERY_BLOCK.min(self.n_queries) * self.n_keys;
        let (mut p_scratch, mut dp_scratch) = (vec![0f32; size], vec![0f32; size]);
        for block in self.blocks() {
            let (rows, keys) = (block.rows, block.keys);
            let p = &mut p_scratch[..rows * keys];
            let dp = &mut dp_scratch[..rows * keys];
            self.probabilities(&block, p);
            let g = self.query_rows(g, &block);
            // dv += pᵀ g, dp = g vᵀ
            let p_view = MatRef::new(p, rows, keys);
            let mut dv = self.key_rows_mut(gradients.dv, &block);
            matmul(&mut dv, 1.0, 1.0, p_view.t(), g, Threads::One);
            let v = self.key_rows(self.v, &block);
            matmul(&mut MatMut::new(dp, rows, keys), 0.0, 1.0, g, v.t(), Threads::One);
            // ds = scale * p ∘ (dp − Σ p ∘ dp); zero beyond the diagonal because p is.
            for (p, dp) in p.chunks_exact_mut(keys).zip(dp.chunks_exact(keys)) {
                softmax_backward(p, dp, self.scale());
            }
            let ds = MatRef::new(p, rows, keys);
            let (q, k) = (self.query_rows(self.q, &block), self.key_rows(self.k, &block));
            let mut dq = self.query_rows_mut(gradients.dq, &block);
            matmul(&mut dq, 0.0, 1.0, ds, k, Threads::One);
            let mut dk = self.key_rows_mut(gradients.dk, &block);
            matmul(&mut dk, 1.0, 1.0, ds.t(), q, Threads::One);
        }
    }
}

impl Attention {
    /// The non-empty sequences, and the range of each in `q` and in `k`.
    fn sequences<'a>(&self, q: &'a [f32], k: &'a [f32], v: &'a [f32]) -> Vec<Sequence<'a>> {
        let shape = self.shape;
        let (q_width, k_width) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let ranges = self.query_segments.ranges().zip(self.key_segments.ranges());
        ranges
            .map(|(q_range, k_range)| Sequence {
                q: &q[q_range.start * q_width..q_range.end * q_width],
                k: &k[k_range.start * k_width..k_range.end * k_width],
                v: &v[k_range.start * k_width..k_range.end * k_width],
                n_queries: q_range.len(),
                n_keys: k_range.len(),
                shape,
            })
            .collect()
    }
}

/// Cuts a buffer into consecutive pieces of the given lengths.
fn split(mut data: &mut [f32], lengths: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    lengths
        .map(|length| {
            let (head, tail) = std::mem::take(&mut data).split_at_mut(length);
            data = tail;
            head
        })
        .collect()
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k) = (slice(q, q_layout, NAME)?, slice(k, k_layout, NAME)?);
        let sequences = self.sequences(q, k, slice(v, v_layout, NAME)?);
        let mut out = vec![0f32; q.len()];
        let pieces = split(&mut out, sequences.iter().map(|s| s.q.len()));
        sequences.par_iter().zip(pieces).for_each(|(sequence, out)| sequence.forward(out));
        Ok((CpuStorage::F32(out), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q_tensor: &Tensor,
        k_tensor: &Tensor,
        v_tensor: &Tensor,
        _out: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (mut dq, mut dk, mut dv) = (
            vec![0f32; q_tensor.elem_count()],
            vec![0f32; k_tensor.elem_count()],
            vec![0f32; v_tensor.elem_count()],
        );
        with_slices([q_tensor, k_tensor, v_tensor, gradient], NAME, |[q, k, v, mut g]| {
            let sequences = self.sequences(q, k, v);
            let q_lengths = sequences.iter().map(|s| s.q.len());
            let k_lengths = sequences.iter().map(|s| s.k.len());
            let pieces = split(&mut dq, q_lengths.clone())
                .into_iter()
                .zip(split(&mut dk, k_lengths.clone()))
                .zip(split(&mut dv, k_lengths))
                .zip(q_lengths)
                .map(|(((dq, dk), dv), length)| {
                    let (own, rest) = g.split_at(length);
                    g = rest;
                    (Gradients { dq, dk, dv }, own)
                });
            let pieces: Vec<(Gradients<'_>, &[f32])> = pieces.collect();
            sequences.par_iter().zip(pieces).for_each(|(sequence, (mut out, g))| {
                sequence.backward(g, &mut out);
            });
            Ok(())
        })?;
        Ok((Some(tensor(dq, q_tensor)?), Some(tensor(dk, k_tensor)?), Some(tensor(dv, v_tensor)?)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{D, Device};

    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    /// Textbook attention for one padded batch, with a mask, from candle's differentiable operations.
    fn plain(v: &[Tensor], batch: usize, queries: usize, keys: usize) -> Result<Tensor> {
        let (_, heads, head_dim) = v[0].dims3()?;
        let kv_heads = v[1].dims3()?.1;
        let split = |t: &Tensor, seq: usize, heads: usize| {
            t.reshape((batch, seq, heads, head_dim))?.transpose(1, 2)?.contiguous()
        };
        let expand = |t: Tensor| {
            let group = heads / kv_heads;
            t.unsqueeze(2)?
                .expand((batch, kv_heads, group, keys, head_dim))?
                .reshape((batch, heads, keys, head_dim))
        };
        let q = split(&v[0], queries, heads)?;
        let k = expand(split(&v[1], keys, kv_heads)?)?;
        let value = expand(split(&v[2], keys, kv_heads)?)?;
        let mask: Vec<f32> = (0..queries)
            .flat_map(|i| {
                (0..keys)
                    .map(move |j| if j <= keys - queries + i { 0.0 } else { f32::NEG_INFINITY })
            })
            .collect();
        let mask = Tensor::from_vec(mask, (1, 1, queries, keys), &Device::Cpu)?;
        let scores = (q.matmul(&k.t()?)? / (head_dim as f64).sqrt())?.broadcast_add(&mask)?;
        let out = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&value)?;
        out.transpose(1, 2)?.reshape((batch * queries, heads, head_dim))
    }

    #[test]
    fn value_and_gradients_equal_masked_attention() {
        for (batch, queries, keys, heads, kv_heads, head_dim) in
            [(1, 1, 1, 1, 1, 2), (3, 5, 5, 4, 2, 6), (2, 4, 9, 3, 1, 5), (1, 130, 133, 2, 2, 8)]
        {
            let inputs = [
                random(&[batch * queries, heads, head_dim], 1),
                random(&[batch * keys, kv_heads, head_dim], 2),
                random(&[batch * keys, kv_heads, head_dim], 3),
            ];
            let (qs, ks) = (Segments::uniform(batch, queries), Segments::uniform(batch, keys));
            assert_same_gradients(
                &inputs,
                3e-5,
                |v| causal_attention(&v[0], &v[1], &v[2], &qs, &ks),
                |v| plain(v, batch, queries, keys),
            );
        }
    }

    #[test]
    fn packed_sequences_do_not_see_each_other() {
        let (q, k, v) = (random(&[7, 2, 4], 1), random(&[7, 2, 4], 2), random(&[7, 2, 4], 3));
        let packed = Segments::new([3, 0, 4]);
        let together = causal_attention(&q, &k, &v, &packed, &packed).unwrap();
        let alone = |start: usize, len: usize| {
            let part = |t: &Tensor| t.narrow(0, start, len).unwrap();
            let segments = Segments::new([len]);
            causal_attention(&part(&q), &part(&k), &part(&v), &segments, &segments).unwrap()
        };
        let apart = Tensor::cat(&[alone(0, 3), alone(3, 4)], 0).unwrap();
        let difference = (together - apart).unwrap().abs().unwrap().max_all().unwrap();
        assert_eq!(difference.to_scalar::<f32>().unwrap(), 0.0);
    }

    #[test]
    fn misfits_are_named() {
        let (q, k) = (random(&[2, 3, 4], 1), random(&[2, 2, 4], 2));
        let two = Segments::new([2]);
        let message = causal_attention(&q, &k, &k, &two, &two).unwrap_err().to_string();
        assert!(message.contains("2 key-value heads do not divide 3 heads"), "{message}");
        let (q, k) = (random(&[3, 1, 4], 1), random(&[2, 1, 4], 2));
        let message =
            causal_attention(&q, &k, &k, &Segments::new([3]), &two).unwrap_err().to_string();
        assert!(message.contains("at least as many keys as queries"), "{message}");
    }
}
