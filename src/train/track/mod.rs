//! Where a training's curves also go: TensorBoard's event files, an MLflow server.
//!
//! The truth is `train.jsonl`. What stands here is best effort: every tracker has a queue and a thread of its
//! own, takes no part in any result, and may fail without slowing or stopping a training.

mod mlflow;
#[cfg(test)]
mod mlflow_tests;
mod queue;
mod sink;
mod tensorboard;

pub use mlflow::{MlflowRun, flattened};
pub use queue::Tracker;
pub use sink::Outcome;
pub use tensorboard::write_finished;

use super::log::StepRecord;
