//! Direct preference optimisation (arXiv 2305.18290, eq. 7) on pairs built from clicks.
//!
//! With `rho(y) = log pi(y|x) - log ref(y|x)` and `delta = rho(chosen) - rho(rejected)`:
//!
//! `loss = weight * (-log sigma(beta * delta) + anchor * (-log pi(chosen|x)) / |chosen|)`
//!
//! The reference log-probabilities were computed once, before training.

use candle_core::{Device, Tensor};

use super::{Row, TargetBatch};
use crate::error::Result;
use crate::model::decoder::Decoder;
use crate::train::engine::{Loss, Objective};
use crate::train::log::StepRecord;
use crate::train::sampler::Draw;
use crate::train::settings::PreferenceSettings;

/// Steps over which the drift is smoothed before it is judged.
const DRIFT_HORIZON: f64 = 30.0;
/// Mean drift (nats per identifier) from which on a warning is given.
const DRIFT_WARNING: f64 = -0.5;

/// Log-probabilities of a pair's identifiers under the frozen reference, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReferenceScore {
    /// `log ref(chosen | prompt)`.
    pub chosen: f32,
    /// `log ref(rejected | prompt)`.
    pub rejected: f32,
}

/// Two answers to one prompt, of which the first is preferred.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Index into the prompts.
    pub prompt: u32,
    /// Item index.
    pub chosen: u32,
    /// Item index.
    pub rejected: u32,
    /// Weight of the pair in the loss.
    pub weight: f32,
}

/// Prompts, pairs and the identifier tokens of the items in them.
pub struct PairData<'a> {
    /// Tokens of each distinct prompt.
    pub prompts: Vec<Vec<u32>>,
    /// The pairs.
    pub pairs: Vec<Pair>,
    /// Identifier tokens of an item.
    pub item_tokens: &'a crate::model::item_tokens::ItemTokens,
}

impl PairData<'_> {
    /// Chosen rows first, then the rejected rows of the same pairs.
    fn batch(&self, pairs: &[&Pair]) -> Result<TargetBatch> {
        let row = |pair: &Pair, item| {
            Row::answer(&self.prompts[pair.prompt as usize], self.item_tokens.tokens(item))
        };
        let mut rows: Vec<Row> = pairs.iter().map(|pair| row(pair, pair.chosen)).collect();
        rows.extend(pairs.iter().map(|pair| row(pair, pair.rejected)));
        TargetBatch::new(&rows)
    }

    /// Log-probability of each row's identifier, `[2 * pairs]`: chosen first, then rejected.
    fn row_log_probs(&self, batch: &TargetBatch, decoder: &Decoder) -> Result<Tensor> {
        // All identifiers of one catalogue have the same length.
        let (rows, length) = (batch.n_rows(), self.item_tokens.length());
        Ok(batch.log_probs(decoder)?.reshape((rows, length))?.sum(1)?)
    }
}

/// Scores every pair with the reference model, in chunks of `chunk` pairs.
///
/// `done` is called with the number of pairs scored so far and may refuse to go on.
///
/// # Errors
/// When a tensor operation fails, or whatever `done` returns.
pub fn reference_scores(
    data: &PairData<'_>,
    decoder: &Decoder,
    chunk: usize,
    mut done: impl FnMut(u64) -> Result<()>,
) -> Result<Vec<ReferenceScore>> {
    let mut scores = Vec::with_capacity(data.pairs.len());
    for pairs in data.pairs.chunks(chunk.max(1)) {
        let batch = data.batch(&pairs.iter().collect::<Vec<_>>())?;
        let log_probs = data.row_log_probs(&batch, decoder)?.to_vec1::<f32>()?;
        let (chosen, rejected) = log_probs.split_at(pairs.len());
        let score = |(&chosen, &rejected)| ReferenceScore { chosen, rejected };
        scores.extend(chosen.iter().zip(rejected).map(score));
        done(pairs.len() as u64)?;
    }
    Ok(scores)
}

/// The objective.
pub struct Preference<'a> {
    decoder: &'a Decoder,
    data: PairData<'a>,
    reference: Vec<ReferenceScore>,
    settings: PreferenceSettings,
    drift: Drift,
}

/// A micro-batch of pairs.
pub struct PairBatch {
    rows: TargetBatch,
    weights: Vec<f32>,
    reference: Vec<ReferenceScore>,
}

impl<'a> Preference<'a> {
    /// `reference` holds one score per pair of `data`.
    pub fn new(
        decoder: &'a Decoder,
        data: PairData<'a>,
        reference: Vec<ReferenceScore>,
        settings: &PreferenceSettings,
    ) -> Self {
        Self { decoder, data, reference, settings: settings.clone(), drift: Drift::default() }
    }
}

impl Objective for Preference<'_> {
    type Batch = PairBatch;

    fn n_examples(&self) -> u64 {
        self.data.pairs.len() as u64
    }

    fn length(&self, example: u64) -> u32 {
        self.data.prompts[self.data.pairs[example as usize].prompt as usize].len() as u32
    }

    fn draw(&self, draws: &[Draw]) -> Result<PairBatch> {
        let pairs: Vec<&Pair> =
            draws.iter().map(|draw| &self.data.pairs[draw.example as usize]).collect();
        Ok(PairBatch {
            rows: self.data.batch(&pairs)?,
            weights: pairs.iter().map(|pair| pair.weight).collect(),
            reference: draws.iter().map(|draw| self.reference[draw.example as usize]).collect(),
        })
    }

    fn weight(&self, batch: &PairBatch) -> f64 {
        batch.weights.iter().map(|&weight| f64::from(weight)).sum()
    }

    fn tokens(&self, batch: &PairBatch) -> u64 {
        batch.rows.n_tokens()
    }

    fn loss(&self, batch: &PairBatch) -> Result<Loss> {
        let n = batch.weights.len();
        let log_probs = self.data.row_log_probs(&batch.rows, self.decoder)?;
        let column = |values: Vec<f32>| Tensor::from_vec(values, n, &Device::Cpu);
        let chosen = log_probs.narrow(0, 0, n)?;
        let rejected = log_probs.narrow(0, n, n)?;
        let rho_chosen = (&chosen - column(batch.reference.iter().map(|r| r.chosen).collect())?)?;
        let rho_rejected =
            (&rejected - column(batch.reference.iter().map(|r| r.rejected).collect())?)?;
        let margin = ((&rho_chosen - &rho_rejected)? * self.settings.beta)?;
        let mut loss = softplus(&margin.neg()?)?;
        if self.settings.anchor > 0.0 {
            let scale = self.settings.anchor / self.data.item_tokens.length() as f64;
            loss = (loss - (&chosen * scale)?)?;
        }
        let sum = (loss * column(batch.weights.clone())?)?.sum_all()?;
        let metrics = self.metrics(batch, &rho_chosen, &rho_rejected, &chosen, &rejected)?;
        Ok(Loss { sum, metrics })
    }

    fn remark(&mut self, record: &StepRecord) -> Option<String> {
        self.drift.observe(record)
    }
}

impl Preference<'_> {
    /// Names as TRL has them, plus `drift/chosen`: the mean of `rho(chosen)`. Weighted sums.
    fn metrics(
        &self,
        batch: &PairBatch,
        rho_chosen: &Tensor,
        rho_rejected: &Tensor,
        chosen: &Tensor,
        rejected: &Tensor,
    ) -> Result<Vec<(&'static str, f64)>> {
        let values = |tensor: &Tensor| tensor.to_vec1::<f32>();
        let (rho_chosen, rho_rejected) = (values(rho_chosen)?, values(rho_rejected)?);
        let (chosen, rejected) = (values(chosen)?, values(rejected)?);
        let beta = self.settings.beta;
        let sum = |value: &dyn Fn(usize) -> f64| -> f64 {
            batch.weights.iter().enumerate().map(|(i, &w)| f64::from(w) * value(i)).sum()
        };
        let (w, l) = (|i: usize| f64::from(rho_chosen[i]), |i: usize| f64::from(rho_rejected[i]));
        Ok(vec![
            ("rewards/chosen", sum(&|i| beta * w(i))),
            ("rewards/rejected", sum(&|i| beta * l(i))),
            ("rewards/margins", sum(&|i| beta * (w(i) - l(i)))),
            ("rewards/accuracies", sum(&|i| f64::from(u8::from(w(i) > l(i))))),
            ("logps/chosen", sum(&|i| f64::from(chosen[i]))),
            ("logps/rejected", sum(&|i| f64::from(rejected[i]))),
            ("drift/chosen", sum(&w)),
        ])
    }
}

/// `log(1 + exp(x))`, stable on both sides.
fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    Tensor::stack(&[x.zeros_like()?, x.clone()], 0)?.log_sum_exp(0)
}

/// Watches whether alignment pushes the chosen answers down.
#[derive(Debug, Default)]
struct Drift {
    mean: f64,
    steps: u64,
    warned: bool,
}

impl Drift {
    fn observe(&mut self, record: &StepRecord) -> Option<String> {
        let drift = *record.metrics.get("drift/chosen")?;
        self.steps += 1;
        let rate = 1.0 / DRIFT_HORIZON.min(self.steps as f64);
        self.mean += rate * (drift - self.mean);
        if self.warned || self.steps < DRIFT_HORIZON as u64 || self.mean > DRIFT_WARNING {
            return None;
        }
        self.warned = true;
        Some(format!(
            "the log-probability of chosen identifiers has fallen by {:.2} nats on average since \
             alignment began: the model takes probability from clicked items as well, and gives it \
             to others; raise objective.anchor or objective.beta, or lower optimizer.learning_rate",
            -self.mean
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softplus_is_stable_and_right() {
        let x = Tensor::new(&[-200.0f32, -1.0, 0.0, 2.0, 200.0], &Device::Cpu).expect("tensor");
        let got = softplus(&x).and_then(|t| t.to_vec1::<f32>()).expect("softplus");
        let expected = [0.0, 0.313_261_7, std::f32::consts::LN_2, 2.126_928, 200.0];
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        }
    }

    #[test]
    fn warns_once_when_chosen_answers_fall() {
        let mut drift = Drift::default();
        let record = |value: f64| StepRecord {
            step: 1,
            loss: 0.0,
            learning_rate: 0.0,
            grad_norm: 0.0,
            tokens_per_s: 0.0,
            metrics: [("drift/chosen".to_owned(), value)].into(),
        };
        let mut remarks = Vec::new();
        for step in 0..200 {
            remarks.extend(drift.observe(&record(-0.02 * f64::from(step))));
        }
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].contains("raise objective.anchor"), "{}", remarks[0]);
        let mut calm = Drift::default();
        assert!((0..200).all(|_| calm.observe(&record(0.1)).is_none()));
    }
}

#[cfg(test)]
#[path = "preference_tests.rs"]
mod properties;
