//! `trieval recipes`: list, show, copy and explain.

use std::path::Path;

use super::args::{RecipesAction, RecipesArgs};
use crate::error::Result;
use crate::recipe::{self, Recipe};

pub(super) fn execute(args: &RecipesArgs) -> Result<()> {
    match &args.action {
        RecipesAction::List => super::print(&recipe::list_text()),
        RecipesAction::Show { name } => super::print(recipe::find(name)?.text),
        RecipesAction::Copy { name, to } => {
            let written = recipe::copy(name, to.as_deref().unwrap_or(Path::new(".")))?;
            super::print(&format!("{}\n", written.display()))
        }
        RecipesAction::Explain { key, recipe, overrides } => {
            let loaded = recipe.as_deref().map(|name| Recipe::open(name, overrides)).transpose()?;
            super::print(&recipe::explain(key, loaded.as_ref())?)
        }
        RecipesAction::Reference { schema: true } => super::print(&recipe::json_schema()),
        RecipesAction::Reference { schema: false } => super::print(&recipe::recipe_reference()),
    }
}
