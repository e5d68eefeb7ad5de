//! What a decoder's training is looked at with: a sample of validation requests, prompted and searched as in evaluation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use trieval_kernels::beam::Filter;
use trieval_kernels::ops::Threads;

use super::{Bundle, open_index};
use crate::corpus::Request;
use crate::decode::retriever::Retriever;
use crate::decode::settings::{DecodeSettings, Normalizer};
use crate::decode::spans::settings::SpanDecodeSettings;
use crate::decode::spans::{SpanRetriever, Spans};
use crate::error::{Error, Result};
use crate::model::Decoder;
use crate::seed::Seed;
use crate::train::course::settings::{LOSS, ValidationSettings};
use crate::train::data::spans::SpanLessons;
use crate::train::held_out::{HeldOut, Judge, Sample};
use crate::train::objective::{Row, TargetBatch};
use crate::train::validation::Measured;

/// Validation requests with their prompts.
pub(super) struct HeldOutDecoder<'a> {
    bundle: &'a Bundle,
    held_out: Box<dyn HeldOut + 'a>,
    /// Prompt of each request.
    prompts: Vec<Vec<u32>>,
    ranking: Option<Ranking>,
    /// What the first identifier says, where that is one of spans.
    spans: Option<Arc<Spans>>,
    seed: Seed,
}

/// What a metric of lists needs.
struct Ranking {
    metric: String,
    identifier: PathBuf,
    normalizer: Normalizer,
    beam: u32,
}

/// Items are looked at so many deep where spans find them.
const DEPTH: usize = 1_000;

impl<'a> HeldOutDecoder<'a> {
    /// Draws the sample.
    pub(super) fn new(
        settings: &ValidationSettings,
        training: &str,
        judge: &'a dyn Judge,
        bundle: &'a Bundle,
        (identifier, normalizer): (&Path, Normalizer),
        seed: Seed,
    ) -> Result<Self> {
        let metric = Some(settings.metric.as_str()).filter(|metric| *metric != LOSS);
        let sample =
            Sample { metric, requests: settings.requests, with_history: false, with_answer: true };
        let held_out = judge.held_out(&format!("training {training}"), &sample)?;
        let build = |request: &Request| {
            let prompt =
                bundle.prompts.build(request.ask.query.as_deref(), &request.ask.history)?;
            Ok::<_, Error>(prompt.tokens)
        };
        let prompts = held_out.requests().iter().map(build).collect::<Result<_>>()?;
        let ranking = metric.map(|metric| Ranking {
            metric: metric.to_owned(),
            identifier: identifier.to_owned(),
            normalizer,
            beam: settings.beams(),
        });
        let (spans, seed) = (bundle.spans(0)?.map(Arc::new), seed.purpose("validation-spans"));
        Ok(Self { bundle, held_out, prompts, ranking, spans, seed })
    }

    /// Cross-entropy in nats per identifier token, in batches of `batch` rows, and the metric of lists where one decides.
    pub(super) fn measure(&self, decoder: &Decoder, batch: usize) -> Result<Measured> {
        let mut measured = BTreeMap::from([(LOSS.to_owned(), self.loss(decoder, batch)?)]);
        if let Some(ranking) = &self.ranking {
            measured.insert(ranking.metric.clone(), self.rank(decoder, ranking)?);
        }
        Ok(measured)
    }

    /// What is to be said to a validation request: an item's codes, or a sample of its spans, the same each time.
    fn rows(&self, request: usize, item: u32) -> Result<Vec<Row>> {
        let prompt = &self.prompts[request];
        let Some(spans) = &self.spans else {
            return Ok(vec![Row::answer(prompt, self.bundle.prompts.items().tokens(item))]);
        };
        let mut rng = self.seed.index(u64::from(item)).rng();
        let query = self.held_out.requests()[request].ask.query.as_deref();
        SpanLessons::new(spans).rows(prompt, query, item, &mut rng)
    }

    fn loss(&self, decoder: &Decoder, batch: usize) -> Result<f64> {
        let (mut sum, mut n_targets) = (0.0, 0);
        for chunk in self.held_out.answers().chunks(batch.max(1)) {
            let rows = chunk.iter().map(|(request, item)| self.rows(*request, *item));
            let rows = rows.collect::<Result<Vec<_>>>()?.concat();
            if rows.is_empty() {
                continue;
            }
            let batch = TargetBatch::new(&rows)?;
            let log_probs = batch.log_probs(decoder)?.to_vec1::<f32>()?;
            sum -= log_probs.iter().map(|&value| f64::from(value)).sum::<f64>();
            n_targets += batch.n_targets();
        }
        // None, where no answer has a text to say.
        Ok(sum / n_targets.max(1) as f64)
    }

    fn rank(&self, decoder: &Decoder, ranking: &Ranking) -> Result<f64> {
        if let Some(spans) = &self.spans {
            return self.rank_by_spans(decoder, spans);
        }
        let index = open_index(&ranking.identifier)?;
        let decode = DecodeSettings { beam: ranking.beam, normalizer: ranking.normalizer };
        let items = self.bundle.prompts.items().clone();
        let retriever =
            Retriever::new(Arc::new(decoder.freeze(Threads::One)?), index, items, &decode);
        let lists: Vec<Vec<(u32, f32)>> = self
            .prompts
            .par_iter()
            .zip(self.held_out.exclude())
            .map(|(prompt, exclude)| {
                let hits = retriever.retrieve(prompt, Filter::Without(exclude))?;
                Ok(hits.into_iter().map(|hit| (hit.item, hit.score)).collect())
            })
            .collect::<Result<_>>()?;
        self.held_out.measure(&lists)
    }

    /// With the constants that a system has where it says nothing of them.
    fn rank_by_spans(&self, decoder: &Decoder, spans: &Arc<Spans>) -> Result<f64> {
        let decoder = Arc::new(decoder.freeze(Threads::One)?);
        let settings = SpanDecodeSettings::default();
        let retriever = SpanRetriever::new(decoder, spans.clone(), &settings);
        let requests = self.held_out.requests().par_iter();
        let lists: Vec<Vec<(u32, f32)>> = requests
            .zip(&self.prompts)
            .zip(self.held_out.exclude())
            .map(|((request, prompt), exclude)| {
                let said = retriever.say(prompt, request.ask.query.as_deref())?;
                Ok(retriever.items(&said, DEPTH, exclude))
            })
            .collect::<Result<_>>()?;
        self.held_out.measure(&lists)
    }
}
