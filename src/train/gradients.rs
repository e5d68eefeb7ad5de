//! Gradients of a step: micro-batches summed, shares of several processes reduced, and the guard that
//! every parameter gets one.

use std::collections::BTreeMap;

use candle_core::Var;

use super::objective::Objective;
use super::optimizer::global_norm;
use super::rows::{Gradient, ReadRows, listen};
use super::sampler::Draw;
use super::world::World;
use crate::error::{Error, Result};
use crate::memory;
use crate::model::recompute::{Gradients, gradients};
use crate::model::{Parameter, Parameters};

/// Steps within which every parameter must have moved.
pub(super) const GUARDED_STEPS: u64 = 8;

/// Gradients of one whole step, divided by its whole weight.
pub(super) struct StepGradients {
    pub(super) all: Vec<Gradient>,
    pub(super) loss: f64,
    /// Summed losses of the micro-batches of this process, in their order.
    pub(super) parts: Vec<f64>,
    pub(super) tokens: u64,
    pub(super) metrics: BTreeMap<String, f64>,
}

/// Gradients of the step `draws`, of which this process computes its share.
pub(super) fn step_gradients<O: Objective>(
    parameters: &Parameters,
    objective: &O,
    draws: &[Draw],
    batch: u32,
    world: World,
) -> Result<StepGradients> {
    let batches = micro_batches(objective, world.share(draws), batch)?;
    let weight = world.total(batches.iter().map(|batch| objective.weight(batch)).sum())?;
    let mut step = share_gradients(parameters, objective, &batches, weight)?;
    world.reduce(&mut step.all)?;
    step.loss = world.total(step.loss)?;
    for value in step.metrics.values_mut() {
        *value = world.total(*value)?;
    }
    Ok(step)
}

pub(super) fn micro_batches<O: Objective>(
    objective: &O,
    draws: &[Draw],
    batch: u32,
) -> Result<Vec<O::Batch>> {
    draws.chunks(batch as usize).map(|chunk| objective.draw(chunk)).collect()
}

/// What one process adds to a step of which all processes together have `weight`.
pub(super) fn share_gradients<O: Objective>(
    parameters: &Parameters,
    objective: &O,
    batches: &[O::Batch],
    weight: f64,
) -> Result<StepGradients> {
    let tokens = batches.iter().map(|batch| objective.tokens(batch)).sum();
    let mut all: Vec<Gradient> = Vec::with_capacity(parameters.len());
    let mut parts = Vec::with_capacity(batches.len());
    let mut metrics = BTreeMap::<String, f64>::new();
    for (idx, batch) in batches.iter().enumerate() {
        let (loss, read) = listen(|| objective.loss(batch))?;
        parts.push(f64::from(loss.sum.to_scalar::<f32>()?));
        for (name, value) in loss.metrics {
            *metrics.entry(name.to_owned()).or_default() += value / weight;
        }
        memory::check(|| "after a forward pass".to_owned())?;
        let mut gradients = gradients(&(loss.sum / weight)?)?;
        // The loss still holds all that the forward pass kept.
        memory::check(|| "after a backward pass".to_owned())?;
        for (position, Parameter { name, var, .. }) in parameters.iter().enumerate() {
            let gradient = of_parameter(var, &mut gradients, &read)?.ok_or_else(|| {
                Error::Failed(format!(
                    "parameter {name} receives no gradient: the loss does not depend on it"
                ))
            })?;
            if idx == 0 {
                all.push(gradient);
            } else {
                all[position] = all[position].clone().plus(gradient)?;
            }
        }
    }
    let loss = parts.iter().sum::<f64>() / weight;
    Ok(StepGradients { all, loss, parts, tokens, metrics })
}

/// The gradient of one parameter: what the graph has of it, and of its rows that were looked up.
fn of_parameter(
    parameter: &Var,
    gradients: &mut Gradients,
    read: &[ReadRows],
) -> Result<Option<Gradient>> {
    let mut sum = gradients.take(parameter)?.map(Gradient::Dense);
    let id = parameter.as_tensor().id();
    for read in read.iter().filter(|read| read.table == id) {
        let Some(values) = gradients.take(&read.copy)? else { continue };
        let rows = Gradient::Rows { rows: read.rows.clone(), values };
        sum = Some(match sum {
            Some(sum) => sum.plus(rows)?,
            None => rows,
        });
    }
    Ok(sum)
}

/// Makes sure that every parameter is really trained.
///
/// A missing gradient stops the first step; a gradient that stays exactly zero over the first
/// [`GUARDED_STEPS`] steps stops the last of them. (A single zero is legal: an adapter's first
/// matrix has none while its second is zero.)
pub(super) struct GradientGuard {
    names: Vec<String>,
    seen: Vec<bool>,
    steps: u64,
}

impl GradientGuard {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let names: Vec<String> = parameters.iter().map(|one| one.name.clone()).collect();
        Self { seen: vec![false; names.len()], names, steps: 0 }
    }

    pub(super) fn check(&mut self, step: u64, gradients: &[Gradient]) -> Result<()> {
        if self.steps >= GUARDED_STEPS {
            return Ok(());
        }
        self.steps += 1;
        for (seen, gradient) in self.seen.iter_mut().zip(gradients) {
            if !*seen {
                *seen = global_norm([gradient.values()])? != 0.0;
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

/// The gradients of one batch's summed loss, each of its parameter's shape: for the tests of objectives.
#[cfg(test)]
pub(crate) fn dense_gradients<O: Objective>(
    parameters: &Parameters,
    objective: &O,
    batch: &O::Batch,
) -> Result<Vec<candle_core::Tensor>> {
    let (loss, read) = listen(|| objective.loss(batch))?;
    let mut found = gradients(&loss.sum)?;
    let dense = |Parameter { name, var, .. }: &Parameter| {
        let gradient = of_parameter(var, &mut found, &read)?;
        let gradient = gradient.ok_or_else(|| Error::Failed(format!("{name} has no gradient")))?;
        Gradient::Dense(var.as_tensor().zeros_like()?).plus(gradient)?.dense().cloned()
    };
    parameters.iter().map(dense).collect()
}
