//! A trained decoder as the scorer of the one beam search, over the index of its catalogue.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use trieval_kernels::beam::{
    Filter, Filtered, Frontier, FrontierBeam, Hit, HostSearch, Places, Scorer, Search, SearchError,
};
use trieval_kernels::index::{SidIndex, Spelled};
use trieval_kernels::ops::log_sum_exp;

use super::settings::{DecodeSettings, Normalizer};
use crate::error::{Error, Result};
use crate::model::inference::{BeamCache, FrozenDecoder, PromptCache};
use crate::model::item_tokens::{ItemTokens, Silence};

/// Turns prompts into items; shared by any number of threads.
pub struct Retriever {
    decoder: Arc<FrozenDecoder>,
    index: SidIndex,
    items: ItemTokens,
    settings: DecodeSettings,
}

impl Retriever {
    /// `items` spells the catalogue of `index` in the decoder's tokens.
    pub fn new(
        decoder: Arc<FrozenDecoder>,
        index: SidIndex,
        items: ItemTokens,
        settings: &DecodeSettings,
    ) -> Self {
        Self { decoder, index, items, settings: settings.clone() }
    }

    /// Unique items for each prompt, best first: those of at most as many identifiers as there are beams, fewer where fewer
    /// are allowed. A hit's `tokens` are codes (where identifiers are of different lengths, tokens counted through all
    /// levels), its score is a log-probability, or the mean of its tokens' where identifiers are compared by that. A filter (one per prompt; prompts
    /// beyond the list have none) takes no places in the beam; what it leaves out is not legal, so
    /// [`Normalizer::Slice`] sums over the rest.
    ///
    /// # Errors
    /// When a prompt does not fit the decoder.
    pub fn retrieve_all(
        &self,
        prompts: &[&[u32]],
        filters: &[Filter<'_>],
    ) -> Result<Vec<Vec<Hit>>> {
        let beam = (self.settings.beam as usize).min(self.index.n_items());
        let beam = u32::try_from(beam).ok().and_then(NonZeroU32::new);
        let Some(beam) = beam else { return Ok(vec![Vec::new(); prompts.len()]) };
        let Some(Silence { level, code, is_mean }) = self.items.silence() else {
            return self.search(&self.index, beam, prompts, filters);
        };
        let spelled = Spelled::new(&self.index, Some((level, code)));
        let mut found = self.search(spelled, beam, prompts, filters)?;
        if is_mean {
            for hits in &mut found {
                hits.iter_mut().for_each(|hit| hit.score /= hit.tokens.len() as f32);
                hits.sort_by(|a, b| b.score.total_cmp(&a.score));
            }
        }
        Ok(found)
    }

    fn search<C: Places>(
        &self,
        constraint: C,
        beam: NonZeroU32,
        prompts: &[&[u32]],
        filters: &[Filter<'_>],
    ) -> Result<Vec<Vec<Hit>>> {
        let scorer = DecoderScorer { retriever: self, requests: Vec::new() };
        let mut search = HostSearch::new(Filtered::new(constraint), scorer, beam);
        search.search(prompts, filters).map_err(|error| match error {
            SearchError::Scorer(error) => error,
            other => {
                Error::Failed(format!("beam search: {other}; the weights are damaged or diverged"))
            }
        })
    }

    /// Token ids that the search's tokens of a level may be: those of the level, or of all levels where paths are spelled
    /// with different lengths.
    fn token_ids(&self, level: usize) -> Range<usize> {
        let codes = self.index.codes_per_level();
        let (first, n) = match self.items.silence() {
            Some(_) => (self.items.token(0, 0), codes.iter().sum()),
            None => (self.items.token(level, 0), codes[level]),
        };
        first as usize..(first + n) as usize
    }

    /// As [`Retriever::retrieve_all`], for one prompt.
    ///
    /// # Errors
    /// When the prompt does not fit the decoder.
    pub fn retrieve(&self, prompt: &[u32], filter: Filter<'_>) -> Result<Vec<Hit>> {
        Ok(self.retrieve_all(&[prompt], &[filter])?.pop().unwrap_or_default())
    }

    /// The constraint index.
    pub fn index(&self) -> &SidIndex {
        &self.index
    }
}

/// Scores the continuations of all requests' beams, one request after another.
struct DecoderScorer<'a> {
    retriever: &'a Retriever,
    requests: Vec<Caches>,
}

/// What one request leaves behind.
struct Caches {
    prompt: PromptCache,
    beams: BeamCache,
    /// Slot of its first beam at the previous level.
    first_slot: u32,
}

impl Scorer<&[u32]> for DecoderScorer<'_> {
    type Error = Error;

    fn start(&mut self, prompts: &[&[u32]]) -> Result<()> {
        let caches = |prompt: &&[u32]| {
            let prompt = self.retriever.decoder.prefill(prompt)?;
            Ok(Caches { prompt, beams: BeamCache::new(), first_slot: 0 })
        };
        self.requests = prompts.iter().map(caches).collect::<Result<_>>()?;
        Ok(())
    }

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<()> {
        let mut first = 0;
        for beams in frontier.beams().chunk_by(|a, b| a.request == b.request) {
            let slots = first..first + beams.len();
            first = slots.end;
            let hidden = self.hidden(frontier.level(), beams, slots.start as u32)?;
            self.score_children(&hidden, frontier, slots, scores)?;
        }
        Ok(())
    }
}

impl DecoderScorer<'_> {
    /// Hidden states behind the beams of one request, `[beams, hidden]`.
    fn hidden(
        &mut self,
        level: usize,
        beams: &[FrontierBeam],
        first_slot: u32,
    ) -> Result<Vec<f32>> {
        let Retriever { decoder, .. } = self.retriever;
        let caches = &mut self.requests[beams[0].request as usize];
        let before = std::mem::replace(&mut caches.first_slot, first_slot);
        if level == 0 {
            return Ok(caches.prompt.last_hidden().to_vec());
        }
        let parents: Vec<u32> = beams.iter().map(|beam| beam.parent - before).collect();
        let first = self.retriever.token_ids(level - 1).start as u32;
        let tokens: Vec<u32> = beams.iter().map(|beam| first + beam.token).collect();
        decoder.extend(&caches.prompt, &mut caches.beams, &parents, &tokens)
    }

    /// Writes the scores of the children of some slots.
    fn score_children(
        &self,
        hidden: &[f32],
        frontier: &Frontier,
        slots: Range<usize>,
        scores: &mut [f32],
    ) -> Result<()> {
        let Retriever { decoder, settings, .. } = self.retriever;
        let ids = self.retriever.token_ids(frontier.level());
        let (range, offset) = match settings.normalizer {
            Normalizer::Exact => (0..decoder.config().vocab_size, ids.start),
            // No others can be legal.
            Normalizer::Slice => (ids, 0),
        };
        let width = range.len();
        let logits = decoder.logits(hidden, range)?;
        for (slot, row) in slots.zip(logits.chunks_exact(width)) {
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
