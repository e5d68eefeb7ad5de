//! The validation requests: judged, sampled and measured in one place, for trainings and for tuning alike.

use std::collections::HashSet;

use trieval_eval::metric::Metric;
use trieval_eval::{Qrels, Run, evaluate};

use super::runs::{sample, to_run};
use crate::corpus::{Catalogue, Corpus, LabelRule, Labels, Request, Split};
use crate::error::{Error, Result};
use crate::inputs::Inputs;
use crate::seed::Seed;
use crate::train::held_out::{self, Judge, Sample};

/// Longest list of a validation whose metric states no cut-off.
const DEEPEST: usize = 1_000;

/// Gives trainings what they may know of the validation requests.
pub struct ValidationJudge<'a> {
    /// Where the corpus is.
    pub inputs: &'a Inputs,
    /// Draws the samples.
    pub seed: Seed,
    /// Items from this grade on are relevant.
    pub relevant_grade: f64,
}

impl Judge for ValidationJudge<'_> {
    fn held_out(&self, who: &str, wanted: &Sample<'_>) -> Result<Box<dyn held_out::HeldOut>> {
        let (corpus, catalogue) = (self.inputs.corpus()?, self.inputs.catalogue()?);
        Ok(Box::new(HeldOut::drawn(self, who, wanted, corpus, catalogue)?))
    }

    fn labels(
        &self,
        rule: &LabelRule,
        columns: &[&str],
        n_requests: u32,
    ) -> Result<(Vec<Request>, Labels)> {
        let corpus = self.inputs.corpus()?;
        let mut labels = corpus.labels(Split::Validation, rule, columns)?;
        let shown: HashSet<u32> = labels.pages.iter().map(|(request, _)| *request).collect();
        let mut requests = corpus.requests(Split::Validation)?;
        requests.retain(|request| shown.contains(&request.idx));
        sample(&mut requests, n_requests as usize, self.seed.purpose("validation"));
        let kept: HashSet<u32> = requests.iter().map(|request| request.idx).collect();
        labels.pages.retain(|(request, _)| kept.contains(request));
        Ok((requests, labels))
    }
}

/// Validation requests with what answers them.
pub struct HeldOut {
    requests: Vec<Request>,
    answers: Vec<(usize, u32)>,
    exclude: Vec<Vec<u32>>,
    measured: Option<Measured>,
}

/// What a metric of lists needs.
struct Measured {
    metric: Metric,
    relevant_grade: f64,
    qrels: Qrels,
    /// Ids of the items.
    catalogue: Catalogue,
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` wants it
fn failed(error: trieval_eval::Error) -> Error {
    Error::Failed(error.to_string())
}

impl HeldOut {
    /// Draws a sample for a training.
    fn drawn(
        judge: &ValidationJudge<'_>,
        who: &str,
        wanted: &Sample<'_>,
        corpus: &Corpus,
        catalogue: &Catalogue,
    ) -> Result<Self> {
        let judgements = corpus.judgements(Split::Validation)?;
        let judged: Vec<(u32, u32)> = judgements
            .iter()
            .filter(|(_, _, grade)| f64::from(*grade) >= judge.relevant_grade)
            .map(|&(request, item, _)| (request, item))
            .collect();
        // Requests are answered by what was clicked for them, or, where the split has no clicks at all, by what is judged
        // relevant.
        let clicked = if wanted.with_answer { clicked(corpus)? } else { Vec::new() };
        let answers = if clicked.is_empty() { &judged } else { &clicked };
        let of = |list: &[(u32, u32)]| list.iter().map(|(request, _)| *request).collect();
        let (answered, ranked): (HashSet<u32>, HashSet<u32>) = (of(answers), of(&judged));
        let mut requests = corpus.requests(Split::Validation)?;
        requests.retain(|request| {
            answered.contains(&request.idx)
                && (wanted.metric.is_none() || ranked.contains(&request.idx))
                && (!wanted.with_history || !request.ask.history.is_empty())
        });
        if requests.is_empty() {
            let lacks = match (wanted.with_history, wanted.metric) {
                (true, _) => "a history and a relevant item",
                (false, Some(_)) => "a click and a relevant item",
                (false, None) => "a click or a relevant item",
            };
            let message = format!("{who} cannot be validated: no validation request has {lacks}");
            return Err(Error::data(corpus.folder(), message).with_help(
                "give the corpus a larger validation split, or leave out the training's [train.validation]",
            ));
        }
        sample(&mut requests, wanted.requests as usize, judge.seed.purpose("validation"));
        let number = |request: &u32| requests.binary_search_by_key(request, |one| one.idx).ok();
        let answers =
            answers.iter().filter_map(|(request, item)| Some((number(request)?, *item))).collect();
        let measured = match wanted.metric {
            None => None,
            Some(metric) => {
                let mut qrels = Qrels::builder();
                for (request, item, grade) in &judgements {
                    let Some(number) = number(request) else { continue };
                    let (request, item) = (&requests[number].id, &catalogue.ids[*item as usize]);
                    qrels.push(request, item, f64::from(*grade)).map_err(failed)?;
                }
                Some(Measured {
                    metric: metric.parse().map_err(failed)?,
                    relevant_grade: judge.relevant_grade,
                    qrels: qrels.finish().map_err(failed)?,
                    catalogue: catalogue.clone(),
                })
            }
        };
        let removes_history = corpus.summary().remove_history;
        let exclude =
            requests.iter().map(|request| request.ask.excluded(removes_history)).collect();
        Ok(Self { requests, answers, exclude, measured })
    }
}

impl held_out::HeldOut for HeldOut {
    fn requests(&self) -> &[Request] {
        &self.requests
    }

    fn answers(&self) -> &[(usize, u32)] {
        &self.answers
    }

    fn exclude(&self) -> &[Vec<u32>] {
        &self.exclude
    }

    fn depth(&self) -> usize {
        let cutoff = self.measured.as_ref().and_then(|measured| measured.metric.cutoff());
        cutoff.map_or(DEEPEST, |cutoff| cutoff as usize)
    }

    fn measure(&self, lists: &[Vec<(u32, f32)>]) -> Result<f64> {
        let Some(Measured { metric, relevant_grade, qrels, catalogue }) = &self.measured else {
            return Err(Error::Failed("no metric of lists was asked for".into()));
        };
        let run = to_run("validation", &self.requests, lists, &catalogue.ids)?;
        value(&run, qrels, metric, *relevant_grade).map_err(failed)
    }
}

/// The mean of one metric of a run.
pub(super) fn value(
    run: &Run,
    qrels: &Qrels,
    metric: &Metric,
    relevant_grade: f64,
) -> trieval_eval::Result<f64> {
    let scores = evaluate(run, qrels, std::slice::from_ref(metric), relevant_grade)?;
    Ok(scores.columns[0].value)
}

/// All judgments of the validation requests.
///
/// # Errors
/// [`Error::Data`] when the corpus cannot be read.
pub(super) fn judged(corpus: &Corpus, catalogue: &Catalogue) -> Result<(Vec<Request>, Qrels)> {
    let requests = corpus.requests(Split::Validation)?;
    let first = corpus.request_range(Split::Validation).start;
    let mut qrels = Qrels::builder();
    for (request, item, grade) in corpus.judgements(Split::Validation)? {
        let request = &requests[(request - first) as usize];
        let item = &catalogue.ids[item as usize];
        qrels.push(&request.id, item, f64::from(grade)).map_err(failed)?;
    }
    Ok((requests, qrels.finish().map_err(failed)?))
}

/// Clicks of the validation requests, in their order.
fn clicked(corpus: &Corpus) -> Result<Vec<(u32, u32)>> {
    let mut clicked = Vec::new();
    for page in corpus.impressions_of(Split::Validation)? {
        let (request, impressions) = page?;
        let hits = impressions.iter().filter(|impression| impression.level.is_chosen());
        clicked.extend(hits.map(|impression| (request, impression.item)));
    }
    Ok(clicked)
}
