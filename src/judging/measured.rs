//! What metrics beyond accuracy need to know of the catalogue.

use std::path::Path;

use trieval_eval::Catalogue as MeasuredCatalogue;
use trieval_eval::metric::{Metric, Needs};

use crate::corpus::{Catalogue, Corpus, training_exposure};
use crate::error::{Error, Result};
use crate::vectors::read_of;

/// Ids and training exposure of all items, and their vectors from the folder `vectors`, as far as one of `metrics` asks for
/// them; none where none does.
///
/// # Errors
/// [`Error::Data`] when corpus or vectors cannot be read, [`Error::Usage`] when vectors are asked for and there are none.
pub fn measured_catalogue(
    corpus: &Corpus,
    catalogue: &Catalogue,
    vectors: Option<&Path>,
    metrics: &[Metric],
) -> Result<Option<MeasuredCatalogue>> {
    let failed = |e: trieval_eval::Error| Error::data(corpus.folder(), e.to_string());
    let asked = |needs: Needs| metrics.iter().find(|metric| metric.needs() == needs);
    if metrics.iter().all(|metric| metric.needs() == Needs::Nothing) {
        return Ok(None);
    }
    let exposure = training_exposure(corpus)?;
    let mut measured = MeasuredCatalogue::new(&catalogue.ids)
        .and_then(|measured| measured.with_exposures(exposure))
        .map_err(failed)?;
    if let Some(metric) = asked(Needs::Vectors) {
        let folder = vectors.ok_or_else(|| {
            Error::Usage(format!("{metric} needs item vectors, and the recipe has none"))
        })?;
        let vectors = read_of(folder, catalogue)?;
        measured = measured.with_vectors(vectors.data.into_vec(), vectors.dim).map_err(failed)?;
    }
    Ok(Some(measured))
}
