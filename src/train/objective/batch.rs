//! Token rows with targets at a few positions, padded into one tensor.
//!
//! Rows are padded on the right: under causal attention no target ever sees the padding, so no
//! padding mask is needed.

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::model::decoder::Decoder;

/// One input row: tokens, and which positions predict which token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Input tokens.
    pub tokens: Vec<u32>,
    /// `(position, token)`: the hidden state at `position` predicts `token`.
    pub targets: Vec<(u32, u32)>,
}

impl Row {
    /// A prompt that is answered by `answer` (not empty): every answer token is a target.
    pub fn answer(prompt: &[u32], answer: &[u32]) -> Self {
        let mut tokens = Vec::with_capacity(prompt.len() + answer.len());
        tokens.extend_from_slice(prompt);
        tokens.extend_from_slice(&answer[..answer.len().saturating_sub(1)]);
        let first = prompt.len() as u32 - 1;
        let targets = answer.iter().enumerate().map(|(i, &token)| (first + i as u32, token));
        let targets = targets.collect();
        Self { tokens, targets }
    }
}

/// A padded batch of rows.
pub struct TargetBatch {
    /// Token ids `[batch, seq]`, `u32`.
    ids: Tensor,
    /// Flat positions of the targets `[targets]` into `[batch * seq]`.
    positions: Tensor,
    /// Token ids of the targets `[targets]`.
    targets: Tensor,
    /// Targets per row.
    row_targets: Vec<usize>,
    /// Input tokens, padding excluded.
    tokens: u64,
}

impl TargetBatch {
    /// Pads `rows` with `pad` to their longest.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn new(rows: &[Row], pad: u32) -> Result<Self> {
        let seq = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * seq);
        let mut positions = Vec::new();
        let mut targets = Vec::new();
        for (idx, row) in rows.iter().enumerate() {
            ids.extend_from_slice(&row.tokens);
            ids.resize((idx + 1) * seq, pad);
            for &(position, token) in &row.targets {
                positions.push((idx * seq) as u32 + position);
                targets.push(token);
            }
        }
        Ok(Self {
            ids: Tensor::from_vec(ids, (rows.len(), seq), &Device::Cpu)?,
            positions: Tensor::new(positions, &Device::Cpu)?,
            targets: Tensor::new(targets, &Device::Cpu)?,
            row_targets: rows.iter().map(|row| row.targets.len()).collect(),
            tokens: rows.iter().map(|row| row.tokens.len() as u64).sum(),
        })
    }

    /// Log-probability of every target under the full vocabulary, `[targets]`, differentiable.
    ///
    /// Logits are computed at target positions only.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn log_probs(&self, decoder: &Decoder) -> Result<Tensor> {
        let hidden = decoder.hidden(&self.ids)?.flatten(0, 1)?;
        let rows = hidden.index_select(&self.positions, 0)?;
        Ok(trieval_kernels::ops::token_log_probs(&rows, decoder.head(), &self.targets)?)
    }

    /// Targets of every row.
    pub fn row_targets(&self) -> &[usize] {
        &self.row_targets
    }

    /// Targets of all rows.
    pub fn n_targets(&self) -> usize {
        self.row_targets.iter().sum()
    }

    /// Input tokens, padding excluded.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_token_is_predicted_from_the_position_before_it() {
        let row = Row::answer(&[5, 6], &[7, 8, 9]);
        assert_eq!(row.tokens, [5, 6, 7, 8]);
        assert_eq!(row.targets, [(1, 7), (2, 8), (3, 9)]);
    }

    #[test]
    fn padding_goes_right_and_positions_are_flat() {
        let rows = [Row::answer(&[5], &[7]), Row::answer(&[5, 6, 7], &[8, 9])];
        let batch = TargetBatch::new(&rows, 0).expect("batch");
        assert_eq!(batch.ids.to_vec2::<u32>().expect("ids"), [[5, 0, 0, 0], [5, 6, 7, 8]]);
        assert_eq!(batch.positions.to_vec1::<u32>().expect("positions"), [0, 6, 7]);
        assert_eq!(batch.targets.to_vec1::<u32>().expect("targets"), [7, 8, 9]);
        assert_eq!((batch.n_targets(), batch.tokens()), (3, 5));
        assert_eq!(batch.row_targets(), [1, 2]);
    }
}
