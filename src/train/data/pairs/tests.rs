//! Pairs of small logs, their groups and files.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use rand::seq::SliceRandom;

use super::groups::*;
use super::*;
use crate::corpus::{PositionBias, Split};
use crate::store::{SealKind, write_sealed};
use crate::train::objective::preference::{Group, Weighed};

fn request(idx: u32, query: Option<&str>, history: &[u32]) -> Request {
    let mut request = Request { split: Split::Train, ..Request::bare(idx) };
    request.ask.query = query.map(str::to_owned);
    request.ask.history = history.to_vec();
    request
}

fn unshown(item: u32) -> Chosen {
    Chosen { item, weight: 1.0, clipped: false, shown: None }
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
    let pages =
        [page(&[(1, false), (2, false), (3, true), (4, false)]), page(&[(2, true), (5, false)])];
    let settings = PairSettings { shown_negatives: 5, ..Default::default() };
    let builder = PairBuilder::new(&requests, &pages, &settings, Weights::default());
    // Item 2 was shown above 3, but is positive for the same text elsewhere; 4 lies below.
    let shown = Some((3, Level(1)));
    let chosen = Chosen { item: 3, weight: 1.0, clipped: false, shown };
    let reason = Reason::Above(1);
    let expected = Pair { prompt: 0, chosen, rejected: 1, weight: 1.0, reason };
    assert_eq!(builder.shown_pairs(), [expected]);
}

#[test]
fn beam_negatives_weigh_by_whether_they_were_shown() {
    let requests = [request(0, Some("sofa"), &[])];
    let pages = [page(&[(1, false), (3, true)])];
    let settings = PairSettings { beam_negatives: 2, unshown_weight: 0.25, ..Default::default() };
    let builder = PairBuilder::new(&requests, &pages, &settings, Weights::default());
    let sample = builder.beam_requests(Seed::new(1));
    assert_eq!(sample.len(), 1);
    let pairs = builder.beam_pairs(&sample[0], &[3, 9, 1], Seed::new(1));
    let mut got: Vec<(u32, u32, f32)> =
        pairs.iter().map(|p| (p.chosen.item, p.rejected, p.weight)).collect();
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
    let builder = PairBuilder::new(&requests, &pages, &settings, Weights::default())
        .sharing(Some(leaves.clone()));
    let rejected = |pairs: Vec<Pair>| pairs.iter().map(|pair| pair.rejected).collect::<Vec<_>>();
    assert_eq!(rejected(builder.shown_pairs()), [1]);
    let asked = BeamRequest { request: 0, chosen: vec![unshown(2)] };
    let from_beam = rejected(builder.beam_pairs(&asked, &[5, 2, 3], Seed::new(1)));
    assert_eq!(from_beam, [3]);
    // Without queries: whatever is called like an item of the history.
    let requests = [request(0, None, &[2, 4])];
    let pages = [Vec::new()];
    let builder =
        PairBuilder::new(&requests, &pages, &settings, Weights::default()).sharing(Some(leaves));
    let asked = BeamRequest { request: 0, chosen: vec![unshown(4)] };
    assert_eq!(rejected(builder.beam_pairs(&asked, &[5, 6], Seed::new(1))), [6]);
}

#[test]
fn sequences_prefer_the_last_item_over_unknown_ones() {
    let requests = [request(0, None, &[4, 5, 6]), request(1, None, &[7])];
    let pages = [Vec::new(), Vec::new()];
    let settings = PairSettings::default();
    let builder = PairBuilder::new(&requests, &pages, &settings, Weights::default());
    assert!(builder.shown_pairs().is_empty());
    let sample = builder.beam_requests(Seed::new(1));
    assert_eq!(sample, [BeamRequest { request: 0, chosen: vec![unshown(6)] }]);
    let pairs = builder.beam_pairs(&sample[0], &[6, 5, 1, 4, 2], Seed::new(1));
    let mut rejected: Vec<u32> = pairs.iter().map(|p| p.rejected).collect();
    rejected.sort_unstable();
    assert_eq!(rejected, [1, 2]);
}

fn pair(prompt: u32, chosen: u32, rejected: u32, weight: f32) -> Pair {
    let reason = Reason::BeamUnshown;
    Pair { prompt, chosen: unshown(chosen), rejected, weight, reason }
}

fn group(prompt: u32, chosen: &[u32], rejected: &[(u32, f32)]) -> Group {
    let weighed = |&(answer, weight): &(u32, f32)| Weighed { answer, weight };
    let chosen = chosen.iter().map(|&answer| Weighed { answer, weight: 1.0 });
    Group::of(prompt, chosen.collect(), rejected.iter().map(weighed).collect())
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
    let expected =
        [group(3, &[1], &[(2, 1.0)]), group(0, &[4], &[(2, 0.5)]), group(3, &[1], &[(2, 0.25)])];
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
        groups.iter().map(|g| g.rejected.iter().map(|r| r.answer).collect()).collect();
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
        let builder = PairBuilder::new(&requests, &pages, &settings, Weights::default());
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
            proptest::prop_assert!(group.rejected.iter().all(|r| !positive(query, r.answer)));
            for winner in &group.chosen {
                for rejected in &group.rejected {
                    *covered.entry((group.prompt, winner.answer, rejected.answer)).or_default() += 1;
                }
            }
            proptest::prop_assert!(group.chosen.len() <= chosen as usize);
            proptest::prop_assert!(group.rejected.len() <= negatives as usize);
        }
        let wanted: HashSet<(u32, u32, u32)> =
            pairs.iter().map(|pair| (pair.prompt, pair.chosen.item, pair.rejected)).collect();
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
    let mut groups = vec![group(1, &[2, 0], &[(3, 0.5)]), group(0, &[1], &[(0, 1.0), (3, 0.25)])];
    groups[0].alike = vec![1.0, 0.75];
    groups[1].chosen[0].weight = 2.5;
    write_groups(&path, &groups).expect("write");
    assert_eq!(read_groups(&path, 2, 4).expect("read"), groups);
    assert!(read_groups(&path, 1, 4).is_err(), "a prompt that is not there");
    assert!(read_groups(&path, 2, 3).is_err(), "an item that is not there");
    // A count that promises more than the file holds.
    let mut payload = Vec::new();
    [0u32, 1, u32::MAX, 0, 1, 0].iter().for_each(|word| payload.extend(word.to_le_bytes()));
    let kind = SealKind { kind: "pairs", version: 3 };
    write_sealed(&path, kind, &payload).expect("write");
    assert!(read_groups(&path, 2, 4).is_err());
    let path = folder.path().join("reference.bin");
    write_reference(&path, &[-1.5, -2.25]).expect("write");
    assert_eq!(read_reference(&path, 2).expect("read"), [-1.5, -2.25]);
    assert!(read_reference(&path, 3).is_err());
}

#[test]
fn clicks_far_down_count_more_and_what_was_hardly_seen_counts_less() {
    let requests = [request(0, Some("sofa"), &[]), request(1, Some("sofa"), &[])];
    let mut pages = [
        page(&[(1, false), (2, false), (7, false), (3, true)]),
        page(&[(8, false), (9, false), (8, false), (4, false), (5, true)]),
    ];
    pages[1][4].level = Level(2);
    let settings = PairSettings {
        shown_negatives: 2,
        beam_negatives: 9,
        unshown_weight: 0.25,
        ..Default::default()
    };
    let bias = Some((PositionBias::fixed(1.0), 4.5));
    let weights = Weights { bias, levels: vec![1.0, 1.0, 3.0] };
    let builder = PairBuilder::new(&requests, &pages, &settings, weights);
    let pairs = builder.shown_pairs();
    let seen: Vec<(u32, u32, f32, f32, bool)> = pairs
        .iter()
        .map(|p| (p.chosen.item, p.rejected, p.chosen.weight, p.weight, p.chosen.clipped))
        .collect();
    // Position 5 would count 5, and is bounded by 4.5; its level counts 3.
    let expected = [
        (3, 1, 4.0, 1.0, false),
        (3, 2, 4.0, 0.5, false),
        (5, 8, 13.5, 1.0, true),
        (5, 9, 13.5, 0.5, true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(pairs[1].counts(), 2.0);
    // In a beam: 2 was seen with probability 1/2, 8 surely, 4 with 1/4, and 6 never.
    let sample = builder.beam_requests(Seed::new(1));
    let asked = sample.iter().find(|one| one.request == 0).unwrap();
    let mut found: Vec<(u32, f32, Reason)> = builder
        .beam_pairs(asked, &[2, 8, 4, 6, 3, 5], Seed::new(1))
        .iter()
        .map(|pair| (pair.rejected, pair.weight, pair.reason))
        .collect();
    found.sort_by_key(|one| one.0);
    let expected = [
        (2, 0.625, Reason::BeamShown),
        (4, 0.4375, Reason::BeamShown),
        (6, 0.25, Reason::BeamUnshown),
        (8, 1.0, Reason::BeamShown),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_level_that_counts_nothing_builds_no_pairs() {
    let requests = [request(0, Some("sofa"), &[])];
    let pages = [page(&[(1, false), (2, true)])];
    let settings = PairSettings::default();
    let weights = Weights { bias: None, levels: vec![1.0, 0.0] };
    let builder = PairBuilder::new(&requests, &pages, &settings, weights);
    assert!(builder.shown_pairs().is_empty());
    assert!(builder.beam_requests(Seed::new(1)).is_empty());
}
