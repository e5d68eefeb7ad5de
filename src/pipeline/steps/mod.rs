//! One file per kind of step: reads the folders of its inputs, calls the component, writes its own.

mod corpus;
mod evaluation;
mod identifier;
mod index;
mod model;
mod pairs;
mod prompts;
mod sasrec;
mod system;
mod tracking;
mod train;
mod validation;
mod vectors;

pub(super) use evaluation::{
    EVALUATION_FILE, Evaluation, Example, QRELS_FILE, SystemResult, VALUES_DIR,
};
pub(super) use identifier::INDEX_FILE;
pub(super) use system::{
    RUN_FILE, SYSTEM_FILE, SystemFile, evaluated_requests, evaluated_split, ranker, read_answers,
    strictly_falling, to_run,
};
pub(super) use tracking::write_finished_boards;
pub(super) use train::{MODEL_DIR, log_path};
pub(super) use vectors::read as read_vectors;

use std::path::Path;

use super::plan::StepKind;
use super::runner::StepEnv;
use crate::error::{Error, Result};

/// A TREC file that could not be written.
fn unwritten(path: &Path, error: trieval_eval::Error) -> Error {
    match error {
        trieval_eval::Error::Unwritable { source, .. } => Error::unwritable(path, &source),
        other => Error::Failed(format!("{}: {other}", path.display())),
    }
}

/// Does one step.
pub(super) fn execute(env: &StepEnv<'_>) -> Result<()> {
    match &env.step.kind {
        StepKind::Corpus => corpus::execute(env),
        StepKind::Vectors(name) => vectors::execute(env, name),
        StepKind::Identifier(name) => identifier::execute(env, name),
        StepKind::Model(name) => model::execute(env, name),
        StepKind::Prompts(name) => prompts::execute(env, name),
        StepKind::Pairs(name) => pairs::build(env, name),
        StepKind::Reference(name) => pairs::score(env, name),
        StepKind::Train(name) => train::execute(env, name),
        StepKind::Fit(name) => system::fit(env, name),
        StepKind::Index(name) => index::execute(env, name),
        StepKind::System(name) => system::execute(env, name),
        StepKind::Evaluation => evaluation::execute(env),
    }
}
