//! Log-probabilities of target tokens under a linear head.
//!
//! Only the rows handed in are scored, each once, however many targets read it. Logits exist once:
//! kept from forward to backward while they are small, else computed in blocks of rows in both
//! passes. The head may begin with frozen rows, for which no gradient is computed.

use std::sync::{Arc, Mutex};

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::cpu::{gradients, lock, with_slices};
use super::cuda;
use super::frozen::{Frozen, frozen, with_frozen_if_any};
use super::matmul::{MatMut, MatRef, Threads, matmul};
use super::operation::{Passes, operation};
use super::simd::{log_sum_exp, scaled_exp};

const NAME: &str = "token-log-probs";

/// Logits up to this many entries (256 MiB) are kept for the backward pass; few in tests, which so go
/// both ways with little memory.
const KEEP_ENTRIES: usize = if cfg!(test) { 1 << 14 } else { 1 << 26 };

/// Entries of one block of logits (32 MiB) where they are not kept.
const BLOCK_ENTRIES: usize = if cfg!(test) { 1 << 14 } else { 1 << 23 };

/// Rows of one block at least: with fewer, reading the head takes longer than multiplying with it.
const BLOCK_ROWS: usize = if cfg!(test) { 16 } else { 128 };

/// `ln p(target)` of several targets per row: target `i` is scored at row `rows[i]` of `hidden`, where
/// `p = softmax(hidden headᵀ)`. Rows may be named in any order, often or never.
///
/// Shapes: `hidden [n, d]`, `head [vocab, d]`, both `f32`; result `[rows.len()]`, `f32`, in nats. Differentiable in
/// `hidden` and `head`.
///
/// # Errors
/// When shapes or types do not fit, or a row or target does not exist.
pub fn token_log_probs_at(
    hidden: &Tensor,
    head: &Tensor,
    rows: &[u32],
    targets: &[u32],
) -> Result<Tensor> {
    token_log_probs(hidden, None, Some(head), rows, targets)
}

/// [`token_log_probs_at`] under a head of frozen rows followed by trained ones.
///
/// Shapes: `hidden [n, d]`, `f32`; `frozen_head [v0, d]`, `f32`, `bf16` or `f16`; `new_rows [v1, d]`, `f32`; result
/// `[rows.len()]`. Differentiable in `hidden` and `new_rows`; a frozen head alone is allowed.
///
/// # Errors
/// As [`token_log_probs_at`].
pub fn token_log_probs_extended(
    hidden: &Tensor,
    frozen_head: &Tensor,
    new_rows: Option<&Tensor>,
    rows: &[u32],
    targets: &[u32],
) -> Result<Tensor> {
    token_log_probs(hidden, Some(frozen_head), new_rows, rows, targets)
}

fn token_log_probs(
    hidden: &Tensor,
    frozen_head: Option<&Tensor>,
    trained: Option<&Tensor>,
    rows: &[u32],
    targets: &[u32],
) -> Result<Tensor> {
    let targets = checked(hidden, [frozen_head, trained], rows, targets)?;
    let frozen = frozen_head.map(|head| frozen(head, NAME)).transpose()?;
    // Where no row is trained, the hidden states stand in for them: an input that is not read.
    let hidden = &hidden.contiguous()?;
    let stand_in = hidden.detach();
    let op = LogProbs { targets: Arc::new(targets), frozen, trains: trained.is_some() };
    operation(
        NAME,
        [hidden, trained.unwrap_or(&stand_in)],
        |inputs| op.clone().host(inputs),
        |inputs| cuda::token_log_probs(inputs, &op),
    )
}

/// The targets, if all of them and the parts of the head fit the hidden states.
fn checked(
    hidden: &Tensor,
    head: [Option<&Tensor>; 2],
    rows: &[u32],
    targets: &[u32],
) -> Result<Targets> {
    let (n_rows, width) = hidden.dims2()?;
    let mut vocab = 0;
    for head in head.into_iter().flatten() {
        if head.dims2()?.1 != width {
            bail!("{NAME}: hidden {:?} and head {:?} do not fit", hidden.dims(), head.dims());
        }
        vocab += head.dims()[0];
    }
    if rows.len() != targets.len() {
        bail!("{NAME}: {} rows for {} targets", rows.len(), targets.len());
    }
    if let Some(row) = rows.iter().find(|row| **row as usize >= n_rows) {
        bail!("{NAME}: row {row} is outside the {n_rows} rows of hidden states");
    }
    if let Some(target) = targets.iter().find(|t| **t as usize >= vocab) {
        bail!("{NAME}: target {target} is outside the vocabulary of {vocab}");
    }
    Ok(Targets::new(n_rows, rows, targets))
}

/// The targets, row by row.
pub(super) struct Targets {
    /// Where the targets of each row begin in `of_rows`, then their number: `[rows + 1]`.
    pub(super) starts: Vec<usize>,
    /// Place in the result, and token; those of one row in the order they were named.
    pub(super) of_rows: Vec<(u32, u32)>,
}

impl Targets {
    fn new(n_rows: usize, rows: &[u32], targets: &[u32]) -> Self {
        let mut starts = vec![0; n_rows + 1];
        for row in rows {
            starts[*row as usize + 1] += 1;
        }
        for row in 0..n_rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut of_rows = vec![(0, 0); rows.len()];
        for ((place, row), target) in (0u32..).zip(rows).zip(targets) {
            let next = &mut next[*row as usize];
            of_rows[*next] = (place, *target);
            *next += 1;
        }
        Self { starts, of_rows }
    }

    fn at(&self, row: usize) -> &[(u32, u32)] {
        &self.of_rows[self.starts[row]..self.starts[row + 1]]
    }
}

/// What the forward pass leaves to the backward pass.
struct Saved {
    normalizers: Vec<f32>,
    /// `[rows, vocab]`, where small enough.
    logits: Option<Vec<f32>>,
}

/// The head: frozen rows, then trained ones.
struct Head<'a> {
    frozen: Option<Frozen<'a>>,
    trained: &'a [f32],
    width: usize,
}

impl Head<'_> {
    fn n_frozen(&self) -> usize {
        self.frozen.map_or(0, |frozen| frozen.rows)
    }

    fn n_trained(&self) -> usize {
        self.trained.len() / self.width.max(1)
    }

    fn vocab(&self) -> usize {
        self.n_frozen() + self.n_trained()
    }

    /// Calls `work(first_token, rows)` on parts of the head, in order.
    fn for_parts(&self, mut work: impl FnMut(usize, MatRef<'_>)) {
        if let Some(frozen) = &self.frozen {
            frozen.for_blocks(&mut work);
        }
        if !self.trained.is_empty() {
            work(self.n_frozen(), MatRef::new(self.trained, self.n_trained(), self.width));
        }
    }

    /// `out [rows, vocab] ← hidden headᵀ`.
    fn logits(&self, hidden: &[f32], rows: usize, out: &mut [f32]) {
        let (vocab, hidden) = (self.vocab(), MatRef::new(hidden, rows, self.width));
        self.for_parts(|first, part| {
            let mut out = MatMut::strided(&mut out[first..], rows, part.rows(), vocab);
            matmul(&mut out, 0.0, 1.0, hidden, part.t(), Threads::Pool);
        });
    }

    /// `out [rows, d] ← d_logits head`.
    fn back(&self, d_logits: &[f32], rows: usize, out: &mut [f32]) {
        let vocab = self.vocab();
        let mut out = MatMut::new(out, rows, self.width);
        self.for_parts(|first, part| {
            let keep = if first == 0 { 0.0 } else { 1.0 };
            let d_logits = MatRef::strided(&d_logits[first..], rows, part.rows(), vocab);
            matmul(&mut out, keep, 1.0, d_logits, part, Threads::Pool);
        });
    }
}

fn keeps(rows: usize, vocab: usize) -> bool {
    rows.saturating_mul(vocab) <= KEEP_ENTRIES
}

fn block_rows(rows: usize, vocab: usize) -> usize {
    if keeps(rows, vocab) { rows.max(1) } else { (BLOCK_ENTRIES / vocab).max(BLOCK_ROWS) }
}

/// What is scored beside the inputs: hidden states and the trained rows of the head.
#[derive(Clone)]
pub(super) struct LogProbs {
    pub(super) targets: Arc<Targets>,
    /// The rows of the head in front of the trained ones.
    pub(super) frozen: Option<Tensor>,
    /// Whether the second input holds trained rows.
    pub(super) trains: bool,
}

impl LogProbs {
    fn host(self, inputs: [&Tensor; 2]) -> Result<Passes<2>> {
        let (rows, width) = inputs[0].dims2()?;
        let (values, saved) = with_slices(inputs, NAME, |[hidden, trained]| {
            self.with_head(trained, width, |head| Ok(self.forward(hidden, rows, &head)))
        })?;
        let n = values.len();
        let saved = Mutex::new(Some(saved));
        Ok(Passes::new((values, n), move |inputs, g| {
            let [hidden, trained] = inputs;
            let data = with_slices([hidden, trained, g], NAME, |[hidden, trained, g]| {
                // A second backward pass over the same graph finds nothing saved: compute again.
                let saved = lock(&saved).take();
                self.with_head(trained, width, |head| {
                    let saved = saved.unwrap_or_else(|| self.forward(hidden, rows, &head).1);
                    Ok(self.backward(hidden, rows, &head, g, saved))
                })
            })?;
            if !self.trains {
                let [d_hidden, _] = data;
                let [d_hidden] = gradients([d_hidden], [hidden])?;
                return Ok([d_hidden, None]);
            }
            gradients(data, inputs)
        }))
    }

    fn with_head<T>(
        &self,
        trained: &[f32],
        width: usize,
        read: impl FnOnce(Head<'_>) -> Result<T>,
    ) -> Result<T> {
        let trained = if self.trains { trained } else { &[] };
        with_frozen_if_any(self.frozen.as_ref(), NAME, |frozen| {
            read(Head { frozen, trained, width })
        })
    }

    /// Value of every target, and what the backward pass needs.
    fn forward(&self, hidden: &[f32], rows: usize, head: &Head<'_>) -> (Vec<f32>, Saved) {
        let (width, vocab) = (head.width, head.vocab());
        let mut normalizers = vec![0f32; rows];
        let mut values = vec![0f32; self.targets.of_rows.len()];
        let block = block_rows(rows, vocab);
        let mut buffer = vec![0f32; block.min(rows) * vocab];
        for first in (0..rows).step_by(block) {
            let n = block.min(rows - first);
            let buffer = &mut buffer[..n * vocab];
            head.logits(&hidden[first * width..][..n * width], n, buffer);
            if vocab == 0 {
                break;
            }
            let normalizers = &mut normalizers[first..][..n];
            let pairs = normalizers.par_iter_mut().zip(buffer.par_chunks_exact(vocab));
            pairs.for_each(|(normalizer, row)| *normalizer = log_sum_exp(row));
            for (i, (normalizer, row)) in
                normalizers.iter().zip(buffer.chunks_exact(vocab)).enumerate()
            {
                for (place, target) in self.targets.at(first + i) {
                    values[*place as usize] = row[*target as usize] - *normalizer;
                }
            }
        }
        let logits = keeps(rows, vocab).then_some(buffer);
        (values, Saved { normalizers, logits })
    }

    /// Gradients of `hidden` and of the trained rows, given the gradient `g` of every value.
    fn backward(
        &self,
        hidden: &[f32],
        rows: usize,
        head: &Head<'_>,
        g: &[f32],
        saved: Saved,
    ) -> [Vec<f32>; 2] {
        let (width, vocab, skip) = (head.width, head.vocab(), head.n_frozen());
        let mut d_hidden = vec![0f32; rows * width];
        let mut d_trained = vec![0f32; head.trained.len()];
        let block = block_rows(rows, vocab);
        let has_logits = saved.logits.is_some();
        let mut buffer = saved.logits.unwrap_or_else(|| vec![0f32; block.min(rows) * vocab]);
        for first in (0..rows).step_by(block) {
            let n = block.min(rows - first);
            let buffer = &mut buffer[..n * vocab];
            let hidden = &hidden[first * width..][..n * width];
            if !has_logits {
                head.logits(hidden, n, buffer);
            }
            // Σ over the row's targets of d ln p(t) / d logit = [t] − p
            let per_row = buffer.par_chunks_exact_mut(vocab.max(1)).enumerate();
            per_row.zip(&saved.normalizers[first..][..n]).for_each(|((i, row), normalizer)| {
                let targets = self.targets.at(first + i);
                let sum: f32 = targets.iter().map(|(place, _)| g[*place as usize]).sum();
                scaled_exp(row, *normalizer, -sum);
                for (place, target) in targets {
                    row[*target as usize] += g[*place as usize];
                }
            });
            head.back(buffer, n, &mut d_hidden[first * width..][..n * width]);
            if !d_trained.is_empty() {
                let keep = if first == 0 { 0.0 } else { 1.0 };
                let d_logits = MatRef::strided(&buffer[skip..], n, head.n_trained(), vocab);
                let mut out = MatMut::new(&mut d_trained, head.n_trained(), width);
                let hidden = MatRef::new(hidden, n, width);
                matmul(&mut out, keep, 1.0, d_logits.t(), hidden, Threads::Pool);
            }
        }
        [d_hidden, d_trained]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    fn targets(rows: usize, vocab: usize) -> Tensor {
        let ids: Vec<u32> = (0..rows).map(|i| (i * 7 % vocab) as u32).collect();
        Tensor::from_vec(ids, rows, &Device::Cpu).unwrap()
    }

    /// One target per row.
    fn token_log_probs(hidden: &Tensor, head: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let rows: Vec<u32> = (0..hidden.dims2()?.0 as u32).collect();
        token_log_probs_at(hidden, head, &rows, &targets.to_vec1::<u32>()?)
    }

    fn plain(hidden: &Tensor, head: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let log_probs = candle_nn::ops::log_softmax(&hidden.matmul(&head.t()?)?, 1)?;
        log_probs.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)
    }

    #[test]
    fn values_and_gradients_equal_log_softmax() {
        for (rows, width, vocab) in [(1, 1, 1), (5, 8, 31), (33, 16, 700)] {
            let inputs = [random(&[rows, width], 1), random(&[vocab, width], 2)];
            let targets = targets(rows, vocab);
            assert_same_gradients(
                &inputs,
                5e-5,
                |v| token_log_probs(&v[0], &v[1], &targets),
                |v| plain(&v[0], &v[1], &targets),
            );
            let weights = random(&[rows], 3).abs().unwrap();
            assert_same_gradients(
                &inputs,
                1e-4,
                |v| (token_log_probs(&v[0], &v[1], &targets)? * &weights)?.sum_all()?.neg(),
                |v| (plain(&v[0], &v[1], &targets)? * &weights)?.sum_all()?.neg(),
            );
        }
    }

    #[test]
    fn blocks_of_rows_give_what_kept_logits_give() {
        // 50 rows of a thousand entries exceed what is kept in tests; a block has 16 rows.
        let (rows, width, vocab) = (50, 2, 1_000);
        let (hidden, head) = (random(&[rows, width], 1), random(&[vocab, width], 2));
        let inputs = [hidden, head];
        let targets = targets(rows, vocab);
        assert!(!keeps(rows, vocab));
        assert_same_gradients(
            &inputs,
            1e-4,
            |v| token_log_probs(&v[0], &v[1], &targets),
            |v| plain(&v[0], &v[1], &targets),
        );
    }

    /// Several targets per row, some rows without one, in no order.
    fn scattered(rows: usize, vocab: usize) -> (Vec<u32>, Vec<u32>) {
        let n = 2 * rows as u32;
        let at = (0..n).map(|i| (i * i + 3) % rows as u32).collect();
        (at, (0..n).map(|i| i * 5 % vocab as u32).collect())
    }

    fn plain_at(hidden: &Tensor, head: &Tensor, at: &[u32], targets: &[u32]) -> Result<Tensor> {
        let ids = |ids: &[u32]| Tensor::from_slice(ids, ids.len(), &Device::Cpu);
        plain(&hidden.index_select(&ids(at)?, 0)?, head, &ids(targets)?)
    }

    #[test]
    fn targets_may_share_rows() {
        for (rows, width, vocab) in [(1, 3, 5), (12, 8, 31), (50, 2, 1_000)] {
            let inputs = [random(&[rows, width], 1), random(&[vocab, width], 2)];
            let (at, targets) = scattered(rows, vocab);
            assert!(rows < 12 || (0..rows as u32).any(|row| !at.contains(&row)));
            assert_same_gradients(
                &inputs,
                1e-4,
                |v| token_log_probs_at(&v[0], &v[1], &at, &targets),
                |v| plain_at(&v[0], &v[1], &at, &targets),
            );
        }
    }

    #[test]
    fn a_head_may_be_frozen_in_part_or_whole() {
        let (rows, width) = (12, 600);
        for (v0, v1, dtype) in
            [(40, 7, DType::F32), (900, 30, DType::BF16), (500, 1, DType::F16), (0, 9, DType::F32)]
        {
            let frozen = (random(&[v0, width], 3) * 0.1).unwrap().to_dtype(dtype).unwrap();
            let wide = frozen.to_dtype(DType::F32).unwrap();
            let new = (random(&[v1, width], 2) * 0.1).unwrap();
            let (at, targets) = scattered(rows, v0 + v1);
            assert_same_gradients(
                &[random(&[rows, width], 1), new],
                1e-4,
                |v| token_log_probs_extended(&v[0], &frozen, Some(&v[1]), &at, &targets),
                |v| plain_at(&v[0], &Tensor::cat(&[&wide, &v[1]], 0)?, &at, &targets),
            );
            if v0 > 0 {
                let (at, targets) = scattered(rows, v0);
                assert_same_gradients(
                    &[random(&[rows, width], 1)],
                    1e-4,
                    |v| token_log_probs_extended(&v[0], &frozen, None, &at, &targets),
                    |v| plain_at(&v[0], &wide, &at, &targets),
                );
            }
        }
    }

    #[test]
    fn a_second_backward_pass_gives_the_same() {
        let hidden = candle_core::Var::from_tensor(&random(&[4, 8], 1)).unwrap();
        let loss = token_log_probs(&hidden, &random(&[9, 8], 2), &targets(4, 9)).unwrap();
        let loss = loss.sum_all().unwrap();
        let gradient = || {
            let gradients = loss.backward().unwrap();
            gradients.get(&hidden).unwrap().to_vec2::<f32>().unwrap()
        };
        assert_eq!(gradient(), gradient());
    }

    #[test]
    fn a_target_outside_the_vocabulary_is_refused() {
        let message = token_log_probs(&random(&[1, 2], 1), &random(&[3, 2], 2), &targets(1, 1))
            .and_then(|_| {
                let target = Tensor::from_vec(vec![3u32], 1, &Device::Cpu)?;
                token_log_probs(&random(&[1, 2], 1), &random(&[3, 2], 2), &target)
            })
            .unwrap_err()
            .to_string();
        assert!(message.contains("target 3 is outside the vocabulary of 3"), "{message}");
        let (hidden, head) = (random(&[1, 2], 1), random(&[3, 2], 2));
        let message = token_log_probs_at(&hidden, &head, &[1], &[0]).unwrap_err().to_string();
        assert!(message.contains("row 1 is outside the 1 rows"), "{message}");
        let message = token_log_probs_at(&hidden, &head, &[0, 0], &[0]).unwrap_err().to_string();
        assert!(message.contains("2 rows for 1 targets"), "{message}");
        let new = random(&[1, 3], 2);
        let message = token_log_probs_extended(&hidden, &head, Some(&new), &[0], &[0]);
        let message = message.unwrap_err().to_string();
        assert!(message.contains("hidden [1, 2] and head [1, 3] do not fit"), "{message}");
    }
}
