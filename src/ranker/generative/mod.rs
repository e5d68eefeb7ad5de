//! The generative model as a ranker: prompt, constrained beam search, items.

mod kind;
pub mod settings;

use trieval_kernels::beam::Filter;

use super::{Retrieve, Scored};
use crate::corpus::Request;
use crate::decode::prompt::PromptBuilder;
use crate::decode::retriever::Retriever;
use crate::error::Result;

/// A trained decoder behind the index of its catalogue.
pub struct Generative {
    /// Renders requests.
    pub prompts: PromptBuilder,
    /// Searches.
    pub retriever: Retriever,
}

impl Retrieve for Generative {
    fn retrieve(&self, request: &Request, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let prompt = self.prompts.build(request.query.as_deref(), &request.history)?;
        let hits = self.retriever.retrieve(&prompt.tokens, Filter::Without(exclude))?;
        Ok(hits.into_iter().map(|hit| (hit.item, hit.score)).take(depth).collect())
    }
}
