//! Log-probabilities under a linear head; see `super::super::log_probs`.

use std::sync::Mutex;

use candle_core::{DType, Device, Result, Tensor};

use super::launch::{Argument::*, Grid, Module, module, uninitialized};
use crate::ops::cpu::lock;
use crate::ops::log_probs::{LogProbs, Targets};
use crate::ops::operation::Passes;

const KERNELS: Module = module!("log_probs");

/// Logits up to this many entries are kept for the backward pass (4 GiB of `bf16`).
const KEEP_ENTRIES: usize = 1 << 31;

/// Entries of one block of logits where they are not kept.
const BLOCK_ENTRIES: usize = 1 << 29;

/// Threads of a block, one block a row.
const THREADS: u32 = 256;

/// The targets of each row on the device.
struct OnDevice {
    starts: Vec<Tensor>,
    tokens: Tensor,
    places: Tensor,
    block: usize,
}

impl OnDevice {
    /// `starts` are cut into blocks of `block` rows, each with the end of its last row.
    fn new(targets: &Targets, rows: usize, block: usize, device: &Device) -> Result<Self> {
        let starts: Vec<u32> = targets.starts.iter().map(|start| *start as u32).collect();
        let cut = |first: usize| {
            let end = (first + block).min(rows);
            Tensor::new(&starts[first..=end], device)
        };
        // A pointer to nothing is still a pointer: one entry where there is no target.
        let (mut places, mut tokens): (Vec<u32>, Vec<u32>) =
            targets.of_rows.iter().copied().unzip();
        if places.is_empty() {
            (places, tokens) = (vec![0], vec![0]);
        }
        Ok(Self {
            starts: (0..rows).step_by(block).map(cut).collect::<Result<_>>()?,
            tokens: Tensor::new(tokens, device)?,
            places: Tensor::new(places, device)?,
            block,
        })
    }
}

/// Logits `[rows, vocab]` under the parts of a head.
fn logits(hidden: &Tensor, parts: &[Tensor]) -> Result<Tensor> {
    match parts {
        [head] => hidden.matmul(&head.t()?),
        parts => {
            let logits =
                parts.iter().map(|part| hidden.matmul(&part.t()?)).collect::<Result<Vec<_>>>()?;
            Tensor::cat(&logits, 1)
        }
    }
}

/// Shapes: `hidden [rows, d]`; `op.frozen [v0, d]` of any type and `trained [v1, d]`, `f32`, one
/// of which may be absent; result `[targets]`, `f32`. Differentiable in `hidden` and `trained`.
pub(in crate::ops) fn token_log_probs(
    [hidden, trained]: [&Tensor; 2],
    op: &LogProbs,
) -> Result<Passes<2>> {
    let (targets, trained) = (&*op.targets, op.trains.then_some(trained));
    let (rows, _) = hidden.dims2()?;
    let (dtype, device) = (hidden.dtype(), hidden.device());
    let parts: Vec<Tensor> = [op.frozen.as_ref(), trained]
        .into_iter()
        .flatten()
        .map(|part| part.to_dtype(dtype)?.contiguous())
        .collect::<Result<_>>()?;
    let vocab: usize = parts.iter().map(|part| part.dims()[0]).sum();
    let keeps = rows.saturating_mul(vocab) <= KEEP_ENTRIES;
    let block = if keeps { rows } else { BLOCK_ENTRIES / vocab.max(1) }.max(1);
    let on_device = OnDevice::new(targets, rows, block, device)?;
    let values = Tensor::zeros(targets.of_rows.len().max(1), DType::F32, device)?;
    let (mut normalizers, mut kept) = (Vec::new(), None);
    for (first, starts) in (0..rows).step_by(block).zip(&on_device.starts) {
        let n = block.min(rows - first);
        let logits = logits(&hidden.narrow(0, first, n)?, &parts)?;
        // SAFETY: a block for each of the `n` rows of `vocab` logits; tokens are below `vocab`, places below the values.
        let own = unsafe {
            let own = uninitialized(n, DType::F32, device)?;
            let arguments = [
                Tensor(&logits),
                Tensor(starts),
                Tensor(&on_device.tokens),
                Tensor(&on_device.places),
                Tensor(&own),
                Tensor(&values),
                U32(vocab),
            ];
            KERNELS.launch("log_probs", dtype, &Grid::Blocks(n, THREADS), &arguments)?;
            own
        };
        normalizers.push(own);
        kept = keeps.then_some(logits);
    }
    let n_targets = targets.of_rows.len();
    let values = if n_targets == 0 { values.narrow(0, 0, 0)?.copy()? } else { values };
    let (kept, has_trained) = (Mutex::new(kept), op.trains);
    Ok(Passes::new(values, move |[hidden, trained], g| {
        let g = g.contiguous()?;
        let trains = has_trained && trained.track_op();
        let mut d_hidden = Vec::new();
        let mut d_trained: Option<Tensor> = None;
        for (i, (starts, normalizers)) in on_device.starts.iter().zip(&normalizers).enumerate() {
            let first = i * on_device.block;
            let n = on_device.block.min(rows - first);
            let hidden = hidden.narrow(0, first, n)?.detach();
            // A second backward pass over the same graph finds nothing kept: compute again.
            let d = match lock(&kept).take() {
                Some(logits) => logits,
                None => logits(&hidden, &parts)?,
            };
            let arguments = [
                Tensor(&d),
                Tensor(starts),
                Tensor(&on_device.tokens),
                Tensor(&on_device.places),
                Tensor(normalizers),
                Tensor(&g),
                U32(vocab),
            ];
            // SAFETY: as in the forward pass.
            unsafe {
                KERNELS.launch(
                    "log_probs_backward",
                    dtype,
                    &Grid::Blocks(n, THREADS),
                    &arguments,
                )?;
            };
            let mut sum: Option<Tensor> = None;
            let mut from = 0;
            for part in &parts {
                let own = d.narrow(1, from, part.dims()[0])?.contiguous()?;
                from += part.dims()[0];
                let product = own.matmul(part)?;
                sum = Some(match sum {
                    Some(sum) => (sum + product)?,
                    None => product,
                });
                if trains && from == vocab {
                    let product = own.t()?.matmul(&hidden)?.to_dtype(trained.dtype())?;
                    d_trained = Some(match d_trained {
                        Some(sum) => (sum + product)?,
                        None => product,
                    });
                }
            }
            d_hidden.extend(sum);
        }
        let d_hidden = match d_hidden.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(Tensor::cat(many, 0)?),
        };
        Ok([d_hidden, d_trained])
    }))
}
