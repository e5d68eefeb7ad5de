//! Objectives of other kinds than those we have: batches generated with the current weights, stacks of particles.
//! They keep the seams of the loop honest.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor, Var};
use rand::Rng;

use super::course::settings::OptimizerSettings;
use super::engine::{LoopSettings, train};
use super::log::StepRecord;
use super::objective::{Loss, Objective};
use super::rows::{Gradient, look_up};
use super::sampler::Draw;
use super::track::Tracker;
use super::world::World;
use crate::error::Result;
use crate::model::{Parameter, Parameters};
use crate::progress::Context;
use crate::seed::Seed;

fn settings(learning_rate: f64, epochs: f64, batch: u32, accumulate: u32) -> LoopSettings {
    LoopSettings {
        label: "test".into(),
        optimizer: OptimizerSettings {
            learning_rate,
            warmup: 0.0,
            weight_decay: 0.0,
            epsilon: 1e-3,
            clip: 1e9,
            ..OptimizerSettings::default()
        },
        epochs,
        batch,
        accumulate,
        average: None,
        checkpoint_steps: 5,
        memory_limit: None,
        tracker: Tracker::default(),
    }
}

fn run<O: Objective>(
    parameters: &Parameters,
    objective: &mut O,
    settings: &LoopSettings,
    folder: &Path,
    ctx: &Context,
) -> Result<()> {
    train(parameters, objective, settings, World::single(), Seed::new(3), folder, ctx)
}

/// Variables as parameters that decay, which here is nothing: the weight of decay is zero.
fn parameters<const N: usize>(all: [(&str, &Var); N]) -> Parameters {
    let parameter =
        |(name, var): (&str, &Var)| Parameter { name: name.into(), var: var.clone(), decays: true };
    all.map(parameter).into_iter().collect()
}

fn values(var: &Var) -> Vec<f32> {
    var.flatten_all().unwrap().to_vec1().unwrap()
}

/// Learns from what its own weights generate: each draw starts at a weight, wanders by chance and is rewarded near 1.
struct Rollouts {
    weights: Var,
    seed: Seed,
    stop_at: u64,
    stop: Arc<AtomicBool>,
}

impl Rollouts {
    fn new(stop_at: u64) -> (Parameters, Self) {
        let weights = Var::new(&[-1.0f32, 0.0, 3.0], &Device::Cpu).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        (parameters([("weights", &weights)]), Self { weights, seed: Seed::new(8), stop_at, stop })
    }
}

impl Objective for Rollouts {
    /// One row per draw: where the rollout ended, and how well.
    type Batch = Vec<([f32; 3], f32)>;

    fn n_examples(&self) -> u64 {
        32
    }
    fn length(&self, _example: u64) -> u32 {
        1
    }
    fn draw(&self, draws: &[Draw]) -> Result<Self::Batch> {
        let now = values(&self.weights);
        let rollout = |draw: &Draw| {
            let mut rng = self.seed.index(draw.global).rng();
            let end: [f32; 3] = std::array::from_fn(|i| now[i] + rng.random_range(-0.5..0.5));
            let distance: f32 = end.iter().map(|x| (x - 1.0) * (x - 1.0)).sum();
            (end, (-distance).exp())
        };
        Ok(draws.iter().map(rollout).collect())
    }
    fn weight(&self, batch: &Self::Batch) -> f64 {
        batch.len() as f64
    }
    fn tokens(&self, batch: &Self::Batch) -> u64 {
        batch.len() as u64
    }
    fn loss(&self, batch: &Self::Batch) -> Result<Loss> {
        let mut sum = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?;
        for (end, reward) in batch {
            let end = Tensor::new(end, &Device::Cpu)?;
            let distance = (self.weights.as_tensor() - end)?.sqr()?.sum_all()?;
            sum = (sum + (distance * f64::from(*reward + 0.1))?)?;
        }
        Ok(Loss { sum, metrics: Vec::new() })
    }
    fn remark(&mut self, record: &StepRecord) -> Option<String> {
        self.stop.store(record.step == self.stop_at, Ordering::Relaxed);
        None
    }
}

#[test]
fn generated_batches_depend_on_weights_and_global_index_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = |batch, accumulate| settings(0.05, 4.0, batch, accumulate);
    let path = |name: &str| folder.path().join(name);
    let trained = |name: &str, batch, accumulate| {
        let (parameters, mut objective) = Rollouts::new(0);
        std::fs::create_dir(path(name)).unwrap();
        let settings = settings(batch, accumulate);
        run(&parameters, &mut objective, &settings, &path(name), &Context::silent()).unwrap();
        values(&objective.weights)
    };
    let straight = trained("straight", 8, 1);
    assert!(straight != values(&Rollouts::new(0).1.weights));
    for (a, b) in straight.iter().zip(trained("parts", 1, 8)) {
        assert!(
            (a - b).abs() < 1e-5,
            "all of a step are generated with the weights before it: {a} {b}"
        );
    }
    std::fs::create_dir(path("stopped")).unwrap();
    for stop_at in [3, 11, 0] {
        let (parameters, mut objective) = Rollouts::new(stop_at);
        let ctx = Context::new(true, Arc::clone(&objective.stop));
        let outcome = run(&parameters, &mut objective, &settings(8, 1), &path("stopped"), &ctx);
        assert_eq!(outcome.is_ok(), stop_at == 0);
        if stop_at == 0 {
            assert_eq!(values(&objective.weights), straight, "resumed and straight, bit for bit");
        }
    }
    // Two ranks generate together what one generates alone.
    let (_, objective) = Rollouts::new(0);
    let draws: Vec<Draw> = (0..7).map(|i| Draw { example: i, global: 32 + i }).collect();
    let shares = (0..2).flat_map(|rank| {
        let share = World::new(rank, 2).unwrap().share(&draws).to_vec();
        objective.draw(&share).unwrap()
    });
    assert_eq!(shares.collect::<Vec<_>>(), objective.draw(&draws).unwrap());
}

/// A stack of particles `[particles]` under a standard normal; with the coupling of Stein variational gradient
/// descent (arXiv 1608.04471, eq. 8) they spread over it instead of meeting at its mode.
struct Particles {
    stack: Var,
    coupled: bool,
}

impl Objective for Particles {
    type Batch = usize;

    fn n_examples(&self) -> u64 {
        4
    }
    fn length(&self, _example: u64) -> u32 {
        1
    }
    fn draw(&self, draws: &[Draw]) -> Result<usize> {
        Ok(draws.len())
    }
    fn weight(&self, batch: &usize) -> f64 {
        *batch as f64
    }
    fn tokens(&self, batch: &usize) -> u64 {
        *batch as u64
    }
    /// The sum over particles: the gradient of each lies in its own slice.
    fn loss(&self, batch: &usize) -> Result<Loss> {
        let sum = (self.stack.sqr()?.sum_all()? * (0.5 * *batch as f64))?;
        Ok(Loss { sum, metrics: Vec::new() })
    }
    fn couple(&self, parameters: &Parameters, gradients: &mut [Gradient]) -> Result<()> {
        if self.coupled {
            let x = values(parameters.var("stack")?);
            let g = gradients[0].dense()?.to_vec1::<f32>()?;
            let n = x.len();
            let direction = |i: usize| -> f32 {
                let term = |j: usize| {
                    let apart = x[j] - x[i];
                    (-apart * apart / 2.0).exp() * (g[j] + apart)
                };
                (0..n).map(term).sum::<f32>() / n as f32
            };
            let coupled: Vec<f32> = (0..n).map(direction).collect();
            gradients[0] = Gradient::Dense(Tensor::new(coupled, &Device::Cpu)?);
        }
        Ok(())
    }
}

#[test]
fn particles_of_a_stack_are_coupled_between_gradient_and_step() {
    let spread = |coupled| {
        let start: Vec<f32> = (0..16).map(|i| 2.0 + i as f32 / 16.0).collect();
        let stack = Var::new(start, &Device::Cpu).unwrap();
        let parameters = parameters([("stack", &stack)]);
        let mut objective = Particles { stack, coupled };
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(0.05, 800.0, 2, 2);
        run(&parameters, &mut objective, &settings, folder.path(), &Context::silent()).unwrap();
        let x = values(&objective.stack);
        let mean = x.iter().sum::<f32>() / 16.0;
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 16.0;
        (mean, variance.sqrt())
    };
    let (mean, deviation) = spread(true);
    assert!(mean.abs() < 0.1 && (0.6..1.2).contains(&deviation), "{mean} {deviation}");
    let (mean, deviation) = spread(false);
    assert!(mean.abs() < 0.1 && deviation < 0.05, "{mean} {deviation}");
}

/// Example `i` pulls row `i` of a table, and the row behind it, to 1; the table is read by rows or as a whole.
struct Pulled {
    table: Var,
    by_rows: bool,
    examples: u64,
}

impl Objective for Pulled {
    type Batch = Vec<u32>;

    fn n_examples(&self) -> u64 {
        self.examples
    }

    fn length(&self, _: u64) -> u32 {
        1
    }

    fn draw(&self, draws: &[Draw]) -> Result<Vec<u32>> {
        Ok(draws.iter().flat_map(|draw| [draw.example as u32, draw.example as u32 + 1]).collect())
    }

    fn weight(&self, batch: &Vec<u32>) -> f64 {
        batch.len() as f64
    }

    fn tokens(&self, batch: &Vec<u32>) -> u64 {
        batch.len() as u64
    }

    fn loss(&self, batch: &Vec<u32>) -> Result<Loss> {
        let read = if self.by_rows {
            look_up(&self.table, batch)?
        } else {
            let ids = Tensor::new(batch.as_slice(), &Device::Cpu)?;
            trieval_kernels::ops::embedding(&ids, self.table.as_tensor())?
        };
        Ok(Loss { sum: (read - 1.0)?.sqr()?.sum_all()?, metrics: Vec::new() })
    }
}

#[test]
fn a_table_read_by_rows_trains_like_one_read_as_a_whole_and_leaves_other_rows_alone() {
    let trained = |by_rows: bool, examples: u64, epochs: f64, folder: &Path| {
        let start = Tensor::arange(0f32, 24.0, &Device::Cpu).unwrap().reshape((8, 3)).unwrap();
        let table = Var::from_tensor(&start).unwrap();
        let parameters = parameters([("table", &table)]);
        let mut objective = Pulled { table: table.clone(), by_rows, examples };
        // Two micro-batches, whose rows overlap.
        let settings = settings(0.1, epochs, 4, 2);
        run(&parameters, &mut objective, &settings, folder, &Context::silent()).unwrap();
        table.to_vec2::<f32>().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Every step reads all rows: both are the same.
    let (rows, whole) = (trained(true, 7, 9.0, &at("rows")), trained(false, 7, 9.0, &at("whole")));
    for (a, b) in rows.concat().iter().zip(whole.concat()) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let some = trained(true, 3, 9.0, &at("some"));
    assert_eq!(some[4], [12.0, 13.0, 14.0], "no example reads row 4");
    assert_ne!(some[3], [9.0, 10.0, 11.0]);
}
