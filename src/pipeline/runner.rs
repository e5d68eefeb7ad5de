//! Executes a plan: does what is not there yet, verifies what is, and says why.

use std::path::{Path, PathBuf};
use std::time::Instant;

use trieval_eval::report::Report;

use super::folder::{Manifest, RunFolder, WORK_DIR};
use super::plan::{Plan, Status, Step, StepKind};
use super::{report, steps};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::recipe::LoadedRecipe;
use crate::seed::Seed;
use crate::store::{create_dir, sweep_partial, write_atomic};
use crate::train::settings::TrainDevice;

/// The resolved recipe inside a run folder.
pub const RECIPE_FILE: &str = "recipe.toml";

/// What a step may look at while it runs.
pub struct StepEnv<'a> {
    /// The whole recipe and its plan.
    pub loaded: &'a LoadedRecipe,
    /// All steps.
    pub plan: &'a Plan,
    /// The run folder.
    pub folder: &'a RunFolder,
    /// The step being done.
    pub step: &'a Step,
    /// Where it writes its result.
    pub out: PathBuf,
    /// Where it keeps the state that only an unfinished step needs.
    pub work: PathBuf,
    /// Reporting and interruption.
    pub ctx: &'a Context,
}

impl StepEnv<'_> {
    /// Folder of an input step.
    ///
    /// # Errors
    /// [`Error::Failed`] when the plan has no such step: a fault of this program.
    pub fn input(&self, name: &str) -> Result<PathBuf> {
        finished(self.plan, self.folder, name)
    }

    /// The seed of this step, which no name enters.
    pub fn seed(&self) -> Seed {
        Seed::new(self.step.seed.unwrap_or_default()).purpose(self.step.kind.purpose())
    }
}

/// Folder of a step of the plan.
///
/// # Errors
/// [`Error::Failed`] when the plan has no such step: a fault of this program.
pub fn finished(plan: &Plan, folder: &RunFolder, name: &str) -> Result<PathBuf> {
    let step = plan.step(name);
    let step = step.ok_or_else(|| Error::Failed(format!("the plan has no step {name}")))?;
    Ok(folder.step_dir(&step.name, &step.key))
}

/// Runs a recipe in the folder `out` and returns the report.
///
/// # Errors
/// Whatever a step meets. A run folder that this call created is removed again when the input is
/// refused before any step was finished.
pub fn run(loaded: &LoadedRecipe, out: &Path, ctx: &Context) -> Result<Report> {
    let plan = Plan::new(&loaded.recipe)?;
    open_devices(loaded, &plan, out)?;
    let created = !out.exists();
    let folder = RunFolder::lock(out)?;
    let result = run_steps(loaded, &plan, &folder, ctx);
    let refused = result.as_ref().is_err_and(|error| error.exit_code() == 2);
    if refused && created && folder.is_empty() {
        drop(folder);
        // Best effort: the refusal is what the user needs to hear.
        let _ = std::fs::remove_dir_all(out);
    }
    result
}

/// Makes sure that what unfinished trainings compute on is there, before any work is done.
fn open_devices(loaded: &LoadedRecipe, plan: &Plan, out: &Path) -> Result<()> {
    for step in &plan.steps {
        let StepKind::Train(name) = &step.kind else { continue };
        if let Some(training) = loaded.recipe.training(name)
            && training.device != TrainDevice::Cpu
            && plan.status(step, out)? != Status::Cached
        {
            training.device.open()?;
        }
    }
    Ok(())
}

fn run_steps(
    loaded: &LoadedRecipe,
    plan: &Plan,
    folder: &RunFolder,
    ctx: &Context,
) -> Result<Report> {
    let recipe_path = folder.root().join(RECIPE_FILE);
    let recipe = loaded.resolved_toml()?;
    write_atomic(&recipe_path, |writer| {
        std::io::Write::write_all(writer, recipe.as_bytes())
            .map_err(|e| Error::unwritable(&recipe_path, &e))
    })?;
    plan.write(folder.root())?;
    for step in &plan.steps {
        ctx.check_interrupt()?;
        do_step(loaded, plan, folder, step, ctx)?;
    }
    steps::write_finished_boards(&loaded.recipe, plan, folder, ctx);
    report::assemble(loaded, plan, folder)
}

fn do_step(
    loaded: &LoadedRecipe,
    plan: &Plan,
    folder: &RunFolder,
    step: &Step,
    ctx: &Context,
) -> Result<()> {
    let reason = match plan.status(step, folder.root())? {
        Status::Cached => {
            if let Some(manifest) = folder.manifest(&step.name, &step.key)? {
                folder.verify(&manifest)?;
                folder.clear_work(&step.name, &step.key)?;
            }
            ctx.say(format!("{}: done before", step.name));
            return Ok(());
        }
        Status::New => String::new(),
        Status::Unfinished => " (continuing)".into(),
        Status::Changed(why) => format!(" (again: {why})"),
    };
    ctx.say(format!("{}{reason}", step.name));
    let started = Instant::now();
    let out = folder.step_dir(&step.name, &step.key);
    let work = out.join(WORK_DIR);
    create_dir(&work)?;
    remove_partial_results(&out)?;
    sweep_partial(&work);
    steps::execute(&StepEnv { loaded, plan, folder, step, out, work, ctx })?;
    folder.finish(Manifest {
        format: 0,
        trieval: String::new(),
        step: step.name.clone(),
        key: step.key.clone(),
        settings: step.settings.clone(),
        seed: step.seed,
        inputs: step.inputs.clone(),
        sources: step.sources.clone(),
        files: Default::default(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Clears what a killed process left of a result; its working state stays.
fn remove_partial_results(out: &Path) -> Result<()> {
    let entries = std::fs::read_dir(out).map_err(|e| Error::unwritable(out, &e))?;
    for entry in entries {
        let path = entry.map_err(|e| Error::unwritable(out, &e))?.path();
        if path.file_name() == Some(WORK_DIR.as_ref()) {
            continue;
        }
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(|e| Error::unwritable(&path, &e))?;
    }
    Ok(())
}
