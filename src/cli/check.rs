//! `trieval check`: parse, resolve and check a recipe, and execute nothing.

use super::args::RecipeArgs;
use crate::error::Result;
use crate::recipe::Recipe;

pub(super) fn execute(args: &RecipeArgs) -> Result<()> {
    let loaded = Recipe::open(&args.recipe, &args.overrides)?;
    if let Some(warnings) = &loaded.warnings {
        eprintln!("{warnings}");
    }
    super::print(&format!("{}: no faults\n", loaded.source_name()))
}
