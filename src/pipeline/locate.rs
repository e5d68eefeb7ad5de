//! Where the results of a plan's steps lie.

use std::path::PathBuf;
use std::sync::Arc;

use super::folder::RunFolder;
use super::plan::Plan;
use super::step::{CORPUS, Step};
use crate::error::{Error, Result};
use crate::inputs::{Inputs, Tables};
use crate::kind::Role;

/// Folder of the step of a component, by the name that the step would have alone.
///
/// # Errors
/// [`Error::Data`] when the plan has no such step.
pub(super) fn finished(plan: &Plan, folder: &RunFolder, name: &str) -> Result<PathBuf> {
    let step = plan.expect(name, folder.root())?;
    Ok(folder.step_dir(&step.name, &step.key))
}

/// What a step reads, as folders by role.
///
/// # Errors
/// [`Error::Failed`] when the plan lacks one of them: a fault of this program, or a damaged plan.
pub(super) fn inputs(
    plan: &Plan,
    folder: &RunFolder,
    step: &Step,
    tables: &Arc<Tables>,
) -> Result<Inputs> {
    let folders = step.inputs.iter().map(|(role, key)| {
        let input = plan.with_key(key);
        let input = input.ok_or_else(|| Error::Failed(format!("the plan has no step {key}")))?;
        Ok((role.clone(), folder.step_dir(&input.name, &input.key)))
    });
    // Tables without some requests are read by few steps.
    let is_shared = plan.names.get(CORPUS) == step.inputs.get(&Role::Corpus.text());
    let tables = if is_shared { Arc::clone(tables) } else { Arc::default() };
    Inputs::new(folders.collect::<Result<Vec<_>>>()?, tables)
}
