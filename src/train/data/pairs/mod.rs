//! Preferences from clicks: which items are chosen over which, pair by pair and gathered into groups.
//!
//! Chosen: a clicked item. Rejected: items shown above it and not clicked, and items that the
//! supervised model itself ranks high (on-policy). An item that was clicked for the same query text
//! in any request is never rejected for it.
//!
//! - this file: pairs, and what each side of one weighs; `weights`: bias of positions and levels
//! - `groups`: pairs gathered, and their files; `similar`: weights of what looks alike
//! - `spans`: words compared in the place of items
//! - `census`: how many pairs there are and why, with a sample

pub mod census;
pub mod groups;
pub mod settings;
pub mod similar;
pub mod spans;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::{HashMap, HashSet};

use rand::seq::SliceRandom;

use crate::corpus::{Impression, Level, Request};
use crate::seed::Seed;
use settings::PairSettings;
pub use weights::Weights;

/// Two answers to one prompt, of which the first is preferred.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Index into the prompts.
    pub prompt: u32,
    /// What was chosen.
    pub chosen: Chosen,
    /// Item index.
    pub rejected: u32,
    /// How surely the rejected item is a negative.
    pub weight: f32,
    /// Why it is rejected.
    pub reason: Reason,
}

impl Pair {
    /// What the pair counts in all.
    pub fn counts(&self) -> f32 {
        self.chosen.weight * self.weight
    }
}

/// A chosen item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// Item index.
    pub item: u32,
    /// What it counts.
    pub weight: f32,
    /// Whether it would count more, had that no bound.
    pub clipped: bool,
    /// Where it stood and how far it got; none where it was not shown but is part of a sequence.
    pub shown: Option<(u16, Level)>,
}

/// Why an item is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Shown at this position, above the chosen one, and not clicked.
    Above(u16),
    /// In the model's own beam; once shown for the query, and never clicked.
    BeamShown,
    /// In the model's own beam; never shown for the query.
    BeamUnshown,
}

/// What is known about one query text (or one user) from all training requests.
#[derive(Debug, Clone, Default)]
struct Known {
    positives: HashSet<u32>,
    /// What was shown, and how likely nobody ever looked at it.
    shown: HashMap<u32, f32>,
}

/// A request whose beam is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamRequest {
    /// Index among the training requests.
    pub request: u32,
    /// The items to prefer.
    pub chosen: Vec<Chosen>,
}

/// Builds pairs for one corpus.
#[derive(Clone)]
pub struct PairBuilder<'a> {
    requests: &'a [Request],
    /// Impressions of each training request, in page order; empty for sequences.
    pages: &'a [Vec<Impression>],
    settings: &'a PairSettings,
    weights: Weights,
    known: HashMap<&'a str, Known>,
    /// Where items share identifiers: the first item of each one's own.
    leaves: Option<Vec<u32>>,
}

impl<'a> PairBuilder<'a> {
    /// `pages[i]` are the impressions of `requests[i]`.
    pub fn new(
        requests: &'a [Request],
        pages: &'a [Vec<Impression>],
        settings: &'a PairSettings,
        weights: Weights,
    ) -> Self {
        let mut known: HashMap<&str, Known> = HashMap::new();
        for (request, page) in requests.iter().zip(pages) {
            let Some(query) = &request.ask.query else { continue };
            let entry = known.entry(query.as_str()).or_default();
            for shown in page {
                let seen = weights.examined(shown.position) as f32;
                *entry.shown.entry(shown.item).or_insert(1.0) *= 1.0 - seen;
            }
            let clicked = page.iter().filter(|impression| impression.level.is_chosen());
            entry.positives.extend(clicked.map(|impression| impression.item));
        }
        Self { requests, pages, settings, weights, known, leaves: None }
    }

    /// Where items share identifiers, an item is no answer to reject if a positive one is called the same; `leaves` has the
    /// first item of each one's identifier.
    pub fn sharing(mut self, leaves: Option<Vec<u32>>) -> Self {
        self.leaves = leaves;
        let leaf = |item: u32| self.leaves.as_ref().map_or(item, |leaves| leaves[item as usize]);
        for known in self.known.values_mut() {
            known.positives = known.positives.iter().map(|&item| leaf(item)).collect();
        }
        self
    }

    fn leaf(&self, item: u32) -> u32 {
        self.leaves.as_ref().map_or(item, |leaves| leaves[item as usize])
    }

    /// What was chosen of a page, but for what counts nothing.
    fn chosen(&self, page: &[Impression]) -> Vec<Chosen> {
        let clicked = page.iter().filter(|impression| impression.level.is_chosen());
        clicked.map(|one| self.weights.chosen(one)).filter(|chosen| chosen.weight > 0.0).collect()
    }

    /// Pairs of clicked items with items shown above them and not clicked, topmost first: the higher
    /// an item stood, the surer it was seen.
    pub fn shown_pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (idx, (request, page)) in self.requests.iter().zip(self.pages).enumerate() {
            let known = request.ask.query.as_deref().and_then(|query| self.known.get(query));
            let Some(known) = known else { continue };
            for chosen in self.chosen(page) {
                let Some((position, _)) = chosen.shown else { continue };
                let mut above: Vec<&Impression> = page
                    .iter()
                    .filter(|other| other.position < position)
                    .filter(|other| !known.positives.contains(&self.leaf(other.item)))
                    .collect();
                above.sort_by_key(|other| (other.position, other.item));
                let rejected = above.iter().take(self.settings.shown_negatives as usize);
                pairs.extend(rejected.map(|rejected| Pair {
                    prompt: idx as u32,
                    chosen,
                    rejected: rejected.item,
                    weight: self.weights.examined(rejected.position) as f32,
                    reason: Reason::Above(rejected.position),
                }));
            }
        }
        pairs
    }

    /// A bounded random sample of requests with something to prefer.
    pub fn beam_requests(&self, seed: Seed) -> Vec<BeamRequest> {
        let mut sample: Vec<BeamRequest> = self
            .requests
            .iter()
            .zip(self.pages)
            .enumerate()
            .filter_map(|(idx, (request, page))| self.beam_request(idx as u32, request, page))
            .collect();
        sample.shuffle(&mut seed.purpose("beam-requests").rng());
        sample.truncate(self.settings.beam_requests as usize);
        sample
    }

    fn beam_request(
        &self,
        idx: u32,
        request: &Request,
        page: &[Impression],
    ) -> Option<BeamRequest> {
        let chosen = if request.ask.query.is_some() {
            self.chosen(page)
        } else {
            // A sequence is asked for its last item, behind at least one other.
            let (&item, before) = request.ask.history.split_last()?;
            let last = Chosen { item, weight: 1.0, clipped: false, shown: None };
            if before.is_empty() { Vec::new() } else { vec![last] }
        };
        (!chosen.is_empty()).then_some(BeamRequest { request: idx, chosen })
    }

    /// Pairs of the chosen items with items drawn from the model's own beam.
    ///
    /// Drawn from the whole beam and not from its top: the very first unclicked items are often
    /// relevant ones that the logged pages gave no chance.
    pub fn beam_pairs(&self, request: &BeamRequest, beam: &[u32], seed: Seed) -> Vec<Pair> {
        let origin = &self.requests[request.request as usize];
        let known = origin.ask.query.as_deref().and_then(|query| self.known.get(query));
        let is_positive = |item: &u32| match known {
            Some(known) => known.positives.contains(&self.leaf(*item)),
            // The user's whole known sequence, the chosen item included.
            None => origin.ask.history.iter().any(|known| self.leaf(*known) == self.leaf(*item)),
        };
        let mut negatives: Vec<u32> =
            beam.iter().copied().filter(|item| !is_positive(item)).collect();
        negatives
            .shuffle(&mut seed.purpose("beam-negatives").index(u64::from(request.request)).rng());
        negatives.truncate(self.settings.beam_negatives as usize);
        let unshown = self.settings.unshown_weight as f32;
        // What was shown and hardly looked at is known no better than what was never shown.
        let weight = |item: &u32| match known.and_then(|known| known.shown.get(item)) {
            Some(unseen) => (1.0 - unseen * (1.0 - unshown), Reason::BeamShown),
            None => (unshown, Reason::BeamUnshown),
        };
        let pairs = request.chosen.iter().flat_map(|&chosen| {
            negatives.iter().map(move |&rejected| {
                let (weight, reason) = weight(&rejected);
                Pair { prompt: request.request, chosen, rejected, weight, reason }
            })
        });
        pairs.filter(|pair| pair.weight > 0.0).collect()
    }
}
