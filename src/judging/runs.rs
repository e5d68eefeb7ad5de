//! Answers as run files, and which requests are answered.

use std::path::Path;

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trieval_eval::Run;
use trieval_eval::io::{read_trec_run, write_trec_run};
use trieval_eval::settings::EvaluatedSplit;

use crate::corpus::{Corpus, Request, Split};
use crate::error::{Error, Result};
use crate::ranker::harness::strictly_falling;
use crate::seed::Seed;
use crate::store::write_atomic;

/// The run in TREC format inside a system's step folder.
pub const RUN_FILE: &str = "run.trec";
/// Scores of the judged pairs in TREC format inside a system's step folder, where they were asked for.
pub const PREDICTIONS_FILE: &str = "predictions.trec";

/// Which requests systems are evaluated on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Evaluated {
    /// The split.
    pub split: EvaluatedSplit,
    /// A sample of it, where not all requests are asked.
    pub sample: Option<Drawn>,
}

/// A sample of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drawn {
    /// How many.
    pub requests: u32,
    /// The recipe's seed: the sample is the same for all systems.
    pub seed: u64,
}

impl Evaluated {
    /// The split of the corpus.
    pub fn split(&self) -> Split {
        match self.split {
            EvaluatedSplit::Validation => Split::Validation,
            EvaluatedSplit::Test => Split::Test,
        }
    }

    /// The requests that all systems answer.
    ///
    /// # Errors
    /// [`Error::Data`] when the corpus cannot be read.
    pub fn requests(&self, corpus: &Corpus) -> Result<Vec<Request>> {
        let mut requests = corpus.requests(self.split())?;
        if let Some(Drawn { requests: limit, seed }) = self.sample
            && requests.len() > limit as usize
        {
            let seed = Seed::new(seed).purpose("test-requests");
            sample(&mut requests, limit as usize, seed);
        }
        Ok(requests)
    }
}

/// Leaves a random sample of requests, in the order of the corpus.
pub fn sample(requests: &mut Vec<Request>, limit: usize, seed: Seed) {
    requests.shuffle(&mut seed.rng());
    requests.truncate(limit);
    requests.sort_by_key(|request| request.idx);
}

/// What a system returned, as a run; `names` are the ids of what lists hold.
///
/// # Errors
/// [`Error::Failed`] where a list cannot be one of a run.
pub fn to_run(
    name: &str,
    requests: &[Request],
    lists: &[Vec<(u32, f32)>],
    names: &[String],
) -> Result<Run> {
    let failed = |e: trieval_eval::Error| Error::Failed(format!("system {name}: {e}"));
    let mut run = Run::builder(name);
    for (request, list) in requests.iter().zip(lists) {
        let items = list.iter().map(|&(item, score)| (names[item as usize].as_str(), score));
        run.push_list(&request.id, strictly_falling(items)).map_err(failed)?;
    }
    run.finish().map_err(failed)
}

/// Writes a run file.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_run(run: &Run, path: &Path) -> Result<()> {
    write_atomic(path, |writer| write_trec_run(run, writer).map_err(|e| unwritten(path, e)))
}

/// What a system returned, and what it said of the judged pairs where it was asked.
///
/// # Errors
/// [`Error::Data`] when a file is missing or damaged.
pub fn read_answers(folder: &Path) -> Result<Run> {
    let read = |name: &str| {
        let path = folder.join(name);
        read_trec_run(&path).map_err(|e| Error::data(&path, e.to_string()))
    };
    let run = read(RUN_FILE)?;
    Ok(match folder.join(PREDICTIONS_FILE).exists() {
        true => run.with_predictions(read(PREDICTIONS_FILE)?),
        false => run,
    })
}

/// A TREC file that could not be written.
pub fn unwritten(path: &Path, error: trieval_eval::Error) -> Error {
    match error {
        trieval_eval::Error::Unwritable { source, .. } => Error::unwritable(path, &source),
        other => Error::Failed(format!("{}: {other}", path.display())),
    }
}
