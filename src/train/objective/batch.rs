//! Token rows whose last positions predict the tokens of an answer, packed into one tensor.
//!
//! Rows lie behind one another without padding; attention stays within a row. The last layer and
//! the logits are computed only where there is a target.

use candle_core::{Device, Tensor};
use trieval_kernels::ops::Packing;

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
}

/// A packed batch of rows.
pub struct TargetBatch {
    /// Token ids of all rows `[tokens]`, `u32`.
    ids: Tensor,
    packing: Packing,
    /// Numbers of the tokens that predict a target: the tail of each row.
    tails: Vec<u32>,
    /// Token ids of the targets.
    targets: Vec<u32>,
}

impl TargetBatch {
    /// Packs `rows`.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn new(rows: &[Row]) -> Result<Self> {
        let tokens: Vec<u32> = rows.iter().flat_map(|row| row.tokens.iter().copied()).collect();
        let targets: Vec<u32> = rows.iter().flat_map(|row| row.targets.iter().copied()).collect();
        let mut tails = Vec::with_capacity(targets.len());
        let mut end = 0;
        for row in rows {
            end += row.tokens.len();
            tails.extend((end - row.targets.len()) as u32..end as u32);
        }
        let packing = Packing::sequences(rows.iter().map(|row| row.tokens.len()));
        Ok(Self { ids: Tensor::new(tokens, &Device::Cpu)?, packing, tails, targets })
    }

    /// Log-probability of every target under the full vocabulary, `[targets]`, differentiable.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn log_probs(&self, decoder: &Decoder) -> Result<Tensor> {
        let hidden = decoder.hidden_rows(&self.ids, &self.packing, &self.tails)?;
        let rows: Vec<u32> = (0..self.targets.len() as u32).collect();
        decoder.log_probs_at(&hidden, &rows, &self.targets)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.packing.len()
    }

    /// Targets of all rows.
    pub fn n_targets(&self) -> usize {
        self.targets.len()
    }

    /// Input tokens of all rows.
    pub fn n_tokens(&self) -> u64 {
        self.packing.tokens() as u64
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
        assert_eq!(batch.targets, [7, 8, 9]);
        assert_eq!(batch.tails, [0, 3, 4], "of the rows 5 and 5 6 7 8, the last and the last two");
        assert_eq!((batch.n_rows(), batch.n_targets(), batch.n_tokens()), (2, 3, 5));
    }
}
