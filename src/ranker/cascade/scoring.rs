//! The stage that scores candidates by a system, and leaves all that the system says of them as columns.

use trieval_kernels::top::top;

use crate::corpus::{Ask, Heard};
use crate::error::{Error, Result};
use crate::ranker::harness::{Rank, Retrieve, Stage, checked_outputs};
use crate::ranker::slate::{Column, Slate};

/// Orders slates by the first output of a system.
pub struct Scoring {
    name: String,
    system: Box<dyn Retrieve>,
}

impl Scoring {
    /// Scores by a system of that name.
    pub fn new(name: &str, system: Box<dyn Retrieve>) -> Self {
        Self { name: name.to_owned(), system }
    }

    /// What of a question the system makes use of.
    pub fn hears(&self, ask: &Ask) -> Heard {
        self.system.hears(ask)
    }

    /// The system in its seat; the check of recipes refuses one that cannot take it.
    pub fn rank(&self) -> Option<&dyn Rank> {
        self.system.as_rank()
    }
}

impl Stage for Scoring {
    fn apply(&self, slates: &mut [Slate<'_>], depth: usize) -> Result<()> {
        let rank = self.rank().ok_or_else(|| {
            Error::Failed(format!("system {} cannot score given items", self.name))
        })?;
        let all = checked_outputs(rank, slates)?;
        for (slate, outputs) in slates.iter_mut().zip(all) {
            let Some(first) = outputs.first() else { continue };
            let scored = slate.items().iter().copied().zip(first.values.iter().copied());
            let best = top(scored, depth, &[]);
            for output in outputs {
                let name = format!("{}.{}", self.name, output.name);
                if let Some(variance) = output.variance {
                    slate.put(format!("{name}.variance"), Column::Numbers(variance));
                }
                slate.put(name, Column::Numbers(output.values));
            }
            slate.reorder(&best);
        }
        Ok(())
    }
}
