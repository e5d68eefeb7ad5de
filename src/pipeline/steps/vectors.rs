//! Item vectors: trained here, or imported.

use crate::corpus::Corpus;
use crate::error::Result;
use crate::pipeline::runner::StepEnv;
use crate::ranker::settings::VectorsSettings;
use crate::ranker::two_tower::{self, VECTORS_FILE};
use crate::ranker::{encoder, mmse};
use crate::store::Vectors;

pub(super) fn execute(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let catalogue = corpus.catalogue()?;
    match &env.loaded.recipe.vectors[name] {
        VectorsSettings::TwoTower(settings) => {
            two_tower::fit(&corpus, &catalogue, settings, env.seed(), &env.out, &env.work, env.ctx)
        }
        VectorsSettings::Mmse(settings) => {
            let base = settings.base().map(|base| env.input(&format!("vectors.{base}")));
            let base = base.transpose()?;
            let place = mmse::Place {
                base: base.as_deref(),
                seed: env.seed(),
                out: &env.out,
                work: &env.work,
                ctx: env.ctx,
            };
            mmse::fit(&corpus, &catalogue, settings, &place)
        }
        VectorsSettings::Encoder(settings) => {
            encoder::fit(&corpus, &catalogue, settings, &env.out, env.ctx)
        }
        VectorsSettings::File(settings) => {
            let vectors = Vectors::read(&settings.path, Some(catalogue.len()))?;
            vectors.write(&env.out.join(VECTORS_FILE))
        }
    }
}
