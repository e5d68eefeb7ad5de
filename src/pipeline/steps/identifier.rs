//! Identifiers and their constraint index.

use crate::corpus::Corpus;
use crate::error::Result;
use crate::pipeline::runner::StepEnv;
use crate::quantizer;
use crate::quantizer::settings::IdentifierSettings;
use crate::store::write_atomic;

/// The constraint index inside the step's folder.
pub(in crate::pipeline) const INDEX_FILE: &str = "index.bin";

pub(super) fn execute(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let IdentifierSettings::ResidualKMeans(settings) = &env.loaded.recipe.identifier[name];
    let catalogue = Corpus::open(&env.input("corpus")?)?.catalogue()?;
    let vectors =
        super::vectors::read(&env.input(&format!("vectors.{}", settings.vectors))?, &catalogue)?;
    let identifiers = quantizer::fit(settings, &vectors, &catalogue.hash, env.seed(), env.ctx)?;
    env.ctx.say(identifiers.diagnostics.to_string());
    identifiers.save(&env.out)?;
    let index = identifiers.index()?;
    let path = env.out.join(INDEX_FILE);
    write_atomic(&path, |writer| {
        index.write(writer).map_err(|e| crate::Error::unwritable(&path, &e))
    })?;
    env.ctx.say(format!(
        "index: {} items, {} bytes, {:.1} bytes per item",
        index.n_items(),
        index.bytes(),
        index.bytes() as f64 / index.n_items() as f64
    ));
    Ok(())
}
