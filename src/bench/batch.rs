//! Random examples of a given shape, and their losses.

use candle_core::{Device, Tensor};
use rand::Rng;
use trieval_kernels::ops::Packing;

use super::TrainBench;
use crate::error::Result;
use crate::model::decoder::Decoder;
use crate::seed::Seed;
use crate::train::engine::{Loss, Objective};
use crate::train::log::StepRecord;
use crate::train::sampler::Draw;

/// Inverse temperature of the preference loss.
const BETA: f64 = 0.1;

/// Prompts of random tokens with one answer, or with one chosen and some rejected ones.
pub(super) struct Random<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) shape: &'a TrainBench,
    pub(super) seed: Seed,
    /// Called after every step.
    pub(super) finished: Box<dyn FnMut(&StepRecord) + 'a>,
}

/// A packed batch: prompts and, where there are several answers, branches.
pub(super) struct Trees {
    ids: Tensor,
    packing: Packing,
    /// Tokens that predict a target, ascending.
    rows: Vec<u32>,
    /// Which of `rows` predicts each target.
    reads: Vec<u32>,
    targets: Vec<u32>,
}

impl Random<'_> {
    fn prompt_tokens(&self) -> usize {
        (self.shape.prompt as usize).max(1)
    }
}

impl Objective for Random<'_> {
    type Batch = Trees;

    fn n_examples(&self) -> u64 {
        u64::from(self.shape.batch)
    }

    fn length(&self, _example: u64) -> u32 {
        self.shape.prompt + self.shape.target
    }

    fn draw(&self, draws: &[Draw]) -> Result<Trees> {
        let (prompt, target) = (self.prompt_tokens(), self.shape.target as usize);
        let answers = 1 + self.shape.negatives as usize;
        let (mut ids, mut rows, mut reads, mut targets) = (vec![], vec![], vec![], vec![]);
        for draw in draws {
            let mut rng = self.seed.index(draw.global).rng();
            let mut token = || rng.random_range(0..self.shape.vocab);
            ids.extend((0..prompt).map(|_| token()));
            let root = rows.len() as u32;
            rows.push(ids.len() as u32 - 1);
            for _ in 0..answers {
                let answer: Vec<u32> = (0..target).map(|_| token()).collect();
                reads.push(root);
                for id in &answer[..target - 1] {
                    reads.push(rows.len() as u32);
                    rows.push(ids.len() as u32);
                    ids.push(*id);
                }
                targets.extend(answer);
            }
        }
        // A single answer simply continues its prompt.
        let packing = if answers == 1 {
            Packing::uniform(draws.len(), prompt + target - 1)
        } else {
            Packing::trees(draws.iter().map(|_| (prompt, std::iter::repeat_n(target - 1, answers))))
        };
        Ok(Trees { ids: Tensor::new(ids, &Device::Cpu)?, packing, rows, reads, targets })
    }

    /// Target tokens, or pairs.
    fn weight(&self, batch: &Trees) -> f64 {
        match self.shape.negatives {
            0 => batch.targets.len() as f64,
            negatives => batch.packing.len() as f64 * f64::from(negatives),
        }
    }

    fn tokens(&self, batch: &Trees) -> u64 {
        batch.packing.tokens() as u64
    }

    /// Cross-entropy of the targets; or DPO (arXiv:2305.18290, equation 7) over all pairs, with a reference
    /// that finds every token equally likely.
    fn loss(&self, batch: &Trees) -> Result<Loss> {
        let hidden = self.decoder.hidden_rows(&batch.ids, &batch.packing, &batch.rows)?;
        let log_probs = self.decoder.log_probs_at(&hidden, &batch.reads, &batch.targets)?;
        if self.shape.negatives == 0 {
            return Ok(Loss { sum: log_probs.sum_all()?.neg()?, metrics: Vec::new() });
        }
        let answers = 1 + self.shape.negatives as usize;
        let shape = (batch.packing.len(), answers, self.shape.target as usize);
        let rewards = (log_probs.reshape(shape)?.sum(2)? * BETA)?;
        let chosen = rewards.narrow(1, 0, 1)?;
        let margins = chosen.broadcast_sub(&rewards.narrow(1, 1, answers - 1)?)?;
        // ln(1 + e^−margin); margins of random answers are far from overflow.
        let sum = (margins.neg()?.exp()? + 1.0)?.log()?.sum_all()?;
        Ok(Loss { sum, metrics: Vec::new() })
    }

    fn remark(&mut self, record: &StepRecord) -> Option<String> {
        (self.finished)(record);
        None
    }
}
