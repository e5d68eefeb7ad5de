//! Token rows whose last positions predict the tokens of an answer, packed into one tensor.
//!
//! Rows lie behind one another without padding; attention stays within a row. The last layer and
//! the logits are computed only where there is a target.

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use trieval_kernels::ops::{Segments, linear, token_log_probs};

use crate::error::Result;
use crate::model::decoder::Decoder;

/// One input row; its last `targets.len()` positions predict `targets`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    tokens: Vec<u32>,
    targets: Vec<u32>,
}

impl Row {
    /// A prompt that is answered by `answer` (neither empty): every answer token is a target,
    /// predicted from the position before it.
    pub fn answer(prompt: &[u32], answer: &[u32]) -> Self {
        let mut tokens = Vec::with_capacity(prompt.len() + answer.len());
        tokens.extend_from_slice(prompt);
        tokens.extend_from_slice(&answer[..answer.len().saturating_sub(1)]);
        Self { tokens, targets: answer.to_vec() }
    }

    /// The tokens that are predicted.
    pub fn targets(&self) -> &[u32] {
        &self.targets
    }
}

/// A packed batch of rows.
pub struct TargetBatch {
    /// Token ids of all rows `[tokens]`, `u32`.
    ids: Tensor,
    segments: Segments,
    /// Where the targets are: the tail of each row.
    tails: Segments,
    /// Token ids of the targets `[targets]`.
    targets: Tensor,
}

impl TargetBatch {
    /// Packs `rows`.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn new(rows: &[Row]) -> Result<Self> {
        let tokens: Vec<u32> = rows.iter().flat_map(|row| row.tokens.iter().copied()).collect();
        let targets: Vec<u32> = rows.iter().flat_map(|row| row.targets.iter().copied()).collect();
        Ok(Self {
            ids: Tensor::new(tokens, &Device::Cpu)?,
            segments: Segments::new(rows.iter().map(|row| row.tokens.len())),
            tails: Segments::new(rows.iter().map(|row| row.targets.len())),
            targets: Tensor::new(targets, &Device::Cpu)?,
        })
    }

    /// Log-probability of every target under the full vocabulary, `[targets]`, differentiable.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn log_probs(&self, decoder: &Decoder) -> Result<Tensor> {
        let hidden = decoder.hidden_tails(&self.ids, &self.segments, &self.tails)?;
        Ok(token_log_probs(&hidden, decoder.head(), &self.targets)?)
    }

    /// Log-probabilities of the whole vocabulary where each target is predicted, `[targets][vocab]`, in nats.
    /// Not differentiable: for looking at, not for learning.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn distributions(&self, decoder: &Decoder) -> Result<Vec<Vec<f32>>> {
        let hidden = decoder.hidden_tails(&self.ids, &self.segments, &self.tails)?.detach();
        let mut rows = linear(&hidden, decoder.head())?.to_vec2::<f32>()?;
        rows.par_iter_mut().for_each(|row| {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|&value| f64::from(value - largest).exp()).sum();
            let normalizer = f64::from(largest) + sum.ln();
            row.iter_mut().for_each(|value| *value = (f64::from(*value) - normalizer) as f32);
        });
        Ok(rows)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.segments.len()
    }

    /// Targets of all rows.
    pub fn n_targets(&self) -> usize {
        self.tails.tokens()
    }

    /// Input tokens of all rows.
    pub fn n_tokens(&self) -> u64 {
        self.segments.tokens() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_token_is_predicted_from_the_position_before_it() {
        let row = Row::answer(&[5, 6], &[7, 8, 9]);
        assert_eq!(row.tokens, [5, 6, 7, 8]);
        assert_eq!(row.targets, [7, 8, 9]);
    }

    #[test]
    fn rows_are_packed_without_padding() {
        let rows = [Row::answer(&[5], &[7]), Row::answer(&[5, 6, 7], &[8, 9])];
        let batch = TargetBatch::new(&rows).expect("batch");
        assert_eq!(batch.ids.to_vec1::<u32>().expect("ids"), [5, 5, 6, 7, 8]);
        assert_eq!(batch.targets.to_vec1::<u32>().expect("targets"), [7, 8, 9]);
        assert_eq!((batch.n_rows(), batch.n_targets(), batch.n_tokens()), (2, 3, 5));
    }
}
