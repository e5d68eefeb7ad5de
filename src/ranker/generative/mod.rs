//! The generative model as a ranker: prompt, constrained beam search, items.

mod kind;
mod ranking;
pub mod settings;
mod spans;

use std::sync::Arc;

use rayon::prelude::*;
use trieval_kernels::beam::{Filter, Hit};
use trieval_kernels::ops::alone;

use super::{Retrieve, Scored};
use crate::corpus::{Ask, Heard, Words};
use crate::decode::prompt::PromptBuilder;
use crate::decode::retriever::Retriever;
use crate::error::Result;

/// A trained decoder behind the index of its catalogue.
pub struct Generative {
    /// Renders requests.
    pub prompts: Arc<PromptBuilder>,
    /// Searches.
    pub retriever: Retriever,
}

impl Retrieve for Generative {
    fn hears(&self, _: &Ask) -> Heard {
        Heard { query: Words::Read, history: self.prompts.history_items() > 0, ..Heard::default() }
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let prompt = self.prompts.build(ask.query.as_deref(), &ask.history)?;
        let hits = self.retriever.retrieve(&prompt.tokens, Filter::Without(exclude))?;
        Ok(listed(hits, depth))
    }

    /// Each thread searches for its share of the requests at once.
    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let share = asks.len().div_ceil(rayon::current_num_threads()).max(1);
        let shares = asks.par_chunks(share).zip(exclude.par_chunks(share));
        let lists = shares.map(|(asks, exclude)| {
            let prompts =
                asks.iter().map(|ask| self.prompts.build(ask.query.as_deref(), &ask.history));
            let prompts = prompts.collect::<Result<Vec<_>>>()?;
            let tokens: Vec<&[u32]> =
                prompts.iter().map(|prompt| prompt.tokens.as_slice()).collect();
            let filters: Vec<Filter<'_>> = exclude.iter().map(|one| Filter::Without(one)).collect();
            let hits = alone(|| self.retriever.retrieve_all(&tokens, &filters))?;
            Ok(hits.into_iter().map(|hits| listed(hits, depth)).collect::<Vec<_>>())
        });
        Ok(lists.collect::<Result<Vec<_>>>()?.concat())
    }
}

fn listed(hits: Vec<Hit>, depth: usize) -> Vec<Scored> {
    hits.into_iter().map(|hit| (hit.item, hit.score)).take(depth).collect()
}
