//! From what was said to items: spans propose the items that hold them, and vote for those by what they are worth.
//!
//! Two stages, as in SEAL (arXiv 2204.10628, section 4.2). First every span that is not frequent adds its weight to all items
//! that hold it. Then the items with the largest sums are looked at closely: the strongest span takes its place in a text,
//! the next a place that is free, and so on; of a span whose tokens were said before only a part counts. Tokens that no span
//! took add what they are worth as first tokens.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;
use trieval_kernels::index::fm::{Occurrences, Rows};
use trieval_kernels::top::top;

use super::Spans;
use super::said::{Key, Said};
use super::settings::SpanDecodeSettings;
use super::weight::Weigh;
use crate::identifier::spans::View;

/// A place that a span took in a text of an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taken {
    /// The span among those that were said.
    pub(super) key: usize,
    /// What it adds to the item's sum.
    pub(super) worth: f64,
    /// The text.
    pub(super) text: usize,
    /// Its tokens there.
    pub(super) place: Range<usize>,
}

/// What was said, weighed.
pub(super) struct Votes<'a> {
    spans: &'a Spans,
    settings: &'a SpanDecodeSettings,
    said: &'a Said,
    /// Spans that are worth something, with their weights, the strongest first.
    weights: Vec<(usize, f64)>,
    /// The same spans, as places of `weights`, by their first token.
    by_first: HashMap<u32, Vec<usize>, RandomState>,
    /// What a token adds that no span took.
    alone: HashMap<u32, f64, RandomState>,
}

impl<'a> Votes<'a> {
    pub(super) fn new(spans: &'a Spans, settings: &'a SpanDecodeSettings, said: &'a Said) -> Self {
        let weigh = Weigh::new(settings, spans.texts.n_tokens() as u64);
        let weight = |key: &Key| weigh.span(key.log_p, key.tokens.len(), key.rows.count());
        let weights = said.keys.iter().map(weight).enumerate();
        let mut weights: Vec<(usize, f64)> = weights.filter(|(_, weight)| *weight > 0.0).collect();
        // Of equals the longer says more; then the order in which they were said.
        let length = |key: usize| said.keys[key].tokens.len();
        weights.sort_by(|a, b| {
            b.1.total_cmp(&a.1).then(length(b.0).cmp(&length(a.0))).then(a.0.cmp(&b.0))
        });
        let mut by_first: HashMap<u32, Vec<usize>, RandomState> = HashMap::default();
        for (place, (key, _)) in weights.iter().enumerate() {
            by_first.entry(said.keys[*key].tokens[0]).or_default().push(place);
        }
        let ratio = |token: u32, log_p: f32| {
            let count = spans.index.find(&[token])?.count();
            let worth = settings.unigram_weight * weigh.ratio(log_p, 1, count);
            (worth > 0.0).then_some((token, worth))
        };
        let alone = said.first.iter().filter_map(|(token, log_p)| ratio(*token, *log_p)).collect();
        Self { spans, settings, said, weights, by_first, alone }
    }

    /// The best `depth` items with their scores, none of `exclude` (ascending).
    pub(super) fn items(&self, depth: usize, exclude: &[u32]) -> Vec<(u32, f32)> {
        let scored = self.proposed(exclude).into_iter().map(|item| (item, self.score(item) as f32));
        top(scored, depth, exclude)
    }

    /// Items to look at closely.
    fn proposed(&self, exclude: &[u32]) -> Vec<u32> {
        let n_items = self.spans.texts.n_items();
        // `counted` is the last span that an item was counted for, from 1.
        let (mut sums, mut counted) = (vec![0f32; n_items], vec![0u32; n_items]);
        let rare: Vec<(Rows, f32)> = self
            .weights
            .iter()
            .map(|(key, weight)| (self.said.keys[*key].rows, *weight as f32))
            .filter(|(rows, _)| rows.count() <= u64::from(self.settings.frequent))
            .collect();
        let holders = Occurrences::new(&self.spans.index, rare.iter().map(|(rows, _)| *rows));
        let mut found: Vec<u32> = Vec::new();
        for (rank, (rows, weight)) in (1..).zip(rare) {
            for item in holders.of(rows) {
                // An item that says it twice is no better.
                match std::mem::replace(&mut counted[*item as usize], rank) {
                    last if last == rank => continue,
                    0 => found.push(*item),
                    _ => {}
                }
                sums[*item as usize] += weight;
            }
        }
        let found = found.into_iter().map(|item| (item, sums[item as usize]));
        let best = top(found, self.settings.candidates as usize, exclude);
        best.into_iter().map(|(item, _)| item).collect()
    }

    /// The score of an item.
    pub(super) fn score(&self, item: u32) -> f64 {
        let texts = self.texts(item);
        let taken = self.taken(item, &texts);
        let spans: f64 = taken.iter().map(|one| one.worth).sum();
        let strongest = taken.iter().map(|one| one.worth).fold(0.0, f64::max);
        let mut alone = 0.0;
        if !self.alone.is_empty() {
            let covered = |token: &u32| {
                taken.iter().any(|one| self.said.keys[one.key].tokens.contains(token))
            };
            let mut left: Vec<(u32, f64)> = Vec::new();
            for token in texts.iter().flatten() {
                let Some(worth) = self.alone.get(token) else { continue };
                if !left.iter().any(|(known, _)| known == token) && !covered(token) {
                    left.push((*token, *worth));
                }
            }
            alone = left.iter().map(|(_, worth)| worth).sum();
        }
        let share = self.settings.strongest;
        (1.0 - share) * (spans + alone) + share * strongest
    }

    /// Tokens of an item's texts.
    fn texts(&self, item: u32) -> Vec<Vec<u32>> {
        let tokens = |text| self.spans.texts.pieces(text).map(|piece| piece.token).collect();
        self.spans.texts.of(item).map(tokens).collect()
    }

    /// The places that spans take in the texts of an item, the strongest first.
    pub(super) fn places(&self, item: u32) -> Vec<Taken> {
        self.taken(item, &self.texts(item))
    }

    fn taken(&self, item: u32, texts: &[Vec<u32>]) -> Vec<Taken> {
        let first_text = self.spans.texts.of(item).start;
        // Rank of the span, text and place of each occurrence.
        let mut found: Vec<(usize, usize, usize)> = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let field = self.spans.texts.field(first_text + number);
            for (at, token) in text.iter().enumerate() {
                let Some(ranks) = self.by_first.get(token) else { continue };
                let stands = |rank: &&usize| {
                    let key = &self.said.keys[self.weights[**rank].0];
                    self.may_stand(key, field, at) && text[at..].starts_with(&key.tokens)
                };
                found.extend(ranks.iter().filter(stands).map(|rank| (*rank, number, at)));
            }
        }
        found.sort_unstable();
        let mut used: Vec<Vec<bool>> = texts.iter().map(|text| vec![false; text.len()]).collect();
        // Few enough to look through.
        let mut covered: Vec<u32> = Vec::new();
        let mut taken: Vec<Taken> = Vec::new();
        let beta = self.settings.repetition;
        let mut last = usize::MAX;
        for (rank, number, at) in found {
            let (key, weight) = self.weights[rank];
            let tokens = &self.said.keys[key].tokens;
            let place = at..at + tokens.len();
            // A span counts once for an item, at its first free place.
            if rank == last || used[number][place.clone()].iter().any(|used| *used) {
                continue;
            }
            last = rank;
            let fresh = tokens.iter().filter(|token| !covered.contains(token)).count();
            let share = 1.0 - beta + beta * fresh as f64 / tokens.len() as f64;
            used[number][place.clone()].fill(true);
            covered.extend(tokens);
            taken.push(Taken { key, worth: share * weight, text: first_text + number, place });
        }
        taken
    }

    /// Whether a span of its view may stand at a place of a field's text.
    fn may_stand(&self, key: &Key, field: u32, at: usize) -> bool {
        match &self.spans.views[key.view].0 {
            View::Spans => true,
            View::Title => field == 0 && at == 0,
            View::Field(name) => {
                let own = self.spans.settings.fields.get((field as usize).wrapping_sub(1));
                at == 0 && own == Some(name)
            }
        }
    }
}
