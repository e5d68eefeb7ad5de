//! What is learnt: the log-odds that something happens to a shown item are the sum of the weights of its
//! features.

use candle_core::{Device, Tensor, Var};

use super::examples::Examples;
use super::layout::{Entry, Layout};
use crate::error::Result;
use crate::train::objective::preference::pairwise::softplus;
use crate::train::objective::{Loss, Objective};
use crate::train::rows::look_up;
use crate::train::sampler::Draw;

/// The sum over labelled examples of `−log p(label)`.
pub(super) struct LabelLoss<'a> {
    pub(super) examples: &'a Examples<'a>,
    pub(super) layout: &'a Layout,
    /// `[weights, 1]`
    pub(super) weights: &'a Var,
    /// `[1]`
    pub(super) bias: &'a Var,
}

/// Encoded examples.
pub(super) struct Batch {
    /// `[entries]`: weights that are read.
    weights: Vec<u32>,
    /// `[entries]`: what each is multiplied with.
    values: Vec<f32>,
    /// `[entries]`: number of the example.
    of: Vec<u32>,
    /// `[examples]`
    labels: Vec<f32>,
}

impl Batch {
    /// Encodes examples by their numbers.
    pub(super) fn of(
        examples: &Examples<'_>,
        layout: &Layout,
        numbers: impl Iterator<Item = usize>,
    ) -> Self {
        let mut batch =
            Self { weights: Vec::new(), values: Vec::new(), of: Vec::new(), labels: Vec::new() };
        let mut entries: Vec<Entry> = Vec::new();
        for (place, number) in (0u32..).zip(numbers) {
            entries.clear();
            examples.encode(number, layout, &mut entries);
            batch.weights.extend(entries.iter().map(|entry| entry.0));
            batch.values.extend(entries.iter().map(|entry| entry.1));
            batch.of.extend(entries.iter().map(|_| place));
            batch.labels.push(f32::from(u8::from(examples.is_positive(number))));
        }
        batch
    }

    /// The summed loss.
    pub(super) fn loss(&self, weights: &Var, bias: &Var) -> Result<Tensor> {
        let n = self.labels.len();
        let (device, n_entries) = (&Device::Cpu, self.weights.len());
        let values = Tensor::from_slice(&self.values, n_entries, device)?;
        let of = Tensor::from_slice(&self.of, n_entries, device)?;
        let read = (look_up(weights, &self.weights)?.flatten_all()? * values)?;
        let odds = Tensor::zeros(n, read.dtype(), device)?.index_add(&of, &read, 0)?;
        let odds = odds.broadcast_add(bias.as_tensor())?;
        let labels = Tensor::from_slice(&self.labels, n, device)?;
        // −log s(x) for a positive, −log(1 − s(x)) for a negative.
        Ok((softplus(&odds)? - (odds * labels)?)?.sum_all()?)
    }
}

impl Objective for LabelLoss<'_> {
    type Batch = Batch;

    fn n_examples(&self) -> u64 {
        self.examples.len() as u64
    }

    fn length(&self, _example: u64) -> u32 {
        // Examples need no padding.
        0
    }

    fn draw(&self, draws: &[Draw]) -> Result<Batch> {
        let numbers = draws.iter().map(|draw| draw.example as usize);
        Ok(Batch::of(self.examples, self.layout, numbers))
    }

    fn weight(&self, batch: &Batch) -> f64 {
        batch.labels.len() as f64
    }

    fn tokens(&self, batch: &Batch) -> u64 {
        batch.weights.len() as u64
    }

    fn loss(&self, batch: &Batch) -> Result<Loss> {
        Ok(Loss { sum: batch.loss(self.weights, self.bias)?, metrics: Vec::new() })
    }

    fn describe(&self, draw: &Draw) -> String {
        format!("impression {}", draw.example)
    }
}
