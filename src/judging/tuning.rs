//! Settings chosen on the validation requests: what is tried is asked, measured, and the best is kept beside the run.
//! Knows no test request.

use std::collections::BTreeMap;
use std::path::Path;

use trieval_eval::fusion::tune_weights;
use trieval_eval::metric::Metric;
use trieval_eval::{Qrels, Run};

use super::answer::{Asking, answer};
use super::held_out::{judged, value};
use super::runs::to_run;
use crate::corpus::{Catalogue, Corpus, Request};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::ranker::Retrieve;
use crate::ranker::fusion::LEAST_DEPTH;
use crate::ranker::kinds::{Tries, Under};
use crate::ranker::tuned::Chosen;
use crate::store::create_dir;

/// The validation requests with their judgments, and what is to be best on them.
pub struct Tuning<'a> {
    /// Name of the system.
    pub system: &'a str,
    /// The tables.
    pub corpus: &'a Corpus,
    /// The items.
    pub catalogue: &'a Catalogue,
    /// Items from this grade on are relevant.
    pub relevant_grade: f64,
    /// Items asked for per request.
    pub depth: usize,
    /// Where answers are kept until the step is finished.
    pub work: &'a Path,
    /// Reporting and interruption.
    pub ctx: &'a Context,
}

/// What is measured on.
struct HeldOut {
    requests: Vec<Request>,
    qrels: Qrels,
    metric: Metric,
}

impl Tuning<'_> {
    /// Tries everything and returns the best; the first of equals.
    ///
    /// # Errors
    /// [`Error::Data`] when no validation request has a judged item; whatever a system meets.
    pub fn choose(&self, tries: Tries, metric: &str) -> Result<Chosen> {
        let system = self.system;
        let failed = |e: trieval_eval::Error| Error::Failed(format!("system {system}: {e}"));
        let (requests, qrels) = judged(self.corpus, self.catalogue)?;
        if qrels.is_empty() {
            let message = "no validation request has a judged item";
            return Err(Error::data(self.corpus.folder(), message).with_help(format!(
                "leave `tune` out of system {system}, or give the corpus a validation split"
            )));
        }
        let held_out = HeldOut { requests, qrels, metric: metric.parse().map_err(failed)? };
        match tries {
            Tries::Grid { candidates, under } => self.grid(&held_out, &candidates, &*under),
            Tries::Weights { parts, rule } => {
                let runs: Vec<Run> = parts
                    .iter()
                    .enumerate()
                    .map(|(place, part)| {
                        let depth = self.depth.max(LEAST_DEPTH);
                        self.run(&held_out, part.as_ref(), &format!("part-{place}"), depth)
                    })
                    .collect::<Result<_>>()?;
                let runs: Vec<&Run> = runs.iter().collect();
                let HeldOut { qrels, metric, .. } = &held_out;
                let found = tune_weights(&runs, &rule, qrels, metric, self.relevant_grade);
                let found = found.map_err(failed)?;
                let chosen = found.weights.into_iter().enumerate();
                let chosen =
                    chosen.map(|(place, weight)| (Chosen::of_part(place), weight)).collect();
                Ok(held_out.chosen(chosen, found.value, found.equal, found.tried))
            }
        }
    }

    /// Asks the system under every candidate; keeps the first, the recipe's own, where no other is better.
    fn grid(
        &self,
        held_out: &HeldOut,
        candidates: &[BTreeMap<String, f64>],
        under: &Under,
    ) -> Result<Chosen> {
        let better = held_out.metric.better();
        let mut values = Vec::with_capacity(candidates.len());
        for (number, candidate) in candidates.iter().enumerate() {
            let run = self.run(
                held_out,
                under(candidate).as_ref(),
                &format!("setting-{number}"),
                self.depth,
            )?;
            values.push(self.value(held_out, &run)?);
        }
        let mut best = 0;
        for (number, value) in values.iter().enumerate() {
            if better.is_better(*value, values[best]) {
                best = number;
            }
        }
        let chosen = candidates[best].clone();
        Ok(held_out.chosen(chosen, values[best], values[0], candidates.len()))
    }

    /// What a system answers to the validation requests; `label` names it in progress and in the step's work.
    fn run(
        &self,
        held_out: &HeldOut,
        system: &dyn Retrieve,
        label: &str,
        depth: usize,
    ) -> Result<Run> {
        let work = self.work.join(label);
        create_dir(&work)?;
        let asking = Asking {
            label: &format!("{label}, validation"),
            depth,
            exclude_history: self.corpus.summary().remove_history,
            work: &work,
        };
        let answers = answer(system, &held_out.requests, &asking, self.ctx)?;
        to_run(label, &held_out.requests, &answers.lists, &self.catalogue.ids)
    }

    fn value(&self, held_out: &HeldOut, run: &Run) -> Result<f64> {
        let HeldOut { qrels, metric, .. } = held_out;
        value(run, qrels, metric, self.relevant_grade).map_err(|e| {
            let message = format!("system {} cannot be tuned: {e}", self.system);
            Error::data(self.corpus.folder(), message)
                .with_help("check evaluation.relevant_grade and the grades of the validation split")
        })
    }
}

impl HeldOut {
    fn chosen(
        &self,
        chosen: BTreeMap<String, f64>,
        value: f64,
        untuned: f64,
        tried: usize,
    ) -> Chosen {
        let (metric, requests) = (self.metric.to_string(), self.qrels.len());
        Chosen { format: 2, metric, chosen, value, untuned, tried, requests }
    }
}
