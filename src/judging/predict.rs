//! Asks a system to score the judged pairs, so that figures of labelled predictions are over the same pairs for all systems
//! and not over what each happened to return.

use std::collections::HashMap;

use rayon::prelude::*;
use trieval_eval::Run;
use trieval_eval::metric::Metric;

use crate::corpus::{Catalogue, Corpus, Request, RequestIdx, Split};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::ranker::Rank;
use crate::ranker::harness::{Example, Predict};

/// Requests between two looks at the interrupt flag.
const CHUNK: usize = 64;

/// Whether metrics ask for figures of labelled predictions.
pub fn is_wanted(metrics: &[String]) -> bool {
    let metrics = metrics.iter().map(|text| text.parse::<Metric>());
    metrics.flatten().any(|metric| metric.labelled().is_some())
}

/// Scores of all judged items of `requests`, as a run; items keep the order of the judgments.
///
/// # Errors
/// Whatever the system meets, or [`Error::Interrupted`].
pub fn predict(
    name: &str,
    system: &dyn Rank,
    requests: &[Request],
    (corpus, catalogue): (&Corpus, &Catalogue),
    split: Split,
    ctx: &Context,
) -> Result<Run> {
    let mut judged: HashMap<RequestIdx, Vec<u32>> = HashMap::new();
    for (request, item, _) in corpus.judgements(split)? {
        judged.entry(request).or_default().push(item);
    }
    let failed = |e: trieval_eval::Error| Error::Failed(format!("system {name}: {e}"));
    let mut run = Run::builder(name);
    let mut bar = ctx.bar(&format!("{name}, judged pairs"), requests.len() as u64, "request");
    for chunk in requests.chunks(CHUNK) {
        ctx.check_interrupt()?;
        let scores: Vec<Vec<f32>> = chunk
            .par_iter()
            .map(|request| {
                let items = judged.get(&request.idx).into_iter().flatten();
                let examples: Vec<Example<'_>> =
                    items.map(|&item| Example { ask: &request.ask, item }).collect();
                system.predict(&examples)
            })
            .collect::<Result<_>>()?;
        for (request, scores) in chunk.iter().zip(scores) {
            let items = judged.get(&request.idx).into_iter().flatten();
            for (&item, score) in items.zip(scores) {
                run.push(&request.id, &catalogue.ids[item as usize], score).map_err(failed)?;
            }
        }
        bar.advance(chunk.len() as u64);
    }
    run.finish().map_err(failed)
}
