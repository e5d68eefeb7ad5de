//! A trained decoder as the scorer of the one beam search, over the index of its catalogue.

use std::num::NonZeroU32;

use trieval_kernels::beam::{BeamSearch, Frontier, Hit, Scorer, SearchError};
use trieval_kernels::index::SidIndex;
use trieval_kernels::ops::log_sum_exp;

use super::settings::{DecodeSettings, Normalizer};
use crate::error::{Error, Result};
use crate::model::inference::{BeamCache, FrozenDecoder, PromptCache};
use crate::model::item_tokens::ItemTokens;

/// Turns prompts into items; shared by any number of threads.
pub struct Retriever {
    decoder: FrozenDecoder,
    index: SidIndex,
    items: ItemTokens,
    settings: DecodeSettings,
}

impl Retriever {
    /// `items` spells the catalogue of `index` in the decoder's tokens.
    pub fn new(
        decoder: FrozenDecoder,
        index: SidIndex,
        items: ItemTokens,
        settings: &DecodeSettings,
    ) -> Self {
        Self { decoder, index, items, settings: settings.clone() }
    }

    /// Unique items for a prompt, best first: at most the beam plus `extra`, fewer where the
    /// catalogue is smaller. A hit's `tokens` are codes, its score is a log-probability.
    ///
    /// # Errors
    /// When the prompt does not fit the decoder.
    pub fn retrieve(&self, prompt: &[u32], extra: usize) -> Result<Vec<Hit>> {
        let beam = (self.settings.beam as usize + extra).min(self.index.n_items());
        let beam = u32::try_from(beam).ok().and_then(NonZeroU32::new);
        let Some(beam) = beam else { return Ok(Vec::new()) };
        let mut scorer = DecoderScorer {
            retriever: self,
            prompt: self.decoder.prefill(prompt)?,
            beams: BeamCache::new(),
        };
        let search = BeamSearch::new(&self.index, beam);
        let mut hits = search.run(1, &mut scorer, &mut ()).map_err(|error| match error {
            SearchError::Scorer(error) => error,
            other => {
                Error::Failed(format!("beam search: {other}; the weights are damaged or diverged"))
            }
        })?;
        Ok(hits.pop().unwrap_or_default())
    }

    /// The constraint index.
    pub fn index(&self) -> &SidIndex {
        &self.index
    }
}

/// Scores the continuations of one request's beams.
struct DecoderScorer<'a> {
    retriever: &'a Retriever,
    prompt: PromptCache,
    beams: BeamCache,
}

impl Scorer for DecoderScorer<'_> {
    type Error = Error;

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<()> {
        let Retriever { decoder, items, settings, index, .. } = self.retriever;
        let level = frontier.level();
        let hidden = if level == 0 {
            self.prompt.last_hidden().to_vec()
        } else {
            let parents: Vec<u32> = frontier.beams().iter().map(|beam| beam.parent).collect();
            let token = |code| items.token(level - 1, code);
            let tokens: Vec<u32> = frontier.beams().iter().map(|beam| token(beam.token)).collect();
            decoder.extend(&self.prompt, &mut self.beams, &parents, &tokens)?
        };
        let first = items.token(level, 0) as usize;
        let (range, offset) = match settings.normalizer {
            Normalizer::Exact => (0..decoder.config().vocab_size, first),
            // Only tokens of this level can be legal.
            Normalizer::Slice => (first..first + index.codes_per_level()[level] as usize, 0),
        };
        let width = range.len();
        let logits = decoder.logits(&hidden, range)?;
        for (slot, row) in logits.chunks_exact(width).enumerate() {
            let children = frontier.children(slot);
            let (codes, scores) = (&frontier.tokens()[children.clone()], &mut scores[children]);
            for (score, code) in scores.iter_mut().zip(codes) {
                *score = row[offset + *code as usize];
            }
            let normalizer = match settings.normalizer {
                Normalizer::Exact => log_sum_exp(row),
                Normalizer::Slice => log_sum_exp(scores),
            };
            for score in scores {
                *score -= normalizer;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "retriever_tests.rs"]
mod tests;
