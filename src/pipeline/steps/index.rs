//! The index that a system searches instead of all item vectors: built here, and compared with exact search on the requests
//! that the system answered.

use rand::seq::SliceRandom;

use crate::corpus::Request;
use crate::error::{Error, Result};
use crate::pipeline::answer::Asking;
use crate::pipeline::runner::StepEnv;
use crate::ranker::hnsw::{self, Comparison, Query, compare};
use crate::ranker::nearest::Nearest;
use crate::ranker::settings::{IndexSettings, SystemSettings};
use crate::vectors::{VECTORS_FILE, Vectors};

/// Most requests on which an index is compared with exact search.
const MOST_REQUESTS: usize = 1_000;

pub(super) fn execute(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let system = env.loaded.recipe.system.iter().find(|system| system.name() == name);
    let Some(SystemSettings::TwoTower { vectors, index: Some(index), .. }) = system else {
        return Err(Error::Failed(format!("system {name} searches no index")));
    };
    let path = env.input(&format!("vectors.{vectors}"))?.join(VECTORS_FILE);
    let vectors = Vectors::read(&path, None)?;
    let IndexSettings::Hnsw(settings) = index;
    hnsw::build(&vectors, settings, env.seed(), &env.out, env.ctx)?;
    Ok(())
}

/// The index of `nearest` beside exact search on the requests, or a sample of them; none without an index or a request.
pub(super) fn measure(
    nearest: &Nearest,
    requests: &[Request],
    asking: &Asking<'_>,
    env: &StepEnv<'_>,
) -> Result<Option<Comparison>> {
    let Some(index) = nearest.index() else { return Ok(None) };
    if requests.is_empty() {
        return Ok(None);
    }
    let mut sample: Vec<&Request> = requests.iter().collect();
    if sample.len() > MOST_REQUESTS {
        sample.shuffle(&mut env.seed().purpose("compare-index").rng());
        sample.truncate(MOST_REQUESTS);
        sample.sort_by_key(|request| request.idx);
    }
    let mut bar = env.ctx.bar("compare with exact search", sample.len() as u64, "request");
    let query = |request: &Request| {
        env.ctx.check_interrupt()?;
        bar.advance(1);
        Ok(Query {
            vector: nearest.vector(request)?,
            exclude: request.excluded(asking.exclude_history),
        })
    };
    let queries = sample.into_iter().map(query).collect::<Result<Vec<_>>>()?;
    drop(bar);
    compare(index, nearest.vectors(), &queries, asking.depth, env.ctx).map(Some)
}
