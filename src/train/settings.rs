//! Settings of a training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trieval_eval::metric::{Better, better_of};

use crate::model::settings::LoraSettings;

/// One training of a decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainSettings {
    /// Name that systems and other trainings refer to.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Name of the `[model.NAME]` to train from its start; either this or `init`.
    #[serde(default)]
    #[schemars(extend("x-key" = false))]
    pub model: Option<String>,
    /// Name of another training whose result is trained further; either this or `model`.
    #[serde(default)]
    #[schemars(extend("x-key" = false))]
    pub init: Option<String>,
    /// What is learnt.
    pub objective: ObjectiveSettings,
    /// A low-rank adapter beside frozen weights; without it all parameters train.
    #[serde(default)]
    pub lora: Option<LoraSettings>,
    /// How the weights move.
    #[serde(default)]
    pub optimizer: OptimizerSettings,
    /// A look at the validation requests now and then: an early end, the best weights. Without it the last weights
    /// are kept.
    #[serde(default)]
    pub validation: Option<ValidationSettings>,
    /// Passes over the training examples; may be a fraction.
    #[serde(default = "default_epochs")]
    #[schemars(range(min = 0.001, max = 10_000.0))]
    pub epochs: f64,
    /// Examples per forward pass.
    #[serde(default = "default_batch")]
    #[schemars(range(min = 1, max = 65_536))]
    pub batch: u32,
    /// Forward passes per step; the loss is normalised by the tokens (or pairs) of the whole step.
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
    #[serde(default = "default_checkpoint")]
    #[schemars(range(min = 1))]
    #[schemars(extend("x-key" = false))]
    pub checkpoint_steps: u32,
    /// Where the curves go beside `train.jsonl`; changes no result, so a finished training is not repeated for it.
    #[serde(default)]
    #[schemars(extend("x-key" = false))]
    pub log: LogSettings,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
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

impl TrainSettings {
    /// The same with every default that depends on another key written out: equal trainings have equal settings.
    pub fn resolved(&self) -> Self {
        let objective = match &self.objective {
            ObjectiveSettings::Preference(preference) => {
                ObjectiveSettings::Preference(preference.resolved())
            }
            other @ ObjectiveSettings::Supervised(_) => other.clone(),
        };
        Self { objective, ..self.clone() }
    }

    /// Most bytes that the recipe allows the process.
    pub fn memory_limit(&self) -> Option<u64> {
        self.memory_limit.map(|gib| (gib * f64::from(1 << 30)) as u64)
    }
}

fn default_epochs() -> f64 {
    1.0
}

fn default_batch() -> u32 {
    64
}

fn default_accumulate() -> u32 {
    1
}

fn default_checkpoint() -> u32 {
    200
}

/// What is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ObjectiveSettings {
    /// Request → identifier of a clicked item (or the next item of a sequence), by cross-entropy.
    Supervised(SupervisedSettings),
    /// Alignment with what users chose over what, from pairs built from clicks (DPO and its relatives).
    Preference(PreferenceSettings),
}

/// Supervised fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisedSettings {
    /// Share of examples that are pseudo-requests: a random title substring asks for its item, so
    /// that items nobody clicked are learnt too.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pseudo_requests: f64,
    /// Fewest and most words of a pseudo-request.
    #[schemars(range(min = 1, max = 64))]
    pub pseudo_words: [u32; 2],
}

impl Default for SupervisedSettings {
    fn default() -> Self {
        Self { pseudo_requests: 0.3, pseudo_words: [1, 5] }
    }
}

/// Alignment with what users chose over what; the frozen reference is the `init` training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PreferenceSettings {
    /// The loss; `docs/alignment.md` compares them.
    pub loss: PreferenceLoss,
    /// Temperature β of the implicit reward (τ of ipo). Left out: 0.1; for s-dpo, dmpo and rad-dpo 1; for simpo 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0001, max = 100.0))]
    pub beta: Option<f64>,
    /// Probability ε that chosen and rejected are the wrong way round. Read by cdpo and robust (left out: 0.1) and
    /// by simpo (left out: 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub label_smoothing: Option<f64>,
    /// Margin γ between the rewards that simpo asks for. Left out: half of `beta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub gamma: Option<f64>,
    /// Weight of a supervised term on the chosen identifier, per token, against forgetting; 0 leaves it out.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub anchor: f64,
    /// Penalty λ of DPO-positive on chosen identifiers that have become less probable than under the reference. Read
    /// by dpo, cdpo, robust, hinge, s-dpo and dmpo. Left out: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1_000.0))]
    pub dpo_positive: Option<f64>,
    /// Whether the tokens with which a rejected identifier begins like the chosen one count without being pushed down.
    /// Left out: true for rad-dpo, else false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detach_prefix: Option<bool>,
    /// Training prompts of the probe: a fixed sample on which the divergence from the start and the probability of
    /// illegal tokens are measured; 0 measures neither.
    #[schemars(range(min = 0, max = 4_096))]
    pub probe_prompts: u32,
    /// Steps between two looks at the probe; the last step always has one.
    #[schemars(range(min = 1))]
    pub probe_steps: u32,
    /// Where chosen and rejected items come from.
    pub pairs: PairSettings,
}

impl Default for PreferenceSettings {
    fn default() -> Self {
        Self {
            loss: PreferenceLoss::default(),
            beta: None,
            label_smoothing: None,
            gamma: None,
            anchor: 0.2,
            dpo_positive: None,
            detach_prefix: None,
            probe_prompts: 32,
            probe_steps: 50,
            pairs: PairSettings::default(),
        }
    }
}

impl PreferenceSettings {
    /// Temperature β.
    pub fn beta(&self) -> f64 {
        self.beta.unwrap_or(match self.loss {
            PreferenceLoss::SDpo | PreferenceLoss::Dmpo | PreferenceLoss::RadDpo => 1.0,
            PreferenceLoss::Simpo => 2.0,
            _ => 0.1,
        })
    }

    /// Share ε of labels that are assumed to be wrong; 0 where the loss has none.
    pub fn label_smoothing(&self) -> f64 {
        self.label_smoothing.unwrap_or(match self.loss {
            PreferenceLoss::Cdpo | PreferenceLoss::Robust => 0.1,
            _ => 0.0,
        })
    }

    /// Margin γ.
    pub fn gamma(&self) -> f64 {
        self.gamma.unwrap_or(0.5 * self.beta())
    }

    /// Penalty λ.
    pub fn dpo_positive(&self) -> f64 {
        self.dpo_positive.unwrap_or(0.0)
    }

    /// Whether shared prefixes are detached.
    pub fn detach_prefix(&self) -> bool {
        self.detach_prefix.unwrap_or(self.loss == PreferenceLoss::RadDpo)
    }

    /// The same with every key that the loss reads written out: equal trainings have equal settings.
    pub fn resolved(&self) -> Self {
        let loss = self.loss;
        Self {
            beta: Some(self.beta()),
            label_smoothing: loss.reads_label_smoothing().then(|| self.label_smoothing()),
            gamma: loss.reads_gamma().then(|| self.gamma()),
            dpo_positive: loss.reads_dpo_positive().then(|| self.dpo_positive()),
            detach_prefix: Some(self.detach_prefix()),
            pairs: self.pairs(),
            ..self.clone()
        }
    }

    /// How pairs are built, with the sizes of groups that this loss takes where none are given.
    pub fn pairs(&self) -> PairSettings {
        let (chosen, negatives) = match self.loss {
            PreferenceLoss::SDpo | PreferenceLoss::Dmpo => (1, 8),
            PreferenceLoss::RadDpo => (8, 8),
            _ => (1, 1),
        };
        let pairs = &self.pairs;
        PairSettings {
            group_chosen: Some(pairs.group_chosen.unwrap_or(chosen)),
            group_negatives: Some(pairs.group_negatives.unwrap_or(negatives)),
            ..pairs.clone()
        }
    }
}

/// What is minimized. `w` is chosen, `l` rejected, `rho = log pi - log ref` of an identifier, `s` the logistic function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PreferenceLoss {
    /// Pair by pair, `-log s(beta (rho_w - rho_l))`.
    #[default]
    Dpo,
    /// dpo for labels of which a known share is wrong: both orders are taught, in proportion.
    Cdpo,
    /// dpo for labels of which a known share is wrong, corrected so that its mean is that of clean labels.
    Robust,
    /// Pair by pair, the squared distance of the margin per token from `1 / (2 beta)`: margins stay bounded.
    Ipo,
    /// Pair by pair and without a reference: log-probabilities per token, and a margin to keep.
    Simpo,
    /// Pair by pair, `max(0, 1 - beta (rho_w - rho_l))`.
    Hinge,
    /// One chosen item against all negatives of its group at once; the hardest weigh most.
    SDpo,
    /// One chosen item against the mean of the negatives of its group.
    Dmpo,
    /// All chosen items of a request against all its negatives, without a reference and with prefixes detached.
    RadDpo,
}

impl PreferenceLoss {
    /// Name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpo => "dpo",
            Self::Cdpo => "cdpo",
            Self::Robust => "robust",
            Self::Ipo => "ipo",
            Self::Simpo => "simpo",
            Self::Hinge => "hinge",
            Self::SDpo => "s-dpo",
            Self::Dmpo => "dmpo",
            Self::RadDpo => "rad-dpo",
        }
    }

    /// Whether it compares with the log-probabilities of a frozen reference.
    pub fn needs_reference(self) -> bool {
        !matches!(self, Self::Simpo | Self::RadDpo)
    }

    /// Whether it sees the negatives of a group together and not pair by pair.
    pub fn is_list_wise(self) -> bool {
        matches!(self, Self::SDpo | Self::Dmpo | Self::RadDpo)
    }

    /// Whether it reads `label_smoothing`.
    pub fn reads_label_smoothing(self) -> bool {
        matches!(self, Self::Cdpo | Self::Robust | Self::Simpo)
    }

    /// Whether it reads `gamma`.
    pub fn reads_gamma(self) -> bool {
        self == Self::Simpo
    }

    /// Whether it reads `dpo_positive`.
    pub fn reads_dpo_positive(self) -> bool {
        self.needs_reference() && self != Self::Ipo
    }
}

/// How preferences are built from clicks. Chosen: a clicked item. Rejected: shown above it and not clicked, or ranked
/// high by the `init` model itself; never an item that is positive for the same query text in any request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PairSettings {
    /// Training requests whose own beams are searched for negatives.
    pub beam_requests: u32,
    /// Beam width of that search.
    #[schemars(range(min = 1, max = 4_096))]
    pub beam: u32,
    /// Most negatives drawn from the beam per request.
    #[schemars(range(min = 0, max = 4_096))]
    pub beam_negatives: u32,
    /// Most shown-above-and-not-clicked negatives per clicked item.
    #[schemars(range(min = 0, max = 1_000))]
    pub shown_negatives: u32,
    /// Weight of a rejected item that was never shown for the query.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub unshown_weight: f64,
    /// Most chosen items of one request that share a group (an example). Left out: 1; for rad-dpo 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub group_chosen: Option<u32>,
    /// Most rejected items of a group; further ones form groups of their own. Left out: 1, so that an example is a
    /// pair; for s-dpo, dmpo and rad-dpo 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub group_negatives: Option<u32>,
}

impl Default for PairSettings {
    fn default() -> Self {
        Self {
            beam_requests: 4_000,
            beam: 20,
            beam_negatives: 3,
            shown_negatives: 1,
            unshown_weight: 0.5,
            group_chosen: None,
            group_negatives: None,
        }
    }
}

/// The metric that every validation has: the smaller, the better.
pub const LOSS: &str = "loss";

/// Validation in the course of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationSettings {
    /// Steps between validations; either this or `every_epochs`.
    #[schemars(range(min = 1))]
    pub every_steps: Option<u32>,
    /// Epochs between validations, may be a fraction; either this or `every_steps`. Without both: 1.
    #[schemars(range(min = 0.0001, max = 10_000.0))]
    pub every_epochs: Option<f64>,
    /// Most validation requests looked at: a sample that is the same throughout.
    #[schemars(range(min = 1))]
    pub requests: u32,
    /// What decides: `loss` (cross-entropy of the clicked items' identifiers, always measured), or a metric of lists
    /// such as `recall@10`, for which the requests are searched with the current weights.
    pub metric: String,
    /// Beams of that search: the longest list a metric sees.
    #[schemars(range(min = 1, max = 4_096))]
    pub beam: u32,
    /// Validations without improvement after which the training ends; without it, it never ends early.
    #[schemars(range(min = 1))]
    pub patience: Option<u32>,
    /// Which weights the training gives.
    pub keep: Keep,
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            every_steps: None,
            every_epochs: None,
            requests: 500,
            metric: LOSS.into(),
            beam: 20,
            patience: None,
            keep: Keep::Best,
        }
    }
}

impl ValidationSettings {
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
pub struct OptimizerSettings {
    /// Largest learning rate, reached after the warm-up.
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
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            warmup: 0.05,
            warmup_steps: None,
            schedule: Schedule::Cosine,
            final_share: 0.05,
            weight_decay: 0.01,
            betas: [0.9, 0.98],
            epsilon: 1e-8,
            clip: 1.0,
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
