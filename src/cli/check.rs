//! `trieval check`: parse, resolve and check a recipe and what it names, and execute nothing.

use super::args::CheckArgs;
use crate::error::{Error, Result};
use crate::pipeline::outside;
use crate::progress::{Context, talk_drawn};
use crate::recipe::Recipe;

pub(super) fn execute(args: &CheckArgs, ctx: &Context) -> Result<()> {
    let loaded = Recipe::open(&args.recipe.recipe, &args.recipe.overrides)?;
    if let Some(warnings) = &loaded.warnings {
        talk_drawn(warnings);
    }
    if !args.recipe_only {
        let _working = ctx.working("looking at paths and headers");
        let mut faults = outside::faults(&loaded.recipe);
        if faults.len() > 1 {
            let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
            return Err(Error::Usage(said.join("\nerror: ")));
        }
        if let Some(only) = faults.pop() {
            return Err(only);
        }
    }
    super::print(&format!("{}: no faults\n", loaded.source_name()))
}
