//! The training log: one JSON object per step and line, the truth behind every curve.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What one step did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// 1-based number of the step.
    pub step: u64,
    /// Loss per unit of weight (token or pair).
    pub loss: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Norm of the whole gradient before clipping.
    pub grad_norm: f64,
    /// Input tokens per second, padding excluded.
    pub tokens_per_s: f64,
    /// What the objective adds, for instance `rewards/margins`.
    #[serde(flatten)]
    pub metrics: std::collections::BTreeMap<String, f64>,
}

/// Appends records to a file.
pub struct TrainLog {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl TrainLog {
    /// Opens the log of a training that continues after `done` steps: later lines, and a last line
    /// that a kill left unfinished, are cut off; the records that stay are shown to `each`.
    ///
    /// # Errors
    /// [`Error::Environment`] when the file cannot be read or written.
    pub fn resume(path: &Path, done: u64, mut each: impl FnMut(&StepRecord)) -> Result<Self> {
        let mut kept = String::new();
        if path.exists() {
            // The lines as they are: a number that is read and written again may change its last digit.
            for_each_up_to(path, done, |line, record| {
                each(&record);
                kept.push_str(line);
                kept.push('\n');
            })?;
        }
        crate::store::write_atomic(path, |writer| {
            writer.write_all(kept.as_bytes()).map_err(|e| Error::unwritable(path, &e))
        })?;
        let file = OpenOptions::new().append(true).open(path);
        let file = file.map_err(|e| Error::unwritable(path, &e))?;
        Ok(Self { path: path.to_owned(), writer: BufWriter::new(file) })
    }

    /// Appends one record.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn push(&mut self, record: &StepRecord) -> Result<()> {
        write_line(&mut self.writer, record, &self.path)?;
        self.writer.flush().map_err(|e| Error::unwritable(&self.path, &e))
    }

    /// Brings all records to the disk: to be done before a checkpoint that counts on them.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.writer.get_ref().sync_data().map_err(|e| Error::unwritable(&self.path, &e))
    }
}

/// All records of a log.
///
/// # Errors
/// [`Error::Data`] when the file cannot be read.
pub fn read(path: &Path) -> Result<Vec<StepRecord>> {
    let mut records = Vec::new();
    for_each_up_to(path, u64::MAX, |_, record| records.push(record))?;
    Ok(records)
}

/// Calls `each` with every line, and the record on it, up to the record of `last_step`.
fn for_each_up_to(
    path: &Path,
    last_step: u64,
    mut each: impl FnMut(&str, StepRecord),
) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::unreadable(path, &e))?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|e| Error::unreadable(path, &e))?;
        // A kill in the middle of a write leaves an unfinished last line, which is not a record.
        let Ok(record) = serde_json::from_str::<StepRecord>(&line) else { break };
        if record.step > last_step {
            break;
        }
        each(&line, record);
    }
    Ok(())
}

fn write_line(writer: &mut impl Write, record: &StepRecord, path: &Path) -> Result<()> {
    serde_json::to_writer(&mut *writer, record).map_err(|e| Error::unwritable(path, &e.into()))?;
    writer.write_all(b"\n").map_err(|e| Error::unwritable(path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(step: u64) -> StepRecord {
        let metrics = [("rewards/margins".to_owned(), 0.5)].into();
        StepRecord {
            step,
            loss: 1.5,
            learning_rate: 0.1,
            grad_norm: 2.0,
            tokens_per_s: 9.0,
            metrics,
        }
    }

    #[test]
    fn resuming_cuts_later_and_unfinished_lines() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("train.jsonl");
        let mut log = TrainLog::resume(&path, 0, |_| {}).expect("new log");
        for step in 1..=5 {
            log.push(&record(step)).expect("push");
        }
        drop(log);
        let mut text = std::fs::read_to_string(&path).expect("text");
        text.push_str("{\"step\":6,\"lo");
        std::fs::write(&path, text).expect("write");
        let mut shown = Vec::new();
        let mut log =
            TrainLog::resume(&path, 3, |record| shown.push(record.step)).expect("resumed log");
        assert_eq!(shown, [1, 2, 3]);
        log.push(&record(4)).expect("push");
        let steps: Vec<u64> = read(&path).expect("read").iter().map(|r| r.step).collect();
        assert_eq!(steps, [1, 2, 3, 4]);
        assert_eq!(read(&path).expect("read")[0], record(1));
    }

    #[test]
    fn resuming_keeps_every_digit_of_the_lines_before() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("train.jsonl");
        // Read and written again, the loss would end in 1.
        let lines = "{\"step\":1,\"loss\":-13.007166862487793,\"learning_rate\":0.1,\
                     \"grad_norm\":2.0,\"tokens_per_s\":9.0}\n";
        std::fs::write(&path, lines).expect("write");
        drop(TrainLog::resume(&path, 1, |_| {}).expect("resumed log"));
        assert_eq!(std::fs::read_to_string(&path).expect("text"), lines);
    }
}
