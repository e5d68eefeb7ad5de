//! What a watcher of a training is given and how it ends. Knows no protocol.

use std::time::{SystemTime, UNIX_EPOCH};

use super::StepRecord;
use crate::error::{Error, Result};

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// The user stopped it; it may be continued.
    Interrupted,
    /// It stopped with an error.
    Failed,
}

impl Outcome {
    /// That of a training which returned `result`.
    pub fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Finished,
            Err(Error::Interrupted) => Self::Interrupted,
            Err(_) => Self::Failed,
        }
    }
}

/// One step and when it was done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Milliseconds since 1970.
    pub(super) millis: u64,
    /// What the step did.
    pub(super) record: StepRecord,
}

impl Entry {
    /// Every figure of the step by the name it has in `train.jsonl`.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        let record = &self.record;
        let own = [
            ("loss", record.loss),
            ("learning_rate", record.learning_rate),
            ("grad_norm", record.grad_norm),
            ("tokens_per_s", record.tokens_per_s),
        ];
        own.into_iter().chain(record.metrics.iter().map(|(name, value)| (name.as_str(), *value)))
    }
}

/// Why a delivery failed.
#[derive(Debug)]
pub(super) struct Fault {
    /// In words.
    pub(super) message: String,
    /// Whether the same delivery may succeed later.
    pub(super) passing: bool,
}

/// One who watches a training, on a thread of its own.
pub(super) trait Sink: Send {
    /// Name for messages.
    fn name(&self) -> &'static str;

    /// Opens what the records go to; `done` steps lie behind a resumed training.
    fn begin(&mut self, done: u64) -> std::result::Result<(), Fault>;

    /// Delivers a few records. They come again when this fails in passing.
    fn write(&mut self, entries: &[Entry]) -> std::result::Result<(), Fault>;

    /// Closes it.
    fn end(&mut self, outcome: Outcome) -> std::result::Result<(), Fault>;
}

/// Milliseconds since 1970.
pub(super) fn now_millis() -> u64 {
    // A clock before 1970 is no reason to stop.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
