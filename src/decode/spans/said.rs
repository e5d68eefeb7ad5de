//! What a decoder says to a request: spans that texts hold, and how sure it is of each.

use std::num::NonZeroU32;
use std::ops::Range;

use trieval_kernels::beam::{
    Collect, Frontier, Hit, HostSearch, Hypothesis, Level, Scorer, SearchError,
};
use trieval_kernels::index::fm::{Rows, SpanState, Spans as Legal};
use trieval_kernels::ops::log_sum_exp;
use trieval_kernels::top::top;

use super::Spans;
use super::settings::SpanDecodeSettings;
use crate::error::{Error, Result};
use crate::identifier::spans::{Piece, View};
use crate::model::inference::{BeamCache, FrozenDecoder, PromptCache};

/// A span that was said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    /// The place of its view among those of the spans.
    pub(super) view: usize,
    pub(super) tokens: Vec<u32>,
    /// Log-probability under the full vocabulary.
    pub(super) log_p: f32,
    /// Where it occurs; behind the mode token of its view, where that begins texts.
    pub(super) rows: Rows,
}

/// Everything that a decoder said to one request; what it is worth is another question.
#[derive(Debug, Default)]
pub struct Said {
    pub(super) keys: Vec<Key>,
    /// The likeliest first tokens of a span, with their log-probabilities.
    pub(super) first: Vec<(u32, f32)>,
}

impl Said {
    /// The spans of titles that were said, in the order of levels and ranks.
    pub fn spans(&self) -> impl Iterator<Item = &[u32]> {
        let own = self.keys.iter().filter(|key| key.view == 0);
        own.map(|key| key.tokens.as_slice())
    }
}

/// Lets the decoder speak. `query` are the pieces of the request's own words.
pub(super) fn say(
    decoder: &FrozenDecoder,
    spans: &Spans,
    settings: &SpanDecodeSettings,
    prompt: &[u32],
    query: &[Piece],
) -> Result<Said> {
    let modes: Vec<Option<u32>> = spans.views.iter().map(|(_, mode)| *mode).collect();
    let begins = |(view, mode): &(View, Option<u32>)| mode.filter(|_| *view != View::Spans);
    let openings: Vec<Option<u32>> = spans.views.iter().map(begins).collect();
    // A field that no item has opens no text, and nothing is said in its view.
    let asked: Vec<usize> = (0..modes.len())
        .filter(|view| openings[*view].is_none_or(|token| spans.index.has(token)))
        .collect();
    let modes: Vec<Option<u32>> = asked.iter().map(|view| modes[*view]).collect();
    let openings: Vec<Option<u32>> = asked.iter().map(|view| openings[*view]).collect();
    let legal = Legal::new(&spans.index).starting_with(&spans.starts).opened_by(&openings);
    let legal = legal.map_err(|e| Error::Failed(format!("span search: {e}")))?;
    let beam = NonZeroU32::new(settings.beam).unwrap_or(NonZeroU32::MIN);
    let search = HostSearch::new(legal, Speaker::new(decoder, prompt)?, beam);
    let max_levels = spans.settings.tokens as usize;
    let mut search =
        HostSearch { max_levels, ..search }.collecting(Heard { views: &asked, keys: Vec::new() });
    search.run(&modes).map_err(|error| match error {
        SearchError::Scorer(error) => error,
        other => {
            Error::Failed(format!("span search: {other}; the weights are damaged or diverged"))
        }
    })?;
    let HostSearch { scorer, collect, .. } = search;
    let mut keys = collect.keys;
    let first = match asked.first() {
        // What the first view says first: spans of the title come before all others.
        Some(0) => likeliest(&scorer.opening, spans, settings.unigrams as usize),
        _ => Vec::new(),
    };
    if settings.query_words > 0 {
        let own = runs(query, settings.query_words as usize, max_levels);
        let known =
            |tokens: &Vec<u32>| keys.iter().all(|key| key.view != 0 || key.tokens != *tokens);
        let own: Vec<(Vec<u32>, Rows)> = own
            .into_iter()
            .filter(known)
            .filter_map(|tokens| spans.index.find(&tokens).map(|rows| (tokens, rows)))
            .collect();
        let log_p = scorer.given(modes[0], own.iter().map(|(tokens, _)| tokens.as_slice()))?;
        let own = own.into_iter().zip(log_p);
        keys.extend(own.map(|((tokens, rows), log_p)| Key { view: 0, tokens, log_p, rows }));
    }
    Ok(Said { keys, first })
}

/// The best `limit` tokens of a row that words begin with, and that occur.
fn likeliest(row: &[f32], spans: &Spans, limit: usize) -> Vec<(u32, f32)> {
    let begins = |token: &u32| spans.starts.get(*token as usize) == Some(&true);
    let tokens = (0..row.len() as u32).filter(begins).map(|token| (token, row[token as usize]));
    top(tokens, limit, &[])
}

/// Runs of at most `most` words of a query and `longest` tokens, each once.
fn runs(query: &[Piece], most: usize, longest: usize) -> Vec<Vec<u32>> {
    let begins = |at: &usize| query[*at].begins_word || *at == 0;
    let mut words: Vec<usize> = (0..query.len()).filter(begins).collect();
    words.push(query.len());
    let mut runs: Vec<Vec<u32>> = Vec::new();
    for from in 0..words.len() - 1 {
        for to in from + 1..words.len().min(from + most + 1) {
            let run: Vec<u32> =
                query[words[from]..words[to]].iter().map(|piece| piece.token).collect();
            if run.len() <= longest && !runs.contains(&run) {
                runs.push(run);
            }
        }
    }
    runs
}

/// Keeps every sequence that the search keeps.
struct Heard<'a> {
    /// The view of each request of the batch.
    views: &'a [usize],
    keys: Vec<Key>,
}

impl Collect<Legal<'_>> for Heard<'_> {
    const LEVELS: bool = true;

    fn level(&mut self, _: &Legal<'_>, level: &Level<'_, SpanState>) {
        let view = self.views[level.request];
        let key = |said: Hypothesis<'_, SpanState>| Key {
            view,
            tokens: said.tokens().0,
            log_p: said.plain_score(),
            rows: said.state().rows(),
        };
        self.keys.extend(level.kept().map(key));
    }

    fn finish(&mut self, _: &Legal<'_>, _: &Level<'_, SpanState>) -> Vec<Hit> {
        Vec::new()
    }
}

/// Scores whole rows behind one prompt, which each request of the batch continues by its mode token.
struct Speaker<'a> {
    decoder: &'a FrozenDecoder,
    prompt: PromptCache,
    beams: BeamCache,
    /// Hidden states behind the mode tokens, `[requests, hidden]`.
    hidden: Vec<f32>,
    /// What the first request may begin with, `[vocabulary]`.
    opening: Vec<f32>,
}

impl<'a> Speaker<'a> {
    fn new(decoder: &'a FrozenDecoder, prompt: &[u32]) -> Result<Self> {
        let (beams, hidden, opening) = (BeamCache::new(), Vec::new(), Vec::new());
        Ok(Self { decoder, prompt: decoder.prefill(prompt)?, beams, hidden, opening })
    }

    /// Hidden states behind the prompt and some mode tokens, and the cache to go on from.
    fn asked(&self, modes: &[u32]) -> Result<(BeamCache, Vec<f32>)> {
        let mut beams = BeamCache::new();
        if modes.is_empty() {
            return Ok((beams, self.prompt.last_hidden().to_vec()));
        }
        let parents = vec![0; modes.len()];
        let hidden = self.decoder.extend(&self.prompt, &mut beams, &parents, modes)?;
        Ok((beams, hidden))
    }

    /// Log-probabilities of all tokens behind hidden states, `[n, vocabulary]`.
    fn log_probs(&self, hidden: &[f32], rows: &mut [f32]) -> Result<()> {
        let width = self.decoder.config().vocab_size;
        rows.copy_from_slice(&self.decoder.logits(hidden, 0..width)?);
        for row in rows.chunks_exact_mut(width) {
            let sum = log_sum_exp(row);
            row.iter_mut().for_each(|logit| *logit -= sum);
        }
        Ok(())
    }

    /// Log-probability of given sequences behind the prompt and a mode token; none of them may be empty.
    fn given<'t>(
        &self,
        mode: Option<u32>,
        all: impl Iterator<Item = &'t [u32]>,
    ) -> Result<Vec<f32>> {
        let all: Vec<&[u32]> = all.collect();
        let width = self.decoder.config().vocab_size;
        let mode: Vec<u32> = mode.into_iter().collect();
        let (mut beams, mut hidden) = self.asked(&mode)?;
        let mut log_p = vec![0f32; all.len()];
        // What was read so far, each beginning once, and which sequences go on behind it.
        let mut read: Vec<(&[u32], Vec<usize>)> = vec![(&[], (0..all.len()).collect())];
        let mut rows = Vec::new();
        while !read.is_empty() {
            rows.resize(read.len() * width, 0.0);
            self.log_probs(&hidden, &mut rows)?;
            let mut next: Vec<(u32, &[u32], Vec<usize>)> = Vec::new();
            for (place, (before, going)) in read.iter().enumerate() {
                let row = &rows[place * width..][..width];
                for &sequence in going {
                    let tokens = all[sequence];
                    let length = before.len() + 1;
                    log_p[sequence] += row[tokens[length - 1] as usize];
                    if tokens.len() == length {
                        continue;
                    }
                    let now = &tokens[..length];
                    match next.iter_mut().find(|(_, known, _)| *known == now) {
                        Some((_, _, going)) => going.push(sequence),
                        None => next.push((place as u32, now, vec![sequence])),
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            let parents: Vec<u32> = next.iter().map(|(parent, _, _)| *parent).collect();
            let tokens: Vec<u32> = next.iter().map(|(_, now, _)| now[now.len() - 1]).collect();
            hidden = self.decoder.extend(&self.prompt, &mut beams, &parents, &tokens)?;
            read = next.into_iter().map(|(_, now, going)| (now, going)).collect();
        }
        Ok(log_p)
    }
}

impl Scorer<Option<u32>> for Speaker<'_> {
    type Error = Error;

    fn start(&mut self, modes: &[Option<u32>]) -> Result<()> {
        let modes: Vec<u32> = modes.iter().copied().flatten().collect();
        (self.beams, self.hidden) = self.asked(&modes)?;
        Ok(())
    }

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<()> {
        let width = self.decoder.config().vocab_size;
        let mut rows = vec![0f32; frontier.beams().len() * width];
        self.rows(frontier, &mut rows)?;
        for (slot, row) in rows.chunks_exact(width).enumerate() {
            let children: Range<usize> = frontier.children(slot);
            for at in children {
                scores[at] = row[frontier.tokens()[at] as usize];
            }
        }
        Ok(())
    }

    fn width(&self, _level: usize) -> Option<usize> {
        Some(self.decoder.config().vocab_size)
    }

    fn rows(&mut self, frontier: &Frontier, rows: &mut [f32]) -> Result<()> {
        if frontier.level() == 0 {
            self.log_probs(&self.hidden, rows)?;
            self.opening = rows[..self.decoder.config().vocab_size].to_vec();
            return Ok(());
        }
        let parents: Vec<u32> = frontier.beams().iter().map(|beam| beam.parent).collect();
        let tokens: Vec<u32> = frontier.beams().iter().map(|beam| beam.token).collect();
        let hidden = self.decoder.extend(&self.prompt, &mut self.beams, &parents, &tokens)?;
        self.log_probs(&hidden, rows)
    }
}
