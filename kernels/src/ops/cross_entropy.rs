//! Log-probabilities of target tokens under a linear head, and the cross-entropy made of them.
//!
//! Only the rows handed in are scored. Logits exist once: kept from forward to backward while they
//! are small, else computed in blocks of rows in both passes.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::cpu::{slice, tensor, with_slices};
use super::matmul::{MatMut, MatRef, Threads, matmul};
use super::simd::{log_sum_exp, scaled_exp};

const NAME: &str = "token-log-probs";

/// Logits up to this many entries (64 MiB) are kept for the backward pass.
const KEEP_ENTRIES: usize = 1 << 24;

/// Entries of one block of logits (16 MiB) where they are not kept.
const BLOCK_ENTRIES: usize = 1 << 22;

/// `ln p(target)` of each row, where `p = softmax(hidden headᵀ)`.
///
/// Shapes: `hidden [rows, d]`, `head [vocab, d]`, both `f32`; `targets [rows]`, `u32`; result `[rows]`, `f32`, in
/// nats. Differentiable in `hidden` and `head`.
///
/// # Errors
/// When shapes or types do not fit, or a target lies outside the vocabulary.
pub fn token_log_probs(hidden: &Tensor, head: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let (rows, width) = hidden.dims2()?;
    let (vocab, head_width) = head.dims2()?;
    if width != head_width || targets.dims() != [rows] {
        bail!(
            "{NAME}: hidden {:?}, head {:?} and targets {:?} do not fit",
            hidden.dims(),
            head.dims(),
            targets.dims()
        );
    }
    if targets.dtype() != DType::U32 {
        bail!("{NAME}: expected u32 targets, got {}", targets.dtype().as_str());
    }
    let targets = targets.to_vec1::<u32>()?;
    if let Some(target) = targets.iter().find(|t| **t as usize >= vocab) {
        bail!("{NAME}: target {target} is outside the vocabulary of {vocab}");
    }
    let op = TokenLogProbs { targets, saved: Mutex::new(None) };
    hidden.contiguous()?.apply_op2(&head.contiguous()?, op)
}

/// Weighted negative log-likelihood `−Σ weight ln p(target)` over rows: a scalar, in nats.
///
/// Shapes: as in [`token_log_probs`], and `weights [rows]`, `f32`. Divide by the weight of the whole (global) batch
/// where a mean is wanted.
///
/// # Errors
/// As [`token_log_probs`].
pub fn cross_entropy_rows(
    hidden: &Tensor,
    head: &Tensor,
    targets: &Tensor,
    weights: &Tensor,
) -> Result<Tensor> {
    (token_log_probs(hidden, head, targets)? * weights)?.sum_all()?.neg()
}

struct TokenLogProbs {
    targets: Vec<u32>,
    /// What the forward pass leaves to the backward pass.
    saved: Mutex<Option<Saved>>,
}

struct Saved {
    normalizers: Vec<f32>,
    /// `[rows, vocab]`, where small enough.
    logits: Option<Vec<f32>>,
}

#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    width: usize,
    vocab: usize,
}

impl Sizes {
    fn block_rows(self) -> usize {
        if self.keeps() { self.rows.max(1) } else { (BLOCK_ENTRIES / self.vocab).max(1) }
    }

    fn keeps(self) -> bool {
        self.rows.saturating_mul(self.vocab) <= KEEP_ENTRIES
    }
}

fn logits(hidden: &[f32], head: &[f32], sizes: Sizes, out: &mut [f32]) {
    let rows = out.len() / sizes.vocab;
    let head = MatRef::new(head, sizes.vocab, sizes.width);
    let hidden = MatRef::new(hidden, rows, sizes.width);
    matmul(&mut MatMut::new(out, rows, sizes.vocab), 0.0, 1.0, hidden, head.t(), Threads::Pool);
}

/// Log-sum-exp of every row, and the logits where they are kept.
fn forward(hidden: &[f32], head: &[f32], targets: &[u32], sizes: Sizes) -> (Vec<f32>, Saved) {
    let Sizes { rows, width, vocab } = sizes;
    let mut normalizers = vec![0f32; rows];
    let mut values = vec![0f32; rows];
    let block = sizes.block_rows();
    let mut buffer = vec![0f32; block.min(rows) * vocab];
    for first in (0..rows).step_by(block) {
        let n = block.min(rows - first);
        let buffer = &mut buffer[..n * vocab];
        logits(&hidden[first * width..][..n * width], head, sizes, buffer);
        let out = normalizers[first..][..n].par_iter_mut().zip(&mut values[first..][..n]);
        out.zip(buffer.par_chunks_exact(vocab)).zip(&targets[first..][..n]).for_each(
            |(((normalizer, value), row), target)| {
                *normalizer = log_sum_exp(row);
                *value = row[*target as usize] - *normalizer;
            },
        );
    }
    let logits = sizes.keeps().then_some(buffer);
    (values, Saved { normalizers, logits })
}

/// Gradients of `hidden` and `head`, given the gradient `g` of every row's value.
fn backward(
    hidden: &[f32],
    head: &[f32],
    targets: &[u32],
    g: &[f32],
    saved: Saved,
    sizes: Sizes,
) -> (Vec<f32>, Vec<f32>) {
    let Sizes { rows, width, vocab } = sizes;
    let mut d_hidden = vec![0f32; rows * width];
    let mut d_head = vec![0f32; vocab * width];
    let block = sizes.block_rows();
    let has_logits = saved.logits.is_some();
    let mut buffer = saved.logits.unwrap_or_else(|| vec![0f32; block.min(rows) * vocab]);
    for first in (0..rows).step_by(block) {
        let n = block.min(rows - first);
        let buffer = &mut buffer[..n * vocab];
        let hidden = &hidden[first * width..][..n * width];
        if !has_logits {
            logits(hidden, head, sizes, buffer);
        }
        // d ln p(t) / d logit = [t] − p
        let per_row = saved.normalizers[first..][..n].par_iter().zip(&targets[first..][..n]);
        buffer.par_chunks_exact_mut(vocab).zip(per_row).zip(&g[first..][..n]).for_each(
            |((row, (normalizer, target)), g)| {
                scaled_exp(row, *normalizer, -*g);
                row[*target as usize] += *g;
            },
        );
        let d_logits = MatRef::new(buffer, n, vocab);
        let mut out = MatMut::new(&mut d_hidden[first * width..][..n * width], n, width);
        matmul(&mut out, 0.0, 1.0, d_logits, MatRef::new(head, vocab, width), Threads::Pool);
        let hidden = MatRef::new(hidden, n, width);
        let mut out = MatMut::new(&mut d_head, vocab, width);
        matmul(&mut out, 1.0, 1.0, d_logits.t(), hidden, Threads::Pool);
    }
    (d_hidden, d_head)
}

impl CustomOp2 for TokenLogProbs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        hidden: &CpuStorage,
        hidden_layout: &Layout,
        head: &CpuStorage,
        head_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (hidden, head) = (slice(hidden, hidden_layout, NAME)?, slice(head, head_layout, NAME)?);
        let sizes = sizes(hidden_layout.shape(), head_layout.shape())?;
        let (values, saved) = forward(hidden, head, &self.targets, sizes);
        *lock(&self.saved) = Some(saved);
        Ok((CpuStorage::F32(values), Shape::from(sizes.rows)))
    }

    fn bwd(
        &self,
        hidden_tensor: &Tensor,
        head_tensor: &Tensor,
        _values: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sizes = sizes(hidden_tensor.shape(), head_tensor.shape())?;
        with_slices([hidden_tensor, head_tensor, gradient], NAME, |[hidden, head, g]| {
            // A second backward pass over the same graph finds nothing saved: compute again.
            let saved = lock(&self.saved).take();
            let saved = saved.unwrap_or_else(|| forward(hidden, head, &self.targets, sizes).1);
            let (d_hidden, d_head) = backward(hidden, head, &self.targets, g, saved, sizes);
            Ok((Some(tensor(d_hidden, hidden_tensor)?), Some(tensor(d_head, head_tensor)?)))
        })
    }
}

fn sizes(hidden: &Shape, head: &Shape) -> Result<Sizes> {
    let (rows, width) = hidden.dims2()?;
    Ok(Sizes { rows, width, vocab: head.dims2()?.0 })
}

/// The content of a lock; a panic elsewhere leaves nothing half-written here.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    fn targets(rows: usize, vocab: usize) -> Tensor {
        let ids: Vec<u32> = (0..rows).map(|i| (i * 7 % vocab) as u32).collect();
        Tensor::from_vec(ids, rows, &Device::Cpu).unwrap()
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
                |v| cross_entropy_rows(&v[0], &v[1], &targets, &weights),
                |v| (plain(&v[0], &v[1], &targets)? * &weights)?.sum_all()?.neg(),
            );
        }
    }

    #[test]
    fn blocks_of_rows_give_what_kept_logits_give() {
        // 50 rows of 400 thousand entries exceed what is kept.
        let (rows, width, vocab) = (50, 2, 400_000);
        let (hidden, head) = (random(&[rows, width], 1), random(&[vocab, width], 2));
        let inputs = [hidden, head];
        let targets = targets(rows, vocab);
        assert!(!Sizes { rows, width, vocab }.keeps());
        assert_same_gradients(
            &inputs,
            1e-4,
            |v| token_log_probs(&v[0], &v[1], &targets),
            |v| plain(&v[0], &v[1], &targets),
        );
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
    }
}
