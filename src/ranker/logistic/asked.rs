//! The systems whose scores are features.

use crate::corpus::{Ask, Heard};
use crate::error::{Error, Result};
use crate::inputs::Inputs;
use crate::ranker::Retrieve;
use crate::ranker::harness::first_outputs;
use crate::ranker::kinds::System;
use crate::ranker::slate::Slate;

/// Systems with their names, in the order of their features.
#[derive(Default)]
pub(super) struct Asked(Vec<(String, Box<dyn Retrieve>)>);

impl Asked {
    /// Opens all that a system asks.
    ///
    /// # Errors
    /// [`Error::Data`] when one cannot be opened.
    pub(super) fn open(system: &System, inputs: &Inputs) -> Result<Self> {
        let names = system.asks.iter().map(|part| part.settings.name().to_owned());
        Ok(Self(names.zip(system.open_parts(inputs)?).collect()))
    }

    /// Whether nobody is asked.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What of a question they make use of.
    pub(super) fn hears(&self, ask: &Ask) -> Heard {
        self.0.iter().map(|(_, system)| system.hears(ask)).fold(Heard::default(), Heard::or)
    }

    /// What each says of the items of a slate, `[rows, systems]`: what an earlier stage left there, or
    /// else what it answers.
    ///
    /// # Errors
    /// When a system fails.
    pub(super) fn scores(&self, slate: &Slate<'_>) -> Result<Vec<Vec<f32>>> {
        let mut rows = vec![Vec::with_capacity(self.0.len()); slate.items().len()];
        for (name, system) in &self.0 {
            let left = slate.scores_of(name).filter(|left| !left.iter().any(|one| one.is_nan()));
            let scores = match left {
                Some(left) => left.to_vec(),
                None => {
                    let rank = system.as_rank().ok_or_else(|| {
                        Error::Failed(format!("system {name} cannot score given items"))
                    })?;
                    let alone = Slate::new(slate.ask, slate.items().to_vec());
                    first_outputs(rank, &[alone])?.pop().unwrap_or_default()
                }
            };
            rows.iter_mut().zip(scores).for_each(|(row, score)| row.push(score));
        }
        Ok(rows)
    }
}
