//! The truth of the simulated shop as a ranker: it alone may know the world behind the requests.

mod kind;

use std::path::Path;

use super::{Retrieve, Scored};
use crate::corpus::Ask;
use crate::corpus::simulator::World;
use crate::error::{Error, Result};

/// Ranks by true relevance, then by expected utility.
pub struct Oracle {
    world: World,
}

impl Oracle {
    /// Recomputes the world that a corpus folder was written from.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the folder is not of a simulated shop: then nobody knows the truth.
    pub fn open(corpus: &Path) -> Result<Self> {
        Ok(Self { world: World::open(corpus)? })
    }

    /// Whether the truth behind a corpus folder is known.
    pub fn knows(corpus: &Path) -> bool {
        World::file(corpus).is_file()
    }

    /// True utility of an item to the user of a request, by their row numbers.
    ///
    /// # Panics
    /// When request or item does not exist in this world.
    pub fn utility(&self, request: u32, item: u32) -> f32 {
        self.world.utility(request, item)
    }

    /// Probability that the user of a request sees and clicks an item that stands at a position, from 1.
    ///
    /// # Panics
    /// When request or item does not exist in this world.
    pub fn click(&self, request: u32, item: u32, position: usize) -> f64 {
        self.world.examination(position) * f64::from(self.world.click_probability(request, item))
    }
}

impl Retrieve for Oracle {
    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let row = ask.row.ok_or_else(|| {
            Error::Usage("the truth of a simulated shop knows no question but its own".into())
        })?;
        let ranked = self.world.oracle_ranking(row, depth + exclude.len());
        let allowed = ranked.into_iter().filter(|(item, _)| exclude.binary_search(item).is_err());
        Ok(allowed.take(depth).collect())
    }
}
