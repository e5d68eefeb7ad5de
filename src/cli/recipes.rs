//! `trieval recipes`: list, show, copy and explain.

use std::path::Path;

use super::args::{RecipesAction, RecipesArgs};
use super::outputs::check_parent;
use super::proposed::{guesses, proposed};

use crate::corpus::propose::Proposal;
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::recipe::{self, Recipe};

pub(super) fn execute(args: &RecipesArgs) -> Result<()> {
    match &args.action {
        RecipesAction::List => super::print(&recipe::list_text()),
        RecipesAction::Show { name } => super::print(recipe::find(name)?.text),
        RecipesAction::Copy { name, to } => {
            if let Some(to) = to {
                check_parent(to)?;
            }
            let written = recipe::copy(name, to.as_deref().unwrap_or(Path::new(".")))?;
            super::print(&format!("{}\n", written.display()))
        }
        RecipesAction::New { to, items, log, queries } => {
            propose(to, items, log, queries.as_deref())
        }
        RecipesAction::Explain { key, recipe, overrides } => {
            let loaded = recipe.as_deref().map(|name| Recipe::open(name, overrides)).transpose()?;
            super::print(&recipe::explain(key, loaded.as_ref())?)
        }
        RecipesAction::Reference { schema: true } => super::print(&recipe::json_schema()),
        RecipesAction::Reference { schema: false } => super::print(&recipe::recipe_reference()),
    }
}

/// Writes a proposed recipe, and tells what was guessed.
fn propose(to: &Path, items: &Path, log: &Path, queries: Option<&Path>) -> Result<()> {
    check_parent(to)?;
    if to.symlink_metadata().is_ok() {
        return Err(Error::Usage(format!("{} is there already; name another file", to.display())));
    }
    let stem = to.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = stem.filter(|stem| !stem.is_empty()).unwrap_or_else(|| "shop".into());
    // Looking takes no time worth a bar.
    let proposal = Proposal::of(items, log, queries, &Context::silent())?;
    let (folder, _) = proposal.folder();
    // Files named from the working folder are found from there; a recipe that stands elsewhere names them in full.
    let stands_here = to.parent().is_none_or(|parent| parent.as_os_str().is_empty());
    let folder = match stands_here && folder.is_relative() {
        true if folder.as_os_str().is_empty() => ".".into(),
        true => folder,
        false => std::path::absolute(&folder).map_err(|e| Error::unreadable(&folder, &e))?,
    };
    let text = proposed(&name, &folder, &proposal);
    write_new(to, &text)?;
    super::print(&format!("{}{}\n", guesses(&proposal), to.display()))
}

/// Writes a file that is not there yet.
fn write_new(to: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let failed = |e: &std::io::Error| Error::unwritable(to, e);
    let mut file = std::fs::File::create_new(to).map_err(|e| failed(&e))?;
    file.write_all(text.as_bytes()).map_err(|e| failed(&e))
}
