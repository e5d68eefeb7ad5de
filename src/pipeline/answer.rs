//! Lets a ranker answer requests, and measures how long and in how much memory it does so.

use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::corpus::Request;
use crate::error::Result;
use crate::progress::Context;
use crate::ranker::Ranker;

/// Requests answered between two looks at the interrupt flag.
const CHUNK: usize = 64;

/// Answers to a list of requests, in their order.
pub struct Answers {
    /// Ranked items with scores, per request.
    pub lists: Vec<Vec<(u32, f32)>>,
    /// How it went.
    pub cost: Cost,
}

/// What answering cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Milliseconds per request, in the order of the requests.
    pub milliseconds: Vec<f64>,
    /// Requests in flight at the same time.
    pub in_flight: usize,
    /// Largest resident memory of the process while answering, in bytes, where the system tells.
    pub peak_bytes: Option<u64>,
}

/// Asks `ranker` every request; `exclude_history` keeps items of the request's history out.
///
/// # Errors
/// Whatever the ranker meets, or [`crate::Error::Interrupted`].
pub fn answer(
    ranker: &dyn Ranker,
    label: &str,
    requests: &[Request],
    depth: usize,
    exclude_history: bool,
    ctx: &Context,
) -> Result<Answers> {
    reset_peak_memory();
    let mut bar = ctx.bar(label, requests.len() as u64, "request");
    let mut lists = Vec::with_capacity(requests.len());
    let mut milliseconds = Vec::with_capacity(requests.len());
    for chunk in requests.chunks(CHUNK) {
        ctx.check_interrupt()?;
        let answered: Vec<(Vec<(u32, f32)>, f64)> = chunk
            .par_iter()
            .map(|request| {
                let mut exclude =
                    if exclude_history { request.history.clone() } else { Vec::new() };
                exclude.sort_unstable();
                exclude.dedup();
                let started = Instant::now();
                let list = ranker.rank(request, depth, &exclude)?;
                Ok((list, started.elapsed().as_secs_f64() * 1e3))
            })
            .collect::<Result<_>>()?;
        for (list, time) in answered {
            lists.push(list);
            milliseconds.push(time);
        }
        bar.advance(chunk.len() as u64);
    }
    let in_flight = rayon::current_num_threads();
    Ok(Answers { lists, cost: Cost { milliseconds, in_flight, peak_bytes: peak_memory() } })
}

/// Starts the kernel's high-water mark anew, where it can be (Linux).
fn reset_peak_memory() {
    // Without the right to do so the mark stays as it is, which over-states and never under-states.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Largest resident memory since the last reset, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
