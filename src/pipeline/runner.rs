//! Executes a plan: does what is not there yet, verifies what is, and says why.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use trieval_eval::report::Report;

use super::folder::{BOARD_DIR, BOARD_LETTERS, RECIPE_FILE, RunFolder, WORK_DIR, recall_digests};
use super::locate::inputs;
use super::manifest::Manifest;
use super::needs;
use super::plan::{PLAN_FILE, Plan, Status};
use super::report;
use super::step::{CORPUS, Step};
use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::inputs::{StepContext, Tables};
use crate::progress::Context;
use crate::recipe::LoadedRecipe;
use crate::seed::Seed;
use crate::steps::write_finished_board;
use crate::store::{create_dir, sweep_partial, write_atomic};
use crate::train::course::settings::TrainDevice;

/// Runs a recipe in the folder `out` and returns the report; under each of `seeds`, of which the
/// recipe has the first, where there are any.
///
/// # Errors
/// Whatever a step meets. A run folder that this call created is removed again when the input is
/// refused before any step was finished.
pub fn run(loaded: &LoadedRecipe, seeds: &[u64], out: &Path, ctx: &Context) -> Result<Report> {
    recall_digests(out);
    let reading = ctx.working("reading outside files");
    let mut plan = Plan::under(&loaded.recipe, seeds)?;
    drop(reading);
    let recipe = format!("{}{}", plan.remark(), loaded.resolved_toml()?);
    plan.recipe = Some(blake3::hash(recipe.as_bytes()).to_hex().to_string());
    check_devices(&plan, out)?;
    let created = !out.exists();
    let folder = RunFolder::lock(out)?;
    let runner = Runner { loaded, plan: &plan, folder: &folder, tables: Arc::default(), ctx };
    let result = runner.run(&recipe);
    let refused = result.as_ref().is_err_and(|error| error.exit_code() == 2);
    if refused && created && folder.is_empty() {
        drop(folder);
        // Best effort: the refusal is what the user needs to hear.
        let _ = std::fs::remove_dir_all(out);
    }
    result
}

/// Makes sure that what unfinished steps compute on is there, before any work is done.
fn check_devices(plan: &Plan, out: &Path) -> Result<()> {
    for step in &plan.steps {
        let device = step.work.as_ref().map_or(TrainDevice::Cpu, |work| work.device());
        if device != TrainDevice::Cpu && plan.status(step, out)? != Status::Cached {
            device.open()?;
        }
    }
    Ok(())
}

struct Runner<'a> {
    loaded: &'a LoadedRecipe,
    plan: &'a Plan,
    folder: &'a RunFolder,
    /// Opened once for all steps.
    tables: Arc<Tables>,
    ctx: &'a Context,
}

impl Runner<'_> {
    fn run(&self, recipe: &str) -> Result<Report> {
        for written in [RECIPE_FILE, PLAN_FILE, BOARD_DIR].map(Path::new) {
            self.folder.refuse_links(written)?;
        }
        for step in &self.plan.steps {
            self.folder.refuse_step_links(&step.name, &step.key)?;
        }
        let recipe_path = self.folder.root().join(RECIPE_FILE);
        write_atomic(&recipe_path, |writer| {
            std::io::Write::write_all(writer, recipe.as_bytes())
                .map_err(|e| Error::unwritable(&recipe_path, &e))
        })?;
        self.plan.write(self.folder.root())?;
        self.folder.keep_digests();
        for (place, step) in (1..).zip(&self.plan.steps) {
            self.ctx.check_interrupt()?;
            self.step(step, place)?;
            if step.purpose == CORPUS {
                let folder = self.folder.step_dir(&step.name, &step.key);
                needs::verify(&self.loaded.recipe, &Corpus::open(&folder)?)?;
            }
        }
        let _reporting = self.ctx.step("report");
        self.write_finished_boards();
        let report = report::assemble(self.loaded, self.plan, self.folder, &self.tables)?;
        self.settle()?;
        report::record(self.folder.root(), self.plan)?;
        Ok(report)
    }

    /// Reads what was written once more, now that its times stand still: a fault of the disk is told
    /// here, and who asks the run next need not read it to know it.
    fn settle(&self) -> Result<()> {
        for step in &self.plan.steps {
            if let Some(manifest) = self.folder.manifest(&step.name, &step.key)? {
                self.folder.verify(&manifest)?;
            }
        }
        self.folder.keep_digests();
        Ok(())
    }

    fn step(&self, step: &Step, place: usize) -> Result<()> {
        let Self { folder, ctx, .. } = self;
        let label = self.plan.label(step);
        let of = format!("step {place} of {}", self.plan.steps.len());
        let working = ctx.step(&format!("{of}: {label}"));
        let reason = match self.plan.status(step, folder.root())? {
            Status::Cached => {
                if let Some(manifest) = folder.manifest(&step.name, &step.key)? {
                    folder.verify(&manifest)?;
                    folder.clear_work(&step.name, &step.key)?;
                }
                ctx.say(format!("{label}: done before"));
                return Ok(());
            }
            // A plan to run has read all files.
            Status::New | Status::Unread => String::new(),
            Status::Unfinished => " (continuing)".into(),
            Status::Changed(why) => format!(" (again: {why})"),
        };
        ctx.say(format!("{label}{reason}"));
        let started = Instant::now();
        let out = folder.step_dir(&step.name, &step.key);
        let work = out.join(WORK_DIR);
        create_dir(&work)?;
        remove_partial_results(&out)?;
        sweep_partial(&work);
        let inputs = inputs(self.plan, folder, step, &self.tables)?;
        let context = StepContext {
            name: &label,
            key: &step.key,
            recipe: &self.loaded.recipe.name,
            boards: &board(folder, step),
            settings: &step.settings,
            inputs: &inputs,
            // No name enters the seed; what draws nothing has a seed that nothing reads.
            seed: Seed::new(step.seed.unwrap_or_default()).purpose(&step.purpose),
            out: &out,
            work: &work,
            ctx,
        };
        let does = step.work.as_ref();
        let does = does.ok_or_else(|| Error::Failed(format!("{}: a plan to read", step.name)))?;
        does.run(&context)?;
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
        })?;
        drop(working);
        ctx.say(format!("{label}: {of}, {:.1} s", started.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Writes event files of trainings that were finished before anyone asked for them.
    fn write_finished_boards(&self) {
        for step in &self.plan.steps {
            if !step.work.as_ref().is_some_and(|work| work.tracks()) {
                continue;
            }
            let board = board(self.folder, step);
            let step_folder = self.folder.step_dir(&step.name, &step.key);
            if !board.exists()
                && let Err(error) = write_finished_board(&step_folder, &board)
            {
                self.ctx.warn(format!("{}: no event files: {error}", step.name));
            }
        }
    }
}

fn board(folder: &RunFolder, step: &Step) -> PathBuf {
    let key = step.key.get(..BOARD_LETTERS).unwrap_or(&step.key);
    folder.root().join(BOARD_DIR).join(&step.name).join(key)
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
