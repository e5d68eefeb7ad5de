//! Asks a system to score labelled items, so that figures of labelled predictions are over the same items for all systems
//! and not over what each happened to return.

use trieval_eval::Run;
use trieval_eval::metric::Metric;

use super::labelled::LabelledItems;
use crate::corpus::{Catalogue, Request};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::ranker::Rank;
use crate::ranker::harness::first_outputs;

/// Requests between two looks at the interrupt flag.
const CHUNK: usize = 64;

/// Whether metrics ask for figures of labelled predictions.
pub fn is_wanted(metrics: &[String]) -> bool {
    let metrics = metrics.iter().map(|text| text.parse::<Metric>());
    metrics.flatten().any(|metric| metric.labelled().is_some())
}

/// Scores of all labelled items of `requests`, as a run; items keep the order of the labels.
///
/// # Errors
/// Whatever the system meets, or [`Error::Interrupted`].
pub fn predict(
    name: &str,
    system: &dyn Rank,
    requests: &[Request],
    labelled: &LabelledItems,
    catalogue: &Catalogue,
    ctx: &Context,
) -> Result<Run> {
    let failed = |e: trieval_eval::Error| Error::Failed(format!("system {name}: {e}"));
    let mut run = Run::builder(name);
    let mut bar = ctx.bar(&format!("{name}, labelled items"), requests.len() as u64, "request");
    for chunk in requests.chunks(CHUNK) {
        ctx.check_interrupt()?;
        let (asked, slates) = labelled.slates(chunk);
        let scores = first_outputs(system, &slates)?;
        for ((request, slate), scores) in asked.into_iter().zip(&slates).zip(scores) {
            for (&item, score) in slate.items().iter().zip(scores) {
                run.push(&request.id, &catalogue.ids[item as usize], score).map_err(failed)?;
            }
        }
        bar.advance(chunk.len() as u64);
    }
    run.finish().map_err(failed)
}
