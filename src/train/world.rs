//! Who else computes the same step.
//!
//! Every rank draws the same examples and takes its own share of them; losses are divided by the
//! weight of the *whole* step, so that the sum of the ranks' gradients is the gradient of one rank
//! that does it all. The sum is taken at one place, before clipping.

use super::rows::Gradient;
use crate::error::{Error, Result};

/// This process among the processes of one training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    rank: usize,
    size: usize,
}

impl World {
    /// The only process.
    pub fn single() -> Self {
        Self { rank: 0, size: 1 }
    }

    /// Process `rank` of `size`; `None` unless `rank < size`.
    pub fn new(rank: usize, size: usize) -> Option<Self> {
        (rank < size).then_some(Self { rank, size })
    }

    /// This process's contiguous share of a step's examples.
    pub fn share<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let bound = |rank: usize| all.len() * rank / self.size;
        &all[bound(self.rank)..bound(self.rank + 1)]
    }

    /// The sum of a number over all processes: the weight that a step's loss is divided by.
    ///
    /// # Errors
    /// As [`World::reduce`].
    pub fn total(&self, share: f64) -> Result<f64> {
        if self.size == 1 { Ok(share) } else { Err(self.no_transport()) }
    }

    /// The single reduce point: sums gradients over all processes, in place.
    ///
    /// With one process there is nothing to add.
    ///
    /// # Errors
    /// With several processes, since this build has no transport between them.
    pub fn reduce(&self, _gradients: &mut [Gradient]) -> Result<()> {
        if self.size == 1 { Ok(()) } else { Err(self.no_transport()) }
    }

    fn no_transport(&self) -> Error {
        Error::Usage(format!(
            "training on {} processes needs a transport, which this build does not have",
            self.size
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::World;

    #[test]
    fn shares_partition_the_step() {
        let all: Vec<u32> = (0..10).collect();
        let mut joined = Vec::new();
        for rank in 0..3 {
            joined.extend_from_slice(World::new(rank, 3).expect("rank below size").share(&all));
        }
        assert_eq!(joined, all);
        assert!(World::new(3, 3).is_none());
    }
}
