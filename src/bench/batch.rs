//! Random examples of a given shape, and their losses.

use candle_core::{Device, Tensor};
use rand::Rng;

use crate::error::Result;
use crate::model::decoder::Decoder;
use crate::seed::Seed;
use crate::train::log::StepRecord;
use crate::train::objective::preference::group::Layout;
use crate::train::objective::preference::losses::{LossTerms, batch_loss};
use crate::train::objective::{Loss, Objective};
use crate::train::objective::{Row, TargetBatch};
use crate::train::sampler::Draw;
use crate::train::settings::PreferenceSettings;

/// What an example looks like, and how many there are in a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) vocab: u32,
    /// Examples per step.
    pub(super) batch: u32,
    /// Tokens of a prompt.
    pub(super) prompt: u32,
    /// Tokens of an answer.
    pub(super) target: u32,
    /// Rejected answers of a prompt.
    pub(super) negatives: u32,
}

/// Prompts of random tokens with one answer, or with one chosen and some rejected ones.
pub(super) struct Random<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) shape: Shape,
    pub(super) seed: Seed,
    /// Called after every step.
    pub(super) finished: Box<dyn FnMut(&StepRecord) + 'a>,
}

/// Packed examples, and how their answers compare where there are several.
pub(super) struct Examples {
    rows: TargetBatch,
    layout: Layout,
}

impl Random<'_> {
    /// Plain DPO.
    fn terms() -> LossTerms {
        LossTerms::new(&PreferenceSettings { anchor: 0.0, ..PreferenceSettings::default() })
    }
}

impl Objective for Random<'_> {
    type Batch = Examples;

    fn n_examples(&self) -> u64 {
        u64::from(self.shape.batch)
    }

    fn length(&self, _example: u64) -> u32 {
        self.shape.prompt + self.shape.target
    }

    fn draw(&self, draws: &[Draw]) -> Result<Examples> {
        let mut layout = Layout::default();
        let mut rows = Vec::with_capacity(draws.len());
        for draw in draws {
            let mut rng = self.seed.index(draw.global).rng();
            let mut tokens =
                |n: u32| (0..n).map(|_| rng.random_range(0..self.shape.vocab)).collect::<Vec<_>>();
            let prompt = tokens(self.shape.prompt.max(1));
            let answers: Vec<Vec<u32>> =
                (0..=self.shape.negatives).map(|_| tokens(self.shape.target)).collect();
            let rejected: Vec<(&[u32], f32)> =
                answers[1..].iter().map(|answer| (answer.as_slice(), 1.0)).collect();
            layout.push(&[&answers[0]], &rejected);
            rows.push(Row::answers(&prompt, answers.iter().map(Vec::as_slice)));
        }
        Ok(Examples { rows: TargetBatch::new(&rows)?, layout })
    }

    /// Target tokens, or pairs.
    fn weight(&self, batch: &Examples) -> f64 {
        match self.shape.negatives {
            0 => batch.rows.n_targets() as f64,
            _ => Self::terms().weights(&batch.layout).iter().sum(),
        }
    }

    fn tokens(&self, batch: &Examples) -> u64 {
        batch.rows.n_tokens()
    }

    /// Cross-entropy of the targets; or DPO over all pairs, with a reference that finds all answers equally likely.
    fn loss(&self, batch: &Examples) -> Result<Loss> {
        let log_probs = batch.rows.log_probs(self.decoder)?;
        if self.shape.negatives == 0 {
            return Ok(Loss { sum: log_probs.sum_all()?.neg()?, metrics: Vec::new() });
        }
        let answers = batch.layout.n_answers();
        let policy = log_probs.reshape((answers, self.shape.target as usize))?;
        let reference = Tensor::zeros(answers, policy.dtype(), &Device::Cpu)?;
        let loss = batch_loss(&Self::terms(), &batch.layout, &policy, Some(&reference))?;
        Ok(Loss { sum: loss.sum, metrics: loss.figures })
    }

    fn remark(&mut self, record: &StepRecord) -> Option<String> {
        (self.finished)(record);
        None
    }
}
