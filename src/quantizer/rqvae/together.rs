//! The loss that pulls items together which were chosen together.
//!
//! With `q` the sum of an item's codes, through which the gradient passes straight to the encoder, item i of a batch with
//! partner p(i), and `s(i, j) = cos(q_i, q_p(j)) / τ - ln Q(p(j))`:
//!
//! `Σ_i ln Σ_j exp s(i, j) - s(i, i)`
//!
//! over the items that have partners, where j leaves out the partners that are item i itself, or partners of it too.

use candle_core::{D, Device, Tensor};

use super::partners::Partners;
use crate::error::Result;
use crate::model::encoder::unit_length;

/// What stands for minus infinity.
const MASKED: f32 = -1e9;

/// Items of a batch with a partner each.
pub(super) struct Pairs {
    /// Places in the batch.
    pub(super) rows: Vec<u32>,
    /// The items there.
    pub(super) items: Vec<u32>,
    /// Their partners.
    pub(super) partners: Vec<u32>,
}

impl Pairs {
    /// `- ln Q` of each partner, masked where it is no negative of the item: `[pairs, pairs]`.
    fn corrections(&self, partners: &Partners) -> Vec<f32> {
        let mut all = Vec::with_capacity(self.items.len() * self.items.len());
        for (row, &item) in self.items.iter().enumerate() {
            let known = partners.of(item);
            for (column, &other) in self.partners.iter().enumerate() {
                let is_own = row == column;
                let is_positive = other == item || known.binary_search(&other).is_ok();
                all.push(if is_positive && !is_own { MASKED } else { -partners.log_q(other) });
            }
        }
        all
    }

    /// The loss; `items` and `partners` are their sums of codes, `[pairs, dim]`.
    pub(super) fn loss(
        &self,
        (items, partners): (&Tensor, &Tensor),
        known: &Partners,
        temperature: f64,
    ) -> Result<Tensor> {
        let n = self.items.len();
        let cosines = unit_length(items)?.matmul(&unit_length(partners)?.t()?)?;
        let corrections = Tensor::from_vec(self.corrections(known), (n, n), &Device::Cpu)?;
        let scores = ((cosines / temperature)? + corrections)?;
        let own = (&scores * Tensor::eye(n, scores.dtype(), &Device::Cpu)?)?.sum_all()?;
        Ok((scores.log_sum_exp(D::Minus1)?.sum_all()? - own)?)
    }
}
