//! What an index loses and gains against exact search: measured, never assumed.

use std::time::Instant;

use super::HnswIndex;
use crate::error::Result;
use crate::progress::Context;
use crate::ranker::harness::Comparison;
use crate::vectors::Vectors;
use crate::vectors::exact;

/// Nearest items of which the index should find all.
const NEAREST: usize = 10;

/// A query with what must not be found.
pub struct Query {
    /// `[dim]`.
    pub vector: Vec<f32>,
    /// Items, ascending.
    pub exclude: Vec<u32>,
}

/// Asks both for `depth` items, at least ten, per query. One after the other, so that neither finds the cache as the other
/// left it.
///
/// # Errors
/// When the index fails, [`crate::Error::Interrupted`] when the user asked to stop.
pub fn compare(
    index: &HnswIndex,
    vectors: &Vectors,
    queries: &[Query],
    depth: usize,
    ctx: &Context,
) -> Result<Comparison> {
    let depth = depth.max(NEAREST);
    let mut exact_us = Vec::with_capacity(queries.len());
    let mut nearest = Vec::with_capacity(queries.len());
    for Query { vector, exclude } in queries {
        ctx.check_interrupt()?;
        let started = Instant::now();
        let list = exact(vectors, vector, depth, exclude);
        exact_us.push(started.elapsed().as_secs_f64() * 1e6);
        nearest.push(list.into_iter().take(NEAREST).collect::<Vec<_>>());
    }
    let mut approximate_us = Vec::with_capacity(queries.len());
    let (mut recalls, mut judged) = (0.0, 0u64);
    for (Query { vector, exclude }, nearest) in queries.iter().zip(&nearest) {
        ctx.check_interrupt()?;
        let started = Instant::now();
        let list = index.search(vectors, vector, depth, exclude)?;
        approximate_us.push(started.elapsed().as_secs_f64() * 1e6);
        if let Some((_, least)) = nearest.last() {
            let found = list.iter().take(nearest.len()).filter(|(_, score)| score >= least);
            recalls += found.count() as f64 / nearest.len() as f64;
            judged += 1;
        }
    }
    let (exact_us, approximate_us) = (median(exact_us), median(approximate_us));
    Ok(Comparison {
        recall_at_10: recalls / judged.max(1) as f64,
        speedup: if approximate_us > 0.0 { exact_us / approximate_us } else { 0.0 },
        requests: queries.len() as u64,
        exact_us,
        approximate_us,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
