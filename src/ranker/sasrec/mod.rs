//! SASRec (arXiv:1808.09781): a causal transformer over item ids that predicts the next item of a sequence.
//!
//! Sees the training sequences and nothing else: all but the last two items of every user, or what users clicked in training. `network` is what is
//! computed, `losses` and `objective` what is learnt, this file fits and serves it. Answering is exact: one forward pass
//! over the history, one product with the vectors of all items.

mod kind;
mod losses;
mod network;
mod objective;
pub mod settings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use trieval_kernels::ops::linear;
use trieval_kernels::top::top;

use self::network::{Network, Packed};
use self::objective::NextItem;
use self::settings::{SasrecLoss, SasrecSettings};
use super::harness::{Output, Rank, Retrieve, Scored};
use super::slate::Slate;
use crate::corpus::{Ask, Corpus, Heard, choices};
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::model::checkpoint::WeightFiles;
use crate::store::{read_description, write_json};
use crate::train::validation::Measured;

/// Version of the folder's layout.
const FORMAT: u32 = 1;
const SETTINGS_FILE: &str = "sasrec.json";
/// The weights inside a fitted model's folder.
pub const WEIGHTS_FILE: &str = "sasrec.safetensors";
/// Histories scored at once when many are ranked.
const CHUNK: usize = 256;

#[derive(Serialize, Deserialize)]
struct ModelFile {
    format: u32,
    items: usize,
    settings: SasrecSettings,
}

/// What a model learns from.
pub struct Sequences {
    /// Items of each training sequence, oldest first.
    pub list: Vec<Vec<u32>>,
    /// Items of the catalogue.
    pub n_items: usize,
    /// Where they come from, for messages.
    pub source: PathBuf,
}

impl Sequences {
    /// The training sequences of a corpus, or what each user clicked.
    ///
    /// # Errors
    /// When the corpus cannot be read.
    pub fn of(corpus: &Corpus) -> Result<Self> {
        let source = corpus.folder().to_owned();
        let list = choices(corpus)?;
        Ok(Self { list, n_items: corpus.summary().items as usize, source })
    }

    /// Refuses what nothing can be learnt from.
    fn check(&self, settings: &SasrecSettings) -> Result<()> {
        if self.list.iter().all(|sequence| sequence.len() < 2) {
            let message =
                "no training sequence has two items, so that there is no next item to learn";
            return Err(Error::data(&self.source, message).with_help(
                "sasrec trains on all but the last two items of a user: users with four items or more are needed; or, where \
                 there are clicks, users with two in training",
            ));
        }
        let negatives = settings.loss.negatives() as usize;
        if !matches!(settings.loss, SasrecLoss::FullSoftmax) && negatives >= self.n_items {
            let message = format!(
                "has {} items, and {negatives} negatives per step are asked for",
                self.n_items
            );
            return Err(Error::data(&self.source, message).with_help(format!(
                "lower `loss.negatives` of `{}` below the number of items, or set loss = {{ kind = \
                 \"full-softmax\" }}",
                settings.name
            )));
        }
        Ok(())
    }
}

/// Trains a model and writes weights, settings and the log of the training. `validate` gives the value of the metric that
/// decides under the current weights.
///
/// # Errors
/// [`Error::Data`] for sequences that cannot be learnt from; as
/// [`Training::run`](crate::train::engine::Training::run).
pub fn fit(
    sequences: &Sequences,
    settings: &SasrecSettings,
    step: &StepContext<'_>,
    mut validate: impl FnMut(&Sasrec) -> Result<f64>,
) -> Result<()> {
    sequences.check(settings)?;
    let (seed, n_items) = (step.seed, sequences.n_items);
    let model = match step.inputs.find(Role::Start) {
        Some(folder) => Sasrec::load_as(folder, n_items, |start| settings.shaped_as(&start))?,
        None => {
            let network = Network::new(settings, n_items, seed.purpose("weights"))?;
            Sasrec { network, settings: settings.clone(), n_items }
        }
    };
    let settings = &model.settings;
    let draws = seed.purpose("draws");
    let mut objective =
        NextItem::new(&model.network, &sequences.list, sequences.n_items, settings, draws);
    let (course, parameters) = (&settings.course, model.network.parameters());
    let metric = course.validation.as_ref().map(|validation| validation.metric.clone());
    let mut measure = metric.map(|metric| {
        let (model, validate) = (&model, &mut validate);
        move || Ok([(metric.clone(), validate(model)?)].into())
    });
    let measure = measure.as_mut().map(|measure| measure as &mut dyn FnMut() -> Result<Measured>);
    course.run(step, &settings.name, parameters, &mut objective, measure).map_err(|error| {
        match error {
            Error::Memory { .. } => error.with_help(format!(
                "lower `batch`, `length`, `dim` or `feed_forward` of `{}`, or sample negatives with `loss`",
                settings.name
            )),
            other => other,
        }
    })?;
    model.save(step.out)
}

/// Number of trained values of the model in `folder`.
///
/// # Errors
/// [`Error::Data`] when its weights are missing or damaged.
pub fn stored_parameters(folder: &Path) -> Result<u64> {
    WeightFiles::open_file(&folder.join(WEIGHTS_FILE)).map(|weights| weights.n_values())
}

/// A model that answers.
pub struct Sasrec {
    network: Network,
    settings: SasrecSettings,
    n_items: usize,
}

impl Sasrec {
    /// Loads what [`fit`] wrote.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing, damaged, of another format or of another catalogue.
    pub fn load(folder: &Path, n_items: usize) -> Result<Self> {
        Self::load_as(folder, n_items, |settings| settings)
    }

    /// The same under settings that are made of those that were written.
    fn load_as(
        folder: &Path,
        n_items: usize,
        settings: impl FnOnce(SasrecSettings) -> SasrecSettings,
    ) -> Result<Self> {
        let path = folder.join(SETTINGS_FILE);
        let file: ModelFile = read_description(&path, "a sequence model", FORMAT)?;
        if file.items != n_items {
            let message =
                format!("the model knows {} items, the catalogue has {n_items}", file.items);
            return Err(Error::data(&path, message));
        }
        let settings = settings(file.settings);
        let network = Network::load(&settings, n_items, &folder.join(WEIGHTS_FILE))?;
        Ok(Self { network, settings, n_items })
    }

    fn save(&self, folder: &Path) -> Result<()> {
        self.network.save(&folder.join(WEIGHTS_FILE))?;
        let settings = self.settings.clone();
        write_json(
            &folder.join(SETTINGS_FILE),
            &ModelFile { format: FORMAT, items: self.n_items, settings },
        )
    }

    /// Best items of many histories at once, in their order: as [`Retrieve::retrieve`], with `exclude` ascending per history.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn rank_all(
        &self,
        histories: &[&[u32]],
        exclude: &[Vec<u32>],
        depth: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        let mut lists = Vec::with_capacity(histories.len());
        for (histories, exclude) in histories.chunks(CHUNK).zip(exclude.chunks(CHUNK)) {
            let scores = self.scores(histories)?;
            let ranked = scores
                .par_chunks(self.n_items.max(1))
                .zip(exclude)
                .map(|(scores, exclude)| top((0..).zip(scores.iter().copied()), depth, exclude));
            lists.par_extend(ranked);
        }
        Ok(lists)
    }

    /// Scores of all items behind each history, none of which is empty: `[histories, items]`.
    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        let length = self.settings.length as usize;
        let states =
            self.network.last_states(&Packed::newest(histories.iter().copied(), length))?;
        Ok(linear(&states, self.network.items())?.flatten_all()?.to_vec1()?)
    }
}

impl Retrieve for Sasrec {
    fn hears(&self, _: &Ask) -> Heard {
        Heard::history()
    }

    /// A request without a history has no answer: nothing is known of what would follow.
    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        if ask.history.is_empty() {
            return Ok(Vec::new());
        }
        let scores = self.scores(&[&ask.history])?;
        Ok(top((0..).zip(scores), depth, exclude))
    }

    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let asked = asks.iter().zip(exclude).enumerate();
        let asked = asked.filter(|(_, (ask, _))| !ask.history.is_empty());
        let (places, asked): (Vec<usize>, Vec<_>) = asked.unzip();
        let (histories, exclude): (Vec<&[u32]>, Vec<Vec<u32>>) = asked
            .into_iter()
            .map(|(ask, exclude)| (ask.history.as_slice(), exclude.clone()))
            .unzip();
        let mut lists = vec![Vec::new(); asks.len()];
        for (place, list) in places.into_iter().zip(self.rank_all(&histories, &exclude, depth)?) {
            lists[place] = list;
        }
        Ok(lists)
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        Some(self)
    }
}

impl Rank for Sasrec {
    /// Behind an empty history all items are alike.
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
        if slate.ask.history.is_empty() {
            return Ok(vec![Output::score(vec![0.0; slate.items().len()])]);
        }
        let scores = self.scores(&[&slate.ask.history])?;
        let score = |&item: &u32| scores[item as usize];
        Ok(vec![Output::score(slate.items().iter().map(score).collect())])
    }
}
