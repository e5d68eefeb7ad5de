//! Preferences among spans: which words a request is to say rather than others.
//!
//! A click says that one item is better than another, and not which words of it are. So a request is compared by the spans
//! that its model says itself (on-policy): chosen are those that a clicked item holds and no rejected one, rejected are those
//! that a rejected item holds and no item that was ever clicked for the query. What both hold is neither, so that words that
//! chosen and rejected share are never pushed down.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rand::Rng;
use rand::seq::SliceRandom;

use super::{BeamRequest, PairBuilder};
use crate::corpus::Impression;
use crate::decode::spans::Spans;
use crate::error::Result;
use crate::seed::Seed;
use crate::train::data::spans::SpanLessons;
use crate::train::objective::preference::{Group, Weighed};

/// Items that a request is compared by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared {
    /// Number of the request's prompt.
    pub prompt: u32,
    /// Clicked items, with what each counts.
    pub chosen: Vec<(u32, f32)>,
    /// Every item that was ever clicked for the query, those among them.
    pub positives: Vec<u32>,
    /// Items to reject, with how surely each is a negative.
    pub rejected: Vec<(u32, f32)>,
}

/// Spans that are compared for a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// What is chosen.
    pub better: Vec<Vec<u32>>,
    /// What is rejected, with how surely.
    pub worse: Vec<(Vec<u32>, f32)>,
}

/// Most answers of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Chosen spans.
    pub chosen: usize,
    /// Rejected spans.
    pub rejected: usize,
}

/// Numbers for spans, each of which gets one.
#[derive(Debug, Default)]
pub struct Numbers {
    first: u32,
    known: HashMap<Vec<u32>, u32, RandomState>,
    spans: Vec<Vec<u32>>,
}

impl Numbers {
    /// Numbers from `first` on.
    pub fn from(first: u32) -> Self {
        Self { first, ..Self::default() }
    }

    fn of(&mut self, span: Vec<u32>) -> u32 {
        let next = self.first + self.spans.len() as u32;
        let number = *self.known.entry(span.clone()).or_insert(next);
        if number == next {
            self.spans.push(span);
        }
        number
    }

    /// The spans, in the order of their numbers.
    pub fn into_spans(self) -> Vec<Vec<u32>> {
        self.spans
    }
}

/// The group of a request whose model says `said` spans of titles; none where there is nothing to prefer, or nothing to
/// prefer it to. Where it says too few of the chosen items, spans of these are drawn as in supervised training.
pub fn group(
    spans: &Spans,
    compared: &Compared,
    query: Option<&str>,
    said: &[Vec<u32>],
    limits: Limits,
    rng: &mut impl Rng,
) -> Result<Option<Words>> {
    let titles = |items: &[u32]| -> Vec<Vec<u32>> {
        items.iter().filter_map(|item| title(spans, *item)).collect()
    };
    let rejected: Vec<(Vec<u32>, f32)> = compared
        .rejected
        .iter()
        .filter_map(|(item, weight)| Some((title(spans, *item)?, *weight)))
        .collect();
    let clicked: Vec<u32> = compared.chosen.iter().map(|(item, _)| *item).collect();
    let (positives, chosen) = (titles(&compared.positives), titles(&clicked));
    let is_in = |span: &[u32], titles: &[Vec<u32>]| titles.iter().any(|title| holds(title, span));
    let is_rejected = |span: &[u32]| rejected.iter().any(|(title, _)| holds(title, span));

    let mut worse: Vec<(Vec<u32>, f32)> = Vec::new();
    let mut better: Vec<Vec<u32>> = Vec::new();
    for span in said {
        if is_in(span, &chosen) && !is_rejected(span) {
            better.push(span.clone());
        } else if !is_in(span, &positives) {
            let weights = rejected.iter().filter(|(title, _)| holds(title, span));
            let weight = weights.map(|(_, weight)| *weight).fold(0.0, f32::max);
            if weight > 0.0 {
                worse.push((span.clone(), weight));
            }
        }
    }
    better.shuffle(rng);
    better.truncate(limits.chosen);
    if better.len() < limits.chosen {
        let lessons = SpanLessons::new(spans);
        for item in &clicked {
            for span in lessons.spans_of(*item, query, rng)? {
                if better.len() < limits.chosen && !is_rejected(&span) && !better.contains(&span) {
                    better.push(span);
                }
            }
        }
    }
    worse.shuffle(rng);
    worse.truncate(limits.rejected);
    Ok((!better.is_empty() && !worse.is_empty()).then_some(Words { better, worse }))
}

/// The same, numbered; every chosen span counts `counts`.
pub fn numbered(
    prompt: u32,
    counts: f32,
    Words { better, worse }: Words,
    numbers: &mut Numbers,
) -> Group {
    let mut weighed = |(span, weight)| Weighed { answer: numbers.of(span), weight };
    let chosen = better.into_iter().map(|span| weighed((span, counts))).collect();
    let rejected = worse.into_iter().map(&mut weighed).collect();
    Group::of(prompt, chosen, rejected)
}

impl PairBuilder<'_> {
    /// The items by which the spans of a request are compared: its clicked ones over those shown above them, topmost first,
    /// and over some that its model `found` itself.
    pub fn compared(&self, request: &BeamRequest, found: &[u32], seed: Seed) -> Compared {
        let origin = &self.requests[request.request as usize];
        let page = &self.pages[request.request as usize];
        let known = origin.ask.query.as_deref().and_then(|query| self.known.get(query));
        let known = known.map(|known| known.positives.iter().copied().collect::<Vec<u32>>());
        let chosen: Vec<(u32, f32)> =
            request.chosen.iter().map(|one| (one.item, one.weight)).collect();
        let mut positives = known.unwrap_or_default();
        positives.extend(chosen.iter().map(|(item, _)| *item));
        positives.sort_unstable();
        positives.dedup();
        // What is rejected for one click is for all.
        let first = request.chosen.iter().take(1).copied().collect();
        let own = BeamRequest { request: request.request, chosen: first };
        let own = self.beam_pairs(&own, found, seed).into_iter();
        let mut rejected: Vec<(u32, f32)> = own.map(|pair| (pair.rejected, pair.weight)).collect();
        let clicked = page.iter().filter(|one| one.level.is_chosen());
        let lowest = clicked.map(|one| one.position).max().unwrap_or(0);
        let mut above: Vec<&Impression> = page
            .iter()
            .filter(|one| one.position < lowest && positives.binary_search(&one.item).is_err())
            .collect();
        above.sort_by_key(|one| (one.position, one.item));
        let above = above.iter().take(self.settings.shown_negatives as usize);
        rejected.extend(above.map(|one| (one.item, self.weights.examined(one.position) as f32)));
        rejected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        rejected.dedup_by_key(|one| one.0);
        Compared { prompt: request.request, chosen, positives, rejected }
    }
}

/// Tokens of an item's title.
fn title(spans: &Spans, item: u32) -> Option<Vec<u32>> {
    Some(spans.pieces(item, 0)?.iter().map(|piece| piece.token).collect())
}

fn holds(title: &[u32], span: &[u32]) -> bool {
    title.windows(span.len().max(1)).any(|window| window == span)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::decode::spans::testing::{TITLES, spans};
    use crate::seed::Seed;

    fn tokens(spans: &Spans, text: &str) -> Vec<u32> {
        spans.tokenizer.pieces(text).unwrap().iter().map(|piece| piece.token).collect()
    }

    #[test]
    fn words_that_both_hold_are_neither_chosen_nor_rejected() {
        let spans = spans(4);
        // "red oak table" over "red sofa"; "blue oak sofa" was clicked for the query before.
        assert_eq!(
            (TITLES[0], TITLES[1], TITLES[2]),
            ("red oak table", "blue oak sofa", "red sofa")
        );
        let compared = Compared {
            prompt: 3,
            chosen: vec![(0, 1.0)],
            positives: vec![0, 1],
            rejected: vec![(2, 0.5), (4, 1.0)],
        };
        let said: Vec<Vec<u32>> = ["red", "oak", "oak table", "sofa", "red sofa", "lamp", "blue"]
            .map(|text| tokens(&spans, text))
            .to_vec();
        let limits = Limits { chosen: 2, rejected: 9 };
        let mut rng = Seed::new(1).rng();
        let Words { mut better, mut worse } =
            group(&spans, &compared, None, &said, limits, &mut rng).unwrap().unwrap();
        better.sort();
        worse.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected = vec![tokens(&spans, "oak"), tokens(&spans, "oak table")];
        expected.sort();
        assert_eq!(better, expected);
        let mut expected = vec![(tokens(&spans, "red sofa"), 0.5), (tokens(&spans, "lamp"), 1.0)];
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(worse, expected);

        // Nothing to reject: the items that were not clicked hold nothing that is said.
        let alone = Compared { rejected: vec![(5, 1.0)], ..compared.clone() };
        assert_eq!(group(&spans, &alone, None, &said, limits, &mut rng).unwrap(), None);
        // Nothing of the chosen is said: it is drawn, and holds nothing of the rejected.
        let silent = [tokens(&spans, "lamp")];
        let Words { better, .. } =
            group(&spans, &compared, None, &silent, limits, &mut rng).unwrap().unwrap();
        assert_eq!(better.len(), 2);
        assert!(better.iter().all(|span| !holds(&tokens(&spans, "red sofa"), span)));
    }

    #[test]
    fn a_span_has_one_number() {
        let mut numbers = Numbers::from(10);
        let groups = [
            numbered(
                0,
                1.0,
                Words { better: vec![vec![1], vec![2, 3]], worse: vec![(vec![4], 1.0)] },
                &mut numbers,
            ),
            numbered(
                1,
                1.0,
                Words { better: vec![vec![4]], worse: vec![(vec![1], 0.5)] },
                &mut numbers,
            ),
        ];
        assert_eq!(groups[0].answers().collect::<Vec<_>>(), [10, 11, 12]);
        assert_eq!(groups[1].answers().collect::<Vec<_>>(), [12, 10]);
        assert_eq!(numbers.into_spans(), [vec![1], vec![2, 3], vec![4]]);
    }
}
