//! Lets a ranker answer requests, and measures how long and in how much memory it does so.
//!
//! Latency is that of single requests. How many are answered per second where they come in batches
//! is measured apart, on a few of the requests, and changes no answer.
//!
//! Answers are kept in a journal as they come: an interrupted step goes on behind the last of them.

use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use trieval_kernels::ops::alone;

use crate::corpus::{Ask, Request};
use crate::error::Result;
use crate::progress::Context;
use crate::ranker::{Retrieve, Scored};
use crate::store::Journal;

/// Requests answered between two looks at the interrupt flag, and the most that a kill loses.
const CHUNK: usize = 64;

/// Requests of a batch where throughput is measured.
const BATCH: usize = 64;

/// Most requests, their least part, and most seconds that this takes.
const MOST_BATCHED: usize = 128;
const PART_BATCHED: usize = 4;
const BATCH_SECONDS: f64 = 10.0;

/// Name of the journal inside a step's working folder.
const JOURNAL_FILE: &str = "answers.journal";

/// Answers to a list of requests, in their order.
pub struct Answers {
    /// Ranked items with scores, per request.
    pub lists: Vec<Vec<Scored>>,
    /// How it went.
    pub cost: Cost,
}

/// What answering cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Milliseconds per request, in the order of the requests; none where they are not known (run files).
    pub milliseconds: Vec<f64>,
    /// Requests in flight at the same time.
    pub in_flight: usize,
    /// Wall seconds spent answering all of them.
    pub seconds: f64,
    /// Largest resident memory of the process while answering, in bytes, where the system tells.
    pub peak_bytes: Option<u64>,
    /// Requests per second where they come in batches; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Throughput>,
}

/// How fast batches are answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// Requests per batch.
    pub batch: usize,
    /// Requests that were asked.
    pub requests: usize,
    /// Wall seconds spent on them.
    pub seconds: f64,
}

/// How a ranker is asked.
pub struct Asking<'a> {
    /// Name shown beside the progress bar.
    pub label: &'a str,
    /// Items per request.
    pub depth: usize,
    /// Keep items of the request's history out.
    pub exclude_history: bool,
    /// Where answers are kept until the step is finished.
    pub work: &'a Path,
}

/// Asks `ranker` every request that the journal in `asking.work` holds no answer to yet.
///
/// # Errors
/// Whatever the ranker meets, or [`crate::Error::Interrupted`].
pub fn answer(
    ranker: &dyn Retrieve,
    requests: &[Request],
    asking: &Asking<'_>,
    ctx: &Context,
) -> Result<Answers> {
    reset_peak_memory();
    let (mut journal, frames) = Journal::open(&asking.work.join(JOURNAL_FILE))?;
    let mut answers = Answers {
        lists: Vec::with_capacity(requests.len()),
        cost: Cost {
            milliseconds: Vec::with_capacity(requests.len()),
            in_flight: rayon::current_num_threads(),
            seconds: 0.0,
            peak_bytes: None,
            throughput: None,
        },
    };
    for (chunk, frame) in requests.chunks(CHUNK).zip(&frames) {
        // A frame that is not what is expected here ends what can be used.
        let Some(done) = Answered::decode(frame, chunk.len()) else { break };
        answers.add(done);
    }
    let done = answers.lists.len();
    let mut bar = ctx.bar(asking.label, requests.len() as u64, "request");
    bar.resume_at(done as u64);
    for chunk in requests[done..].chunks(CHUNK) {
        ctx.check_interrupt()?;
        let started = Instant::now();
        let replies = chunk
            .par_iter()
            .map(|request| ask(ranker, request, asking))
            .collect::<Result<Vec<_>>>()?;
        let answered = Answered { seconds: started.elapsed().as_secs_f64(), replies };
        let seconds = answered.seconds;
        journal.append(&answered.encode())?;
        answers.add(answered);
        bar.advance(chunk.len() as u64);
        let done = answers.lists.len();
        if ctx.is_probing() && done > CHUNK && done < requests.len() {
            // The first chunk is slow: memory is taken, files are read. The second stands for all others.
            let rest = requests.len() - done;
            ctx.leave_out(seconds * rest as f64 / chunk.len() as f64);
            answers.lists.resize(requests.len(), Vec::new());
            answers.cost.milliseconds.resize(requests.len(), 0.0);
            break;
        }
    }
    answers.cost.peak_bytes = peak_memory();
    Ok(answers)
}

/// Asks `ranker` some of the requests once more, in batches on all threads: a fourth of them, a few
/// hundred and some seconds at most. None where there are too few for a batch of one.
///
/// # Errors
/// Whatever the ranker meets, or [`crate::Error::Interrupted`].
pub fn throughput(
    ranker: &dyn Retrieve,
    requests: &[Request],
    asking: &Asking<'_>,
    ctx: &Context,
) -> Result<Option<Throughput>> {
    let n_sampled = (requests.len() / PART_BATCHED).min(MOST_BATCHED);
    let batch = n_sampled.min(BATCH);
    if batch == 0 {
        return Ok(None);
    }
    // Evenly over all, for neighbors may be alike; batches are full.
    let n_sampled = n_sampled / batch * batch;
    let at = |place: usize| &requests[place * requests.len() / n_sampled].ask;
    let sample: Vec<&Ask> = (0..n_sampled).map(at).collect();
    let mut measured = Throughput { batch, requests: 0, seconds: 0.0 };
    let mut bar = ctx.bar(&format!("{}, in batches", asking.label), n_sampled as u64, "request");
    for sample in sample.chunks(batch) {
        ctx.check_interrupt()?;
        let exclude = sample.iter().map(|ask| ask.excluded(asking.exclude_history));
        let exclude: Vec<Vec<u32>> = exclude.collect();
        let started = Instant::now();
        let lists = ranker.retrieve_all(sample, asking.depth, &exclude)?;
        measured.seconds += started.elapsed().as_secs_f64();
        measured.requests += lists.len();
        bar.advance(lists.len() as u64);
        if measured.seconds > BATCH_SECONDS {
            break;
        }
    }
    Ok(Some(measured))
}

fn ask(ranker: &dyn Retrieve, request: &Request, asking: &Asking<'_>) -> Result<Reply> {
    let exclude = request.ask.excluded(asking.exclude_history);
    let started = Instant::now();
    // A thread that waits for help with one request would begin another, whose time would count for both.
    let list = alone(|| ranker.retrieve(&request.ask, asking.depth, &exclude))?;
    Ok(Reply { milliseconds: started.elapsed().as_secs_f64() * 1e3, list })
}

impl Answers {
    fn add(&mut self, answered: Answered) {
        self.cost.seconds += answered.seconds;
        for reply in answered.replies {
            self.cost.milliseconds.push(reply.milliseconds);
            self.lists.push(reply.list);
        }
    }
}

/// One answered request.
#[derive(Debug, Clone, PartialEq)]
struct Reply {
    milliseconds: f64,
    list: Vec<Scored>,
}

/// One chunk of answered requests: a frame of the journal.
#[derive(Debug, Clone, PartialEq)]
struct Answered {
    seconds: f64,
    replies: Vec<Reply>,
}

impl Answered {
    /// `f64` seconds; per request `f64` milliseconds, `u32` length, and (`u32` item, `f32` score)
    /// as often; little-endian.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.seconds.to_le_bytes().to_vec();
        for reply in &self.replies {
            bytes.extend(reply.milliseconds.to_le_bytes());
            bytes.extend((reply.list.len() as u32).to_le_bytes());
            for (item, score) in &reply.list {
                bytes.extend(item.to_le_bytes());
                bytes.extend(score.to_le_bytes());
            }
        }
        bytes
    }

    /// The replies to `n_requests` requests; none where the frame does not hold as many.
    fn decode(frame: &[u8], n_requests: usize) -> Option<Self> {
        let mut rest = frame;
        let seconds = f64::from_le_bytes(take(&mut rest)?);
        let mut replies = Vec::with_capacity(n_requests);
        for _ in 0..n_requests {
            let milliseconds = f64::from_le_bytes(take(&mut rest)?);
            let n_items = u32::from_le_bytes(take(&mut rest)?);
            let entry = |rest: &mut &[u8]| {
                Some((u32::from_le_bytes(take(rest)?), f32::from_le_bytes(take(rest)?)))
            };
            let list = (0..n_items).map(|_| entry(&mut rest)).collect::<Option<Vec<_>>>()?;
            replies.push(Reply { milliseconds, list });
        }
        rest.is_empty().then_some(Self { seconds, replies })
    }
}

/// The first `N` bytes, which are removed from `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    /// Answers with the request's own number, and asks for an end after `limit` requests.
    struct Echo {
        asked: AtomicUsize,
        limit: usize,
        stop: Arc<AtomicBool>,
    }

    impl Retrieve for Echo {
        fn retrieve(&self, ask: &Ask, _: usize, _: &[u32]) -> Result<Vec<Scored>> {
            if self.asked.fetch_add(1, Ordering::Relaxed) + 1 >= self.limit {
                self.stop.store(true, Ordering::Relaxed);
            }
            let row = ask.row.unwrap();
            Ok(vec![(row, 0.1 * row as f32); (row % 3) as usize])
        }
    }

    fn requests(n: u32) -> Vec<Request> {
        (0..n).map(Request::bare).collect()
    }

    #[test]
    fn an_interrupted_step_goes_on_behind_its_last_answer() {
        let folder = tempfile::tempdir().unwrap();
        let asking =
            Asking { label: "echo", depth: 3, exclude_history: false, work: folder.path() };
        let requests = requests(300);
        let ask = |limit: usize| {
            let stop = Arc::new(AtomicBool::new(false));
            let echo = Echo { asked: AtomicUsize::new(0), limit, stop: Arc::clone(&stop) };
            let outcome = answer(&echo, &requests, &asking, &Context::new(true, stop));
            (outcome, echo.asked.into_inner())
        };
        let (outcome, asked) = ask(100);
        assert!(matches!(outcome, Err(Error::Interrupted)));
        assert_eq!(asked, 128);
        let (outcome, asked) = ask(usize::MAX);
        assert_eq!(asked, 300 - 128);
        let answers = outcome.unwrap();
        assert_eq!(answers.cost.milliseconds.len(), 300);
        for (idx, list) in (0u32..).zip(&answers.lists) {
            assert_eq!(*list, vec![(idx, 0.1 * idx as f32); (idx % 3) as usize]);
        }
    }

    #[test]
    fn batches_are_a_bounded_part_of_the_requests_and_can_be_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let asking =
            Asking { label: "echo", depth: 3, exclude_history: false, work: folder.path() };
        let measure = |n: u32, limit: usize| {
            let stop = Arc::new(AtomicBool::new(false));
            let echo = Echo { asked: AtomicUsize::new(0), limit, stop: Arc::clone(&stop) };
            let outcome = throughput(&echo, &requests(n), &asking, &Context::new(true, stop));
            (outcome, echo.asked.into_inner())
        };
        for (n, batch, asked) in [(4, 1, 1), (40, 10, 10), (300, 64, 64), (9_000, 64, 128)] {
            let (outcome, n_asked) = measure(n, usize::MAX);
            let measured = outcome.unwrap().unwrap();
            assert_eq!((measured.batch, measured.requests, n_asked), (batch, asked, asked), "{n}");
            assert!(measured.seconds > 0.0);
        }
        assert_eq!(measure(3, usize::MAX).0.unwrap(), None);
        let (outcome, n_asked) = measure(9_000, 10);
        assert!(matches!(outcome, Err(Error::Interrupted)));
        assert_eq!(n_asked, 64);
        // Nothing is written.
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn frames_read_back_and_every_cut_is_noticed() {
        let answered = Answered {
            seconds: 0.5,
            replies: vec![
                Reply { milliseconds: 0.25, list: vec![(7, -1.5), (8, f32::MIN_POSITIVE)] },
                Reply { milliseconds: 1.0, list: Vec::new() },
            ],
        };
        let frame = answered.encode();
        assert_eq!(Answered::decode(&frame, 2), Some(answered));
        assert_eq!(Answered::decode(&frame, 1), None);
        assert!((0..frame.len()).all(|cut| Answered::decode(&frame[..cut], 2).is_none()));
    }
}
