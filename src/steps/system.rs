//! A system answers the evaluated requests: a TREC run file, and what answering cost.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trieval_eval::settings::LabelSource;

use super::Work;
use crate::corpus::Request;
use crate::error::{Error, Result};
use crate::generative::DecoderSizes;
use crate::inputs::{Inputs, StepContext};
use crate::judging::acting::act;
use crate::judging::answer::{Asking, Cost, Throughput, answer, throughput};
use crate::judging::answers::AnswerSpace;
use crate::judging::labelled::LabelledItems;
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
const SYSTEM_FILE: &str = "system.json";
/// Most requests on which an index is compared with exact search.
const MOST_COMPARED: usize = 1_000;

/// Content of `system.json`.
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

impl SystemFile {
    /// Reads it from a system's step folder.
    ///
    /// # Errors
    /// [`Error::Data`] when it is missing or damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(SYSTEM_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        serde_json::from_slice(&text).map_err(|e| Error::data(&path, e.to_string()))
    }

    /// What several replicates of a system cost: times of all of them, the highest peak, the
    /// largest size, and means of what their indexes lose and gain. None without any.
    pub fn joined(files: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut files = files.into_iter();
        let mut all = files.next()?;
        let mut indexes: Vec<Comparison> = all.approximate.take().into_iter().collect();
        for one in files {
            all.cost.milliseconds.extend(one.cost.milliseconds);
            all.cost.seconds += one.cost.seconds;
            all.cost.peak_bytes = all.cost.peak_bytes.max(one.cost.peak_bytes);
            all.cost.throughput = together(all.cost.throughput, one.cost.throughput);
            all.bytes = all.bytes.max(one.bytes);
            all.returned += one.returned;
            all.invalid += one.invalid;
            all.duplicates += one.duplicates;
            indexes.extend(one.approximate);
        }
        let mean =
            |of: fn(&Comparison) -> f64| indexes.iter().map(of).sum::<f64>() / indexes.len() as f64;
        all.approximate = (!indexes.is_empty()).then(|| Comparison {
            recall_at_10: mean(|one| one.recall_at_10),
            speedup: mean(|one| one.speedup),
            requests: indexes.iter().map(|one| one.requests).sum(),
            exact_us: mean(|one| one.exact_us),
            approximate_us: mean(|one| one.approximate_us),
        });
        Some(all)
    }
}

/// Batches of two replicates as those of one system; none where one was not measured.
fn together(a: Option<Throughput>, b: Option<Throughput>) -> Option<Throughput> {
    let (a, b) = a.zip(b)?;
    let (requests, seconds) = (a.requests + b.requests, a.seconds + b.seconds);
    Some(Throughput { batch: a.batch.min(b.batch), requests, seconds })
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
    /// The column whose values are the answers; by default the items are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// What counts as relevant, where something is tuned.
    pub relevant_grade: Option<f64>,
    /// Where the labels are of items that are to be scored, too.
    pub labels: Option<LabelSource>,
    /// Whether the answers are evaluated. What is learned from them is not timed in batches, nor chosen at random.
    #[serde(skip)]
    pub is_evaluated: bool,
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
            label: if self.is_evaluated { name } else { step.name },
            depth: self.depth as usize,
            exclude_history: corpus.summary().remove_history,
            work: step.work,
        };
        let mut answers = answer(system.as_ref(), &requests, &asking, step.ctx)?;
        if self.system.all().iter().all(|one| one.it().is_measured()) {
            if self.is_evaluated {
                answers.cost.throughput =
                    throughput(system.as_ref(), &requests, &asking, step.ctx)?;
            }
        } else {
            answers.cost = Cost { in_flight: answers.cost.in_flight, ..Cost::default() };
        }
        let acts = self.system.settings.it().acts().filter(|_| self.is_evaluated);
        if let Some(settings) = acts {
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
        let space = AnswerSpace::of(self.answers.as_deref(), corpus, catalogue)?;
        let run = to_run(name, &requests, &space.lists(&answers.lists), space.names())?;
        write_run(&run, &step.out.join(RUN_FILE))?;
        if let Some(source) = &self.labels
            && let Some(rank) = system.as_rank()
        {
            let labelled = LabelledItems::read(corpus, self.evaluated.split(), source)?;
            let predictions = predict(name, rank, &requests, &labelled, catalogue, step.ctx)?;
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
        step.ctx.say(chosen.sentence(settings.name(), &settings.fused()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicates_are_timed_together() {
        let file = |milliseconds: f64, peak, index| SystemFile {
            format: 3,
            cost: Cost {
                milliseconds: vec![milliseconds; 2],
                in_flight: 2,
                seconds: 1.0,
                peak_bytes: Some(peak),
                throughput: Some(Throughput { batch: 4, requests: 8, seconds: milliseconds }),
            },
            bytes: peak,
            returned: 10,
            invalid: 0,
            duplicates: 1,
            approximate: Some(Comparison {
                recall_at_10: index,
                speedup: 4.0,
                requests: 5,
                exact_us: 8.0,
                approximate_us: 2.0,
            }),
        };
        assert!(SystemFile::joined([]).is_none());
        let all = SystemFile::joined([file(1.0, 7, 0.8), file(3.0, 9, 0.9)]);
        let all = all.expect("two files");
        assert_eq!(all.cost.milliseconds, [1.0, 1.0, 3.0, 3.0]);
        assert_eq!((all.cost.seconds, all.cost.peak_bytes, all.bytes), (2.0, Some(9), 9));
        let throughput = all.cost.throughput.expect("measured for both");
        assert_eq!((throughput.requests, throughput.seconds), (16, 4.0));
        assert_eq!((all.returned, all.duplicates), (20, 2));
        let index = all.approximate.expect("an index");
        assert!((index.recall_at_10 - 0.85).abs() < 1e-12 && index.requests == 10);
    }
}
