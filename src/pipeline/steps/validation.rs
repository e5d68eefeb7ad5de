//! What a training is validated on: a sample of validation requests, prompted and searched as in
//! evaluation.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use rayon::prelude::*;
use trieval_eval::metric::Metric;
use trieval_eval::{Qrels, evaluate};
use trieval_kernels::beam::Filter;
use trieval_kernels::ops::Threads;

use super::model::{LoadedModel, open_index};
use super::system::to_run;
use crate::corpus::{Catalogue, Corpus, Request, Split};
use crate::decode::retriever::Retriever;
use crate::decode::settings::{DecodeSettings, Normalizer};
use crate::error::{Error, Result};
use crate::model::Decoder;
use crate::pipeline::runner::StepEnv;
use crate::train::objective::{Row, TargetBatch};
use crate::train::settings::{LOSS, ValidationSettings};
use crate::train::validation::Measured;

/// Validation requests with what answers them.
pub(super) struct HeldOut<'a> {
    model: &'a LoadedModel,
    requests: Vec<Request>,
    /// Prompt of each request.
    prompts: Vec<Vec<u32>>,
    /// Number of a request in `requests`, and an item that answers it.
    answers: Vec<(usize, u32)>,
    ranking: Option<Ranking>,
}

/// What a metric of lists needs.
struct Ranking {
    metric: Metric,
    relevant_grade: f64,
    qrels: Qrels,
    catalogue: Catalogue,
    identifier: PathBuf,
    beam: u32,
    removes_history: bool,
}

impl<'a> HeldOut<'a> {
    /// Draws the sample. Requests are answered by what was clicked for them, or, where the validation split has no
    /// clicks at all, by what is judged relevant.
    pub(super) fn new(
        env: &StepEnv<'_>,
        settings: &ValidationSettings,
        corpus: &Corpus,
        model: &'a LoadedModel,
        identifier: &Path,
    ) -> Result<Self> {
        let relevant_grade = env.loaded.recipe.evaluation.relevant_grade;
        let judgements = corpus.judgements(Split::Validation)?;
        let is_relevant = |grade: f32| f64::from(grade) >= relevant_grade;
        let judged: Vec<(u32, u32)> = judgements
            .iter()
            .filter(|(_, _, grade)| is_relevant(*grade))
            .map(|&(request, item, _)| (request, item))
            .collect();
        let clicked = clicked(corpus)?;
        let answers = if clicked.is_empty() { &judged } else { &clicked };
        let ranks = settings.metric != LOSS;
        let of = |list: &[(u32, u32)]| list.iter().map(|(request, _)| *request).collect();
        let answered: HashSet<u32> = of(answers);
        let ranked: HashSet<u32> = of(&judged);
        let mut requests = corpus.requests(Split::Validation)?;
        requests.retain(|request| {
            answered.contains(&request.idx) && (!ranks || ranked.contains(&request.idx))
        });
        if requests.is_empty() {
            let message = format!(
                "training {} cannot be validated: no validation request has {}",
                env.step.name.trim_start_matches("train."),
                if ranks { "a click and a relevant item" } else { "a click or a relevant item" }
            );
            return Err(Error::data(corpus.folder(), message).with_help(
                "give the corpus a larger validation split, or leave out the training's [train.validation]",
            ));
        }
        requests.shuffle(&mut env.seed().purpose("validation").rng());
        requests.truncate(settings.requests as usize);
        requests.sort_by_key(|request| request.idx);
        let build = |request: &Request| {
            Ok::<_, Error>(model.prompts.build(request.query.as_deref(), &request.history)?.tokens)
        };
        let prompts = requests.iter().map(build).collect::<Result<_>>()?;
        let number = |request: &u32| requests.binary_search_by_key(request, |one| one.idx).ok();
        let answers =
            answers.iter().filter_map(|(request, item)| Some((number(request)?, *item))).collect();
        let ranking = if ranks {
            let failed = |e: trieval_eval::Error| Error::Failed(e.to_string());
            let catalogue = corpus.catalogue()?;
            let mut qrels = Qrels::builder();
            for (request, item, grade) in &judgements {
                let Some(number) = number(request) else { continue };
                let (request, item) = (&requests[number].id, &catalogue.ids[*item as usize]);
                qrels.push(request, item, f64::from(*grade)).map_err(failed)?;
            }
            Some(Ranking {
                metric: settings.metric.parse().map_err(failed)?,
                relevant_grade,
                qrels: qrels.finish().map_err(failed)?,
                catalogue,
                identifier: identifier.to_owned(),
                beam: settings.beam,
                removes_history: corpus.summary().remove_history,
            })
        } else {
            None
        };
        Ok(Self { model, requests, prompts, answers, ranking })
    }

    /// Cross-entropy in nats per identifier token, in batches of `batch` rows, and the metric of lists where one decides.
    pub(super) fn measure(&self, decoder: &Decoder, batch: usize) -> Result<Measured> {
        let mut measured = BTreeMap::from([(LOSS.to_owned(), self.loss(decoder, batch)?)]);
        if let Some(ranking) = &self.ranking {
            measured.insert(ranking.metric.to_string(), self.rank(decoder, ranking)?);
        }
        Ok(measured)
    }

    fn loss(&self, decoder: &Decoder, batch: usize) -> Result<f64> {
        let items = self.model.prompts.items();
        let (mut sum, mut n_targets) = (0.0, 0);
        for chunk in self.answers.chunks(batch.max(1)) {
            let row = |(request, item): &(usize, u32)| {
                Row::answer(&self.prompts[*request], items.tokens(*item))
            };
            let rows: Vec<Row> = chunk.iter().map(row).collect();
            let batch = TargetBatch::new(&rows)?;
            let log_probs = batch.log_probs(decoder)?.to_vec1::<f32>()?;
            sum -= log_probs.iter().map(|&value| f64::from(value)).sum::<f64>();
            n_targets += batch.n_targets();
        }
        Ok(sum / n_targets as f64)
    }

    fn rank(&self, decoder: &Decoder, ranking: &Ranking) -> Result<f64> {
        let failed = |e: trieval_eval::Error| Error::Failed(e.to_string());
        let index = open_index(&ranking.identifier)?;
        let decode = DecodeSettings { beam: ranking.beam, normalizer: Normalizer::Exact };
        let items = self.model.prompts.items().clone();
        let retriever = Retriever::new(decoder.freeze(Threads::One)?, index, items, &decode);
        let lists: Vec<Vec<(u32, f32)>> = self
            .requests
            .par_iter()
            .zip(&self.prompts)
            .map(|(request, prompt)| {
                let excluded: &[u32] = if ranking.removes_history { &request.history } else { &[] };
                let hits = retriever.retrieve(prompt, Filter::Without(excluded))?;
                Ok(hits.into_iter().map(|hit| (hit.item, hit.score)).collect())
            })
            .collect::<Result<_>>()?;
        let run = to_run("validation", &self.requests, &lists, &ranking.catalogue)?;
        let metrics = std::slice::from_ref(&ranking.metric);
        let scores = evaluate(&run, &ranking.qrels, metrics, ranking.relevant_grade);
        let value = scores.map_err(failed)?.mean(&ranking.metric);
        value.ok_or_else(|| Error::Failed(format!("{} was not measured", ranking.metric)))
    }
}

/// Clicks of the validation requests, in their order.
fn clicked(corpus: &Corpus) -> Result<Vec<(u32, u32)>> {
    let mut clicked = Vec::new();
    for page in corpus.impressions_of(Split::Validation)? {
        let (request, impressions) = page?;
        let hits = impressions.iter().filter(|impression| impression.click);
        clicked.extend(hits.map(|impression| (request, impression.item)));
    }
    Ok(clicked)
}
