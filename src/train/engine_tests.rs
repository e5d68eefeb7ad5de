//! The loop on small decoders: accumulation, shares of several ranks, resume, validation, and what it refuses.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Device, Tensor, Var};

use super::*;
use crate::decode::prompt::PromptBuilder;
use crate::model::config::tests::small;
use crate::model::decoder::tests::lively;
use crate::model::item_tokens::ItemTokens;
use crate::model::{Decoder, ParameterSpec, Tokenizer};
use crate::train::course::settings::{Keep, ValidationSettings};
use crate::train::gradients::{GUARDED_STEPS, micro_batches, share_gradients};
use crate::train::objective::Loss;
use crate::train::objective::supervised::{Asked, Example, Material, Supervised};
use crate::train::settings::SupervisedSettings;

const LEVELS: [u32; 2] = [3, 4];
const TITLES: [&str; 4] = ["red oak table", "blue sofa", "", "a lamp with a red shade"];

/// A decoder and everything that a supervised objective borrows.
struct Fixture {
    decoder: Decoder,
    prompts: PromptBuilder,
}

impl Fixture {
    fn new() -> Self {
        let mut tokenizer = Tokenizer::train_bpe(TITLES.iter(), 270, &Context::silent()).unwrap();
        let tokens: Vec<String> = (0..2)
            .flat_map(|level| (0..LEVELS[level]).map(move |c| format!("<{level}_{c}>")))
            .collect();
        let first = tokenizer.extend(&tokens).unwrap().start;
        let items = ItemTokens::new(&[0, 0, 1, 3, 2, 1, 2, 2], &LEVELS, first);
        let decoder = lively(small(tokenizer.len()));
        let prompts =
            PromptBuilder::new(tokenizer, items, &crate::decode::prompt::tests::scratch());
        Self { decoder, prompts: prompts.unwrap() }
    }

    fn objective(&self) -> Supervised<'_> {
        let queries = ["red", "sofa blue", "lamp", "a table of red oak", "red lamp", "oak"];
        let prompts: Vec<Vec<u32>> =
            queries.iter().map(|q| self.prompts.build(Some(q), &[]).unwrap().tokens).collect();
        let mut examples: Vec<Example> =
            (0..20).map(|i| Example::Answer { prompt: i % 6, item: (i * i + 1) % 4 }).collect();
        examples.push(Example::Sequence(vec![0, 1, 2]));
        examples.push(Example::Sequence(vec![3, 1, 2, 0]));
        let settings = SupervisedSettings { pseudo_words: [1, 3], ..SupervisedSettings::default() };
        let (decoder, titles) = (&self.decoder, TITLES.to_vec());
        let seed = Seed::new(5);
        let asked = vec![Asked { builder: &self.prompts, tokens: prompts.into(), spans: None }];
        let material = Material { examples, titles, queries: Vec::new() };
        Supervised::new(decoder, asked, material, &settings, seed).unwrap()
    }

    fn parameters(&self) -> Parameters {
        self.decoder.trained().clone()
    }

    fn train(&self, settings: &LoopSettings, folder: &Path) {
        let (parameters, mut objective) = (self.parameters(), self.objective());
        let (world, ctx) = (World::single(), Context::silent());
        train(&parameters, &mut objective, settings, world, Seed::new(1), folder, &ctx).unwrap();
    }
}

fn dense(step: &StepGradients) -> Vec<Tensor> {
    step.all.iter().map(|gradient| gradient.dense().unwrap().clone()).collect()
}

fn settings(batch: u32, accumulate: u32, epochs: f64) -> LoopSettings {
    LoopSettings {
        label: "test".into(),
        // A large epsilon keeps Adam from blowing rounding errors of tiny gradients up.
        optimizer: OptimizerSettings { epsilon: 1e-3, ..Default::default() },
        epochs,
        batch,
        accumulate,
        average: None,
        checkpoint_steps: 7,
        memory_limit: None,
        tracker: Tracker::default(),
    }
}

fn values(parameters: &Parameters) -> Vec<Vec<f32>> {
    let flat = |var: &Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    parameters.vars().map(flat).collect()
}

fn assert_near(left: &[Tensor], right: &[Tensor], tolerance: f32) {
    assert_eq!(left.len(), right.len());
    for (a, b) in left.iter().zip(right) {
        let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap();
        let difference = difference.to_scalar::<f32>().unwrap();
        assert!(difference < tolerance, "{difference}");
    }
}

#[test]
fn one_batch_of_eight_equals_eight_batches_of_one() {
    let world = Fixture::new();
    let (parameters, objective) = (world.parameters(), world.objective());
    let mut sampler = Sampler::new(objective.n_examples(), 8, 1.0, Seed::new(1));
    // Rows with different numbers of targets, where a mean of means would give something else.
    let weights = |draws: &[Draw]| -> Vec<f64> {
        let batches = micro_batches(&objective, draws, 1).unwrap();
        batches.iter().map(|batch| objective.weight(batch)).collect()
    };
    let draws = (0..16)
        .map(|step| sampler.step(step, |example| objective.length(example)).to_vec())
        .find(|draws| weights(draws).iter().any(|weight| *weight != weights(draws)[0]))
        .unwrap();
    let step = |batch| step_gradients(&parameters, &objective, &draws, batch, World::single());
    let (whole, parts) = (step(8).unwrap(), step(1).unwrap());
    assert!((whole.loss - parts.loss).abs() < 1e-6, "{} {}", whole.loss, parts.loss);
    // Examples that share a prompt encode it once, where they are together; no target is lost.
    let batch = |batch| micro_batches(&objective, &draws, batch).unwrap();
    let targets = |batches: &[_]| batches.iter().map(|one| objective.weight(one)).sum::<f64>();
    assert_eq!(targets(&batch(8)), targets(&batch(1)));
    let tokens = |batches: &[_]| batches.iter().map(|one| objective.tokens(one)).sum::<u64>();
    assert_eq!((whole.tokens, parts.tokens), (tokens(&batch(8)), tokens(&batch(1))));
    assert!(whole.tokens <= parts.tokens, "{} {}", whole.tokens, parts.tokens);
    assert_near(&dense(&whole), &dense(&parts), 1e-6);

    let folder = tempfile::tempdir().unwrap();
    let other = Fixture::new();
    world.train(&settings(8, 1, 2.0), &folder.path().join("whole"));
    other.train(&settings(1, 8, 2.0), &folder.path().join("parts"));
    for (a, b) in
        values(&world.parameters()).concat().iter().zip(values(&other.parameters()).concat())
    {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    let losses = |name: &str| {
        let records = crate::train::log::read(&folder.path().join(name).join(LOG_FILE)).unwrap();
        records.iter().map(|record| record.loss).collect::<Vec<_>>()
    };
    let (whole, parts) = (losses("whole"), losses("parts"));
    assert_eq!(whole.len(), 6, "22 examples, twice, by eight");
    assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-5), "{whole:?} {parts:?}");
}

#[test]
fn the_shares_of_two_ranks_add_up_to_the_whole() {
    let fixture = Fixture::new();
    let (parameters, objective) = (fixture.parameters(), fixture.objective());
    let mut sampler = Sampler::new(objective.n_examples(), 7, 1.0, Seed::new(1));
    let draws = sampler.step(0, |example| objective.length(example));
    let whole = step_gradients(&parameters, &objective, draws, 2, World::single()).unwrap();
    let shares: Vec<_> = (0..2)
        .map(|rank| World::new(rank, 2).unwrap())
        .map(|world| micro_batches(&objective, world.share(draws), 2).unwrap())
        .collect();
    let weight_of = |batches: &Vec<_>| batches.iter().map(|b| objective.weight(b)).sum::<f64>();
    let weight = shares.iter().map(weight_of).sum();
    let steps: Vec<StepGradients> = shares
        .iter()
        .map(|batches| share_gradients(&parameters, &objective, batches, weight).unwrap())
        .collect();
    let (one, other) = (dense(&steps[0]), dense(&steps[1]));
    let sums: Vec<Tensor> = one.iter().zip(other).map(|(a, b)| (a + b).unwrap()).collect();
    assert_near(&sums, &dense(&whole), 1e-6);
    assert!((steps[0].loss + steps[1].loss - whole.loss).abs() < 1e-6);
    let together: f64 =
        micro_batches(&objective, draws, 2).unwrap().iter().map(|b| objective.weight(b)).sum();
    assert_eq!(weight, together, "no target is lost");
    // Without a transport, several ranks are refused instead of training on a share only.
    let alone = step_gradients(&parameters, &objective, draws, 2, World::new(0, 2).unwrap());
    assert!(alone.err().unwrap().to_string().contains("needs a transport"));
}

/// Sets the interrupt flag after given steps.
struct Stopping<'a> {
    inner: Supervised<'a>,
    at: Vec<u64>,
    flag: Arc<AtomicBool>,
}

impl Objective for Stopping<'_> {
    type Batch = <Supervised<'static> as Objective>::Batch;

    fn n_examples(&self) -> u64 {
        self.inner.n_examples()
    }
    fn length(&self, example: u64) -> u32 {
        self.inner.length(example)
    }
    fn draw(&self, draws: &[Draw]) -> Result<Self::Batch> {
        self.inner.draw(draws)
    }
    fn weight(&self, batch: &Self::Batch) -> f64 {
        self.inner.weight(batch)
    }
    fn tokens(&self, batch: &Self::Batch) -> u64 {
        self.inner.tokens(batch)
    }
    fn loss(&self, batch: &Self::Batch) -> Result<Loss> {
        self.inner.loss(batch)
    }
    fn remark(&mut self, record: &StepRecord) -> Option<String> {
        self.flag.store(self.at.contains(&record.step), Ordering::Relaxed);
        None
    }
}

#[test]
fn a_resumed_training_equals_a_straight_one_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(4, 2, 9.0);
    let straight = Fixture::new();
    straight.train(&settings, &folder.path().join("straight"));

    // 22 examples, 9 times, by 8: 25 steps, more than one window of the sampler.
    let path = folder.path().join("stopped");
    let stops = [1, 7, 16, 18, 24];
    for (round, stop) in stops.iter().enumerate() {
        // A new process knows nothing but the start weights and the checkpoint.
        let world = Fixture::new();
        let flag = Arc::new(AtomicBool::new(false));
        let ctx = Context::new(true, Arc::clone(&flag));
        let mut objective = Stopping { inner: world.objective(), at: vec![*stop], flag };
        let (parameters, single) = (world.parameters(), World::single());
        let error =
            train(&parameters, &mut objective, &settings, single, Seed::new(1), &path, &ctx)
                .unwrap_err();
        assert_eq!(error.exit_code(), 130, "{error}");
        assert!(path.join(CHECKPOINT_FILE).exists());
        let steps = crate::train::log::read(&path.join(LOG_FILE)).unwrap();
        assert_eq!(steps.last().unwrap().step, *stop, "round {round}");
    }
    let resumed = Fixture::new();
    resumed.train(&settings, &path);
    assert!(values(&resumed.parameters()) == values(&straight.parameters()));
    let losses = |name: &str| {
        let records = crate::train::log::read(&folder.path().join(name).join(LOG_FILE)).unwrap();
        records.iter().map(|r| (r.step, r.loss, r.grad_norm)).collect::<Vec<_>>()
    };
    assert_eq!(losses("stopped"), losses("straight"));
    assert_eq!(losses("straight").len(), 25);

    // A finished training has nothing left to do and changes nothing.
    let again = Fixture::new();
    again.train(&settings, &path);
    assert!(values(&again.parameters()) == values(&straight.parameters()));
}

#[test]
fn an_unused_parameter_stops_training_with_its_name() {
    let world = Fixture::new();
    let zeros = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    let unused = ParameterSpec::vector("model.unused.weight", 3).filled(&zeros).unwrap();
    let parameters = world.parameters().iter().cloned().chain([unused]).collect();
    let folder = tempfile::tempdir().unwrap();
    let (mut objective, single) = (world.objective(), World::single());
    let (settings, seed, ctx) = (settings(4, 1, 1.0), Seed::new(1), Context::silent());
    let error = train(&parameters, &mut objective, &settings, single, seed, folder.path(), &ctx)
        .unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let expected = "parameter model.unused.weight receives no gradient";
    assert!(error.to_string().contains(expected), "{error}");
}

/// `sum((a - 1)²) + factor * b`, where `factor` is 0 from the first step or never.
struct Parabola {
    a: Var,
    b: Var,
    factor: f64,
    calls: Cell<u64>,
    /// The call whose loss is not a number.
    poisoned: Option<u64>,
}

impl Objective for Parabola {
    type Batch = usize;

    fn n_examples(&self) -> u64 {
        64
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
    fn loss(&self, _batch: &usize) -> Result<Loss> {
        self.calls.set(self.calls.get() + 1);
        let sum = (self.a.as_tensor() - 1.0)?.sqr()?.sum_all()?;
        // A tensor of zeros, since candle's product with the number 0 cuts the graph.
        let factors = (Tensor::ones(2, DType::F32, &Device::Cpu)? * self.factor)?;
        let mut sum = (sum + (self.b.as_tensor() * factors)?.sum_all()?)?;
        if self.poisoned == Some(self.calls.get()) {
            sum = (sum * f64::NAN)?;
        }
        Ok(Loss { sum, metrics: Vec::new() })
    }
}

fn parabola(factor: f64) -> (Parameters, Parabola) {
    let zeros = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    let [a, b] = ["a", "b"].map(|name| ParameterSpec::vector(name, 2).filled(&zeros).unwrap());
    let parabola = Parabola {
        a: a.var.clone(),
        b: b.var.clone(),
        factor,
        calls: Cell::new(0),
        poisoned: None,
    };
    ([a, b].into_iter().collect(), parabola)
}

fn run_parabola(factor: f64, optimizer: OptimizerSettings) -> (Result<()>, u64) {
    let (parameters, mut objective) = parabola(factor);
    let folder = tempfile::tempdir().unwrap();
    let settings = LoopSettings { optimizer, ..settings(1, 1, 1.0) };
    let (single, ctx) = (World::single(), Context::silent());
    let outcome =
        train(&parameters, &mut objective, &settings, single, Seed::new(1), folder.path(), &ctx);
    (outcome, objective.calls.get())
}

#[test]
fn a_gradient_that_stays_zero_stops_training_with_the_parameters_name() {
    let (outcome, steps) = run_parabola(0.0, OptimizerSettings::default());
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("parameter b has had a gradient of exactly zero"), "{message}");
    assert_eq!(steps, 1 + GUARDED_STEPS, "a probe, and the steps");
    assert!(run_parabola(1e-3, OptimizerSettings::default()).0.is_ok());
}

#[test]
fn a_diverging_training_fails_with_advice() {
    let optimizer = OptimizerSettings { learning_rate: 1e30, warmup: 0.0, ..Default::default() };
    let (outcome, steps) = run_parabola(1.0, optimizer.clone());
    let error = outcome.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let message = error.to_string();
    assert!(message.contains("training test diverged at step 2"), "{message}");
    assert!(message.contains("lower optimizer.learning_rate"), "{message}");
    assert_eq!(steps, 1 + 2, "stopped at once");

    // The same on a decoder: whatever overflows, no NaN is ever trained on.
    let world = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    let settings = LoopSettings { optimizer, ..settings(4, 1, 3.0) };
    let (parameters, mut objective) = (world.parameters(), world.objective());
    let (single, ctx) = (World::single(), Context::silent());
    let error =
        train(&parameters, &mut objective, &settings, single, Seed::new(1), folder.path(), &ctx)
            .unwrap_err();
    assert!(error.to_string().contains("diverged"), "{error}");
}

#[test]
fn a_diverging_training_names_its_batch_and_keeps_the_last_good_checkpoint() {
    let (parameters, mut objective) = parabola(1.0);
    // The first call is the probe.
    objective.poisoned = Some(6);
    let folder = tempfile::tempdir().unwrap();
    let settings = LoopSettings { checkpoint_steps: 1, ..settings(1, 1, 1.0) };
    let (single, ctx) = (World::single(), Context::silent());
    let run = |objective: &mut Parabola, settings: &LoopSettings, folder: &Path| {
        train(&parameters, objective, settings, single, Seed::new(1), folder, &ctx).unwrap_err()
    };
    let error = run(&mut objective, &settings, folder.path());
    assert_eq!(error.exit_code(), 1);
    let mut sampler = Sampler::new(64, 1, 1.0, Seed::new(1).purpose("order"));
    let example = sampler.step(4, |_| 1)[0].example;
    let expected = format!(
        "diverged at step 5: loss NaN, gradient norm NaN; micro-batch 1 has example {example};"
    );
    assert!(error.to_string().contains(&expected), "{error}");
    let mut optimizer = AdamW::new(&settings.optimizer, &parameters).unwrap();
    let path = folder.path().join(CHECKPOINT_FILE);
    let (done, _) = checkpoint::load(&path, &parameters, &mut optimizer, None).unwrap();
    assert_eq!(done, 3, "the weights after step 4 gave no finite loss");
    assert!(values(&parameters).concat().iter().all(|value| value.is_finite()));

    // Weights that are finite and absurd are not stored either.
    let folder = tempfile::tempdir().unwrap();
    let (parameters, mut objective) = parabola(1.0);
    let optimizer = OptimizerSettings { learning_rate: 1e30, warmup: 0.0, ..Default::default() };
    let settings = LoopSettings { optimizer, ..settings };
    train(&parameters, &mut objective, &settings, single, Seed::new(1), folder.path(), &ctx)
        .unwrap_err();
    assert!(!folder.path().join(CHECKPOINT_FILE).exists());
}

/// Cross-entropy of a few fixed draws under the weights of `fixture`.
fn probe_loss(fixture: &Fixture) -> f64 {
    let objective = fixture.objective();
    let draws: Vec<Draw> =
        (0..6).map(|example| Draw { example, global: 1_000 + example }).collect();
    let batch = objective.draw(&draws).unwrap();
    let sum = objective.loss(&batch).unwrap().sum.to_scalar::<f32>().unwrap();
    f64::from(sum) / objective.weight(&batch)
}

/// Trains `fixture` with a validation every third step, whose score is best where the probe's loss is
/// `target`, and which sees the weights; interrupted after step `stop`.
fn train_validated(
    fixture: &Fixture,
    validation: &ValidationSettings,
    target: f64,
    folder: &Path,
    stop: Option<u64>,
) -> (Result<()>, Vec<Vec<Vec<f32>>>) {
    let flag = Arc::new(AtomicBool::new(false));
    let ctx = Context::new(true, Arc::clone(&flag));
    let mut objective =
        Stopping { inner: fixture.objective(), at: stop.into_iter().collect(), flag };
    let parameters = fixture.parameters();
    let mut seen = Vec::new();
    let outcome = {
        let mut validation = Validation::new(validation, || {
            seen.push(values(&parameters));
            let loss = probe_loss(fixture);
            Ok([("loss".to_owned(), loss), ("score".to_owned(), -(loss - target).abs())].into())
        });
        let training = Training {
            parameters: &parameters,
            settings: &settings(4, 2, 9.0),
            world: World::single(),
            seed: Seed::new(1),
            folder,
            ctx: &ctx,
        };
        training.run(&mut objective, Some(&mut validation))
    };
    (outcome, seen)
}

#[test]
fn the_best_weights_are_kept_and_a_resumed_validated_training_equals_a_straight_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let validated = |name: &str| -> Vec<(u64, f64)> {
        let records = crate::train::log::read(&path(name).join(LOG_FILE)).unwrap();
        let value =
            |record: &StepRecord| Some((record.step, *record.metrics.get("validation/loss")?));
        records.iter().filter_map(value).collect()
    };
    let every_third = ValidationSettings {
        every_steps: Some(3),
        metric: "score".into(),
        keep: Keep::Last,
        ..Default::default()
    };
    // Validation changes nothing about the training: 25 steps, one validation at the end.
    let (plain, last) = (Fixture::new(), Fixture::new());
    plain.train(&settings(4, 2, 9.0), &path("plain"));
    let (outcome, seen) = train_validated(&last, &every_third, 0.0, &path("last"), None);
    outcome.unwrap();
    assert!(values(&plain.parameters()) == values(&last.parameters()));
    let course = validated("last");
    let steps: Vec<u64> = course.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [3, 6, 9, 12, 15, 18, 21, 24, 25]);

    // The score is best after step 12; three validations later the training ends.
    let target = course[3].1;
    let best = ValidationSettings { keep: Keep::Best, patience: Some(3), ..every_third };
    let straight = Fixture::new();
    train_validated(&straight, &best, target, &path("straight"), None).0.unwrap();
    assert!(values(&straight.parameters()) == seen[3], "the weights after step 12");
    assert_eq!(validated("straight"), course[..7]);

    for stop in [1, 3, 11, 12, 13, 20] {
        let error = train_validated(&Fixture::new(), &best, target, &path("stopped"), Some(stop)).0;
        assert_eq!(error.unwrap_err().exit_code(), 130);
    }
    let resumed = Fixture::new();
    train_validated(&resumed, &best, target, &path("stopped"), None).0.unwrap();
    assert!(values(&resumed.parameters()) == seen[3]);
    assert_eq!(validated("stopped"), course[..7]);
    // Nothing is left to do, and the best weights are still the result.
    let again = Fixture::new();
    let (outcome, seen_again) = train_validated(&again, &best, target, &path("stopped"), None);
    outcome.unwrap();
    assert!(seen_again.is_empty() && values(&again.parameters()) == seen[3]);
}

#[test]
fn the_longest_batch_is_tried_first_and_changes_nothing() {
    /// Notes the examples of every batch.
    struct Noting<'a> {
        inner: Supervised<'a>,
        drawn: std::cell::RefCell<Vec<Vec<u64>>>,
    }
    impl Objective for Noting<'_> {
        type Batch = <Supervised<'static> as Objective>::Batch;

        fn n_examples(&self) -> u64 {
            self.inner.n_examples()
        }
        fn length(&self, example: u64) -> u32 {
            self.inner.length(example)
        }
        fn draw(&self, draws: &[Draw]) -> Result<Self::Batch> {
            if draws.len() > 1 {
                self.drawn.borrow_mut().push(draws.iter().map(|draw| draw.example).collect());
            }
            self.inner.draw(draws)
        }
        fn weight(&self, batch: &Self::Batch) -> f64 {
            self.inner.weight(batch)
        }
        fn tokens(&self, batch: &Self::Batch) -> u64 {
            self.inner.tokens(batch)
        }
        fn describe(&self, draw: &Draw) -> String {
            self.inner.describe(draw)
        }
        fn loss(&self, batch: &Self::Batch) -> Result<Loss> {
            self.inner.loss(batch)
        }
    }
    let fixture = Fixture::new();
    let mut objective = Noting { inner: fixture.objective(), drawn: Default::default() };
    let (parameters, ctx, folder) =
        (fixture.parameters(), Context::silent(), tempfile::tempdir().unwrap());
    let mut settings = settings(4, 1, 1.0);
    let run = |settings: &LoopSettings, objective: &mut Noting<'_>| {
        let (seed, single) = (Seed::new(1), World::single());
        train(&parameters, objective, settings, single, seed, folder.path(), &ctx)
    };
    // A process without memory cannot be: nothing is trained, nothing is written.
    let before = values(&fixture.parameters());
    settings.memory_limit = Some(1);
    if memory::resident().is_some() {
        let error = run(&settings, &mut objective).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let message = error.to_string();
        let expected = "training test does not fit into memory: ";
        assert!(message.starts_with(expected), "{message}");
        assert!(
            message.contains("in use after layer 1 of 2 of a forward pass, 1 B allowed"),
            "{message}"
        );
        assert!(
            message.contains("with 4 examples per forward pass; the longest is example"),
            "{message}"
        );
        assert!(values(&fixture.parameters()) == before);
        assert!(!folder.path().join(CHECKPOINT_FILE).exists());
    }
    settings.memory_limit = memory::allowed();
    objective.drawn.borrow_mut().clear();
    run(&settings, &mut objective).unwrap();
    let drawn = objective.drawn.borrow();
    let mut longest: Vec<u64> = (0..22).collect();
    longest.sort_by_key(|example| (std::cmp::Reverse(objective.length(*example)), *example));
    assert_eq!(drawn[0], longest[..4]);
    assert_eq!(drawn.len(), 1 + 6, "a probe, and 22 examples by four");
}
