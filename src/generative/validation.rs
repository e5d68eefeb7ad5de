//! What a decoder's training is looked at with: a sample of validation requests, prompted and searched as in evaluation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use trieval_kernels::beam::Filter;
use trieval_kernels::ops::Threads;

use super::{Bundle, open_index};
use crate::corpus::Request;
use crate::decode::retriever::Retriever;
use crate::decode::settings::{DecodeSettings, Normalizer};
use crate::error::{Error, Result};
use crate::model::Decoder;
use crate::train::course::settings::{LOSS, ValidationSettings};
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
}

/// What a metric of lists needs.
struct Ranking {
    metric: String,
    identifier: PathBuf,
    normalizer: Normalizer,
    beam: u32,
}

impl<'a> HeldOutDecoder<'a> {
    /// Draws the sample.
    pub(super) fn new(
        settings: &ValidationSettings,
        training: &str,
        judge: &'a dyn Judge,
        bundle: &'a Bundle,
        (identifier, normalizer): (&Path, Normalizer),
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
        Ok(Self { bundle, held_out, prompts, ranking })
    }

    /// Cross-entropy in nats per identifier token, in batches of `batch` rows, and the metric of lists where one decides.
    pub(super) fn measure(&self, decoder: &Decoder, batch: usize) -> Result<Measured> {
        let mut measured = BTreeMap::from([(LOSS.to_owned(), self.loss(decoder, batch)?)]);
        if let Some(ranking) = &self.ranking {
            measured.insert(ranking.metric.clone(), self.rank(decoder, ranking)?);
        }
        Ok(measured)
    }

    fn loss(&self, decoder: &Decoder, batch: usize) -> Result<f64> {
        let items = self.bundle.prompts.items();
        let (mut sum, mut n_targets) = (0.0, 0);
        for chunk in self.held_out.answers().chunks(batch.max(1)) {
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
        let index = open_index(&ranking.identifier)?;
        let decode = DecodeSettings { beam: ranking.beam, normalizer: ranking.normalizer };
        let items = self.bundle.prompts.items().clone();
        let retriever = Retriever::new(decoder.freeze(Threads::One)?, index, items, &decode);
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
}
