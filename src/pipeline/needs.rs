//! Whether the data hold what the components want of them: what `check` took on trust from the kind
//! of the corpus, before anything is learned from them.

use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::recipe::Recipe;

/// Refuses a corpus that lacks what a component of the recipe needs.
///
/// # Errors
/// [`Error::Data`] naming the component.
pub(super) fn verify(recipe: &Recipe, corpus: &Corpus) -> Result<()> {
    for (name, kind) in recipe.kinds() {
        for need in kind.needs() {
            let Some(why) = corpus.lacks(&need.fact)? else { continue };
            let message = need.message.replace("{name}", name);
            let help = match need.instead.is_empty() {
                true => "bring such data, or leave the component out".to_owned(),
                false => need.instead,
            };
            return Err(Error::data(corpus.folder(), format!("{message}: {why}")).with_help(help));
        }
    }
    Ok(())
}
