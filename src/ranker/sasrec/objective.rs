//! What is learnt: every position of a training sequence predicts the item behind it.

use std::sync::Arc;

use rand::Rng;

use super::losses::{Scores, full_softmax, gbce, gbce_beta, sampled_softmax};
use super::network::{Network, Packed};
use super::settings::{SasrecLoss, SasrecSettings};
use crate::error::{Error, Result};
use crate::seed::Seed;
use crate::train::objective::{Loss, Objective};
use crate::train::sampler::Draw;

/// The objective.
pub(super) struct NextItem<'a> {
    network: &'a Network,
    /// Sequences of two items or more.
    sequences: Vec<&'a [u32]>,
    n_items: usize,
    length: usize,
    loss: SasrecLoss,
    seed: Seed,
}

/// Packed inputs, and what they are to predict.
pub(super) struct Batch {
    inputs: Packed,
    /// The item behind each input: `[tokens]`.
    targets: Vec<u32>,
    /// What the fate of an input's entries depends on: `[tokens]`.
    keys: Arc<[u64]>,
    /// Items drawn for all rows.
    negatives: Vec<u32>,
}

#[cfg(test)]
impl Batch {
    pub(super) fn inputs_and_targets(&self) -> (Vec<u32>, Vec<u32>) {
        (self.inputs.items.clone(), self.targets.clone())
    }
}

impl<'a> NextItem<'a> {
    /// Learns from `sequences`; those of one item have nothing to predict.
    pub(super) fn new(
        network: &'a Network,
        sequences: &'a [Vec<u32>],
        n_items: usize,
        settings: &SasrecSettings,
        seed: Seed,
    ) -> Self {
        let sequences = sequences.iter().map(Vec::as_slice);
        Self {
            network,
            sequences: sequences.filter(|sequence| sequence.len() >= 2).collect(),
            n_items,
            length: settings.length as usize,
            loss: settings.loss,
            seed,
        }
    }
}

impl Objective for NextItem<'_> {
    type Batch = Batch;

    fn n_examples(&self) -> u64 {
        self.sequences.len() as u64
    }

    fn length(&self, _example: u64) -> u32 {
        // Packed sequences need no padding, and a step of long ones only would weigh each of their items less.
        0
    }

    fn draw(&self, draws: &[Draw]) -> Result<Batch> {
        let chosen = || draws.iter().map(|draw| self.sequences[draw.example as usize]);
        let inputs = Packed::newest(chosen().map(|items| &items[..items.len() - 1]), self.length);
        let targets = Packed::newest(chosen().map(|items| &items[1..]), self.length).items;
        let dropout = self.seed.purpose("dropout");
        let keys = draws.iter().zip(inputs.packing.iter()).flat_map(|(draw, sequence)| {
            let first = dropout.index(draw.global).to_u64();
            (0..sequence.tokens().len() as u64).map(move |position| first.wrapping_add(position))
        });
        // One set for the whole batch: a product of matrices instead of a gather per row.
        let first = draws.first().map_or(0, |draw| draw.global);
        let mut rng = self.seed.purpose("negatives").index(first).rng();
        let n_items = self.n_items as u32;
        let negatives = (0..self.loss.negatives()).map(|_| rng.random_range(0..n_items)).collect();
        Ok(Batch { keys: keys.collect(), inputs, targets, negatives })
    }

    fn weight(&self, batch: &Batch) -> f64 {
        batch.targets.len() as f64
    }

    fn tokens(&self, batch: &Batch) -> u64 {
        batch.targets.len() as u64
    }

    fn loss(&self, batch: &Batch) -> Result<Loss> {
        let states = self.network.all_states(&batch.inputs, Some(&batch.keys))?;
        let (network, targets, negatives) = (self.network, &batch.targets, &batch.negatives);
        let scores = || {
            let rows = |ids: &[u32]| network.rows_of_items(ids);
            Ok::<_, Error>(Scores::new(&states, &rows(targets)?, &rows(negatives)?)?)
        };
        let sum = match self.loss {
            SasrecLoss::FullSoftmax => full_softmax(&states, network.items(), targets)?,
            SasrecLoss::SampledSoftmax { .. } => {
                sampled_softmax(scores()?, self.n_items, targets, negatives)?
            }
            SasrecLoss::Gbce { negatives: k, calibration } => {
                let beta = gbce_beta(self.n_items, k, calibration);
                gbce(&scores()?, targets, negatives, beta)?
            }
        };
        Ok(Loss { sum, metrics: Vec::new() })
    }

    fn describe(&self, draw: &Draw) -> String {
        let items = self.sequences[draw.example as usize].len();
        format!("sequence {} of {items} items", draw.example)
    }
}
