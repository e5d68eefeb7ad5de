//! Settings of a training, whatever is trained: how long, by what steps, on what, looked at with what, told to whom.
//!
//! One table for decoders, encoders and sequence models; the kind that is trained gives its defaults.

use std::fmt::Debug;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trieval_eval::metric::{Better, better_of};

/// Beams of a validation that says nothing of them.
const BEAMS: u32 = 20;

/// What a kind of training does where a recipe says nothing.
pub trait CourseDefaults: Clone + Debug + PartialEq + 'static {
    /// Passes over the examples.
    const EPOCHS: f64;
    /// Examples per forward pass.
    const BATCH: u32;
    /// Steps between checkpoints.
    const CHECKPOINT_STEPS: u32;
    /// Largest learning rate.
    const LEARNING_RATE: f64 = 1e-3;
    /// Whether it is validated unless told otherwise.
    const VALIDATES: bool = false;
    /// Epochs between validations.
    const EVERY_EPOCHS: Option<f64> = None;
    /// Most validation requests looked at.
    const VALIDATION_REQUESTS: u32 = 500;
    /// What decides.
    const METRIC: &'static str = LOSS;
    /// Validations without improvement after which a training ends.
    const PATIENCE: Option<u32> = None;

    /// Passes over the examples.
    fn epochs() -> f64 {
        Self::EPOCHS
    }

    /// Examples per forward pass.
    fn batch() -> u32 {
        Self::BATCH
    }

    /// Steps between checkpoints.
    fn checkpoint_steps() -> u32 {
        Self::CHECKPOINT_STEPS
    }

    /// Validation where a recipe says nothing of it.
    fn validation() -> Option<ValidationSettings<Self>> {
        Self::VALIDATES.then(ValidationSettings::default)
    }
}

/// Defaults of nobody in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain;

impl CourseDefaults for Plain {
    const EPOCHS: f64 = 1.0;
    const BATCH: u32 = 64;
    const CHECKPOINT_STEPS: u32 = 200;
}

/// How a training runs: the same keys for everything that is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "D: CourseDefaults")]
#[schemars(bound = "D: CourseDefaults")]
pub struct Course<D = Plain> {
    /// How the weights move.
    #[serde(default)]
    pub optimizer: OptimizerSettings<D>,
    /// A look at the validation requests now and then: an early end, the best weights. Without it the last weights
    /// are kept. Left out in an alignment: recall@10 four times per epoch and at the start, whose weights stay where
    /// nothing better comes.
    #[serde(default = "D::validation")]
    pub validation: Option<ValidationSettings<D>>,
    /// Passes over the training examples; may be a fraction.
    #[serde(default = "D::epochs")]
    #[schemars(range(min = 0.001, max = 10_000.0))]
    pub epochs: f64,
    /// Examples per forward pass.
    #[serde(default = "D::batch")]
    #[schemars(range(min = 1, max = 65_536))]
    pub batch: u32,
    /// Decay of an exponential moving average of the weights, for instance 0.999: it is what is validated and kept, while
    /// the steps go on from the weights themselves. After step `t` the weights after step `i` count `decay^(t − i)`. Left
    /// out, or 0: no average.
    #[serde(default, skip_serializing_if = "is_off")]
    #[schemars(range(min = 0.0, max = 0.999_999))]
    pub average: Option<f64>,
    /// Forward passes per step; the loss is normalised by the weight (tokens, pairs, rows) of the whole step.
    #[serde(default = "default_accumulate")]
    #[schemars(range(min = 1, max = 4_096))]
    pub accumulate: u32,
    /// What computes the steps. Pairs, validation and the evaluation are computed on the CPU in any case.
    #[serde(default)]
    pub device: TrainDevice,
    /// Type of activations and products; weights that train, their gradients and moments are `f32`. By default `f32`.
    #[serde(default)]
    pub precision: Precision,
    /// Keeps only the input of each layer for the backward pass and computes the rest a second time: less memory, more
    /// time, the same result.
    #[serde(default)]
    #[schemars(extend("x-key" = false))]
    pub recompute: bool,
    /// Most memory in GiB that the process may hold; without it, what the machine or its container has. A training that
    /// needs more ends before its first step.
    #[serde(default)]
    #[schemars(range(min = 0.01))]
    #[schemars(extend("x-key" = false))]
    pub memory_limit: Option<f64>,
    /// Steps between checkpoints: what a killed run loses at most.
    #[serde(default = "D::checkpoint_steps")]
    #[schemars(range(min = 1))]
    #[schemars(extend("x-key" = false))]
    pub checkpoint_steps: u32,
    /// Where the curves go beside `train.jsonl`; changes no result, so a finished training is not repeated for it.
    #[serde(default)]
    #[schemars(extend("x-key" = false))]
    pub log: LogSettings,
}

/// Whether a share that may be left out is 0: to write that out changes nothing, the key of a step included.
pub fn is_off(share: &Option<f64>) -> bool {
    share.is_none_or(|share| share == 0.0)
}

fn default_accumulate() -> u32 {
    1
}

impl<D: CourseDefaults> Default for Course<D> {
    fn default() -> Self {
        Self {
            optimizer: OptimizerSettings::default(),
            validation: D::validation(),
            epochs: D::EPOCHS,
            batch: D::BATCH,
            average: None,
            accumulate: default_accumulate(),
            device: TrainDevice::default(),
            precision: Precision::default(),
            recompute: false,
            memory_limit: None,
            checkpoint_steps: D::CHECKPOINT_STEPS,
            log: LogSettings::default(),
        }
    }
}

impl<D> Course<D> {
    /// Decay of the average of the weights, where one is kept.
    pub fn average(&self) -> Option<f64> {
        self.average.filter(|decay| *decay > 0.0)
    }

    /// Most bytes that the recipe allows the process.
    pub fn memory_limit(&self) -> Option<u64> {
        self.memory_limit.map(|gib| (gib * f64::from(1 << 30)) as u64)
    }
}

/// What computes a training's steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrainDevice {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA GPU; needs a build with the feature `cuda`.
    Cuda,
}

/// Type of activations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Four bytes per value.
    #[default]
    F32,
    /// Two bytes per value, for the tensor cores of a GPU.
    Bf16,
}

/// Trackers of a training. They are best effort: one that fails is told of once and slows nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Whether event files are written into `tensorboard/` of the run folder.
    pub tensorboard: bool,
    /// Address of an MLflow server, as `http://localhost:5000`; every training becomes a run of the experiment that
    /// is called like the recipe. Without TLS: https is refused.
    pub mlflow: Option<String>,
}

impl LogSettings {
    /// What is wrong with the address of the MLflow server, and what to do about it.
    pub fn mlflow_fault(&self) -> Option<(&'static str, &'static str)> {
        let address = self.mlflow.as_deref()?;
        let Some((scheme, rest)) = address.split_once("://") else {
            return Some(("not an address", "write http://HOST:PORT"));
        };
        if scheme == "https" {
            let help = "this build speaks plain http only: name a server in your network, or forward a local port to it";
            return Some(("https is not supported", help));
        }
        if scheme != "http" {
            return Some(("not an address of http", "write http://HOST:PORT"));
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, "80"),
        };
        let odd = |c: char| c.is_whitespace() || c.is_control() || "@?#\\\"".contains(c);
        if host.contains('@') {
            return Some(("names a user", "recipes are shared: leave credentials out"));
        }
        if name.is_empty()
            || port.parse::<u16>().is_err()
            || rest.contains(odd)
            || path.contains("//")
        {
            return Some(("not an address of http", "write http://HOST:PORT"));
        }
        None
    }
}

/// The metric that every validation has: the smaller, the better.
pub const LOSS: &str = "loss";

/// Validation in the course of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[serde(bound = "D: CourseDefaults")]
// One schema per kind, with its own defaults.
#[schemars(inline, bound = "D: CourseDefaults")]
pub struct ValidationSettings<D = Plain> {
    /// Steps between validations; either this or `every_epochs`.
    #[schemars(range(min = 1))]
    pub every_steps: Option<u32>,
    /// Epochs between validations, may be a fraction; either this or `every_steps`. Without both: 1.
    #[schemars(range(min = 0.0001, max = 10_000.0))]
    pub every_epochs: Option<f64>,
    /// Most validation requests looked at: a sample that is the same throughout.
    #[schemars(range(min = 1))]
    pub requests: u32,
    /// What decides: `loss`, where the training measures one (a decoder always measures the cross-entropy of the clicked
    /// items' identifiers), or a metric of lists such as `recall@10`, for which the requests are searched with the current
    /// weights.
    pub metric: String,
    /// Beams of the search of a decoder, by default 20: the longest list a metric sees.
    #[schemars(range(min = 1, max = 4_096))]
    pub beam: Option<u32>,
    /// Validations without improvement after which the training ends; without it, it never ends early.
    #[schemars(range(min = 1))]
    pub patience: Option<u32>,
    /// Which weights the training gives.
    pub keep: Keep,
    /// Whether a training is done without validation, with a warning, where the corpus has no validation requests for it,
    /// in place of being refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub if_possible: bool,
    /// Whose defaults they are.
    #[serde(skip)]
    pub of: PhantomData<D>,
}

impl<D: CourseDefaults> Default for ValidationSettings<D> {
    fn default() -> Self {
        Self {
            every_steps: None,
            every_epochs: D::EVERY_EPOCHS,
            requests: D::VALIDATION_REQUESTS,
            metric: D::METRIC.into(),
            beam: None,
            patience: D::PATIENCE,
            keep: Keep::Best,
            if_possible: false,
            of: PhantomData,
        }
    }
}

impl<D> ValidationSettings<D> {
    /// Beams of the search of a decoder.
    pub fn beams(&self) -> u32 {
        self.beam.unwrap_or(BEAMS)
    }

    /// The same without its defaults.
    pub fn plain(&self) -> ValidationSettings {
        ValidationSettings {
            every_steps: self.every_steps,
            every_epochs: self.every_epochs,
            requests: self.requests,
            metric: self.metric.clone(),
            beam: self.beam,
            patience: self.patience,
            keep: self.keep,
            if_possible: self.if_possible,
            of: PhantomData,
        }
    }

    /// Whether one value of the deciding metric is better than another: a smaller loss, or what the
    /// table of metrics says of any other.
    pub fn is_better(&self, value: f64, other: f64) -> bool {
        let better =
            if self.metric == LOSS { Some(Better::Lower) } else { better_of(&self.metric) };
        // The check of recipes has refused what is no metric.
        better.unwrap_or(Better::Higher).is_better(value, other)
    }
}

/// Which weights a training gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those of the best validation; of equal ones the first.
    Best,
    /// Those of the last step.
    Last,
}

/// AdamW with linear warm-up, a schedule and clipping of the global gradient norm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[serde(bound = "D: CourseDefaults")]
// One schema per kind, with its own defaults.
#[schemars(inline, bound = "D: CourseDefaults")]
pub struct OptimizerSettings<D = Plain> {
    /// Largest learning rate, reached after the warm-up. Left out in an alignment: 2e-5.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub learning_rate: f64,
    /// Share of the steps that warm up linearly.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warmup: f64,
    /// Steps that warm up linearly, in place of `warmup`.
    pub warmup_steps: Option<u32>,
    /// How the learning rate falls after the warm-up.
    pub schedule: Schedule,
    /// Learning rate at the end, as a share of the largest; a constant schedule has none.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub final_share: f64,
    /// Decoupled weight decay of matrices, adapters included (never of norms, biases, embeddings and rows of added tokens).
    #[schemars(range(min = 0.0, max = 10.0))]
    pub weight_decay: f64,
    /// Decay of the first and second moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    #[schemars(range(min = 0.0))]
    pub epsilon: f64,
    /// Largest norm of the whole gradient; larger ones are scaled down.
    #[schemars(range(min = 0.000001))]
    pub clip: f64,
    /// Whose defaults they are.
    #[serde(skip)]
    pub of: PhantomData<D>,
}

impl<D> OptimizerSettings<D> {
    /// The same without its defaults.
    pub fn plain(&self) -> OptimizerSettings {
        OptimizerSettings {
            learning_rate: self.learning_rate,
            warmup: self.warmup,
            warmup_steps: self.warmup_steps,
            schedule: self.schedule,
            final_share: self.final_share,
            weight_decay: self.weight_decay,
            betas: self.betas,
            epsilon: self.epsilon,
            clip: self.clip,
            of: PhantomData,
        }
    }
}

impl<D: CourseDefaults> Default for OptimizerSettings<D> {
    fn default() -> Self {
        Self {
            learning_rate: D::LEARNING_RATE,
            warmup: 0.05,
            warmup_steps: None,
            schedule: Schedule::Cosine,
            final_share: 0.05,
            weight_decay: 0.01,
            betas: [0.9, 0.98],
            epsilon: 1e-8,
            clip: 1.0,
            of: PhantomData,
        }
    }
}

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine down to `final_share`.
    Cosine,
    /// A straight line down to `final_share`.
    Linear,
    /// Not at all.
    Constant,
}

#[cfg(test)]
mod tests {
    use super::LogSettings;

    #[test]
    fn addresses_of_servers_are_checked() {
        let fault = |address: &str| {
            let settings = LogSettings { mlflow: Some(address.into()), ..LogSettings::default() };
            settings.mlflow_fault().map(|(label, _)| label)
        };
        for good in ["http://localhost:5000", "http://10.0.0.1", "http://[::1]:5000/sub/path/"] {
            assert_eq!(fault(good), None, "{good}");
        }
        assert_eq!(fault("https://host"), Some("https is not supported"));
        assert_eq!(fault("localhost:5000"), Some("not an address"));
        assert_eq!(fault("http://me:secret@host"), Some("names a user"));
        for bad in [
            "ftp://host",
            "http://",
            "http://:5000",
            "http://host:port",
            "http://a b",
            "http://h?x",
        ] {
            assert_eq!(fault(bad), Some("not an address of http"), "{bad}");
        }
        assert_eq!(LogSettings::default().mlflow_fault(), None);
    }
}
