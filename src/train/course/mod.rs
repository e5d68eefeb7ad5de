//! One course of training: whatever is trained has the same keys, the same loop, the same look at held-out data, the same
//! watchers and the same log.

pub mod settings;

use settings::{Course, CourseDefaults, LOSS, Precision, TrainDevice};

use super::engine::{LOG_FILE, LoopSettings, Training};
use super::objective::Objective;
use super::track::{MlflowRun, Outcome, Tracker, flattened};
use super::validation::{Measured, Validation};
use super::world::World;
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::Faults;
use crate::kind::keys;
use crate::memory;
use crate::model::Parameters;

/// Remembers the MLflow run of an unfinished training, in its working state.
const MLFLOW_FILE: &str = "mlflow.json";

/// Which keys of a course a kind of training can use so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Able {
    /// It can compute on a GPU, in its types, and compute activations a second time.
    pub device: bool,
    /// Its validation searches beams.
    pub beams: bool,
    /// Its validation measures a loss.
    pub loss: bool,
}

impl<D: CourseDefaults> Course<D> {
    /// Trains `parameters` on `objective` in the working folder of a step, and leaves `train.jsonl` beside its result.
    /// `measure` gives the values of a validation of the current weights.
    ///
    /// # Errors
    /// As [`Training::run`]; [`Error::Environment`] when the disk refuses.
    pub fn run<O: Objective>(
        &self,
        step: &StepContext<'_>,
        label: &str,
        parameters: &Parameters,
        objective: &mut O,
        measure: Option<&mut dyn FnMut() -> Result<Measured>>,
    ) -> Result<()> {
        let tracker = self.tracker(step, label);
        let outcome = self.run_tracked(step, label, parameters, objective, measure, &tracker);
        tracker.finish(Outcome::of(&outcome));
        outcome
    }

    fn run_tracked<O: Objective>(
        &self,
        step: &StepContext<'_>,
        label: &str,
        parameters: &Parameters,
        objective: &mut O,
        measure: Option<&mut dyn FnMut() -> Result<Measured>>,
        tracker: &Tracker,
    ) -> Result<()> {
        let settings = LoopSettings {
            label: label.to_owned(),
            optimizer: self.optimizer.plain(),
            epochs: self.epochs,
            batch: self.batch,
            accumulate: self.accumulate,
            average: self.average(),
            checkpoint_steps: self.checkpoint_steps,
            memory_limit: self.memory_limit().or_else(memory::allowed),
            tracker: tracker.clone(),
        };
        let training = Training {
            parameters,
            settings: &settings,
            world: World::single(),
            seed: step.seed,
            folder: step.work,
            ctx: step.ctx,
        };
        let validates = self.validation.as_ref().map(settings::ValidationSettings::plain);
        let mut validation = match (&validates, measure) {
            (Some(settings), Some(measure)) => Some(Validation::new(settings, measure)),
            _ => None,
        };
        training.run(objective, validation.as_mut())?;
        let log = step.out.join(LOG_FILE);
        std::fs::copy(step.work.join(LOG_FILE), &log).map_err(|e| Error::unwritable(&log, &e))?;
        Ok(())
    }

    /// Who else watches: event files in the run folder, a run on an MLflow server. No result depends on it.
    fn tracker(&self, step: &StepContext<'_>, label: &str) -> Tracker {
        let board = self.log.tensorboard.then(|| step.boards.to_owned());
        let mlflow = self.log.mlflow.as_ref().map(|address| MlflowRun {
            address: address.clone(),
            experiment: step.recipe.to_owned(),
            name: step.name.to_owned(),
            parameters: flattened(step.settings),
            tags: vec![
                ("trieval.version".into(), env!("CARGO_PKG_VERSION").into()),
                ("trieval.key".into(), step.key.to_owned()),
            ],
            memory: step.work.join(MLFLOW_FILE),
        });
        Tracker::start(label, board, mlflow, step.ctx)
    }

    /// Reports what is wrong with the keys of a course; `owner` is whose they are, and `able` what it can use.
    pub fn faults(&self, owner: &str, able: Able, faults: &mut Faults<'_>) {
        self.optimizer.faults(owner, faults);
        if let Some((label, help)) = self.log.mlflow_fault() {
            let key = keys!["log", "mlflow"];
            let message = format!("`{}` cannot be used", faults.dotted(&key));
            faults.value(key, message, label, help);
        }
        let gpu = [
            ("device", self.device != TrainDevice::Cpu),
            ("precision", self.precision != Precision::F32),
            ("recompute", self.recompute),
        ];
        for (key, given) in gpu.into_iter().filter(|_| !able.device) {
            if given {
                let message = format!("{owner} cannot use `{key}` yet");
                let label = "computed on the CPU, in f32, once";
                faults.value(keys![key], message, label, "leave it out");
            }
        }
        if able.device && self.device == TrainDevice::Cpu && self.precision != Precision::F32 {
            let key = keys!["precision"];
            let message = format!("`{}` has no effect on a CPU", faults.dotted(&key));
            let help =
                "set `device = \"cuda\"`, or leave `precision` out; memory is saved by `recompute`";
            faults.value(key, message, "a CPU computes in f32", help);
        }
        self.validation_faults(owner, able, faults);
    }

    fn validation_faults(&self, owner: &str, able: Able, faults: &mut Faults<'_>) {
        let Some(settings) = &self.validation else { return };
        let both =
            settings.every_steps.is_some() && faults.is_given(&keys!["validation", "every_epochs"]);
        if both {
            let message = format!("{owner} says twice how often it is validated");
            let help = "keep `every_steps` or `every_epochs`";
            let key = keys!["validation", "every_epochs"];
            faults.value(key, message, "beside `every_steps`", help);
        }
        let beam = keys!["validation", "beam"];
        if !able.beams && faults.is_given(&beam) {
            let message = format!("{owner} searches no beams");
            faults.key(beam, message, "all items are looked at", "leave it out");
        }
        let (metric, key) = (&settings.metric, keys!["validation", "metric"]);
        if able.loss && metric == LOSS {
            return;
        }
        if let Err(help) = faults.check_tuned(metric) {
            let message = format!("{owner} cannot be validated by \"{metric}\"");
            let help = if able.loss { format!("{help}; or `loss`") } else { help };
            faults.value(key, message, "not a metric of lists", help);
        } else if let Some(cut_off) =
            faults.cut_off(metric).filter(|&one| able.beams && one > settings.beams())
        {
            let message = format!("{metric} looks deeper than the search of the validation");
            let label = format!("`beam` is {}", settings.beams());
            faults.value(key, message, label, format!("raise `validation.beam` to {cut_off}"));
        }
    }
}
