//! Preferences from clicks: which items are chosen over which, pair by pair and gathered into groups.
//!
//! Chosen: a clicked item. Rejected: items shown above it and not clicked, and items that the
//! supervised model itself ranks high (on-policy). An item that was clicked for the same query text
//! in any request is never rejected for it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rand::seq::SliceRandom;

use crate::corpus::{Impression, Request};
use crate::error::{Error, Result};
use crate::seed::Seed;
use crate::store::{SealKind, read_sealed, write_sealed};
use crate::train::data::span_pairs::Compared;
use crate::train::objective::preference::{Group, Rejected};
use crate::train::settings::PairSettings;

const PAIRS: SealKind = SealKind { kind: "pairs", version: 2 };
const SPANS: SealKind = SealKind { kind: "pairspan", version: 1 };
const REFERENCE: SealKind = SealKind { kind: "refscore", version: 2 };

/// Two answers to one prompt, of which the first is preferred.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Index into the prompts.
    pub prompt: u32,
    /// Item index.
    pub chosen: u32,
    /// Item index.
    pub rejected: u32,
    /// How surely the rejected item is a negative.
    pub weight: f32,
}

/// What is known about one query text (or one user) from all training requests.
#[derive(Debug, Default)]
struct Known {
    positives: HashSet<u32>,
    shown: HashSet<u32>,
}

/// A request whose beam is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeamRequest {
    /// Index among the training requests.
    pub request: u32,
    /// The items to prefer.
    pub chosen: Vec<u32>,
}

/// Builds pairs for one corpus.
pub struct PairBuilder<'a> {
    requests: &'a [Request],
    /// Impressions of each training request, in page order; empty for sequences.
    pages: &'a [Vec<Impression>],
    settings: &'a PairSettings,
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
    ) -> Self {
        let mut known: HashMap<&str, Known> = HashMap::new();
        for (request, page) in requests.iter().zip(pages) {
            let Some(query) = &request.ask.query else { continue };
            let entry = known.entry(query.as_str()).or_default();
            entry.shown.extend(page.iter().map(|impression| impression.item));
            let clicked = page.iter().filter(|impression| impression.level.is_chosen());
            entry.positives.extend(clicked.map(|impression| impression.item));
        }
        Self { requests, pages, settings, known, leaves: None }
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

    /// Pairs of clicked items with items shown above them and not clicked, topmost first: the higher
    /// an item stood, the surer it was seen.
    pub fn shown_pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (idx, (request, page)) in self.requests.iter().zip(self.pages).enumerate() {
            let known = request.ask.query.as_deref().and_then(|query| self.known.get(query));
            let Some(known) = known else { continue };
            for chosen in page.iter().filter(|impression| impression.level.is_chosen()) {
                let mut above: Vec<&Impression> = page
                    .iter()
                    .filter(|other| other.position < chosen.position)
                    .filter(|other| !known.positives.contains(&self.leaf(other.item)))
                    .collect();
                above.sort_by_key(|other| (other.position, other.item));
                let rejected = above.iter().take(self.settings.shown_negatives as usize);
                pairs.extend(rejected.map(|rejected| Pair {
                    prompt: idx as u32,
                    chosen: chosen.item,
                    rejected: rejected.item,
                    weight: 1.0,
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
            .filter_map(|(idx, (request, page))| beam_request(idx as u32, request, page))
            .collect();
        sample.shuffle(&mut seed.purpose("beam-requests").rng());
        sample.truncate(self.settings.beam_requests as usize);
        sample
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
        let weight = |item: &u32| match known {
            Some(known) if known.shown.contains(item) => 1.0,
            _ => self.settings.unshown_weight as f32,
        };
        request
            .chosen
            .iter()
            .flat_map(|&chosen| {
                let prompt = request.request;
                negatives.iter().map(move |&rejected| (prompt, chosen, rejected))
            })
            .map(|(prompt, chosen, rejected)| Pair {
                prompt,
                chosen,
                rejected,
                weight: weight(&rejected),
            })
            .filter(|pair| pair.weight > 0.0)
            .collect()
    }
}

impl PairBuilder<'_> {
    /// The items by which the spans of a request are compared: its clicked ones over those shown above them, topmost first,
    /// and over some that its model `found` itself.
    pub fn compared(&self, request: &BeamRequest, found: &[u32], seed: Seed) -> Compared {
        let origin = &self.requests[request.request as usize];
        let page = &self.pages[request.request as usize];
        let known = origin.ask.query.as_deref().and_then(|query| self.known.get(query));
        let positives = known.map(|known| known.positives.iter().copied().collect::<Vec<u32>>());
        let mut positives = positives.unwrap_or_default();
        positives.extend(&request.chosen);
        positives.sort_unstable();
        positives.dedup();
        let mut rejected: Vec<(u32, f32)> = self
            .beam_pairs(
                &BeamRequest { chosen: request.chosen[..1].to_vec(), ..request.clone() },
                found,
                seed,
            )
            .into_iter()
            .map(|pair| (pair.rejected, pair.weight))
            .collect();
        let clicked = page.iter().filter(|one| one.level.is_chosen());
        let lowest = clicked.map(|one| one.position).max().unwrap_or(0);
        let mut above: Vec<&Impression> = page
            .iter()
            .filter(|one| one.position < lowest && !positives.contains(&self.leaf(one.item)))
            .collect();
        above.sort_by_key(|one| (one.position, one.item));
        let above = above.iter().take(self.settings.shown_negatives as usize);
        rejected.extend(above.map(|one| (one.item, 1.0)));
        rejected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        rejected.dedup_by_key(|one| one.0);
        Compared { prompt: request.request, chosen: request.chosen.clone(), positives, rejected }
    }
}

fn beam_request(idx: u32, request: &Request, page: &[Impression]) -> Option<BeamRequest> {
    let chosen = if request.ask.query.is_some() {
        let clicked = page.iter().filter(|impression| impression.level.is_chosen());
        clicked.map(|impression| impression.item).collect()
    } else {
        // A sequence is asked for its last item, behind at least one other.
        let (&last, before) = request.ask.history.split_last()?;
        if before.is_empty() { Vec::new() } else { vec![last] }
    };
    (!chosen.is_empty()).then_some(BeamRequest { request: idx, chosen })
}

/// Gathers pairs into groups of at most `group_chosen` chosen and `group_negatives` rejected items (1 where left out).
///
/// With one of each, every pair is a group, in the order of the pairs. Else the pairs of one request are gathered: those
/// of each chosen item by themselves, or, where a group may hold several, all of them, so that every chosen item of the
/// request is set against every rejected one. What does not fit into one group is dealt evenly to several; nothing is
/// dropped. A rejected item that several pairs name counts once, with its largest weight.
pub fn group_pairs(pairs: &[Pair], settings: &PairSettings) -> Vec<Group> {
    let most_chosen = settings.group_chosen.unwrap_or(1).max(1) as usize;
    let most_rejected = settings.group_negatives.unwrap_or(1).max(1) as usize;
    if most_chosen == 1 && most_rejected == 1 {
        return pairs.iter().map(single).collect();
    }
    let mut positions: HashMap<(u32, Option<u32>), usize> = HashMap::new();
    let mut gathered: Vec<Group> = Vec::new();
    for pair in pairs {
        let key = (pair.prompt, (most_chosen == 1).then_some(pair.chosen));
        let position = *positions.entry(key).or_insert(gathered.len());
        let Some(group) = gathered.get_mut(position) else {
            gathered.push(single(pair));
            continue;
        };
        if !group.chosen.contains(&pair.chosen) {
            group.chosen.push(pair.chosen);
        }
        match group.rejected.iter_mut().find(|rejected| rejected.item == pair.rejected) {
            Some(rejected) => rejected.weight = rejected.weight.max(pair.weight),
            None => group.rejected.push(Rejected { item: pair.rejected, weight: pair.weight }),
        }
    }
    let mut groups = Vec::with_capacity(gathered.len());
    for Group { prompt, chosen, rejected } in gathered {
        for chosen in dealt(&chosen, most_chosen) {
            for rejected in dealt(&rejected, most_rejected) {
                groups.push(Group { prompt, chosen: chosen.to_vec(), rejected: rejected.to_vec() });
            }
        }
    }
    groups
}

fn single(pair: &Pair) -> Group {
    Group {
        prompt: pair.prompt,
        chosen: vec![pair.chosen],
        rejected: vec![Rejected { item: pair.rejected, weight: pair.weight }],
    }
}

/// As few parts of at most `most` as there must be, of lengths that differ by at most one.
fn dealt<T>(all: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    let parts = all.len().div_ceil(most);
    (0..parts).map(move |part| &all[part * all.len() / parts..(part + 1) * all.len() / parts])
}

/// Writes groups.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_groups(path: &Path, groups: &[Group]) -> Result<()> {
    let mut payload = Vec::with_capacity(groups.len() * 24);
    let mut push = |word: u32| payload.extend(word.to_le_bytes());
    for group in groups {
        push(group.prompt);
        push(group.chosen.len() as u32);
        push(group.rejected.len() as u32);
        group.chosen.iter().for_each(|&item| push(item));
        for rejected in &group.rejected {
            push(rejected.item);
            push(rejected.weight.to_bits());
        }
    }
    write_sealed(path, PAIRS, &payload)
}

/// Reads groups over `n_prompts` prompts and `n_items` items.
///
/// # Errors
/// [`Error::Data`] when the file is missing, damaged, or speaks of other prompts or items.
pub fn read_groups(path: &Path, n_prompts: usize, n_items: usize) -> Result<Vec<Group>> {
    let payload = read_sealed(path, PAIRS)?;
    let words = words(&payload);
    let mut rest = words.as_slice();
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let group = next_group(&mut rest).filter(|group| {
            (group.prompt as usize) < n_prompts
                && !group.chosen.is_empty()
                && !group.rejected.is_empty()
                && group.answers().all(|item| (item as usize) < n_items)
        });
        groups.push(group.ok_or_else(|| {
            Error::data(path, format!("group {} does not fit the corpus", groups.len() + 1))
                .with_help("delete the step's folder and run again")
        })?);
    }
    Ok(groups)
}

/// Takes one group off the front.
fn next_group(rest: &mut &[u32]) -> Option<Group> {
    let (&[prompt, n_chosen, n_rejected], after) = rest.split_first_chunk::<3>()?;
    let (chosen, after) = after.split_at_checked(n_chosen as usize)?;
    let (rejected, after) = after.split_at_checked((n_rejected as usize).checked_mul(2)?)?;
    *rest = after;
    let rejected = rejected
        .chunks_exact(2)
        .map(|pair| Rejected { item: pair[0], weight: f32::from_bits(pair[1]) });
    Some(Group { prompt, chosen: chosen.to_vec(), rejected: rejected.collect() })
}

/// Writes the spans that groups compare.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_spans(path: &Path, spans: &[Vec<u32>]) -> Result<()> {
    let words = spans.iter().flat_map(|span| {
        std::iter::once(&(span.len() as u32))
            .copied()
            .chain(span.iter().copied())
            .collect::<Vec<u32>>()
    });
    let payload: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    write_sealed(path, SPANS, &payload)
}

/// Reads them back.
///
/// # Errors
/// [`Error::Data`] when the file is missing or damaged.
pub fn read_spans(path: &Path) -> Result<Vec<Vec<u32>>> {
    let payload = read_sealed(path, SPANS)?;
    let words = words(&payload);
    let mut rest = words.as_slice();
    let mut spans = Vec::new();
    while let Some((&length, after)) = rest.split_first() {
        let split = after.split_at_checked(length as usize).filter(|_| length > 0);
        let Some((span, after)) = split else {
            return Err(Error::data(path, format!("span {} is cut", spans.len() + 1))
                .with_help("delete the step's folder and run again"));
        };
        spans.push(span.to_vec());
        rest = after;
    }
    Ok(spans)
}

/// Writes reference scores, one per answer of the groups.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_reference(path: &Path, scores: &[f32]) -> Result<()> {
    let payload: Vec<u8> = scores.iter().copied().flat_map(f32::to_le_bytes).collect();
    write_sealed(path, REFERENCE, &payload)
}

/// Reads reference scores of `n_answers` answers.
///
/// # Errors
/// [`Error::Data`] when the file is missing, damaged, or belongs to other groups.
pub fn read_reference(path: &Path, n_answers: usize) -> Result<Vec<f32>> {
    let payload = read_sealed(path, REFERENCE)?;
    let scores: Vec<f32> = words(&payload).into_iter().map(f32::from_bits).collect();
    if scores.len() != n_answers {
        let got = scores.len();
        let message = format!("expected scores of {n_answers} answers, got {got}");
        return Err(Error::data(path, message).with_help("delete the step's folder and run again"));
    }
    Ok(scores)
}

fn words(payload: &[u8]) -> Vec<u32> {
    payload.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{Level, Split};

    fn request(idx: u32, query: Option<&str>, history: &[u32]) -> Request {
        let mut request = Request { split: Split::Train, ..Request::bare(idx) };
        request.ask.query = query.map(str::to_owned);
        request.ask.history = history.to_vec();
        request
    }

    fn page(items: &[(u32, bool)]) -> Vec<Impression> {
        (1..)
            .zip(items)
            .map(|(position, &(item, click))| Impression {
                item,
                position,
                click,
                level: Level(u8::from(click)),
                ..Default::default()
            })
            .collect()
    }

    #[test]
    fn rejected_are_shown_above_and_never_positive_for_the_text() {
        let requests = [request(0, Some("sofa"), &[]), request(1, Some("sofa"), &[])];
        let pages = [
            page(&[(1, false), (2, false), (3, true), (4, false)]),
            page(&[(2, true), (5, false)]),
        ];
        let settings = PairSettings { shown_negatives: 5, ..Default::default() };
        let builder = PairBuilder::new(&requests, &pages, &settings);
        // Item 2 was shown above 3, but is positive for the same text elsewhere; 4 lies below.
        let expected = Pair { prompt: 0, chosen: 3, rejected: 1, weight: 1.0 };
        assert_eq!(builder.shown_pairs(), [expected]);
    }

    #[test]
    fn beam_negatives_weigh_by_whether_they_were_shown() {
        let requests = [request(0, Some("sofa"), &[])];
        let pages = [page(&[(1, false), (3, true)])];
        let settings =
            PairSettings { beam_negatives: 2, unshown_weight: 0.25, ..Default::default() };
        let builder = PairBuilder::new(&requests, &pages, &settings);
        let sample = builder.beam_requests(Seed::new(1));
        assert_eq!(sample.len(), 1);
        let pairs = builder.beam_pairs(&sample[0], &[3, 9, 1], Seed::new(1));
        let mut got: Vec<(u32, u32, f32)> =
            pairs.iter().map(|p| (p.chosen, p.rejected, p.weight)).collect();
        got.sort_by_key(|pair| pair.1);
        assert_eq!(got, [(3, 1, 1.0), (3, 9, 0.25)]);
    }

    #[test]
    fn what_is_called_like_a_positive_item_is_never_rejected() {
        // Item 5 is called like item 2, which is clicked; item 6 like item 1.
        let requests = [request(0, Some("red"), &[])];
        let pages = [page(&[(1, false), (5, false), (2, true)])];
        let settings = PairSettings::default();
        let leaves = vec![0, 1, 2, 3, 4, 2, 1];
        let builder = PairBuilder::new(&requests, &pages, &settings).sharing(Some(leaves.clone()));
        let rejected =
            |pairs: Vec<Pair>| pairs.iter().map(|pair| pair.rejected).collect::<Vec<_>>();
        assert_eq!(rejected(builder.shown_pairs()), [1]);
        let asked = BeamRequest { request: 0, chosen: vec![2] };
        let from_beam = rejected(builder.beam_pairs(&asked, &[5, 2, 3], Seed::new(1)));
        assert_eq!(from_beam, [3]);
        // Without queries: whatever is called like an item of the history.
        let requests = [request(0, None, &[2, 4])];
        let pages = [Vec::new()];
        let builder = PairBuilder::new(&requests, &pages, &settings).sharing(Some(leaves));
        let asked = BeamRequest { request: 0, chosen: vec![4] };
        assert_eq!(rejected(builder.beam_pairs(&asked, &[5, 6], Seed::new(1))), [6]);
    }

    #[test]
    fn sequences_prefer_the_last_item_over_unknown_ones() {
        let requests = [request(0, None, &[4, 5, 6]), request(1, None, &[7])];
        let pages = [Vec::new(), Vec::new()];
        let settings = PairSettings::default();
        let builder = PairBuilder::new(&requests, &pages, &settings);
        assert!(builder.shown_pairs().is_empty());
        let sample = builder.beam_requests(Seed::new(1));
        assert_eq!(sample, [BeamRequest { request: 0, chosen: vec![6] }]);
        let pairs = builder.beam_pairs(&sample[0], &[6, 5, 1, 4, 2], Seed::new(1));
        let mut rejected: Vec<u32> = pairs.iter().map(|p| p.rejected).collect();
        rejected.sort_unstable();
        assert_eq!(rejected, [1, 2]);
    }

    fn pair(prompt: u32, chosen: u32, rejected: u32, weight: f32) -> Pair {
        Pair { prompt, chosen, rejected, weight }
    }

    fn group(prompt: u32, chosen: &[u32], rejected: &[(u32, f32)]) -> Group {
        let rejected = rejected.iter().map(|&(item, weight)| Rejected { item, weight });
        Group { prompt, chosen: chosen.to_vec(), rejected: rejected.collect() }
    }

    fn sizes(chosen: u32, negatives: u32) -> PairSettings {
        PairSettings {
            group_chosen: Some(chosen),
            group_negatives: Some(negatives),
            ..Default::default()
        }
    }

    #[test]
    fn groups_of_one_pair_are_the_pairs_in_their_order() {
        let pairs = [pair(3, 1, 2, 1.0), pair(0, 4, 2, 0.5), pair(3, 1, 2, 0.25)];
        let expected = [
            group(3, &[1], &[(2, 1.0)]),
            group(0, &[4], &[(2, 0.5)]),
            group(3, &[1], &[(2, 0.25)]),
        ];
        assert_eq!(group_pairs(&pairs, &sizes(1, 1)), expected);
        assert_eq!(group_pairs(&pairs, &PairSettings::default()), expected);
    }

    #[test]
    fn groups_gather_what_was_rejected_for_a_chosen_item_or_for_a_request() {
        let pairs = [
            pair(3, 1, 2, 0.5),
            pair(0, 4, 2, 0.5),
            pair(3, 5, 6, 1.0),
            pair(3, 1, 7, 1.0),
            pair(3, 1, 2, 1.0),
        ];
        let each = [
            group(3, &[1], &[(2, 1.0), (7, 1.0)]),
            group(0, &[4], &[(2, 0.5)]),
            group(3, &[5], &[(6, 1.0)]),
        ];
        assert_eq!(group_pairs(&pairs, &sizes(1, 8)), each);
        let together =
            [group(3, &[1, 5], &[(2, 1.0), (6, 1.0), (7, 1.0)]), group(0, &[4], &[(2, 0.5)])];
        assert_eq!(group_pairs(&pairs, &sizes(8, 8)), together);
    }

    #[test]
    fn what_does_not_fit_is_dealt_evenly_and_never_dropped() {
        let pairs: Vec<Pair> = (10..15).map(|rejected| pair(0, 1, rejected, 1.0)).collect();
        let groups = group_pairs(&pairs, &sizes(1, 4));
        let parts: Vec<Vec<u32>> =
            groups.iter().map(|g| g.rejected.iter().map(|r| r.item).collect()).collect();
        assert_eq!(parts, [vec![10, 11], vec![12, 13, 14]]);
    }

    proptest::proptest! {
        /// Whatever the pages: no group rejects what is positive for its query text anywhere, nothing is compared that
        /// was not to be, and every pair is in exactly one group.
        #[test]
        fn groups_cover_all_pairs_and_never_reject_a_positive(
            seed in 0u64..10_000,
            chosen in 1u32..4,
            negatives in 1u32..4,
        ) {
            use rand::Rng;
            let mut rng = Seed::new(seed).purpose("pages").rng();
            let requests: Vec<Request> = (0..6)
                .map(|idx| request(idx, Some(["sofa", "lamp"][rng.random_range(0..2)]), &[]))
                .collect();
            let pages: Vec<Vec<Impression>> = (0..6)
                .map(|_| {
                    let mut items: Vec<(u32, bool)> =
                        (0..8).map(|item| (item, rng.random_bool(0.3))).collect();
                    items.shuffle(&mut rng);
                    page(&items)
                })
                .collect();
            let settings = PairSettings {
                shown_negatives: 3,
                beam_negatives: 3,
                ..sizes(chosen, negatives)
            };
            let builder = PairBuilder::new(&requests, &pages, &settings);
            let mut pairs = builder.shown_pairs();
            for request in builder.beam_requests(Seed::new(seed)) {
                let beam: Vec<u32> = (0..12).collect();
                pairs.extend(builder.beam_pairs(&request, &beam, Seed::new(seed)));
            }
            let positive = |query: Option<&str>, item: u32| {
                requests.iter().zip(&pages).any(|(request, page)| {
                    request.ask.query.as_deref() == query
                        && page.iter().any(|shown| shown.level.is_chosen() && shown.item == item)
                })
            };
            let groups = group_pairs(&pairs, &settings);
            let mut covered: HashMap<(u32, u32, u32), u32> = HashMap::new();
            for group in &groups {
                let query = requests[group.prompt as usize].ask.query.as_deref();
                proptest::prop_assert!(group.rejected.iter().all(|r| !positive(query, r.item)));
                for &winner in &group.chosen {
                    for rejected in &group.rejected {
                        *covered.entry((group.prompt, winner, rejected.item)).or_default() += 1;
                    }
                }
                proptest::prop_assert!(group.chosen.len() <= chosen as usize);
                proptest::prop_assert!(group.rejected.len() <= negatives as usize);
            }
            let wanted: HashSet<(u32, u32, u32)> =
                pairs.iter().map(|pair| (pair.prompt, pair.chosen, pair.rejected)).collect();
            proptest::prop_assert!(wanted.iter().all(|pair| covered.contains_key(pair)));
            if chosen == 1 {
                proptest::prop_assert_eq!(covered.len(), wanted.len());
            }
            if chosen > 1 || negatives > 1 {
                proptest::prop_assert!(covered.values().all(|&times| times == 1));
            }
        }
    }

    #[test]
    fn files_round_trip_and_must_match() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pairs.bin");
        let groups = vec![group(1, &[2, 0], &[(3, 0.5)]), group(0, &[1], &[(0, 1.0), (3, 0.25)])];
        write_groups(&path, &groups).expect("write");
        assert_eq!(read_groups(&path, 2, 4).expect("read"), groups);
        assert!(read_groups(&path, 1, 4).is_err(), "a prompt that is not there");
        assert!(read_groups(&path, 2, 3).is_err(), "an item that is not there");
        // A count that promises more than the file holds.
        let mut payload = Vec::new();
        [0u32, 1, u32::MAX, 1].iter().for_each(|word| payload.extend(word.to_le_bytes()));
        write_sealed(&path, PAIRS, &payload).expect("write");
        assert!(read_groups(&path, 2, 4).is_err());
        let path = folder.path().join("spans.bin");
        let spans = vec![vec![7, 8], vec![9]];
        write_spans(&path, &spans).expect("write");
        assert_eq!(read_spans(&path).expect("read"), spans);
        let path = folder.path().join("reference.bin");
        write_reference(&path, &[-1.5, -2.25]).expect("write");
        assert_eq!(read_reference(&path, 2).expect("read"), [-1.5, -2.25]);
        assert!(read_reference(&path, 3).is_err());
    }
}
