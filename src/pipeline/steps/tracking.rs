//! Who else watches a training: event files in the run folder, a run on an MLflow server. No result depends on it.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::train::log_path;
use crate::error::{Error, Result};
use crate::pipeline::folder::RunFolder;
use crate::pipeline::plan::{Plan, Step, StepKind};
use crate::pipeline::runner::StepEnv;
use crate::progress::Context;
use crate::recipe::Recipe;
use crate::train::log;
use crate::train::settings::TrainSettings;
use crate::train::track::{MlflowRun, Tracker, flattened, write_finished};

/// Event files inside a run folder: outside of the steps, for they are views of the steps' logs.
const BOARD_DIR: &str = "tensorboard";
/// Letters of a step's key that tell trainings of one name apart.
const KEY_LETTERS: usize = 12;
/// Remembers the MLflow run of an unfinished training, in its working state.
const MLFLOW_FILE: &str = "mlflow.json";

/// Starts the trackers that a training asks for.
pub(super) fn start(env: &StepEnv<'_>, settings: &TrainSettings) -> Tracker {
    let board = settings.log.tensorboard.then(|| board(env.folder, env.step));
    let mlflow = settings.log.mlflow.as_ref().map(|address| MlflowRun {
        address: address.clone(),
        experiment: env.loaded.recipe.name.clone(),
        name: env.step.name.clone(),
        parameters: flattened(&env.step.settings),
        tags: vec![
            ("trieval.version".into(), env!("CARGO_PKG_VERSION").into()),
            ("trieval.key".into(), env.step.key.clone()),
        ],
        memory: env.work.join(MLFLOW_FILE),
    });
    Tracker::start(&settings.name, board, mlflow, env.ctx)
}

/// Writes event files of trainings that were finished before anyone asked for them.
pub(in crate::pipeline) fn write_finished_boards(
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
    ctx: &Context,
) {
    for settings in recipe.train.iter().filter(|training| training.log.tensorboard) {
        let Some(step) = plan.step(&StepKind::Train(settings.name.clone()).name()) else {
            continue;
        };
        let board = board(folder, step);
        if !board.exists()
            && let Err(error) = write_board(folder, step, &board)
        {
            ctx.warn(format!("{}: no event files: {error}", step.name));
        }
    }
}

fn write_board(folder: &RunFolder, step: &Step, board: &Path) -> Result<()> {
    let path = log_path(&folder.step_dir(&step.name, &step.key));
    let written = path.metadata().and_then(|data| data.modified());
    let written = written.map_err(|e| Error::unreadable(&path, &e))?;
    let millis = written.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    write_finished(board, log::read(&path)?, millis)
}

fn board(folder: &RunFolder, step: &Step) -> PathBuf {
    let key = step.key.get(..KEY_LETTERS).unwrap_or(&step.key);
    folder.root().join(BOARD_DIR).join(&step.name).join(key)
}
