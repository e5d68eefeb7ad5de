//! Settings chosen on the validation requests: what a fused system and BM25 have in common. A step asks rankers
//! the validation requests, measures, and leaves what it chose beside its run. Knows no test request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trieval_eval::metric::Metric;
use trieval_eval::{Qrels, Run, evaluate};

use super::answer::{Asking, answer};
use super::runner::StepEnv;
use super::steps::to_run;
use crate::corpus::{Catalogue, Corpus, Request, Split};
use crate::error::{Error, Result};
use crate::ranker::Retrieve;
use crate::store::{create_dir, write_json};

/// What was chosen, inside the folder of a system's step.
const TUNED_FILE: &str = "tuned.json";

/// What was chosen, and what it gained. Content of `tuned.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tuned {
    /// Version of this layout.
    pub(super) format: u32,
    /// What was tuned for.
    pub(super) metric: String,
    /// Chosen values: weights by system, or constants by name.
    pub(super) chosen: BTreeMap<String, f64>,
    /// The metric on the validation requests under them.
    pub(super) value: f64,
    /// The same with equal weights, or with the constants that the recipe gives.
    pub(super) untuned: f64,
    /// Settings tried.
    pub(super) tried: usize,
    /// Validation requests with a judged item.
    pub(super) requests: usize,
}

impl Tuned {
    fn path(step_folder: &Path) -> PathBuf {
        step_folder.join(TUNED_FILE)
    }

    /// Writes the choice into a step's folder.
    pub(super) fn write(&self, step_folder: &Path) -> Result<()> {
        write_json(&Self::path(step_folder), self)
    }

    /// Reads it back.
    pub(super) fn read(step_folder: &Path) -> Result<Self> {
        let path = Self::path(step_folder);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        serde_json::from_slice(&text).map_err(|e| Error::data(&path, e.to_string()))
    }

    /// A chosen value.
    pub(super) fn chosen(&self, name: &str) -> Result<f64> {
        self.chosen.get(name).copied().ok_or_else(|| {
            Error::Failed(format!("{TUNED_FILE} holds no value of {name}: please report this"))
        })
    }

    /// One sentence for people.
    pub(super) fn sentence(&self, system: &str) -> String {
        let chosen: Vec<String> =
            self.chosen.iter().map(|(name, value)| format!("{name} {value}")).collect();
        format!(
            "system {system}: tuned for {} on {} validation requests: {} ({:.4}, untuned {:.4}; {} settings tried)",
            self.metric,
            self.requests,
            chosen.join(", "),
            self.value,
            self.untuned,
            self.tried
        )
    }
}

/// The validation requests with their judgments, and what is to be best on them.
pub(super) struct Tuning<'a> {
    env: &'a StepEnv<'a>,
    catalogue: &'a Catalogue,
    system: &'a str,
    exclude_history: bool,
    requests: Vec<Request>,
    pub(super) qrels: Qrels,
    pub(super) metric: Metric,
}

impl<'a> Tuning<'a> {
    /// Reads what a system is tuned on.
    ///
    /// # Errors
    /// [`Error::Data`] when no validation request has a judged item.
    pub(super) fn new(
        env: &'a StepEnv<'a>,
        system: &'a str,
        metric: &str,
        corpus: &Corpus,
        catalogue: &'a Catalogue,
    ) -> Result<Self> {
        let failed = |e: trieval_eval::Error| Error::Failed(format!("system {system}: {e}"));
        let metric: Metric = metric.parse().map_err(failed)?;
        let requests = corpus.requests(Split::Validation)?;
        let first = corpus.request_range(Split::Validation).start;
        let mut qrels = Qrels::builder();
        for (request, item, grade) in corpus.judgements(Split::Validation)? {
            let request = &requests[(request - first) as usize];
            let item = &catalogue.ids[item as usize];
            qrels.push(&request.id, item, f64::from(grade)).map_err(failed)?;
        }
        let qrels = qrels.finish().map_err(failed)?;
        if qrels.is_empty() {
            return Err(Error::data(corpus.folder(), "no validation request has a judged item")
                .with_help(format!(
                    "leave `tune` out of system {system}, or give the corpus a validation split"
                )));
        }
        let exclude_history = corpus.summary().remove_history;
        Ok(Self { env, catalogue, system, exclude_history, requests, qrels, metric })
    }

    /// What a ranker answers to the validation requests; `label` names it in progress and in the step's work.
    pub(super) fn run(&self, ranker: &dyn Retrieve, label: &str) -> Result<Run> {
        let work = self.env.work.join(label);
        create_dir(&work)?;
        let asking = Asking {
            label: &format!("{label}, validation"),
            depth: self.depth(),
            exclude_history: self.exclude_history,
            work: &work,
        };
        let answers = answer(ranker, &self.requests, &asking, self.env.ctx)?;
        to_run(label, &self.requests, &answers.lists, self.catalogue)
    }

    /// The metric of a run over the validation requests.
    pub(super) fn value(&self, run: &Run) -> Result<f64> {
        let metrics = std::slice::from_ref(&self.metric);
        let scores = evaluate(run, &self.qrels, metrics, self.relevant_grade()).map_err(|e| {
            let recipe = "check evaluation.relevant_grade and the grades of the validation split";
            let folder = self.env.input("corpus").unwrap_or_default();
            Error::data(folder, format!("system {} cannot be tuned: {e}", self.system))
                .with_help(recipe)
        })?;
        Ok(scores.columns[0].value)
    }

    /// Asks the ranker of every candidate, and the one of the recipe's own values; keeps those where no candidate
    /// is better, else the first of the best.
    pub(super) fn grid<T>(
        &self,
        own: &T,
        candidates: &[T],
        ranker: impl Fn(&T) -> Box<dyn Retrieve>,
        name: impl Fn(&T) -> BTreeMap<String, f64>,
    ) -> Result<Tuned> {
        let value = |candidate: &T, label: &str| -> Result<f64> {
            self.value(&self.run(ranker(candidate).as_ref(), label)?)
        };
        let untuned = value(own, "given")?;
        let (mut best, mut best_value) = (own, untuned);
        for (number, candidate) in candidates.iter().enumerate() {
            let value = value(candidate, &format!("setting-{number}"))?;
            if self.metric.better().is_better(value, best_value) {
                (best, best_value) = (candidate, value);
            }
        }
        Ok(self.tuned(name(best), best_value, untuned, candidates.len() + 1))
    }

    /// What is left beside the run.
    pub(super) fn tuned(
        &self,
        chosen: BTreeMap<String, f64>,
        value: f64,
        untuned: f64,
        tried: usize,
    ) -> Tuned {
        let (metric, requests) = (self.metric.to_string(), self.qrels.len());
        Tuned { format: 2, metric, chosen, value, untuned, tried, requests }
    }

    pub(super) fn relevant_grade(&self) -> f64 {
        self.env.loaded.recipe.evaluation.relevant_grade
    }

    fn depth(&self) -> usize {
        self.env.loaded.recipe.evaluation.depth as usize
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_back_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let tuned = Tuned {
            format: 2,
            metric: "ndcg@10".into(),
            chosen: [("k1".to_owned(), 0.6), ("b".to_owned(), 0.2)].into(),
            value: 0.5,
            untuned: 0.4,
            tried: 37,
            requests: 12,
        };
        tuned.write(folder.path()).unwrap();
        assert_eq!(Tuned::read(folder.path()).unwrap(), tuned);
        assert_eq!(tuned.chosen("b").unwrap(), 0.2);
        assert!(tuned.chosen("c").is_err());
        assert_eq!(
            tuned.sentence("bm25"),
            "system bm25: tuned for ndcg@10 on 12 validation requests: b 0.2, k1 0.6 (0.5000, untuned 0.4000; \
             37 settings tried)"
        );
    }
}
