//! The truth of the simulated shop as a ranker. It lives here because it alone must know both the
//! corpus settings and the requests; no other system may.

use crate::corpus::settings::CorpusSettings;
use crate::corpus::simulator::World;
use crate::corpus::{Request, world_seed};
use crate::error::{Error, Result};
use crate::ranker::{Retrieve, Scored};
use crate::recipe::Recipe;
use crate::seed::Seed;

/// Ranks by true relevance, then by expected utility.
pub struct Oracle {
    world: World,
}

impl Oracle {
    /// Recomputes the world of a recipe.
    ///
    /// # Errors
    /// [`Error::Usage`] when the corpus is not simulated: then nobody knows the truth.
    pub fn new(recipe: &Recipe) -> Result<Self> {
        let CorpusSettings::Simulator(settings) = &recipe.corpus else {
            return Err(Error::Usage("an oracle needs a simulated corpus".into()));
        };
        Ok(Self {
            world: World::new(
                settings,
                world_seed(Seed::new(recipe.corpus_seed().unwrap_or_default())),
            )?,
        })
    }
}

impl Retrieve for Oracle {
    fn retrieve(&self, request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let ranked = self.world.oracle_ranking(request.idx, depth + exclude.len());
        let allowed = ranked.into_iter().filter(|(item, _)| exclude.binary_search(item).is_err());
        Ok(allowed.take(depth).collect())
    }
}
