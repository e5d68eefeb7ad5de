//! What SASRec says of itself.

use std::path::{Path, PathBuf};

use super::settings::SasrecSettings;
use super::{Sasrec, Sequences, WEIGHTS_FILE, fit, stored_parameters};
use crate::error::{Error, Result};
use crate::inputs::{Inputs, StepContext};
use crate::kind::keys;
use crate::kind::{
    Abilities, Draws, Estimate, Faults, Kind, Learned, Need, Refusal, Role, Sizes, Use, keyed,
    starts_from,
};
use crate::ranker::Retrieve;
use crate::ranker::collaborative::answers_histories;
use crate::ranker::kinds::{Prepared, System, SystemKind};
use crate::text::bytes;
use crate::train::course::Able;
use crate::train::held_out::{Judge, Sample};
use crate::train::sampler::n_steps;

/// `f32` values kept per token, layer and unit of width between forward and backward, of four bytes.
const ACTIVATIONS_PER_WIDTH: u64 = 18;
/// Scores of all items that a full cross-entropy keeps at most.
const KEPT_SCORES: u64 = 1 << 26;

/// The kind as recipes spell it.
const KIND: &str = "sasrec";

impl Kind for SasrecSettings {
    fn format(&self) -> u32 {
        4
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let table = self.train.as_deref().map(Use::table);
        table.into_iter().chain(self.init.as_deref().map(Use::init)).collect()
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        starts_from(KIND, used, kind, other)
    }

    fn inherited(&self) -> &'static [&'static str] {
        if self.init.is_some() {
            &["dim", "layers", "heads", "feed_forward", "length"]
        } else {
            &[]
        }
    }

    fn abilities(&self) -> Abilities {
        Abilities { ranks: true, lends_weights: true, ..Abilities::default() }
    }

    fn needs(&self) -> Vec<Need> {
        answers_histories("sasrec")
    }

    fn tracks(&self) -> bool {
        self.course.log.tensorboard
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        if self.init.is_none() {
            faults.divides(keys!["heads"], self.heads, "dim", self.dim, "");
        }
        let owner = format!("{} `{}`", faults.what(), self.name);
        self.course.faults(&owner, Able::default(), faults);
        if faults.judges_validation() && self.course.validation.is_some() {
            let message =
                format!("{owner} keeps the weights that are best on the requests it is judged by");
            let help = "its figures flatter it: compare it on the test requests";
            faults.remark(keys!["kind"], message, "ended by validation", help);
        }
    }
}

impl SystemKind for SasrecSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn prepared(&self) -> Option<Prepared> {
        Some(Prepared { step: "fit", settings: keyed(self), is_judged: true })
    }

    fn prepare(&self, _: &System, step: &StepContext<'_>, judge: &dyn Judge) -> Result<()> {
        let sequences = Sequences::of(step.inputs.corpus()?)?;
        let Some(validation) = &self.course.validation else {
            let never = |_: &Sasrec| Err(Error::Failed("nothing is held out".into()));
            return fit(&sequences, self, step, never);
        };
        let sample = Sample {
            metric: Some(&validation.metric),
            requests: validation.requests,
            with_history: true,
            with_answer: false,
        };
        let held_out = judge.held_out(&format!("system {}", self.name), &sample)?;
        let histories: Vec<&[u32]> =
            held_out.requests().iter().map(|request| request.ask.history.as_slice()).collect();
        fit(&sequences, self, step, |model| {
            let lists = model.rank_all(&histories, held_out.exclude(), held_out.depth())?;
            held_out.measure(&lists)
        })
    }

    fn learned(&self, folder: &Path) -> Result<Option<Learned>> {
        let parameters = stored_parameters(folder)?;
        Ok(Some(Learned { objective: "next item", parameters }))
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let n_items = inputs.catalogue()?.len();
        Ok(Box::new(Sasrec::load(inputs.folder(Role::Opened)?, n_items)?))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(vec![inputs.folder(Role::Opened)?.join(WEIGHTS_FILE)])
    }

    fn estimate_preparing(&self, sizes: &Sizes) -> Estimate {
        let about = if sizes.exact { "≤ " } else { "≈ " };
        let steps = sizes.train.map(|n| {
            n_steps(n, u64::from(self.course.batch * self.course.accumulate), self.course.epochs)
        });
        if self.init.is_some() {
            // Its shape is that of another training, whose own step tells it.
            return Estimate::default().count("steps", "≤ ", steps);
        }
        let memory = memory(self, sizes);
        let estimate = Estimate::default()
            .count("parameters", about, parameters(self, sizes))
            .count("steps", "≤ ", steps);
        let estimate = match memory {
            Some(memory) => estimate.figure("memory", format!("≈ {}", bytes(memory))),
            None => estimate,
        };
        estimate.holds(memory, "lower the system's `batch`, `length` or `dim`")
    }
}

fn parameters(settings: &SasrecSettings, sizes: &Sizes) -> Option<u64> {
    let (dim, wide) = (u64::from(settings.dim), u64::from(settings.feed_forward));
    let layer = 4 * dim * dim + 2 * dim * wide + wide + 3 * dim;
    let tables = (sizes.items? + u64::from(settings.length) + 1) * dim;
    Some(tables + u64::from(settings.layers) * layer)
}

/// Bytes of weights, gradients, moments and average, of the activations of the longest batch, and of the scores that are kept.
fn memory(settings: &SasrecSettings, sizes: &Sizes) -> Option<u64> {
    let tokens = u64::from(settings.course.batch) * u64::from(settings.length);
    let width = 2 * u64::from(settings.dim) + u64::from(settings.feed_forward);
    let scored = match settings.loss.negatives() {
        0 => (tokens * sizes.items?).min(KEPT_SCORES),
        negatives => 4 * tokens * u64::from(negatives),
    };
    let activations = tokens * u64::from(settings.layers) * width * ACTIVATIONS_PER_WIDTH / 4;
    let copies = if settings.course.average().is_some() { 6 } else { 4 };
    Some(4 * (copies * parameters(settings, sizes)? + activations + scored))
}
