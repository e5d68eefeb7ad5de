//! Queues between a training and those who watch it: handing a record over never waits, and a watcher that
//! fails is told of once.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::StepRecord;
use super::mlflow::{Mlflow, MlflowRun};
use super::sink::{Entry, Fault, Outcome, Sink, now_millis};
use super::tensorboard::TensorBoard;
use crate::progress::Context;

/// Records that may wait for a thread that is busy.
const CAPACITY: usize = 4_096;
/// Records that wait for a server that cannot be reached; the oldest are given up first.
const KEPT: usize = 50_000;
/// Records delivered at once.
const BATCH: usize = 100;
/// Least time between two deliveries, so that fast steps travel together.
const PAUSE: Duration = Duration::from_secs(1);
/// Most time between two attempts while deliveries fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What a training that has ended waits for its trackers at most.
const LAST_WAIT: Duration = Duration::from_secs(10);

enum Message {
    Begin(u64),
    Entry(Entry),
    End(Outcome),
}

/// All who watch one training; nobody by default. Clones share their queues.
#[derive(Clone, Default)]
pub struct Tracker {
    queues: Arc<[Queue]>,
}

impl std::fmt::Debug for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.queues.iter().map(|queue| queue.name)).finish()
    }
}

struct Queue {
    name: &'static str,
    inbox: SyncSender<Message>,
    /// Disconnected once the thread has ended.
    alive: Mutex<Receiver<()>>,
    lost: AtomicU64,
    label: String,
    ctx: Context,
}

impl Tracker {
    /// Starts the threads of a training called `label`: event files in the folder `tensorboard`, and a run on
    /// an MLflow server.
    pub fn start(
        label: &str,
        tensorboard: Option<PathBuf>,
        mlflow: Option<MlflowRun>,
        ctx: &Context,
    ) -> Self {
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        sinks.extend(tensorboard.map(|to| Box::new(TensorBoard::new(to)) as Box<dyn Sink>));
        sinks.extend(mlflow.map(|run| Box::new(Mlflow::new(run)) as Box<dyn Sink>));
        Self::of(label, sinks, ctx)
    }

    pub(super) fn of(label: &str, sinks: Vec<Box<dyn Sink>>, ctx: &Context) -> Self {
        Self { queues: sinks.into_iter().map(|sink| Queue::start(label, sink, ctx)).collect() }
    }

    /// Tells that the training goes on behind `done` steps.
    pub fn begin(&self, done: u64) {
        for queue in self.queues.iter() {
            queue.push(Message::Begin(done));
        }
    }

    /// Hands a step over; returns at once.
    pub fn record(&self, record: &StepRecord) {
        if self.queues.is_empty() {
            return;
        }
        let entry = Entry { millis: now_millis(), record: record.clone() };
        for queue in self.queues.iter() {
            queue.push(Message::Entry(entry.clone()));
        }
    }

    /// Tells how the training ended, and waits a little for what is still on its way.
    pub fn finish(&self, outcome: Outcome) {
        let deadline = Instant::now() + LAST_WAIT;
        for queue in self.queues.iter() {
            queue.end(outcome, deadline);
        }
        for queue in self.queues.iter() {
            queue.wait(deadline);
        }
    }
}

impl Queue {
    fn start(label: &str, sink: Box<dyn Sink>, ctx: &Context) -> Self {
        let (inbox, messages) = mpsc::sync_channel(CAPACITY);
        let (living, alive) = mpsc::channel();
        let name = sink.name();
        let mut delivery = Delivery {
            sink,
            label: label.to_owned(),
            ctx: ctx.clone(),
            done: None,
            open: false,
            waiting: VecDeque::new(),
            lost: 0,
            told: false,
        };
        std::thread::spawn(move || {
            delivery.serve(&messages);
            drop(living);
        });
        let (label, ctx) = (label.to_owned(), ctx.clone());
        Self { name, inbox, alive: Mutex::new(alive), lost: AtomicU64::new(0), label, ctx }
    }

    fn push(&self, message: Message) {
        if self.inbox.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn end(&self, outcome: Outcome, deadline: Instant) {
        while let Err(TrySendError::Full(_)) = self.inbox.try_send(Message::End(outcome)) {
            if Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait(&self, deadline: Instant) {
        // A poisoned lock means that a wait panicked, which leaves nothing to protect.
        let alive = self.alive.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let late = alive.recv_timeout(left) == Err(RecvTimeoutError::Timeout);
        let lost = self.lost.load(Ordering::Relaxed);
        if late || lost > 0 {
            let why = if late { "does not answer in time" } else { "was too slow" };
            self.ctx.mention(format!(
                "{}: {} {why}; some steps are missing there, train.jsonl holds all of them",
                self.label, self.name
            ));
        }
    }
}

/// The thread's side of a queue.
struct Delivery {
    sink: Box<dyn Sink>,
    label: String,
    ctx: Context,
    /// Steps before the first, once the training has begun.
    done: Option<u64>,
    open: bool,
    waiting: VecDeque<Entry>,
    lost: usize,
    told: bool,
}

impl Delivery {
    fn serve(&mut self, messages: &Receiver<Message>) {
        let (mut due, mut pause) = (Instant::now(), PAUSE);
        loop {
            let message = if self.is_idle() {
                messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                messages.recv_timeout(due.saturating_duration_since(Instant::now()))
            };
            match message {
                Ok(Message::Begin(done)) => self.done = Some(done),
                Ok(Message::Entry(entry)) => self.keep(entry),
                Ok(Message::End(outcome)) => return self.end(outcome),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() < due || self.is_idle() {
                continue;
            }
            pause = match self.deliver() {
                Ok(()) => PAUSE,
                Err(fault) => {
                    self.tell(&fault);
                    (pause * 2).min(LONGEST_PAUSE)
                }
            };
            due = Instant::now() + pause;
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && (self.open || self.done.is_none())
    }

    fn keep(&mut self, entry: Entry) {
        if self.waiting.len() == KEPT {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(entry);
    }

    fn deliver(&mut self) -> std::result::Result<(), Fault> {
        if !self.open {
            self.sink.begin(self.done.unwrap_or_default())?;
            self.open = true;
        }
        while !self.waiting.is_empty() {
            let n = self.waiting.len().min(BATCH);
            let written = self.sink.write(&self.waiting.make_contiguous()[..n]);
            let refused = written.as_ref().is_err_and(|fault| !fault.passing);
            if written.is_ok() || refused {
                self.waiting.drain(..n);
            }
            self.lost += if refused { n } else { 0 };
            written?;
        }
        Ok(())
    }

    fn end(&mut self, outcome: Outcome) {
        if self.done.is_none() {
            return;
        }
        // A refused batch does not keep the ones behind it.
        let delivered = loop {
            match self.deliver() {
                Err(fault) if !fault.passing && self.open => self.tell(&fault),
                other => break other,
            }
        };
        if let Err(fault) = delivered.and_then(|()| self.sink.end(outcome)) {
            self.tell(&fault);
        }
        let missing = self.lost + self.waiting.len();
        if missing > 0 {
            self.ctx.mention(format!(
                "{}: {missing} steps are missing in {}; train.jsonl holds all of them",
                self.label,
                self.sink.name()
            ));
        }
    }

    /// The first fault only.
    fn tell(&mut self, fault: &Fault) {
        if !std::mem::replace(&mut self.told, true) {
            self.ctx.mention(format!(
                "{}: {}: {}; the training goes on, and train.jsonl holds every step",
                self.label,
                self.sink.name(),
                fault.message
            ));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    pub(in crate::train::track) fn record(step: u64) -> StepRecord {
        let metrics = [("rewards/margins".to_owned(), step as f64 / 4.0)].into();
        StepRecord {
            step,
            loss: 1.0 / step as f64,
            learning_rate: 0.1,
            grad_norm: 2.0,
            tokens_per_s: 9.0,
            metrics,
        }
    }

    /// What a sink was told, and in which calls it is to fail.
    #[derive(Default)]
    struct Told {
        calls: Vec<String>,
        unreachable: usize,
        refused: usize,
    }

    struct Listener(Arc<Mutex<Told>>);

    impl Listener {
        fn call(&self, what: String) -> std::result::Result<(), Fault> {
            let mut told = self.0.lock().unwrap();
            if told.unreachable > 0 {
                told.unreachable -= 1;
                return Err(Fault { message: "unreachable".into(), passing: true });
            }
            if told.refused > 0 && what.starts_with("write") {
                told.refused -= 1;
                return Err(Fault { message: "refused".into(), passing: false });
            }
            told.calls.push(what);
            Ok(())
        }
    }

    impl Sink for Listener {
        fn name(&self) -> &'static str {
            "listener"
        }
        fn begin(&mut self, done: u64) -> std::result::Result<(), Fault> {
            self.call(format!("begin {done}"))
        }
        fn write(&mut self, entries: &[Entry]) -> std::result::Result<(), Fault> {
            let steps: Vec<u64> = entries.iter().map(|entry| entry.record.step).collect();
            self.call(format!("write {}..={}", steps[0], steps[steps.len() - 1]))
        }
        fn end(&mut self, outcome: Outcome) -> std::result::Result<(), Fault> {
            self.call(format!("end {outcome:?}"))
        }
    }

    fn told_of(told: Told, steps: std::ops::RangeInclusive<u64>, outcome: Outcome) -> Vec<String> {
        let told = Arc::new(Mutex::new(told));
        let sink = Box::new(Listener(Arc::clone(&told)));
        let tracker = Tracker::of("test", vec![sink], &Context::silent());
        tracker.begin(steps.start() - 1);
        // The thread has met its first fault, if there is any, before records come.
        std::thread::sleep(Duration::from_millis(50));
        steps.for_each(|step| tracker.record(&record(step)));
        tracker.finish(outcome);
        told.lock().unwrap().calls.clone()
    }

    /// Checks that the calls are the beginning, writes of consecutive steps, and the end; first and last of them.
    fn written(calls: &[String], begin: &str, end: &str) -> (u64, u64) {
        assert_eq!((calls[0].as_str(), calls[calls.len() - 1].as_str()), (begin, end));
        let steps = |call: &String| -> (u64, u64) {
            let (first, last) = call.strip_prefix("write ").unwrap().split_once("..=").unwrap();
            (first.parse().unwrap(), last.parse().unwrap())
        };
        let writes: Vec<(u64, u64)> = calls[1..calls.len() - 1].iter().map(steps).collect();
        assert!(writes.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{calls:?}");
        (writes[0].0, writes[writes.len() - 1].1)
    }

    #[test]
    fn every_record_arrives_once_and_in_order() {
        let calls = told_of(Told::default(), 4..=253, Outcome::Finished);
        assert_eq!(written(&calls, "begin 3", "end Finished"), (4, 253));
    }

    #[test]
    fn what_could_not_be_delivered_is_delivered_later_and_what_was_refused_never() {
        let told = Told { unreachable: 1, ..Told::default() };
        let calls = told_of(told, 1..=2, Outcome::Interrupted);
        assert_eq!(written(&calls, "begin 0", "end Interrupted"), (1, 2));
        let told = Told { refused: 1, ..Told::default() };
        let calls = told_of(told, 1..=250, Outcome::Failed);
        let (first, last) = written(&calls, "begin 0", "end Failed");
        assert!((2..=101).contains(&first) && last == 250, "{calls:?}");
    }

    /// Never answers.
    struct Stuck;

    impl Sink for Stuck {
        fn name(&self) -> &'static str {
            "stuck"
        }
        fn begin(&mut self, _done: u64) -> std::result::Result<(), Fault> {
            loop {
                std::thread::park();
            }
        }
        fn write(&mut self, _entries: &[Entry]) -> std::result::Result<(), Fault> {
            Ok(())
        }
        fn end(&mut self, _outcome: Outcome) -> std::result::Result<(), Fault> {
            Ok(())
        }
    }

    #[test]
    fn a_tracker_that_never_answers_costs_a_training_nothing() {
        let tracker = Tracker::of("test", vec![Box::new(Stuck)], &Context::silent());
        tracker.begin(0);
        let started = Instant::now();
        for step in 1..=3 * CAPACITY as u64 {
            tracker.record(&record(step));
        }
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert!(tracker.queues[0].lost.load(Ordering::Relaxed) >= 2 * CAPACITY as u64 - 1);
        // Even its end is bounded; a short deadline keeps this test short.
        let deadline = Instant::now() + Duration::from_millis(50);
        tracker.queues[0].end(Outcome::Finished, deadline);
        tracker.queues[0].wait(deadline);
    }

    #[test]
    fn a_training_that_never_began_is_told_to_nobody() {
        let told = Arc::new(Mutex::new(Told::default()));
        let sink = Box::new(Listener(Arc::clone(&told)));
        Tracker::of("test", vec![sink], &Context::silent()).finish(Outcome::Failed);
        assert!(told.lock().unwrap().calls.is_empty());
        Tracker::default().finish(Outcome::Finished);
    }
}
