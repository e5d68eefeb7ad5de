//! The one training loop.
//!
//! Knows steps, gradients, clipping, checkpoints and logs; what an example is, and what a good
//! answer to it, is the [`Objective`]'s business.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::average::Average;
use super::checkpoint;
use super::course::settings::OptimizerSettings;
use super::gradients::{GradientGuard, StepGradients, share_gradients, step_gradients};
use super::log::{StepRecord, TrainLog};
use super::objective::Objective;
use super::optimizer::{AdamW, global_norm};
use super::rows::Gradient;
use super::sampler::{Draw, Sampler};
use super::schedule::learning_rate;
use super::track::Tracker;
use super::validation::{Course, Validation, at_start};
use super::world::World;
use crate::error::{Error, Result};
use crate::memory;
use crate::model::{Parameter, Parameters};
use crate::progress::Context;
use crate::seed::Seed;

/// Name of the checkpoint inside a training's folder.
pub const CHECKPOINT_FILE: &str = "checkpoint.bin";
/// Name of the log inside a training's folder.
pub const LOG_FILE: &str = "train.jsonl";
/// Most examples that a message about a divergence names.
const NAMED_EXAMPLES: usize = 8;
/// Epochs in which the longest examples are drawn to find the longest batch.
const PROBED_EPOCHS: u64 = 4;
/// A checkpoint is also written after this long, so that slow steps do not lose much.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

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
    /// Decay of the average of the weights that is validated and kept; none where they themselves are.
    pub average: Option<f64>,
    /// Steps between checkpoints.
    pub checkpoint_steps: u32,
    /// Most bytes that the process may hold; none where nothing is known of the machine.
    pub memory_limit: Option<u64>,
    /// Who else is told of every step.
    pub tracker: Tracker,
}

/// One training: what is trained, how, and where its state lies.
pub struct Training<'a> {
    /// What is trained.
    pub parameters: &'a Parameters,
    /// How the loop runs.
    pub settings: &'a LoopSettings,
    /// Who else computes the same step.
    pub world: World,
    /// Seed of the order of examples.
    pub seed: Seed,
    /// Folder of checkpoint and log.
    pub folder: &'a Path,
    /// Reporting and interruption.
    pub ctx: &'a Context,
}

/// Trains `parameters` on `objective` without validation, continuing from the checkpoint in `folder`
/// where there is one.
///
/// # Errors
/// As [`Training::run`].
pub fn train<O: Objective>(
    parameters: &Parameters,
    objective: &mut O,
    settings: &LoopSettings,
    world: World,
    seed: Seed,
    folder: &Path,
    ctx: &Context,
) -> Result<()> {
    Training { parameters, settings, world, seed, folder, ctx }.run(objective, None)
}

impl Training<'_> {
    /// Trains on `objective`, continuing from the checkpoint in the folder where there is one. The
    /// parameters end as those of the last step, or of the best validation where `validation` keeps
    /// the best; as their average by then, where one is kept.
    ///
    /// A checkpoint is written only of weights that gave a finite loss and gradient, or finite
    /// weights at the end and on an interrupt; one that is there stays when a training diverges.
    ///
    /// # Errors
    /// [`Error::Failed`] when a parameter gets no gradient, or the loss is no longer finite,
    /// [`Error::Interrupted`] after a checkpoint was written because the user asked to stop.
    pub fn run<O: Objective>(
        &self,
        objective: &mut O,
        validation: Option<&mut Validation<'_>>,
    ) -> Result<()> {
        let limit = self.settings.memory_limit.unwrap_or(u64::MAX);
        memory::watched(limit, || self.run_watched(objective, validation)).0
    }

    fn run_watched<O: Objective>(
        &self,
        objective: &mut O,
        mut validation: Option<&mut Validation<'_>>,
    ) -> Result<()> {
        let Self { parameters, settings, world, folder, ctx, .. } = *self;
        let step_examples = u64::from(settings.batch) * u64::from(settings.accumulate);
        let (n_examples, order) = (objective.n_examples(), self.seed.purpose("order"));
        let mut sampler = Sampler::new(n_examples, step_examples, settings.epochs, order);
        let n_steps = sampler.n_steps();
        let epoch_steps = n_examples as f64 / step_examples as f64;
        let mut state = State::open(self)?;
        let done = state.done;
        if let Some(best) = state.course.best
            && validation.as_ref().is_some_and(|one| one.keeps_best())
        {
            checkpoint::check_best(folder, best.step)?;
        }
        // What the objective has to say of steps before a resumption was said then, and is noted.
        let mut seen = Seen::default();
        let metric = validation.as_ref().map(|one| one.metric());
        let mut log = TrainLog::resume(&folder.join(LOG_FILE), done, |record| {
            seen.look(record, metric.as_deref());
            if let Some(remark) = objective.remark(record) {
                ctx.note(format!("{}: {remark}", settings.label));
            }
        })?;
        settings.tracker.begin(done);
        if done < n_steps {
            self.probe(objective)?;
        }
        let mut before = BTreeMap::new();
        if let Some(validation) = &mut validation
            && done == 0
            && objective.begins_trained()
            && validation.observe_start(&mut state.course, &mut before)?
            && validation.keeps_best()
        {
            checkpoint::save_best(folder, parameters, 0)?;
        }
        let mut guard = GradientGuard::new(parameters);
        let mut bar = ctx.bar(&settings.label, n_steps, "step");
        bar.resume_at(done);
        let mut is_due = false;
        let mut stretch = ctx.is_probing().then(|| Stretch::new(done));
        for step in done..n_steps {
            if validation.as_ref().is_some_and(|one| one.is_exhausted(&state.course)) {
                break;
            }
            // What moved the weights is written down before an interrupt ends the process.
            let _held = ctx.hold();
            let started = Instant::now();
            let draws = sampler.step(step, |example| objective.length(example));
            let mut gradients = step_gradients(parameters, objective, draws, settings.batch, world)
                .map_err(|error| self.too_large(objective, draws, error))?;
            objective.couple(parameters, &mut gradients.all)?;
            guard.check(step, &gradients.all)?;
            let rate = learning_rate(&settings.optimizer, step, n_steps);
            let norm = global_norm(gradients.all.iter().map(Gradient::values))?;
            if !norm.is_finite() || !gradients.loss.is_finite() {
                return Err(self.divergence(objective, step, draws, &gradients, norm));
            }
            if is_due {
                // The step before is proven now: its weights gave a finite loss and gradient.
                state.save(self, &log)?;
                is_due = false;
            }
            let scale =
                if norm > settings.optimizer.clip { settings.optimizer.clip / norm } else { 1.0 };
            state.optimizer.step(parameters, &gradients.all, scale, rate, step)?;
            state.done = step + 1;
            objective.settle(state.done, n_steps)?;
            if let Some(average) = &mut state.average {
                average.take(parameters, state.done)?;
            }

            let tokens_per_s = gradients.tokens as f64 / started.elapsed().as_secs_f64().max(1e-9);
            let mut metrics = gradients.metrics;
            let measured = objective.measure(state.done, n_steps)?;
            metrics.extend(measured.into_iter().map(|(name, value)| (name.to_owned(), value)));
            metrics.append(&mut before);
            // The rest of a training that is only looked at is left out, but for one validation.
            let is_enough = stretch.as_mut().is_some_and(|stretch| stretch.is_enough(state.done));
            let is_last = state.done == n_steps || is_enough;
            let mut is_exhausted = false;
            // Not to be interrupted, since the weights before are gone: it looks at a bounded sample.
            if let Some(validation) = &mut validation
                && (is_last || state.done.is_multiple_of(validation.interval(epoch_steps)))
            {
                let looked = Instant::now();
                let interval = validation.interval(epoch_steps);
                let State { course, average, done, .. } = &mut state;
                let mut look = || {
                    if validation.observe(course, *done, &mut metrics)? && validation.keeps_best() {
                        checkpoint::save_best(folder, parameters, *done)?;
                    }
                    Ok(())
                };
                match average {
                    Some(average) => average.within(parameters, look)?,
                    None => look()?,
                }
                is_exhausted = validation.is_exhausted(&state.course);
                if let Some(stretch) = &mut stretch {
                    stretch.looks = looked.elapsed().as_secs_f64()
                        * (n_steps / interval).saturating_sub(1) as f64;
                }
            }
            let record = StepRecord {
                step: state.done,
                loss: gradients.loss,
                learning_rate: rate,
                grad_norm: norm,
                tokens_per_s,
                metrics,
            };
            log.push(&record)?;
            seen.look(&record, metric.as_deref());
            settings.tracker.record(&record);
            if let Some(remark) = objective.remark(&record) {
                ctx.warn(format!("{}: {remark}", settings.label));
            }
            bar.message(format!("loss {:.4}", record.loss));
            bar.advance(1);
            let is_finished = is_last || is_exhausted;
            if is_finished || ctx.is_interrupted() {
                state.check_weights(self)?;
                state.save(self, &log)?;
                if !is_finished {
                    ctx.check_interrupt()?;
                }
                if let Some(stretch) = stretch.as_ref().filter(|_| is_enough) {
                    ctx.leave_out(stretch.rest(state.done, n_steps));
                    break;
                }
            } else {
                is_due |= state.done.is_multiple_of(u64::from(settings.checkpoint_steps))
                    || state.saved_at.elapsed() >= CHECKPOINT_EVERY;
            }
        }
        drop(bar);
        if let Some(average) = state.average.as_ref().filter(|_| state.done > 0) {
            average.put(parameters)?;
        }
        match validation {
            Some(validation) => self.conclude(validation, &state, &seen, n_steps),
            None => Ok(()),
        }
    }

    /// Runs the longest batch forward and backward before anything is trained, so that a training which does not fit
    /// into memory ends at once. Moves no weight and draws from no stream that a step draws from.
    fn probe<O: Objective>(&self, objective: &O) -> Result<()> {
        let batch = self.settings.batch as usize;
        let n_examples = objective.n_examples();
        // The longest of all, the earlier of equals first; never more than twice a batch at hand.
        let rank = |(length, example): &(u32, u64)| (std::cmp::Reverse(*length), *example);
        let mut order: Vec<(u32, u64)> = Vec::with_capacity(2 * batch);
        for example in 0..n_examples {
            if order.len() == 2 * batch {
                order.select_nth_unstable_by_key(batch, rank);
                order.truncate(batch);
            }
            order.push((objective.length(example), example));
        }
        order.sort_unstable_by_key(rank);
        order.truncate(batch);
        // An objective may draw an example as something shorter: the longest of a few epochs counts.
        let longest_draw = |(_, example): &(u32, u64)| {
            let epochs = (0..PROBED_EPOCHS)
                .map(|epoch| Draw { example: *example, global: epoch * n_examples + example });
            let mut longest: Option<(u64, Draw)> = None;
            for draw in epochs {
                let tokens = objective.tokens(&objective.draw(&[draw])?);
                if longest.is_none_or(|(most, _)| tokens > most) {
                    longest = Some((tokens, draw));
                }
            }
            Ok::<_, Error>(longest.map(|(_, draw)| draw))
        };
        let draws: Vec<Option<Draw>> = order.iter().map(longest_draw).collect::<Result<_>>()?;
        let draws: Vec<Draw> = draws.into_iter().flatten().collect();
        // With a second micro-batch, there are the gradients of the first as well.
        let n_batches = self.settings.accumulate.min(2) as usize;
        let draw = |_| objective.draw(&draws);
        let batches: Vec<O::Batch> = (0..n_batches).map(draw).collect::<Result<_>>()?;
        share_gradients(self.parameters, objective, &batches, 1.0)
            .map(drop)
            .map_err(|error| self.too_large(objective, &draws, error))
    }

    /// Says of a lack of memory which examples need it.
    fn too_large<O: Objective>(&self, objective: &O, draws: &[Draw], error: Error) -> Error {
        let Error::Memory { message, help } = error else { return error };
        let Some(longest) = draws.iter().max_by_key(|draw| objective.length(draw.example)) else {
            return Error::Memory { message, help };
        };
        Error::Memory {
            message: format!(
                "training {} does not fit into memory: {message}, with {} examples per forward pass; the longest is \
                 {}, of length {}",
                self.settings.label,
                self.settings.batch.min(draws.len() as u32),
                objective.describe(longest),
                objective.length(longest.example),
            ),
            help,
        }
    }

    /// Takes the weights that are to be kept, and says which.
    fn conclude(
        &self,
        validation: &Validation<'_>,
        state: &State,
        seen: &Seen,
        n_steps: u64,
    ) -> Result<()> {
        let Some(best) = state.course.best else { return Ok(()) };
        let end = if state.done < n_steps {
            format!("ended early after step {} of {n_steps}", state.done)
        } else {
            format!("trained for {n_steps} steps")
        };
        let (label, metric) = (&self.settings.label, validation.metric());
        let told = format!("best {metric} {:.4} after step {}", best.value, best.step);
        let kept = if validation.keeps_best() {
            checkpoint::load_best(self.folder, self.parameters, best.step)?;
            "whose weights are kept"
        } else {
            "the last weights are kept"
        };
        self.ctx.say(format!("{label}: {end}; {told}, {kept}"));
        if let Some(warning) = validation.fall(seen.start, seen.last) {
            self.ctx.warn(format!("{label}: {warning}"));
        }
        Ok(())
    }

    /// What to say of a step without a finite loss or gradient: where, and on which examples.
    fn divergence<O: Objective>(
        &self,
        objective: &O,
        step: u64,
        draws: &[Draw],
        gradients: &StepGradients,
        norm: f64,
    ) -> Error {
        let share = self.world.share(draws);
        let batch = self.settings.batch as usize;
        let bad = gradients.parts.iter().position(|loss| !loss.is_finite());
        let (what, suspects) =
            match bad.and_then(|idx| share.chunks(batch).nth(idx).map(|c| (idx, c))) {
                Some((idx, chunk)) => (format!("micro-batch {}", idx + 1), chunk),
                None => ("the step".to_owned(), share),
            };
        let mut named: Vec<String> =
            suspects.iter().take(NAMED_EXAMPLES).map(|draw| objective.describe(draw)).collect();
        if suspects.len() > NAMED_EXAMPLES {
            named.push(format!("and {} more", suspects.len() - NAMED_EXAMPLES));
        }
        Error::Failed(format!(
            "training {} diverged at step {}: loss {}, gradient norm {norm}; {what} has {}; the last good \
             checkpoint is kept; lower optimizer.learning_rate or optimizer.clip, or raise optimizer.warmup",
            self.settings.label,
            step + 1,
            gradients.loss,
            named.join(", "),
        ))
    }
}

/// The first steps of a training that is only looked at. The very first is slow: memory is taken, files are read.
struct Stretch {
    first: u64,
    started: Instant,
    seconds: f64,
    /// Seconds that all validations but the one that is done would take.
    looks: f64,
}

impl Stretch {
    /// Steps that are timed behind the first, and seconds that are enough of them.
    const STEPS: u64 = 12;
    const SECONDS: f64 = 20.0;

    fn new(done: u64) -> Self {
        Self { first: done + 1, started: Instant::now(), seconds: 0.0, looks: 0.0 }
    }

    /// Whether enough steps were timed, `done` of the training being finished.
    fn is_enough(&mut self, done: u64) -> bool {
        if done <= self.first {
            self.started = Instant::now();
            return false;
        }
        self.seconds = self.started.elapsed().as_secs_f64();
        done - self.first >= Self::STEPS || self.seconds > Self::SECONDS
    }

    /// Seconds of the steps from `done` on, and of the validations.
    fn rest(&self, done: u64, n_steps: u64) -> f64 {
        let timed = (done - self.first).max(1) as f64;
        self.seconds / timed * (n_steps - done) as f64 + self.looks
    }
}

/// The deciding figure of validation, as the log tells it.
#[derive(Default)]
struct Seen {
    /// Before the first step, where it was measured then.
    start: Option<f64>,
    /// Last.
    last: Option<f64>,
}

impl Seen {
    fn look(&mut self, record: &StepRecord, metric: Option<&str>) {
        let Some(metric) = metric else { return };
        let start = record.metrics.get(&at_start(metric));
        self.start = self.start.or(start.copied());
        self.last = record.metrics.get(metric).copied().or(self.last);
    }
}

/// What a checkpoint holds beside the weights.
struct State {
    path: PathBuf,
    optimizer: AdamW,
    average: Option<Average>,
    done: u64,
    course: Course,
    saved_at: Instant,
}

impl State {
    /// The state in the folder, or that of a training not begun.
    fn open(training: &Training<'_>) -> Result<Self> {
        let mut optimizer = AdamW::new(&training.settings.optimizer, training.parameters)?;
        let average = training.settings.average;
        let mut average =
            average.map(|decay| Average::new(decay, training.parameters)).transpose()?;
        let path = training.folder.join(CHECKPOINT_FILE);
        let (done, course) = if path.exists() {
            checkpoint::load(&path, training.parameters, &mut optimizer, average.as_mut())?
        } else {
            (0, Course::default())
        };
        Ok(Self { path, optimizer, average, done, course, saved_at: Instant::now() })
    }

    fn save(&mut self, training: &Training<'_>, log: &TrainLog) -> Result<()> {
        log.sync()?;
        checkpoint::save(
            &self.path,
            training.parameters,
            &self.optimizer,
            self.average.as_ref(),
            self.done,
            &self.course,
        )?;
        checkpoint::sweep_best(training.folder, self.course.best.map(|best| best.step));
        self.saved_at = Instant::now();
        Ok(())
    }

    /// Refuses weights that are not numbers, which no later step will prove.
    fn check_weights(&self, training: &Training<'_>) -> Result<()> {
        for Parameter { name, var, .. } in training.parameters {
            if !global_norm([var.as_tensor()])?.is_finite() {
                return Err(Error::Failed(format!(
                    "training {} diverged at step {}: {name} is no longer finite; the last good checkpoint is \
                     kept; lower optimizer.learning_rate or optimizer.clip, or raise optimizer.warmup",
                    training.settings.label, self.done
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
