//! What the training of an encoder is looked at with: held-out requests against all items, under the current weights.

use trieval_kernels::ops::dots;
use trieval_kernels::top::Pool;

use super::Vectors;
use crate::corpus::Request;
use crate::error::Result;
use crate::train::course::settings::{Course, CourseDefaults};
use crate::train::held_out::{HeldOut, Judge, Sample};
use crate::train::validation::Measured;

/// Measures the metric that decides; none where the course is not validated. `encode` gives the vectors of all items and
/// of the requests, under the current weights.
///
/// # Errors
/// [`crate::Error::Data`] when no validation request can be used.
pub fn validation<'a, D: CourseDefaults>(
    course: &Course<D>,
    label: &str,
    judge: &'a dyn Judge,
    encode: impl Fn(&[Request]) -> Result<(Vectors, Vec<Vec<f32>>)> + 'a,
) -> Result<Option<impl FnMut() -> Result<Measured> + 'a>> {
    let Some(settings) = &course.validation else { return Ok(None) };
    let metric = settings.metric.clone();
    let sample = Sample {
        metric: Some(&metric),
        requests: settings.requests,
        with_history: false,
        with_answer: false,
    };
    let held_out = judge.held_out(label, &sample)?;
    Ok(Some(move || {
        let (items, asked) = encode(held_out.requests())?;
        let lists = nearest(&items, &asked, held_out.as_ref());
        Ok([(metric.clone(), held_out.measure(&lists)?)].into())
    }))
}

/// The best items of every request by inner product, none of those that it must not be answered with.
fn nearest(items: &Vectors, asked: &[Vec<f32>], held_out: &dyn HeldOut) -> Vec<Vec<(u32, f32)>> {
    let mut scores = vec![0.0; items.len()];
    let mut lists = Vec::with_capacity(asked.len());
    for (query, exclude) in asked.iter().zip(held_out.exclude()) {
        dots(&items.data, items.dim, query, &mut scores);
        let mut best = Pool::new(held_out.depth());
        for candidate in (0u32..).zip(scores.iter().copied()) {
            if best.takes(&candidate) && exclude.binary_search(&candidate.0).is_err() {
                best.offer(candidate);
            }
        }
        lists.push(best.into_best());
    }
    lists
}
