//! The table that turns tokens into vectors, and vectors back into log-probabilities of tokens.
//!
//! It trains as a whole, not at all, or only in its last rows (those of tokens that were added).

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor, bail};
use trieval_kernels::ops::{
    Candidates, candidate_cross_entropy, embedding, embedding_rows, token_log_probs_at,
    token_log_probs_extended,
};

/// Rows `[vocab, hidden]`.
pub(super) enum Table {
    /// Shares its storage with a variable.
    Trained(Tensor),
    /// Only `new`, whose rows follow those of `frozen`, get a gradient.
    Extended {
        /// `[before, hidden]`.
        frozen: Tensor,
        /// `[added, hidden]`.
        new: Tensor,
    },
    /// Gets no gradient.
    Frozen(Tensor),
}

impl Table {
    /// Rows of tokens. Shapes: `ids [tokens]`, `u32`; result `[tokens, hidden]`, `f32`.
    pub(super) fn look_up(&self, ids: &Tensor) -> Result<Tensor> {
        match self {
            Self::Trained(table) => embedding(ids, table),
            Self::Extended { frozen, new } => embedding_rows(ids, frozen, Some(new)),
            Self::Frozen(table) => embedding_rows(ids, table, None),
        }
    }

    /// `ln p(target)` under `softmax(hidden tableᵀ)`.
    ///
    /// Shapes: `hidden [n, hidden]`, `rows` and `targets` equally long; result `[rows]`, in nats.
    pub(super) fn log_probs(
        &self,
        hidden: &Tensor,
        rows: &[u32],
        targets: &[u32],
    ) -> Result<Tensor> {
        match self {
            Self::Trained(table) => token_log_probs_at(hidden, table, rows, targets),
            Self::Extended { frozen, new } => {
                token_log_probs_extended(hidden, frozen, Some(new), rows, targets)
            }
            Self::Frozen(table) => token_log_probs_extended(hidden, table, None, rows, targets),
        }
    }

    /// How far the logit of every target lies above the mean logit of the range of tokens that it lies in: `h · (w − w̄)`.
    ///
    /// Shapes: `hidden [n, hidden]`, `rows` and `targets` equally long; `ranges` ascending, none empty, none over another;
    /// result `[rows]`, `f32`.
    pub(super) fn margins(
        &self,
        hidden: &Tensor,
        rows: &[u32],
        targets: &[u32],
        ranges: &[Range<u32>],
    ) -> Result<Tensor> {
        let range_of = |token: &u32| {
            let place = ranges.partition_point(|range| range.end <= *token);
            match ranges.get(place) {
                Some(range) if range.contains(token) => Ok(place as u32),
                _ => bail!("target {token} lies in none of {} ranges of tokens", ranges.len()),
            }
        };
        let owners = targets.iter().map(range_of).collect::<Result<Vec<u32>>>()?;
        // One look-up for all: each has a gradient as large as the table.
        let codes = ranges.iter().cloned().flatten();
        let tokens: Vec<u32> = targets.iter().copied().chain(codes).collect();
        let n_codes = tokens.len() - targets.len();
        let vectors = self.look_up(&ids(&tokens)?)?;
        let own = vectors.narrow(0, 0, targets.len())?;
        let codes = vectors.narrow(0, targets.len(), n_codes)?;
        let mut shares = vec![0f32; ranges.len() * n_codes];
        let mut first = 0;
        for (range, shares) in ranges.iter().zip(shares.chunks_exact_mut(n_codes.max(1))) {
            shares[first..][..range.len()].fill(1.0 / range.len() as f32);
            first += range.len();
        }
        let shares = Tensor::from_vec(shares, (ranges.len(), n_codes), vectors.device())?;
        let means = embedding(&ids(&owners)?, &shares.matmul(&codes)?)?;
        let states = embedding(&ids(rows)?, hidden)?.to_dtype(DType::F32)?;
        (states * (own - means)?)?.sum(1)
    }

    /// Cross-entropy against soft targets over candidates, on the CPU; tokens whose rows are frozen are no candidates where
    /// other rows train.
    ///
    /// Shapes: `hidden [n, hidden]`; result `[places]`, in nats.
    pub(super) fn candidate_losses(
        &self,
        hidden: &Tensor,
        candidates: Candidates,
    ) -> Result<Tensor> {
        let here = |table: &Tensor| table.to_dtype(DType::F32)?.to_device(&Device::Cpu);
        match self {
            Self::Trained(table) => candidate_cross_entropy(hidden, &here(table)?, candidates),
            Self::Extended { frozen, new } => {
                let first = frozen.dim(0)? as u32;
                candidate_cross_entropy(hidden, &here(new)?, candidates.counted_from(first)?)
            }
            Self::Frozen(table) => {
                candidate_cross_entropy(hidden, &here(table)?.detach(), candidates)
            }
        }
    }
}

fn ids(all: &[u32]) -> Result<Tensor> {
    Tensor::from_slice(all, all.len(), &Device::Cpu)
}
