//! What a system answers to the training requests, fold by fold, for those who learn it.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::corpus::Split;
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::judging::runs::read_answers;
use crate::kind::{Estimate, Role, Sizes};
use crate::train::data::taught::Taught;

/// Gathers the answers to all training requests.
#[derive(Serialize, JsonSchema)]
pub struct Teach {
    /// Answers per request.
    pub top: u32,
    /// Parts of the training requests, each of which was answered on its own.
    pub folds: u32,
}

impl Work for Teach {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        let requests = corpus.requests(Split::Train)?;
        let numbers: HashMap<&str, usize> =
            requests.iter().enumerate().map(|(at, request)| (request.id.as_str(), at)).collect();
        let mut lists = vec![Vec::new(); requests.len()];
        for fold in 0..self.folds as usize {
            for ranking in read_answers(step.inputs.folder(Role::Answers(fold))?)?.rankings() {
                let stranger = |id: &str| Error::Failed(format!("{}: who is {id}?", step.name));
                let &at =
                    numbers.get(ranking.request()).ok_or_else(|| stranger(ranking.request()))?;
                for (id, _) in ranking.items().take(self.top as usize) {
                    lists[at].push(catalogue.index_of(id).ok_or_else(|| stranger(id))?);
                }
            }
        }
        let (n, answered) = (lists.len(), lists.iter().filter(|list| !list.is_empty()).count());
        step.ctx.say(format!("{}: answers to {answered} of {n} training requests", step.name));
        Taught::new(lists).write(step.out)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let answers = sizes.train.map(|n| n * u64::from(self.top));
        Estimate::default().count("answers", "≤ ", answers)
    }
}
