//! `trieval run`: a recipe from text to report.

use std::path::PathBuf;

use super::args::RunArgs;
use crate::error::{Error, Result};
use crate::pipeline::folder::recall_digests;
use crate::pipeline::plan::Plan;
use crate::pipeline::{estimate, runner};
use crate::progress::{Context, data_columns, talk_drawn};
use crate::recipe::{LoadedRecipe, Recipe};

pub(super) fn execute(args: &RunArgs, ctx: &Context) -> Result<()> {
    let mut loaded = Recipe::open(&args.recipe.recipe, &args.recipe.overrides)?;
    check_seeds(&args.seeds, &loaded)?;
    if let Some(&first) = args.seeds.first() {
        loaded.recipe.seed = first;
    }
    if let Some(warnings) = &loaded.warnings {
        talk_drawn(warnings);
    }
    let default = || PathBuf::from("runs").join(&loaded.recipe.name);
    let out = args.out.clone().unwrap_or_else(default);
    if args.dry_run {
        recall_digests(&out);
        let plan = Plan::dry(&loaded.recipe, &args.seeds)?;
        let mut steps = estimate::estimate(&loaded.recipe, &plan, &out)?;
        if args.probe {
            estimate::probe(&mut steps, &loaded, &args.seeds, &out, ctx)?;
        }
        if !args.json {
            return super::print(&estimate::render(&steps));
        }
        let text =
            serde_json::to_string_pretty(&steps).map_err(|e| Error::Failed(e.to_string()))?;
        return super::print_json(&format!("{text}\n"));
    }
    let report = runner::run(&loaded, &args.seeds, &out, ctx).map_err(|error| match &error {
        Error::Environment { path, .. } if *path == out => {
            error.with_help("choose a folder you may write to with --out DIR")
        }
        _ => error,
    })?;
    if args.json {
        let text = report.to_json().map_err(|e| Error::Failed(e.to_string()))?;
        return super::print_json(&text);
    }
    let columns = data_columns().unwrap_or(usize::MAX);
    super::print(&trieval_eval::report::text_table_within(&report, columns))?;
    ctx.say(format!("report: {}", out.join("report.html").display()));
    Ok(())
}

/// Refuses seeds that make no replicates.
fn check_seeds(seeds: &[u64], loaded: &LoadedRecipe) -> Result<()> {
    if let [only] = seeds {
        return Err(Error::Usage(format!(
            "--seeds {only} is one seed, and replicates are two or more; for one seed give \
             --set seed={only}"
        )));
    }
    if let Some(at) = (1..seeds.len()).find(|&at| seeds[..at].contains(&seeds[at])) {
        return Err(Error::Usage(format!(
            "--seeds names {} twice: the same seed gives the same run; name each once",
            seeds[at]
        )));
    }
    if !seeds.is_empty() && loaded.overrides_seed() {
        return Err(Error::Usage(
            "--seeds and --set seed=… contradict each other: the seeds are those of the list; \
             leave out one of them"
                .into(),
        ));
    }
    Ok(())
}
