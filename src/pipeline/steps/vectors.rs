//! Item vectors: trained here, taken from a pretrained model, counted from feedback, joined, or imported.

use std::path::Path;

use crate::corpus::{Catalogue, Corpus};
use crate::error::Result;
use crate::pipeline::runner::StepEnv;
use crate::vectors::collaborative;
use crate::vectors::encoder::Source;
use crate::vectors::joined::join;
use crate::vectors::settings::{VectorFileSettings, VectorsSettings};
use crate::vectors::{Provenance, TABLE_EXTENSION, TableColumns, Vectors, read_table};
use crate::vectors::{VECTORS_FILE, two_tower};
use crate::vectors::{encoder, mmse};

pub(super) fn execute(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let catalogue = corpus.catalogue()?;
    let vectors = match &env.loaded.recipe.vectors[name] {
        VectorsSettings::TwoTower(settings) => {
            let (seed, out, work) = (env.seed(), &env.out, &env.work);
            return two_tower::fit(&corpus, &catalogue, settings, seed, out, work, env.ctx);
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
            return mmse::fit(&corpus, &catalogue, settings, &place);
        }
        VectorsSettings::Encoder(settings) => {
            let source = Source::Encoder(settings);
            return encoder::fit(&corpus, &catalogue, source, &env.out, env.ctx);
        }
        VectorsSettings::Decoder(settings) => {
            let source = Source::Decoder(settings);
            return encoder::fit(&corpus, &catalogue, source, &env.out, env.ctx);
        }
        VectorsSettings::Collaborative(settings) => {
            collaborative::fit(&corpus, settings, env.seed(), env.ctx)?
        }
        VectorsSettings::Joined(settings) => {
            let read = |part: &String| {
                let folder = env.input(&format!("vectors.{part}"))?;
                read(&folder, &catalogue)
            };
            let parts: Vec<Vectors> = settings.parts.iter().map(read).collect::<Result<_>>()?;
            join(&parts, &settings.weights, "joined vectors")?
        }
        VectorsSettings::File(settings) => import(settings, &catalogue)?,
    };
    let made_from = Provenance::of_catalogue(&catalogue.hash);
    vectors.write_made_from(&env.out.join(VECTORS_FILE), &made_from)
}

/// The vectors in the folder of a finished step, which must be of the items of this catalogue.
pub(in crate::pipeline) fn read(folder: &Path, catalogue: &Catalogue) -> Result<Vectors> {
    let made_from = Provenance::of_catalogue(&catalogue.hash);
    Vectors::read_made_from(&folder.join(VECTORS_FILE), catalogue.len(), &made_from)
}

/// Vectors that somebody else made.
fn import(settings: &VectorFileSettings, catalogue: &Catalogue) -> Result<Vectors> {
    let path = &settings.path;
    if path.extension().is_some_and(|extension| extension == TABLE_EXTENSION) {
        let default = TableColumns::default();
        let columns = TableColumns {
            id: settings.id_column.as_deref().unwrap_or(default.id),
            vector: settings.vector_column.as_deref().unwrap_or(default.vector),
        };
        return read_table(path, &columns, &catalogue.ids);
    }
    let made_from = Provenance::of_catalogue(&catalogue.hash);
    Vectors::read_made_from(path, catalogue.len(), &made_from)
}
