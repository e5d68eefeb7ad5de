//! Trains a sequence model, validated on the requests of the validation split.

use rand::seq::SliceRandom;
use trieval_eval::metric::Metric;
use trieval_eval::{Qrels, evaluate};

use super::system::to_run;
use crate::corpus::{Catalogue, Corpus, Request, Split};
use crate::error::{Error, Result};
use crate::pipeline::runner::StepEnv;
use crate::ranker::sasrec::{self, Place, Sasrec, Sequences};
use crate::ranker::settings::SasrecSettings;

/// Longest list of a validation whose metric states no cut-off.
const DEEPEST: usize = 1_000;

pub(super) fn execute(env: &StepEnv<'_>, settings: &SasrecSettings) -> Result<()> {
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let sequences = Sequences::of(&corpus)?;
    let held_out = HeldOut::new(env, &corpus, settings)?;
    let place = Place { seed: env.seed(), out: &env.out, work: &env.work, ctx: env.ctx };
    sasrec::fit(&sequences, settings, &place, |model| held_out.measure(model))
}

/// Validation requests with what answers them.
struct HeldOut {
    requests: Vec<Request>,
    /// Items that must not be answered, ascending, per request.
    exclude: Vec<Vec<u32>>,
    qrels: Qrels,
    catalogue: Catalogue,
    metric: Metric,
    relevant_grade: f64,
}

impl HeldOut {
    fn new(env: &StepEnv<'_>, corpus: &Corpus, settings: &SasrecSettings) -> Result<Self> {
        let failed = |e: trieval_eval::Error| Error::Failed(e.to_string());
        let relevant_grade = env.loaded.recipe.evaluation.relevant_grade;
        let catalogue = corpus.catalogue()?;
        let judged: Vec<(u32, u32, f32)> = corpus
            .judgements(Split::Validation)?
            .into_iter()
            .filter(|(_, _, grade)| f64::from(*grade) >= relevant_grade)
            .collect();
        let mut requests = corpus.requests(Split::Validation)?;
        requests.retain(|request| {
            let has_answer = judged.binary_search_by_key(&request.idx, |(one, ..)| *one).is_ok();
            has_answer && !request.history.is_empty()
        });
        if requests.is_empty() {
            let message = format!(
                "system {} cannot be validated: no validation request has a history and a relevant item",
                settings.name
            );
            return Err(Error::data(corpus.folder(), message));
        }
        requests.shuffle(&mut env.seed().purpose("validation").rng());
        requests.truncate(settings.validation.requests as usize);
        requests.sort_by_key(|request| request.idx);
        let mut qrels = Qrels::builder();
        for (request, item, grade) in judged {
            let number = requests.binary_search_by_key(&request, |one| one.idx);
            let Ok(number) = number else { continue };
            let (request, item) = (&requests[number].id, &catalogue.ids[item as usize]);
            qrels.push(request, item, f64::from(grade)).map_err(failed)?;
        }
        let removes_history = corpus.summary().remove_history;
        Ok(Self {
            exclude: requests.iter().map(|request| request.excluded(removes_history)).collect(),
            requests,
            qrels: qrels.finish().map_err(failed)?,
            catalogue,
            metric: settings.validation.metric.parse().map_err(failed)?,
            relevant_grade,
        })
    }

    fn measure(&self, model: &Sasrec) -> Result<f64> {
        let histories: Vec<&[u32]> =
            self.requests.iter().map(|request| request.history.as_slice()).collect();
        let depth = self.metric.cutoff().map_or(DEEPEST, |cutoff| cutoff as usize);
        let lists = model.rank_all(&histories, &self.exclude, depth)?;
        let run = to_run("validation", &self.requests, &lists, &self.catalogue)?;
        let metrics = std::slice::from_ref(&self.metric);
        let scores = evaluate(&run, &self.qrels, metrics, self.relevant_grade);
        let value = scores.map_err(|e| Error::Failed(e.to_string()))?.mean(&self.metric);
        value.ok_or_else(|| Error::Failed(format!("{} was not measured", self.metric)))
    }
}
