//! Preference pairs from clicks: which items are chosen over which.
//!
//! Chosen: a clicked item. Rejected: items shown above it and not clicked, and items that the
//! supervised model itself ranks high (on-policy). An item that was clicked for the same query text
//! in any request is never rejected for it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rand::seq::SliceRandom;

use super::objective::preference::{Pair, ReferenceScore};
use super::settings::PairSettings;
use crate::corpus::{Impression, Request};
use crate::error::{Error, Result};
use crate::seed::Seed;
use crate::store::{SealKind, read_sealed, write_sealed};

const PAIRS: SealKind = SealKind { kind: "pairs", version: 1 };
const REFERENCE: SealKind = SealKind { kind: "refscore", version: 1 };

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
    /// History to prompt with: for a sequence, all but its last item.
    pub history: Vec<u32>,
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
            let Some(query) = &request.query else { continue };
            let entry = known.entry(query.as_str()).or_default();
            entry.shown.extend(page.iter().map(|impression| impression.item));
            let clicked = page.iter().filter(|impression| impression.click);
            entry.positives.extend(clicked.map(|impression| impression.item));
        }
        Self { requests, pages, settings, known }
    }

    /// Pairs of clicked items with items shown above them and not clicked, topmost first: the higher
    /// an item stood, the surer it was seen.
    pub fn shown_pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (idx, (request, page)) in self.requests.iter().zip(self.pages).enumerate() {
            let known = request.query.as_deref().and_then(|query| self.known.get(query));
            let Some(known) = known else { continue };
            for chosen in page.iter().filter(|impression| impression.click) {
                let mut above: Vec<&Impression> = page
                    .iter()
                    .filter(|other| other.position < chosen.position)
                    .filter(|other| !known.positives.contains(&other.item))
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
        let known = origin.query.as_deref().and_then(|query| self.known.get(query));
        let is_positive = |item: &u32| match known {
            Some(known) => known.positives.contains(item),
            // The user's whole known sequence, the chosen item included.
            None => origin.history.contains(item),
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

fn beam_request(idx: u32, request: &Request, page: &[Impression]) -> Option<BeamRequest> {
    if request.query.is_some() {
        let clicked = page.iter().filter(|impression| impression.click);
        let chosen: Vec<u32> = clicked.map(|impression| impression.item).collect();
        let history = request.history.clone();
        return (!chosen.is_empty()).then_some(BeamRequest { request: idx, history, chosen });
    }
    let (&last, before) = request.history.split_last()?;
    let history = before.to_vec();
    (!history.is_empty()).then_some(BeamRequest { request: idx, history, chosen: vec![last] })
}

/// Writes pairs.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_pairs(path: &Path, pairs: &[Pair]) -> Result<()> {
    let mut payload = Vec::with_capacity(pairs.len() * 16);
    for pair in pairs {
        payload.extend(pair.prompt.to_le_bytes());
        payload.extend(pair.chosen.to_le_bytes());
        payload.extend(pair.rejected.to_le_bytes());
        payload.extend(pair.weight.to_le_bytes());
    }
    write_sealed(path, PAIRS, &payload)
}

/// Reads pairs.
///
/// # Errors
/// [`Error::Data`] when the file is missing or damaged.
pub fn read_pairs(path: &Path) -> Result<Vec<Pair>> {
    let payload = read_sealed(path, PAIRS)?;
    let words = words(&payload);
    Ok(words
        .chunks_exact(4)
        .map(|w| Pair { prompt: w[0], chosen: w[1], rejected: w[2], weight: f32::from_bits(w[3]) })
        .collect())
}

/// Writes reference scores, one per pair.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn write_reference(path: &Path, scores: &[ReferenceScore]) -> Result<()> {
    let values = scores.iter().flat_map(|score| [score.chosen, score.rejected]);
    let payload: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    write_sealed(path, REFERENCE, &payload)
}

/// Reads reference scores of `n_pairs` pairs.
///
/// # Errors
/// [`Error::Data`] when the file is missing, damaged, or belongs to other pairs.
pub fn read_reference(path: &Path, n_pairs: usize) -> Result<Vec<ReferenceScore>> {
    let payload = read_sealed(path, REFERENCE)?;
    let words = words(&payload);
    if words.len() != n_pairs * 2 {
        let got = words.len() / 2;
        return Err(Error::data(path, format!("expected scores of {n_pairs} pairs, got {got}")));
    }
    let score =
        |w: &[u32]| ReferenceScore { chosen: f32::from_bits(w[0]), rejected: f32::from_bits(w[1]) };
    Ok(words.chunks_exact(2).map(score).collect())
}

fn words(payload: &[u8]) -> Vec<u32> {
    payload.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Split;

    fn request(idx: u32, query: Option<&str>, history: &[u32]) -> Request {
        Request {
            idx,
            id: format!("r{idx}"),
            user: None,
            day: 0,
            query: query.map(str::to_owned),
            history: history.to_vec(),
            split: Split::Train,
        }
    }

    fn page(items: &[(u32, bool)]) -> Vec<Impression> {
        (1..)
            .zip(items)
            .map(|(position, &(item, click))| Impression {
                item,
                position,
                click,
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
    fn sequences_prefer_the_last_item_over_unknown_ones() {
        let requests = [request(0, None, &[4, 5, 6]), request(1, None, &[7])];
        let pages = [Vec::new(), Vec::new()];
        let settings = PairSettings::default();
        let builder = PairBuilder::new(&requests, &pages, &settings);
        assert!(builder.shown_pairs().is_empty());
        let sample = builder.beam_requests(Seed::new(1));
        assert_eq!(sample, [BeamRequest { request: 0, history: vec![4, 5], chosen: vec![6] }]);
        let pairs = builder.beam_pairs(&sample[0], &[6, 5, 1, 4, 2], Seed::new(1));
        let mut rejected: Vec<u32> = pairs.iter().map(|p| p.rejected).collect();
        rejected.sort_unstable();
        assert_eq!(rejected, [1, 2]);
    }

    #[test]
    fn files_round_trip_and_must_match() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("pairs.bin");
        let pairs = vec![Pair { prompt: 1, chosen: 2, rejected: 3, weight: 0.5 }];
        write_pairs(&path, &pairs).expect("write");
        assert_eq!(read_pairs(&path).expect("read"), pairs);
        let path = folder.path().join("reference.bin");
        let scores = vec![ReferenceScore { chosen: -1.5, rejected: -2.25 }];
        write_reference(&path, &scores).expect("write");
        assert_eq!(read_reference(&path, 1).expect("read"), scores);
        assert!(read_reference(&path, 2).is_err());
    }
}
