//! The one training loop.
//!
//! Knows steps, gradients, clipping, checkpoints and logs; what an example is, and what a good
//! answer to it, is the [`Objective`]'s business.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use candle_core::Tensor;

use super::log::{StepRecord, TrainLog};
use super::optimizer::{AdamW, global_norm};
use super::sampler::{Draw, Sampler};
use super::schedule::learning_rate;
use super::settings::OptimizerSettings;
use super::track::Tracker;
use super::world::World;
use super::{Parameters, checkpoint};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::seed::Seed;

/// Name of the checkpoint inside a training's folder.
pub const CHECKPOINT_FILE: &str = "checkpoint.bin";
/// Name of the log inside a training's folder.
pub const LOG_FILE: &str = "train.jsonl";
/// Steps within which every parameter must have moved.
const GUARDED_STEPS: u64 = 8;
/// A checkpoint is also written after this long, so that slow steps do not lose much.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

/// What is learnt: draws (or generates) batches and scores them.
pub trait Objective {
    /// A micro-batch, ready for the model.
    type Batch;

    /// Number of examples in one epoch.
    fn n_examples(&self) -> u64;

    /// Length of an example in tokens, for grouping.
    fn length(&self, example: u64) -> u32;

    /// Builds a micro-batch; all randomness comes from each draw's global index.
    ///
    /// # Errors
    /// When an example cannot be made.
    fn draw(&self, draws: &[Draw]) -> Result<Self::Batch>;

    /// What the loss of a step is divided by: target tokens or pairs.
    fn weight(&self, batch: &Self::Batch) -> f64;

    /// Input tokens, padding excluded, for the rate that is shown.
    fn tokens(&self, batch: &Self::Batch) -> u64;

    /// The *summed* loss of a micro-batch, a differentiable scalar, and summed metrics.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn loss(&self, batch: &Self::Batch) -> Result<Loss>;

    /// Further figures of a finished step, measured on the weights it left, for instance on a fixed probe; `step` counts
    /// from 1 to `n_steps`. Must depend on the weights alone, so that a resumed training measures the same.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn measure(&self, _step: u64, _n_steps: u64) -> Result<Vec<(&'static str, f64)>> {
        Ok(Vec::new())
    }

    /// Looks at a finished step and may say something worrying in plain words. A resumed training shows
    /// the steps before again.
    fn remark(&mut self, _record: &StepRecord) -> Option<String> {
        None
    }
}

/// Summed loss of a micro-batch.
pub struct Loss {
    /// Differentiable scalar.
    pub sum: Tensor,
    /// Further values, summed like the loss and divided like it.
    pub metrics: Vec<(&'static str, f64)>,
}

/// How a loop runs.
#[derive(Debug, Clone)]
pub struct LoopSettings {
    /// Name shown beside the progress bar.
    pub label: String,
    /// How weights move.
    pub optimizer: OptimizerSettings,
    /// Passes over the examples.
    pub epochs: f64,
    /// Examples per micro-batch.
    pub batch: u32,
    /// Micro-batches per step.
    pub accumulate: u32,
    /// Steps between checkpoints.
    pub checkpoint_steps: u32,
    /// Who else is told of every step.
    pub tracker: Tracker,
}

/// Trains `parameters` on `objective`, continuing from the checkpoint in `folder` where there is one.
///
/// # Errors
/// [`Error::Failed`] when a parameter gets no gradient or the loss is no longer finite,
/// [`Error::Interrupted`] after a checkpoint was written because the user asked to stop.
pub fn train<O: Objective>(
    parameters: &Parameters,
    objective: &mut O,
    settings: &LoopSettings,
    world: World,
    seed: Seed,
    folder: &Path,
    ctx: &Context,
) -> Result<()> {
    let step_examples = u64::from(settings.batch) * u64::from(settings.accumulate);
    let order = seed.purpose("order");
    let mut sampler = Sampler::new(objective.n_examples(), step_examples, settings.epochs, order);
    let n_steps = sampler.n_steps();
    let mut optimizer = AdamW::new(&settings.optimizer, parameters);
    let checkpoint_path = folder.join(CHECKPOINT_FILE);
    let done = if checkpoint_path.exists() {
        checkpoint::load(&checkpoint_path, parameters, &mut optimizer)?
    } else {
        0
    };
    // What the objective has to say of steps before a resumption was said then.
    let mut log = TrainLog::resume(&folder.join(LOG_FILE), done, |record| {
        objective.remark(record);
    })?;
    settings.tracker.begin(done);
    let mut guard = GradientGuard::new(parameters);
    let mut bar = ctx.bar(&settings.label, n_steps, "step");
    bar.resume_at(done);
    let mut saved_at = Instant::now();
    for step in done..n_steps {
        let started = Instant::now();
        let draws = sampler.step(step, |example| objective.length(example));
        let gradients = step_gradients(parameters, objective, draws, settings.batch, world)?;
        guard.check(step, &gradients.tensors)?;
        let rate = learning_rate(&settings.optimizer, step, n_steps);
        let norm = global_norm(&gradients.tensors)?;
        if !norm.is_finite() || !gradients.loss.is_finite() {
            return Err(Error::Failed(format!(
                "training {} diverged at step {}: loss {}, gradient norm {norm}; lower optimizer.learning_rate \
                 or optimizer.clip, or raise optimizer.warmup",
                settings.label,
                step + 1,
                gradients.loss,
            )));
        }
        let scale =
            if norm > settings.optimizer.clip { settings.optimizer.clip / norm } else { 1.0 };
        optimizer.step(parameters, &gradients.tensors, scale, rate, step)?;

        let tokens_per_s = gradients.tokens as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let mut metrics = gradients.metrics;
        let measured = objective.measure(step + 1, n_steps)?;
        metrics.extend(measured.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let record = StepRecord {
            step: step + 1,
            loss: gradients.loss,
            learning_rate: rate,
            grad_norm: norm,
            tokens_per_s,
            metrics,
        };
        log.push(&record)?;
        settings.tracker.record(&record);
        if let Some(remark) = objective.remark(&record) {
            ctx.warn(format!("{}: {remark}", settings.label));
        }
        bar.message(format!("loss {:.4}", record.loss));
        bar.advance(1);
        let finished = step + 1 == n_steps;
        let due = (step + 1).is_multiple_of(u64::from(settings.checkpoint_steps))
            || saved_at.elapsed() >= CHECKPOINT_EVERY;
        if due || finished || ctx.is_interrupted() {
            log.sync()?;
            checkpoint::save(&checkpoint_path, parameters, &optimizer, step + 1)?;
            saved_at = Instant::now();
        }
        if !finished {
            ctx.check_interrupt()?;
        }
    }
    Ok(())
}

/// Gradients of one whole step, divided by its whole weight.
struct StepGradients {
    tensors: Vec<Tensor>,
    loss: f64,
    tokens: u64,
    metrics: BTreeMap<String, f64>,
}

/// Gradients of the step `draws`, of which this process computes its share.
fn step_gradients<O: Objective>(
    parameters: &Parameters,
    objective: &O,
    draws: &[Draw],
    batch: u32,
    world: World,
) -> Result<StepGradients> {
    let batches = micro_batches(objective, world.share(draws), batch)?;
    let weight = world.total(batches.iter().map(|batch| objective.weight(batch)).sum())?;
    let mut step = share_gradients(parameters, objective, &batches, weight)?;
    world.reduce(&mut step.tensors)?;
    step.loss = world.total(step.loss)?;
    for value in step.metrics.values_mut() {
        *value = world.total(*value)?;
    }
    Ok(step)
}

fn micro_batches<O: Objective>(objective: &O, draws: &[Draw], batch: u32) -> Result<Vec<O::Batch>> {
    draws.chunks(batch as usize).map(|chunk| objective.draw(chunk)).collect()
}

/// What one process adds to a step of which all processes together have `weight`.
fn share_gradients<O: Objective>(
    parameters: &Parameters,
    objective: &O,
    batches: &[O::Batch],
    weight: f64,
) -> Result<StepGradients> {
    let tokens = batches.iter().map(|batch| objective.tokens(batch)).sum();
    let mut tensors: Vec<Tensor> = Vec::with_capacity(parameters.len());
    let mut loss_sum = 0.0;
    let mut metrics = BTreeMap::<String, f64>::new();
    for (idx, batch) in batches.iter().enumerate() {
        let loss = objective.loss(batch)?;
        loss_sum += f64::from(loss.sum.to_scalar::<f32>()?);
        for (name, value) in loss.metrics {
            *metrics.entry(name.to_owned()).or_default() += value / weight;
        }
        let mut gradients = (loss.sum / weight)?.backward()?;
        for (position, (name, var)) in parameters.iter().enumerate() {
            let gradient = gradients.remove(var).ok_or_else(|| {
                Error::Failed(format!(
                    "parameter {name} receives no gradient: the loss does not depend on it"
                ))
            })?;
            if idx == 0 {
                tensors.push(gradient);
            } else {
                tensors[position] = (&tensors[position] + gradient)?;
            }
        }
    }
    Ok(StepGradients { tensors, loss: loss_sum / weight, tokens, metrics })
}

/// Makes sure that every parameter is really trained.
///
/// A missing gradient stops the first step; a gradient that stays exactly zero over the first
/// [`GUARDED_STEPS`] steps stops the last of them. (A single zero is legal: an adapter's first
/// matrix has none while its second is zero.)
struct GradientGuard {
    names: Vec<String>,
    seen: Vec<bool>,
    steps: u64,
}

impl GradientGuard {
    fn new(parameters: &Parameters) -> Self {
        let names: Vec<String> = parameters.iter().map(|(name, _)| name.clone()).collect();
        Self { seen: vec![false; names.len()], names, steps: 0 }
    }

    fn check(&mut self, step: u64, gradients: &[Tensor]) -> Result<()> {
        if self.steps >= GUARDED_STEPS {
            return Ok(());
        }
        self.steps += 1;
        for (seen, gradient) in self.seen.iter_mut().zip(gradients) {
            if !*seen {
                *seen = global_norm(std::slice::from_ref(gradient))? != 0.0;
            }
        }
        match self.seen.iter().position(|seen| !seen) {
            Some(idx) if self.steps == GUARDED_STEPS => Err(Error::Failed(format!(
                "parameter {} has had a gradient of exactly zero for {GUARDED_STEPS} steps (now step {}): it is not being trained",
                self.names[idx],
                step + 1,
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
