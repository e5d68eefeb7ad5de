//! Whether the data hold what the components want of them: what `check` took on trust from the kind
//! of the corpus, before anything is learned from them.

use trieval_eval::settings::LabelSource;

use super::parts::evaluated;
use crate::corpus::{Corpus, LabelRule};
use crate::error::{Error, Result};
use crate::judging::predict::is_wanted;
use crate::kind::Fact;
use crate::recipe::Recipe;

/// Refuses a corpus that lacks what a component of the recipe needs.
///
/// # Errors
/// [`Error::Data`] naming the component.
pub(super) fn verify(recipe: &Recipe, corpus: &Corpus) -> Result<()> {
    for (what, name, kind) in recipe.kinds() {
        for need in kind.needs() {
            let Some(why) = corpus.lacks(&need.fact)? else { continue };
            let message = need.said_of(what, name);
            let help = match need.instead.is_empty() {
                _ if matches!(need.fact, Fact::Value(_)) => corpus.item_value_names()?,
                true => "bring such data, or leave the component out".to_owned(),
                false => need.instead,
            };
            return Err(Error::data(corpus.folder(), format!("{message}: {why}")).with_help(help));
        }
    }
    if let Some(column) = &recipe.evaluation.answers
        && let Some(why) = corpus.lacks(&Fact::Column(column.clone()))?
    {
        let message = format!("`{column}` holds the answers that lists are judged by: {why}");
        let help = "name another column in `evaluation.answers`, or leave it out";
        return Err(Error::data(corpus.folder(), message).with_help(help));
    }
    labels(recipe, corpus)
}

/// Refuses labels of one class where a metric is computed from two.
fn labels(recipe: &Recipe, corpus: &Corpus) -> Result<()> {
    let LabelSource::Impressions { signal, from } = &recipe.evaluation.labels else {
        return Ok(());
    };
    if !is_wanted(&recipe.evaluation.metrics) {
        return Ok(());
    }
    let split = evaluated(recipe).split();
    let rule = LabelRule { signal: signal.clone(), from: *from };
    let (n, positive) = corpus.labels(split, &rule, &[])?.counts();
    if positive > 0 && positive < n {
        return Ok(());
    }
    let message = format!(
        "{positive} of {n} items that were shown for {} requests have a `{signal}` of {from} or more",
        split.name()
    );
    let help = "figures of labels need both classes: change `evaluation.labels`, or leave it out";
    Err(Error::data(corpus.folder(), message).with_help(help))
}
