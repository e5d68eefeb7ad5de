//! An exponential moving average of the weights: what is validated and kept, while the steps go on from the weights
//! themselves.
//!
//! After step `t` it is `Σ β^(t−i) w_i / Σ β^(t−i)` over the weights `w_i` after steps 1 to `t`: the bias of a start from zero
//! is corrected as Adam corrects that of its moments, so that it needs no warm-up and never holds the weights before the
//! first step.

use candle_core::Tensor;

use crate::error::Result;
use crate::model::Parameters;

/// The average, each part where its parameter lies.
pub struct Average {
    decay: f64,
    values: Vec<Tensor>,
}

impl Average {
    /// The average of no weights yet.
    ///
    /// # Errors
    /// When a device has no memory for it.
    pub fn new(decay: f64, parameters: &Parameters) -> Result<Self> {
        let zeros = parameters.vars().map(|var| var.as_tensor().detach().zeros_like());
        Ok(Self { decay, values: zeros.collect::<candle_core::Result<_>>()? })
    }

    /// Its values, in the order of the parameters.
    pub fn values(&self) -> &[Tensor] {
        &self.values
    }

    /// Replaces the values, in the order of the parameters.
    pub fn restore(&mut self, values: Vec<Tensor>) {
        self.values = values;
    }

    /// Takes in the weights after `step` steps, which counts from 1.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn take(&mut self, parameters: &Parameters, step: u64) -> Result<()> {
        // (1 − β) / (1 − β^step), exact for a β near 1 as well.
        let weight = (self.decay - 1.0) / (step as f64 * self.decay.ln()).exp_m1();
        for (var, mean) in parameters.vars().zip(&mut self.values) {
            let way = ((var.as_tensor().detach() - &*mean)? * weight)?;
            *mean = (&*mean + way)?;
        }
        Ok(())
    }

    /// Gives the parameters the values of the average.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn put(&self, parameters: &Parameters) -> Result<()> {
        set(parameters, &self.values)
    }

    /// Does `work` while the parameters have the values of the average. They have their own again behind it, whatever came
    /// of it.
    ///
    /// # Errors
    /// As `work`, or when a tensor operation fails.
    pub fn within<T>(
        &self,
        parameters: &Parameters,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let own = parameters.vars().map(|var| var.as_tensor().detach().copy());
        let own = own.collect::<candle_core::Result<Vec<Tensor>>>()?;
        self.put(parameters)?;
        let done = work();
        set(parameters, &own)?;
        done
    }
}

fn set(parameters: &Parameters, values: &[Tensor]) -> Result<()> {
    for (var, values) in parameters.vars().zip(values) {
        var.set(values)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use candle_core::{Device, Var};

    use super::*;
    use crate::error::Error;
    use crate::model::Parameter;
    use crate::progress::Context;
    use crate::seed::Seed;
    use crate::train::course::settings::{Keep, OptimizerSettings, ValidationSettings};
    use crate::train::engine::{LoopSettings, Training};
    use crate::train::log::StepRecord;
    use crate::train::objective::{Loss, Objective};
    use crate::train::rows::look_up;
    use crate::train::sampler::Draw;
    use crate::train::track::Tracker;
    use crate::train::validation::Validation;
    use crate::train::world::World;

    const DECAY: f64 = 0.8;
    const STEPS: usize = 12;

    /// Rows of a table and a vector that run after targets of their own; notes the weights that steps leave.
    struct Runner {
        parameters: Parameters,
        left: RefCell<Vec<Vec<f32>>>,
        stop_at: u64,
        stop: Arc<AtomicBool>,
    }

    impl Runner {
        fn new(stop_at: u64) -> Self {
            let table = Var::new(&[[1f32, -2.0], [0.5, 3.0], [-1.0, 0.0]], &Device::Cpu).unwrap();
            let vector = Var::new(&[4f32, -4.0], &Device::Cpu).unwrap();
            let parameter =
                |(name, var): (&str, Var)| Parameter { name: name.into(), var, decays: false };
            let parameters = [("table", table), ("vector", vector)].map(parameter);
            Self {
                parameters: parameters.into_iter().collect(),
                left: RefCell::default(),
                stop_at,
                stop: Arc::default(),
            }
        }

        fn values(&self) -> Vec<f32> {
            values(&self.parameters)
        }
    }

    fn values(parameters: &Parameters) -> Vec<f32> {
        let flat = |var: &Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        parameters.vars().flat_map(flat).collect()
    }

    impl Objective for Runner {
        type Batch = Vec<u64>;

        fn n_examples(&self) -> u64 {
            STEPS as u64
        }
        fn length(&self, _example: u64) -> u32 {
            1
        }
        fn draw(&self, draws: &[Draw]) -> Result<Vec<u64>> {
            Ok(draws.iter().map(|draw| draw.example).collect())
        }
        fn weight(&self, batch: &Vec<u64>) -> f64 {
            batch.len() as f64
        }
        fn tokens(&self, batch: &Vec<u64>) -> u64 {
            batch.len() as u64
        }
        fn loss(&self, batch: &Vec<u64>) -> Result<Loss> {
            let [table, vector] = ["table", "vector"].map(|name| self.parameters.var(name));
            let rows: Vec<u32> = batch.iter().map(|example| (example % 3) as u32).collect();
            let target = batch.iter().sum::<u64>() as f64;
            let of_rows = (look_up(table?, &rows)? - target)?.sqr()?.sum_all()?;
            let of_vector = (vector?.as_tensor() + target)?.sqr()?.sum_all()?;
            Ok(Loss { sum: (of_rows + of_vector)?, metrics: Vec::new() })
        }
        fn measure(&self, _step: u64, _n_steps: u64) -> Result<Vec<(&'static str, f64)>> {
            self.left.borrow_mut().push(self.values());
            Ok(Vec::new())
        }
        fn remark(&mut self, record: &StepRecord) -> Option<String> {
            self.stop.store(record.step == self.stop_at, Ordering::Relaxed);
            None
        }
    }

    /// Trains in `folder`, validated every fourth step by how near the first weight is to `wanted`; gives what validation saw.
    fn train(
        runner: &mut Runner,
        average: Option<f64>,
        (keep, wanted): (Keep, f32),
        folder: &Path,
    ) -> (Result<()>, Vec<Vec<f32>>) {
        let optimizer = OptimizerSettings { learning_rate: 0.3, warmup: 0.0, ..Default::default() };
        let settings = LoopSettings {
            label: "test".into(),
            optimizer,
            epochs: 1.0,
            batch: 1,
            accumulate: 1,
            average,
            checkpoint_steps: 5,
            memory_limit: None,
            tracker: Tracker::default(),
        };
        let looks = ValidationSettings {
            every_steps: Some(4),
            metric: "recall@1".into(),
            keep,
            ..Default::default()
        };
        let parameters = runner.parameters.clone();
        let mut seen = Vec::new();
        let mut validation = Validation::new(&looks, || {
            let values = values(&parameters);
            let value = -f64::from((values[0] - wanted).abs());
            seen.push(values);
            Ok([("recall@1".to_owned(), value)].into())
        });
        let training = Training {
            parameters: &parameters,
            settings: &settings,
            world: World::single(),
            seed: Seed::new(2),
            folder,
            ctx: &Context::new(true, Arc::clone(&runner.stop)),
        };
        let outcome = training.run(runner, Some(&mut validation));
        drop(validation);
        (outcome, seen)
    }

    /// The mean of the first `n` weights of `all`, that of `k` steps before the last counting `DECAY^k`.
    fn mean(all: &[Vec<f32>], n: usize) -> Vec<f64> {
        let counts: Vec<f64> = (0..n).map(|i| DECAY.powi((n - 1 - i) as i32)).collect();
        let total: f64 = counts.iter().sum();
        let of = |place: usize| {
            let sum: f64 = all[..n].iter().zip(&counts).map(|(w, c)| f64::from(w[place]) * c).sum();
            sum / total
        };
        (0..all[0].len()).map(of).collect()
    }

    fn assert_near(values: &[f32], expected: &[f64]) {
        assert_eq!(values.len(), expected.len());
        for (a, b) in values.iter().zip(expected) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{values:?} {expected:?}");
        }
    }

    #[test]
    fn what_is_validated_and_kept_is_the_mean_of_the_weights_that_steps_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let run = |name: &str, average, kept| {
            let mut runner = Runner::new(0);
            let (outcome, seen) = train(&mut runner, average, kept, &path(name));
            outcome.unwrap();
            let values = runner.values();
            (values, runner.left.into_inner(), seen)
        };
        let (last, left, seen) = run("last", Some(DECAY), (Keep::Last, 0.0));
        assert_eq!((left.len(), seen.len()), (STEPS, 3));
        for (n, seen) in [4, 8, 12].into_iter().zip(&seen) {
            assert_near(seen, &mean(&left, n));
        }
        assert_eq!(last, seen[2]);
        assert!(last != left[11]);

        // The steps are those of a training without an average, whose weights are kept as they are.
        let (plain, left_plain, seen_plain) = run("plain", None, (Keep::Last, 0.0));
        assert_eq!(left_plain, left);
        assert!(
            plain == left[11] && seen_plain == [&left[3], &left[7], &left[11]].map(Clone::clone)
        );

        // The best average is kept where the best is.
        let (best, ..) = run("best", Some(DECAY), (Keep::Best, seen[1][0]));
        assert_eq!(best, seen[1]);
    }

    #[test]
    fn a_resumed_average_is_that_of_a_straight_training_bit_for_bit() {
        for keep in [Keep::Last, Keep::Best] {
            let folder = tempfile::tempdir().unwrap();
            let (straight, stopped) =
                (folder.path().join("straight"), folder.path().join("stopped"));
            let mut whole = Runner::new(0);
            let (outcome, seen) = train(&mut whole, Some(DECAY), (keep, 0.0), &straight);
            outcome.unwrap();
            let mut seen_again = Vec::new();
            for stop in [1, 3, 4, 9, 0] {
                let mut part = Runner::new(stop);
                let (outcome, seen) = train(&mut part, Some(DECAY), (keep, 0.0), &stopped);
                seen_again.extend(seen);
                match outcome {
                    Err(Error::Interrupted) if stop > 0 => {}
                    Ok(()) if stop == 0 => assert_eq!(part.values(), whole.values()),
                    other => panic!("{other:?} after step {stop}"),
                }
            }
            assert_eq!(seen_again, seen);
            // A finished training has nothing left to do, and its result is the same.
            let mut again = Runner::new(0);
            train(&mut again, Some(DECAY), (keep, 0.0), &stopped).0.unwrap();
            assert_eq!(again.values(), whole.values());
            assert!(again.left.into_inner().is_empty());
        }
    }

    #[test]
    fn the_parameters_have_their_own_values_behind_a_failure_too() {
        let runner = Runner::new(0);
        let mut average = Average::new(DECAY, &runner.parameters).unwrap();
        average.take(&runner.parameters, 1).unwrap();
        let own = runner.values();
        // Of one, the mean is that one.
        let seen = average.within(&runner.parameters, || Ok(runner.values())).unwrap();
        assert_eq!(seen, own);
        let moved = (runner.parameters.var("vector").unwrap().as_tensor() * 3.0).unwrap();
        runner.parameters.var("vector").unwrap().set(&moved).unwrap();
        let moved = runner.values();
        let failed = average.within(&runner.parameters, || {
            assert_eq!(runner.values(), own);
            Err::<(), _>(Error::Failed("no".into()))
        });
        assert!(failed.is_err());
        assert_eq!(runner.values(), moved);
    }

    #[test]
    fn any_decay_makes_means() {
        for decay in [0.01, 0.5, 0.999, 0.999_999] {
            let runner = Runner::new(0);
            let var = runner.parameters.var("vector").unwrap();
            let mut average = Average::new(decay, &runner.parameters).unwrap();
            let mut sums = (0.0, 0.0);
            for step in 1..=50 {
                let value = (step * step % 17) as f64;
                var.set(&Tensor::new(&[value as f32, 1.0], &Device::Cpu).unwrap()).unwrap();
                average.take(&runner.parameters, step).unwrap();
                sums = (sums.0 * decay + value, sums.1 * decay + 1.0);
            }
            let mean = average.values()[1].to_vec1::<f32>().unwrap();
            assert!((f64::from(mean[0]) - sums.0 / sums.1).abs() < 1e-4, "{decay}: {mean:?}");
            assert!((mean[1] - 1.0).abs() < 1e-5, "{decay}: {mean:?}");
        }
    }
}
