//! Attention over packed sequences and trees; see `super::super::attention`.
//!
//! Trees are padded to the longest, so that scores are one batched product; a kernel masks and normalizes them in place.
//! Probabilities are kept for the backward pass. Query heads of a group are further rows beside the keys they share.

use std::sync::Arc;

use candle_core::{Device, Result, Shape, Tensor};

use super::launch::{Argument::*, Grid, Module, module, uninitialized};
use crate::ops::operation::Passes;
use crate::ops::tree::Tree;

const KERNELS: Module = module!("softmax");
const HEADS: Module = module!("heads");

/// Where the tokens of a packed batch lie in a padded one, and which keys each query sees.
#[derive(Debug)]
pub(in crate::ops) struct Spans {
    trees: usize,
    /// Queries and keys of the longest tree.
    queries: usize,
    keys: usize,
    /// `[trees, queries, 3]`, `u32`: see `softmax.cu`.
    spans: Tensor,
    query_places: Places,
    key_places: Places,
}

/// How rows are padded; nothing where all trees are equally long.
#[derive(Debug, Default)]
struct Places {
    /// `[trees * longest]`: the row in each place; padding repeats row 0.
    rows: Option<Tensor>,
    /// `[rows]`: the place of each row.
    places: Option<Tensor>,
}

impl Places {
    fn new(lengths: &[usize], longest: usize, device: &Device) -> Result<Self> {
        if lengths.iter().all(|length| *length == longest) {
            return Ok(Self::default());
        }
        let mut rows = vec![0u32; lengths.len() * longest];
        let mut places = Vec::with_capacity(lengths.iter().sum());
        for (tree, length) in lengths.iter().enumerate() {
            for i in 0..*length {
                let place = tree * longest + i;
                rows[place] = places.len() as u32;
                places.push(place as u32);
            }
        }
        Ok(Self {
            rows: Some(Tensor::new(rows, device)?),
            places: Some(Tensor::new(places, device)?),
        })
    }
}

impl Spans {
    /// `rows`: the tokens whose queries there are, ascending; all where none are named.
    pub(in crate::ops) fn new<'a>(
        trees: impl ExactSizeIterator<Item = Tree<'a>> + Clone,
        rows: Option<&[u32]>,
        device: &Device,
    ) -> Result<Self> {
        let key_lengths: Vec<usize> = trees.clone().map(|tree| tree.tokens().len()).collect();
        let keys = key_lengths.iter().copied().max().unwrap_or(0);
        let mut seen = Vec::with_capacity(trees.len());
        let mut next = 0;
        for tree in trees {
            let mut spans = Vec::with_capacity(tree.tokens().len());
            let (start, prompt) = (tree.tokens().start, tree.prompt().len() as u32);
            let end = |own: u32| if tree.is_causal() { own } else { prompt };
            spans.extend((1..=prompt).map(|own| [end(own), 0, 0]));
            for branch in tree.branches() {
                let first = (branch.start - start) as u32;
                spans.extend((1..=branch.len() as u32).map(|n| [prompt, first, first + n]));
            }
            if let Some(rows) = rows {
                let n = rows[next..].partition_point(|row| (*row as usize) < tree.tokens().end);
                spans =
                    rows[next..next + n].iter().map(|row| spans[*row as usize - start]).collect();
                next += n;
            }
            seen.push(spans);
        }
        let query_lengths: Vec<usize> = seen.iter().map(Vec::len).collect();
        let queries = query_lengths.iter().copied().max().unwrap_or(0);
        let mut spans = vec![0u32; seen.len() * queries * 3];
        for (tree, seen) in seen.iter().enumerate() {
            for (i, span) in seen.iter().enumerate() {
                spans[(tree * queries + i) * 3..][..3].copy_from_slice(span);
            }
        }
        Ok(Self {
            trees: seen.len(),
            queries,
            keys,
            spans: Tensor::new(spans, device)?,
            query_places: Places::new(&query_lengths, queries, device)?,
            key_places: Places::new(&key_lengths, keys, device)?,
        })
    }

    /// `[rows, heads, d]` to `[trees * kv_heads, group * longest, d]`.
    fn padded(
        &self,
        x: &Tensor,
        places: &Places,
        longest: usize,
        kv_heads: usize,
    ) -> Result<Tensor> {
        let x = x.contiguous()?;
        let (_, heads, width) = x.dims3()?;
        let shape = (self.trees * kv_heads, heads / kv_heads * longest, width);
        // SAFETY: `rows` names rows of `x`, or there is a row for each place.
        unsafe { moved("to_heads", &x, places.rows.as_ref(), shape.into(), [heads, longest]) }
    }

    /// The way back.
    fn packed(
        &self,
        x: &Tensor,
        places: &Places,
        longest: usize,
        kv_heads: usize,
    ) -> Result<Tensor> {
        let x = x.contiguous()?;
        let (_, rows, width) = x.dims3()?;
        let heads = kv_heads * rows / longest.max(1);
        let n = places.places.as_ref().map_or(self.trees * longest, Tensor::elem_count);
        // SAFETY: `places` names places of `x`, or there is a place for each row.
        unsafe {
            moved(
                "from_heads",
                &x,
                places.places.as_ref(),
                (n, heads, width).into(),
                [heads, longest],
            )
        }
    }

    /// `scores [trees * kv_heads, group * queries, keys]` become probabilities, in place.
    fn softmax(&self, scores: &Tensor, scale: f32) -> Result<()> {
        let (matrices, rows, keys) = scores.dims3()?;
        let n = matrices * rows;
        let per_tree = n / self.trees.max(1);
        let arguments = [
            Tensor(scores),
            Tensor(&self.spans),
            U64(n as u64),
            U32(per_tree),
            U32(self.queries),
            U32(keys),
            F32(scale),
        ];
        // SAFETY: a warp for each of the `n` rows of `keys`; rows of a tree are `per_tree`, in the order heads, queries.
        unsafe { KERNELS.launch("softmax", scores.dtype(), &Grid::Rows(n), &arguments) }
    }

    /// The gradient `dp` of the probabilities `p` becomes that of the scores before they were scaled, in place.
    fn softmax_backward(&self, p: &Tensor, dp: &Tensor, scale: f32) -> Result<()> {
        let (matrices, rows, keys) = p.dims3()?;
        let n = matrices * rows;
        let per_tree = n / self.trees.max(1);
        let arguments = [
            Tensor(p),
            Tensor(dp),
            Tensor(&self.spans),
            U64(n as u64),
            U32(per_tree),
            U32(self.queries),
            U32(keys),
            F32(scale),
        ];
        // SAFETY: as in `softmax`; both are of one shape.
        unsafe { KERNELS.launch("softmax_backward", p.dtype(), &Grid::Rows(n), &arguments) }
    }
}

/// `x` in the order and shape that a kernel of `heads.cu` gives it.
///
/// # Safety
/// `index` must name what the kernel looks up, or what it looks up without one must be there.
unsafe fn moved(
    kernel: &str,
    x: &Tensor,
    index: Option<&Tensor>,
    shape: Shape,
    [heads, longest]: [usize; 2],
) -> Result<Tensor> {
    let width = x.dims()[x.rank() - 1] * x.dtype().size_in_bytes();
    let (unit, suffix) = match width {
        _ if width.is_multiple_of(16) => (16, "16"),
        _ if width.is_multiple_of(4) => (4, "4"),
        _ => (2, "2"),
    };
    let units = shape.elem_count() * x.dtype().size_in_bytes() / unit;
    // SAFETY: a thread for each unit of the result writes it; the caller answers for what is read.
    unsafe {
        let y = uninitialized(shape, x.dtype(), x.device())?;
        let arguments = [
            Tensor(x),
            Optional(index),
            Tensor(&y),
            U64(units as u64),
            U32(heads),
            U32(longest),
            U32(width / unit),
        ];
        HEADS.launch_as(kernel, suffix, &Grid::Entries(units), &arguments)?;
        Ok(y)
    }
}

/// Shapes: `q [queries, heads, d]`, `k` and `v [tokens, kv_heads, d]`, result like `q`.
pub(in crate::ops) fn packed_attention(
    [q, k, v]: [&Tensor; 3],
    spans: Arc<Spans>,
) -> Result<Passes<3>> {
    let (kv_heads, width) = (k.dims()[1], k.dims()[2]);
    let scale = 1.0 / (width as f32).sqrt();
    let (queries, keys) = (spans.queries, spans.keys);
    let pad_queries =
        move |spans: &Spans, x: &Tensor| spans.padded(x, &spans.query_places, queries, kv_heads);
    let pad_keys =
        move |spans: &Spans, x: &Tensor| spans.padded(x, &spans.key_places, keys, kv_heads);
    let padded = [pad_queries(&spans, q)?, pad_keys(&spans, k)?, pad_keys(&spans, v)?];
    let p = padded[0].matmul(&padded[1].t()?)?;
    spans.softmax(&p, scale)?;
    let seen = p.matmul(&padded[2])?;
    let seen = spans.packed(&seen, &spans.query_places, queries, kv_heads)?;
    Ok(Passes::new(seen, move |_, g| {
        let [q, k, v] = &padded;
        let g = pad_queries(&spans, g)?;
        let dv = p.t()?.matmul(&g)?;
        let ds = g.matmul(&v.t()?)?;
        spans.softmax_backward(&p, &ds, scale)?;
        let (dq, dk) = (ds.matmul(k)?, ds.t()?.matmul(q)?);
        Ok([
            Some(spans.packed(&dq, &spans.query_places, queries, kv_heads)?),
            Some(spans.packed(&dk, &spans.key_places, keys, kv_heads)?),
            Some(spans.packed(&dv, &spans.key_places, keys, kv_heads)?),
        ])
    }))
}
