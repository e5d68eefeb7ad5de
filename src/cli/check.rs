//! `trieval check`: parse, resolve and check a recipe, and execute nothing.

use super::args::RecipeArgs;
use crate::error::Result;
use crate::progress::talk_drawn;
use crate::recipe::Recipe;

pub(super) fn execute(args: &RecipeArgs) -> Result<()> {
    let loaded = Recipe::open(&args.recipe, &args.overrides)?;
    if let Some(warnings) = &loaded.warnings {
        talk_drawn(warnings);
    }
    super::print(&format!("{}: no faults\n", loaded.source_name()))
}
