//! A system answers the evaluated requests: a TREC run file, and what answering cost.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Work;
use crate::corpus::Request;
use crate::error::{Error, Result};
use crate::generative::DecoderSizes;
use crate::inputs::{Inputs, StepContext};
use crate::judging::acting::act;
use crate::judging::answer::{Asking, Cost, answer, throughput};
use crate::judging::predict::predict;
use crate::judging::runs::{Evaluated, PREDICTIONS_FILE, RUN_FILE, to_run, write_run};
use crate::judging::tuning::Tuning;
use crate::kind::{Estimate, Role, Sizes};
use crate::ranker::Retrieve;
use crate::ranker::cascade::policy;
use crate::ranker::harness::Comparison;
use crate::ranker::kinds::System;
use crate::store::write_json;

/// What answering cost, inside the step's folder.
pub const SYSTEM_FILE: &str = "system.json";
/// Most requests on which an index is compared with exact search.
const MOST_COMPARED: usize = 1_000;

/// Content of [`SYSTEM_FILE`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SystemFile {
    /// Version of this layout.
    pub format: u32,
    /// Time and memory.
    pub cost: Cost,
    /// Bytes of the files that the system is opened from (model, vectors, index).
    pub bytes: u64,
    /// Returned items in all.
    pub returned: u64,
    /// Returned items that the catalogue does not hold.
    pub invalid: u64,
    /// Returned items that the same list held before.
    pub duplicates: u64,
    /// What the index that it searches loses and gains; none where it searches none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approximate: Option<Comparison>,
}

/// Lets a system answer the evaluated requests.
#[derive(Serialize, JsonSchema)]
pub struct AnswerRequests {
    /// The system with those that it asks.
    pub system: System,
    /// The requests.
    pub evaluated: Evaluated,
    /// Items per request.
    pub depth: u32,
    /// What counts as relevant, where something is tuned.
    pub relevant_grade: Option<f64>,
    /// Whether the judged pairs are to be scored, too.
    pub predicts: bool,
    /// The decoder that answers, where one does.
    #[serde(skip)]
    pub sizes: Option<DecoderSizes>,
}

impl Work for AnswerRequests {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let inputs = self.tune(step)?;
        let (corpus, catalogue) = (inputs.corpus()?, inputs.catalogue()?);
        let requests = self.evaluated.requests(corpus)?;
        for (place, (one, its)) in self.system.whole(&inputs)?.into_iter().enumerate() {
            one.settings.it().inspect(its, &requests, place > 0, step.ctx)?;
        }
        let system = self.system.open(&inputs)?;
        let name = self.system.settings.name();
        let asking = Asking {
            label: name,
            depth: self.depth as usize,
            exclude_history: corpus.summary().remove_history,
            work: step.work,
        };
        let mut answers = answer(system.as_ref(), &requests, &asking, step.ctx)?;
        if self.system.all().iter().all(|one| one.it().is_measured()) {
            answers.cost.throughput = throughput(system.as_ref(), &requests, &asking, step.ctx)?;
        } else {
            answers.cost = Cost { in_flight: answers.cost.in_flight, ..Cost::default() };
        }
        if let Some(settings) = self.system.settings.it().acts() {
            let policy = policy(settings, step.seed.purpose("act"));
            act(policy.as_ref(), &requests, &mut answers.lists, catalogue, step.out)?;
        }
        let (invalid, duplicates) = faults(&answers.lists, catalogue.len());
        if invalid + duplicates > 0 {
            return Err(Error::Failed(format!(
                "system {name} returned {invalid} items that do not exist and {duplicates} twice: \
                 this is a fault of trieval, please report it"
            )));
        }
        let run = to_run(name, &requests, &answers.lists, catalogue)?;
        write_run(&run, &step.out.join(RUN_FILE))?;
        if self.predicts
            && let Some(rank) = system.as_rank()
        {
            let (about, split) = ((corpus, catalogue), self.evaluated.split());
            let predictions = predict(name, rank, &requests, about, split, step.ctx)?;
            write_run(&predictions, &step.out.join(PREDICTIONS_FILE))?;
        }
        let file = SystemFile {
            format: 4,
            cost: answers.cost,
            bytes: self.bytes(&inputs)?,
            returned: answers.lists.iter().map(|list| list.len() as u64).sum(),
            invalid,
            duplicates,
            approximate: compare(system.as_ref(), &requests, &asking, step)?,
        };
        write_json(&step.out.join(SYSTEM_FILE), &file)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let sample = self.evaluated.sample.map(|drawn| u64::from(drawn.requests));
        let requests = sizes.test.map(|n| sample.map_or(n, |sample| n.min(sample)));
        let own = self.system.settings.it().estimate(sizes, self.sizes.as_ref());
        let mut estimate = Estimate::default().count("requests", "", requests);
        estimate.figures.extend(own.figures);
        estimate.holds(own.memory, own.advice)
    }
}

impl AnswerRequests {
    /// Chooses settings on the validation requests where the system asks for it; then it is opened with what is in this
    /// step's own folder.
    fn tune(&self, step: &StepContext<'_>) -> Result<Inputs> {
        let mut inputs = step.inputs.clone();
        let settings = self.system.settings.it();
        let Some(tuned) = settings.tuned_for() else { return Ok(inputs) };
        let Some(tries) = settings.tries(&self.system, &inputs)? else { return Ok(inputs) };
        let tuning = Tuning {
            system: settings.name(),
            corpus: inputs.corpus()?,
            catalogue: inputs.catalogue()?,
            relevant_grade: self.relevant_grade.unwrap_or_default(),
            depth: self.depth as usize,
            work: step.work,
            ctx: step.ctx,
        };
        let chosen = tuning.choose(tries, tuned.metric)?;
        let parts: Vec<&str> = self.system.asks.iter().map(|part| part.settings.name()).collect();
        step.ctx.say(chosen.sentence(settings.name(), &parts));
        chosen.write(step.out)?;
        inputs.put(Role::Tuned, step.out);
        Ok(inputs)
    }

    /// Size of the files that the system serves from, each counted once.
    fn bytes(&self, inputs: &Inputs) -> Result<u64> {
        let mut files: BTreeSet<PathBuf> = BTreeSet::new();
        for (one, its) in self.system.whole(inputs)? {
            files.extend(one.settings.it().files(its)?);
        }
        let size = |path: &PathBuf| {
            path.metadata().map(|file| file.len()).map_err(|e| Error::unreadable(path, &e))
        };
        files.iter().map(size).sum()
    }
}

/// Items that are none of the catalogue, and items listed twice.
fn faults(lists: &[Vec<(u32, f32)>], n_items: usize) -> (u64, u64) {
    let (mut invalid, mut duplicates) = (0, 0);
    let mut seen = HashSet::new();
    for list in lists {
        seen.clear();
        for &(item, _) in list {
            invalid += u64::from(item as usize >= n_items);
            duplicates += u64::from(!seen.insert(item));
        }
    }
    (invalid, duplicates)
}

/// The index of a system beside exact search on the requests, or a sample of them; none without an index or a request.
fn compare(
    system: &dyn Retrieve,
    requests: &[Request],
    asking: &Asking<'_>,
    step: &StepContext<'_>,
) -> Result<Option<Comparison>> {
    let Some(approximate) = system.as_approximate() else { return Ok(None) };
    if requests.is_empty() {
        return Ok(None);
    }
    let mut sample: Vec<&Request> = requests.iter().collect();
    if sample.len() > MOST_COMPARED {
        sample.shuffle(&mut step.seed.purpose("compare-index").rng());
        sample.truncate(MOST_COMPARED);
        sample.sort_by_key(|request| request.idx);
    }
    let excludes = asking.exclude_history;
    approximate.compare_with_exact(&sample, asking.depth, excludes, step.ctx).map(Some)
}
