//! The tables.

use super::evaluated_split;
use crate::corpus::{self, Corpus, CorpusSummary, Split};
use crate::error::{Error, Result};
use crate::pipeline::runner::StepEnv;
use crate::seed::Seed;

pub(super) fn execute(env: &StepEnv<'_>) -> Result<()> {
    let recipe = &env.loaded.recipe;
    let summary = corpus::build(
        &recipe.corpus,
        Seed::new(env.step.seed.unwrap_or_default()),
        &env.out,
        env.ctx,
    )?;
    env.ctx.say(format!(
        "corpus: {} items, {} training and {} test requests, {} impressions, {} clicks",
        summary.items,
        summary.requests.train,
        summary.requests.test,
        summary.impressions,
        summary.clicks
    ));
    check_evaluated_split(env, &summary)
}

/// Refuses a corpus that nothing could be evaluated on before hours are spent on training.
fn check_evaluated_split(env: &StepEnv<'_>, summary: &CorpusSummary) -> Result<()> {
    let refuse = |message: String, help: &str| {
        let source = summary.sources.last();
        let path = source.map_or(env.out.as_path(), |source| source.path.as_path());
        Err(Error::data(path, message).with_help(help))
    };
    let recipe = &env.loaded.recipe;
    let split = evaluated_split(recipe);
    let named = if split == Split::Test { "test" } else { "validation" };
    if summary.judgements.of(split) == 0 {
        let message = format!(
            "no {named} request with a judged item ({} training, {} validation and {} test requests)",
            summary.requests.train, summary.requests.validation, summary.requests.test
        );
        return refuse(message, "check corpus.split: nothing could be evaluated");
    }
    let relevant = recipe.evaluation.relevant_grade;
    let judgements = Corpus::open(&env.out)?.judgements(split)?;
    let best = judgements.iter().map(|(_, _, grade)| f64::from(*grade)).fold(f64::MIN, f64::max);
    if best < relevant {
        let message = format!(
            "the best grade of a {named} request is {best}, below the {relevant} that is relevant"
        );
        return refuse(message, "lower evaluation.relevant_grade, or check the grades");
    }
    Ok(())
}
