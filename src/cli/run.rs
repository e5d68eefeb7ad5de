//! `trieval run`: a recipe from text to report.

use std::path::PathBuf;

use super::args::RunArgs;
use crate::error::{Error, Result};
use crate::pipeline::folder::recall_digests;
use crate::pipeline::plan::Plan;
use crate::pipeline::{estimate, runner};
use crate::progress::Context;
use crate::recipe::Recipe;

pub(super) fn execute(args: &RunArgs, ctx: &Context) -> Result<()> {
    let loaded = Recipe::open(&args.recipe.recipe, &args.recipe.overrides)?;
    if let Some(warnings) = &loaded.warnings {
        eprintln!("{warnings}");
    }
    let default = || PathBuf::from("runs").join(&loaded.recipe.name);
    let out = args.out.clone().unwrap_or_else(default);
    if args.dry_run {
        recall_digests(&out);
        let plan = Plan::dry(&loaded.recipe)?;
        let steps = estimate::estimate(&loaded.recipe, &plan, &out)?;
        if !args.json {
            return super::print(&estimate::render(&steps));
        }
        let text =
            serde_json::to_string_pretty(&steps).map_err(|e| Error::Failed(e.to_string()))?;
        return super::print(&format!("{text}\n"));
    }
    let report = runner::run(&loaded, &out, ctx)?;
    if args.json {
        let text = report.to_json().map_err(|e| Error::Failed(e.to_string()))?;
        return super::print(&text);
    }
    super::print(&trieval_eval::report::text_table(&report))?;
    ctx.say(format!("report: {}", out.join("report.html").display()));
    Ok(())
}
