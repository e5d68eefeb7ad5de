//! Settings of a training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::course::settings::{Course, CourseDefaults, is_off};
use super::data::pairs::settings::PairSettings;
use super::objective::contrastive::settings::Contrast;
use crate::kind::{Answers, Fact, Family, Key, Need, Role, Use};
use crate::model::settings::LoraSettings;

/// Defaults of the training of a decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderCourse;

impl CourseDefaults for DecoderCourse {
    const EPOCHS: f64 = 1.0;
    const BATCH: u32 = 64;
    const CHECKPOINT_STEPS: u32 = 200;
}

/// One training of a decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
// `flatten` excludes `deny_unknown_fields`; the schema, by which recipes are read, refuses them all the same.
#[schemars(extend("additionalProperties" = false))]
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
    /// Share of the embeddings, and of what attention and feed-forward of every layer add to them, that a step drops; never
    /// in validation or evaluation. Left out: 0. An adapter has a `dropout` of its own.
    #[serde(default, skip_serializing_if = "is_off")]
    #[schemars(range(min = 0.0, max = 0.95))]
    pub dropout: Option<f64>,
    /// How the training runs.
    #[serde(flatten)]
    pub course: Course<DecoderCourse>,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl TrainSettings {
    /// The same with every default that depends on another key written out: equal trainings have equal settings.
    pub fn resolved(&self) -> Self {
        let objective = match &self.objective {
            ObjectiveSettings::Preference(preference) => {
                ObjectiveSettings::Preference(preference.resolved())
            }
            other => other.clone(),
        };
        Self { objective, ..self.clone() }
    }

    /// Share of its own activations that a step drops.
    pub fn dropout(&self) -> f64 {
        self.dropout.unwrap_or(0.0)
    }

    /// Whether a step drops anything: activations, or inputs of the adapter.
    pub fn drops(&self) -> bool {
        self.dropout() > 0.0 || self.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0)
    }
}

/// What is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ObjectiveSettings {
    /// Request → identifier of a clicked item (or the next item of a sequence), by cross-entropy.
    Supervised(SupervisedSettings),
    /// Alignment with what users chose over what, from pairs built from clicks (DPO and its relatives).
    Preference(PreferenceSettings),
    /// Requests near the items that answer them: the decoder becomes the dense encoder of both.
    Contrastive(ContrastiveSettings),
    /// What a search by vectors finds, said by the decoder: soft targets at every level of the identifier.
    Distillation(DistillationSettings),
}

/// A decoder as the dense encoder of requests and items: the final hidden state behind the prompt of a request, or of an
/// item's text asked the same way, projected and scaled to unit length. Trained on in-batch, uniform and shown items.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
// `flatten` excludes `deny_unknown_fields`; the schema, by which recipes are read, refuses them all the same.
#[schemars(extend("additionalProperties" = false))]
pub struct ContrastiveSettings {
    /// Width of the vectors, by a learnt projection. Left out: the decoder's own, without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 8_192))]
    pub dim: Option<u32>,
    /// What is compared with what.
    #[serde(flatten)]
    pub contrast: Contrast,
}

/// What a search by vectors finds, said by the decoder (the first phase of RIPOR, arXiv 2311.09134, with targets over items):
/// `p(item) = (1 − clicks) softmax(⟨q, item⟩ / temperature) + clicks [item was clicked]`, summed over the items below every
/// legal code. The decoder learns `p(code | codes before it)` among legal codes alone: decode with normalizer = "slice".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistillationSettings {
    /// Name of the `[vectors.NAME]` whose search teaches; they encode requests.
    #[schemars(extend("x-key" = false))]
    pub vectors: String,
    /// Temperature of the softmax over items.
    #[serde(default = "default_temperature")]
    #[schemars(range(min = 0.001, max = 10.0))]
    pub temperature: f64,
    /// Share of the clicked items in the target of a request that has any.
    #[serde(default = "default_clicks")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub clicks: f64,
    /// Items per request whose paths are learned: the first drawn by the target, the others among the best `top`.
    #[serde(default = "default_answers")]
    #[schemars(range(min = 1, max = 256))]
    pub answers: u32,
    /// Best items of the search among which the other paths are drawn.
    #[serde(default = "default_best")]
    #[schemars(range(min = 1, max = 10_000))]
    pub top: u32,
    /// Share of the training within which levels are opened one after another: the first, the first two, and so on.
    #[serde(default = "default_progressive")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub progressive: f64,
    /// Share of examples that are pseudo-requests: a random title substring asks for its item.
    #[serde(default = "default_pseudo_requests")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pseudo_requests: f64,
    /// Fewest and most words of a pseudo-request.
    #[serde(default = "default_pseudo_words")]
    #[schemars(range(min = 1, max = 64))]
    pub pseudo_words: [u32; 2],
    /// Whether the further identifiers of the model are learned meanwhile, as by objective supervised: by clicked items and
    /// as many pseudo-requests. An epoch then has every training request once, and every clicked item once in each of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub others: bool,
}

fn default_temperature() -> f64 {
    0.05
}

fn default_clicks() -> f64 {
    0.3
}

fn default_answers() -> u32 {
    4
}

fn default_best() -> u32 {
    100
}

fn default_progressive() -> f64 {
    0.2
}

fn default_pseudo_requests() -> f64 {
    0.5
}

fn default_pseudo_words() -> [u32; 2] {
    [1, 5]
}

/// A system whose answers to the training requests are learned, as if they had been clicked. Answers are out of fold: a
/// system that itself learned from the training requests is made anew without those that it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeacherSettings {
    /// Name of the `[[system]]`.
    #[schemars(extend("x-key" = false))]
    pub system: String,
    /// Answers per request that are learned: the first so many.
    #[serde(default = "default_top")]
    #[schemars(range(min = 1, max = 1_000))]
    pub top: u32,
    /// Which requests it teaches.
    #[serde(default)]
    pub requests: TaughtRequests,
    /// Parts of the training requests, for a system that learned from them: it is made once for every part, of the others.
    /// Left out: 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 64))]
    pub folds: Option<u32>,
}

fn default_top() -> u32 {
    3
}

impl TeacherSettings {
    /// The reference to the system, by the key `teacher` at some place.
    pub fn used(&self, mut at: Vec<Key>) -> Use<'_> {
        at.push("system".into());
        let answers = Answers { top: self.top, folds: self.folds };
        Use::new(Family::System, &self.system, Role::Teacher, "teacher").at(at).answers(answers)
    }

    /// What a corpus must have to be taught on.
    pub fn need(at: Vec<Key>) -> Need {
        let message =
            "`{name}` learns what a system answers to training requests, and there are none";
        Need::new(Fact::Questions, message.into()).at(at).instead("leave `teacher` out")
    }
}

/// Which training requests a teacher answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaughtRequests {
    /// All of them, beside what was clicked.
    #[default]
    All,
    /// Those for which nothing was clicked.
    Unanswered,
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
    /// Share ε of the target that is spread evenly over all codes of its level: `(1 − ε) CE(target) + ε mean CE(code)`, under
    /// the softmax over the full vocabulary. Validation measures the cross-entropy without it. Left out: 0.
    #[serde(skip_serializing_if = "is_off")]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub label_smoothing: Option<f64>,
    /// Shares of a model's identifiers in what is learned, in their order, such as `[1.0, 3.0]`: each example is learned in an
    /// identifier that is drawn by them. Left out: every example in each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2), inner(range(min = 0.001, max = 1_000.0)))]
    pub shares: Option<Vec<f64>>,
    /// A system whose answers are learned beside what was clicked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherSettings>,
}

impl Default for SupervisedSettings {
    fn default() -> Self {
        let (label_smoothing, shares, teacher) = (None, None, None);
        Self { pseudo_requests: 0.3, pseudo_words: [1, 5], label_smoothing, shares, teacher }
    }
}

impl SupervisedSettings {
    /// Share ε of the target that is spread over the codes of its level.
    pub fn label_smoothing(&self) -> f64 {
        self.label_smoothing.unwrap_or(0.0)
    }
}

/// Alignment with what users chose over what; the frozen reference is the `init` training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PreferenceSettings {
    /// The loss; `docs/alignment.md` compares them.
    pub loss: PreferenceLoss,
    /// Temperature β of the implicit reward (τ of ipo). Left out: 0.1; for ipo, s-dpo, dmpo and rad-dpo 1; for simpo 2.
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
    /// How many of the model's identifiers are aligned, from the first on: in codes items are compared, in spans what they
    /// say. Left out: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub identifiers: Option<u32>,
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
            identifiers: None,
            pairs: PairSettings::default(),
        }
    }
}

impl PreferenceSettings {
    /// Temperature β.
    pub fn beta(&self) -> f64 {
        self.beta.unwrap_or(match self.loss {
            PreferenceLoss::Ipo
            | PreferenceLoss::SDpo
            | PreferenceLoss::Dmpo
            | PreferenceLoss::RadDpo => 1.0,
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

    /// Whether it compares log-probabilities per token.
    pub fn divides_by_length(self) -> bool {
        matches!(self, Self::Ipo | Self::Simpo)
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
