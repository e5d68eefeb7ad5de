//! The tables.

use crate::corpus;
use crate::error::Result;
use crate::pipeline::runner::StepEnv;
use crate::seed::Seed;

pub(super) fn execute(env: &StepEnv<'_>) -> Result<()> {
    let recipe = &env.loaded.recipe;
    let summary = corpus::build(&recipe.corpus, Seed::new(recipe.seed), &env.out, env.ctx)?;
    for warning in &summary.warnings {
        env.ctx.warn(format!("corpus: {warning}"));
    }
    env.ctx.say(format!(
        "corpus: {} items, {} training and {} test requests, {} impressions, {} clicks",
        summary.items,
        summary.requests.train,
        summary.requests.test,
        summary.impressions,
        summary.clicks
    ));
    Ok(())
}
