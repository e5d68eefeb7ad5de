//! Spans of titles, of which every one counts, finished or not: against brute force.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::cases::{Case, Paths, Stream};
use super::laws::{Asked, Setup};
use super::table::{Table, TableScorer};
use super::*;
use crate::index::fm::{Build, FmBuilder, Placed, Spans};

/// What a span says of its titles: more, the better and the longer it is; one token says nothing.
fn weight(score: f32, depth: usize) -> Option<f32> {
    (depth > 1).then_some(8.0 + score + depth as f32)
}

/// Sums of the weights of kept spans per title, and the span of the largest weight.
fn expected(paths: &Paths, setup: &Setup, asked: &Asked) -> BTreeMap<u32, (f32, Vec<u32>)> {
    let allowed = reference::allowed(paths, asked.filter());
    let mut found: BTreeMap<u32, (f32, f32, Vec<u32>)> = BTreeMap::new();
    for kept in reference::levels(paths, setup, asked).into_iter().flatten() {
        let Some(weight) = weight(kept.score, kept.path.len()) else { continue };
        if kept.is_carried {
            continue;
        }
        let under = allowed.iter().filter(|(path, _)| path.starts_with(&kept.path));
        let items: BTreeSet<u32> = under.flat_map(|(_, items)| items).copied().collect();
        for item in items {
            let (sum, best, span) =
                found.entry(item).or_insert((0.0, f32::NEG_INFINITY, Vec::new()));
            *sum += weight;
            if weight > *best {
                (*best, *span) = (weight, kept.path.clone());
            }
        }
    }
    found.into_iter().map(|(item, (sum, _, span))| (item, (sum, span))).collect()
}

fn every_span_kept_speaks_for_its_titles<C: Case>() {
    proptest!(ProptestConfig::with_cases(300), |(
        entries in C::entries(),
        seed: u64,
        beam in 1usize..40,
        max_levels in 1usize..5,
        limit in 1usize..9,
        by_rows: bool,
        without in proptest::collection::vec(0u32..12, 0..4),
    )| {
        let (spans, paths) = (C::build(&entries), C::paths(&entries));
        let table = Table::new(seed, Rule::Add);
        let setup = Setup { table, beam, max_levels, guide: None };
        let asked = Asked { prompt: 5, filter: Some((false, without)), scored: Vec::new() };
        let scorer = TableScorer::new(table, by_rows.then_some(C::TOKENS));
        let collect = Every::new(limit, |_: &Filtered<&C>, span: &Hypothesis<'_, _>| {
            weight(span.score(), span.depth())
        });
        let search = HostSearch::new(Filtered::new(&spans), scorer, width(beam));
        let mut search = HostSearch { max_levels, by_rows, ..search }.collecting(collect);
        let hits = search.search(&[asked.prompt], &[asked.filter()]).unwrap().remove(0);

        let expected = expected(&paths, &setup, &asked);
        let mut order: Vec<(u32, f32)> = expected.iter().map(|(&i, (sum, _))| (i, *sum)).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order.truncate(limit);
        prop_assert_eq!(pairs(&hits), order);
        for hit in hits {
            let (title, _) = &entries[hit.item as usize];
            let closed = [&title[..], &[Stream::TITLE_END]].concat();
            let is_inside = closed.windows(hit.tokens.len()).any(|span| span == hit.tokens);
            prop_assert!(is_inside, "a span crosses no title's end");
            prop_assert_eq!(&hit.tokens, &expected[&hit.item].1);
            prop_assert_eq!(hit.token_scores.len(), hit.tokens.len());
        }
    });
}

#[test]
fn every_span_of_a_list_speaks_for_its_titles() {
    every_span_kept_speaks_for_its_titles::<Stream>();
}

#[test]
fn every_span_of_an_index_speaks_for_its_titles() {
    every_span_kept_speaks_for_its_titles::<Placed<'static>>();
}

/// Without a token that closes them spans may end anywhere, also where nothing may follow.
#[test]
fn spans_that_nothing_closes_are_found_at_every_level() {
    let mut builder = FmBuilder::new(9, 2).unwrap();
    for (item, text) in [(1, &[0u32, 1, 0, 1][..]), (0, &[1, 0]), (1, &[2]), (0, &[8, 2])] {
        builder.push(item, text).unwrap();
    }
    let index = builder.build(Build::Compact).unwrap();
    let starts = [true, true, true, false];
    let spans = Spans::new(&index).starting_with(&starts);
    let collect = Every::new(9, |spans: &Spans<'_>, span: &Hypothesis<'_, _>| {
        Some(1.0 / spans.count(span.state()) as f32)
    });
    let scorer = TableScorer::new(Table::new(1, Rule::Add), Some(9));
    let search = HostSearch::new(spans, scorer, width(99));
    assert!(search.by_rows, "a wide alphabet asks for rows");
    let mut search = HostSearch { max_levels: 3, ..search }.collecting(collect);
    let hits = search.run(&[0, 1]).unwrap();
    // Item 1 holds 0 (in 3 places of all), 1 (in 3), 2 (in 2), 01 (in 2), 10 (in 2), 010 and 101.
    // Item 0 holds 0, 1, 2 and 10; no span of the search begins with 8.
    let of_0 = 1.0 / 3.0 + 1.0 / 3.0 + 0.5 + 0.5;
    let of_1 = of_0 + 0.5 + 2.0;
    for hits in hits {
        assert_eq!(hits.iter().map(|hit| hit.item).collect::<Vec<_>>(), [1, 0]);
        assert!((hits[0].score - of_1).abs() < 1e-6 && (hits[1].score - of_0).abs() < 1e-6);
        assert!(hits.iter().all(|hit| hit.tokens[0] < 3));
    }
}

/// A token that opens titles alone: behind it, the search finds what titles begin with.
#[test]
fn spans_of_a_request_may_begin_behind_a_token() {
    let mut builder = FmBuilder::new(9, 2).unwrap();
    for (item, text) in [(0, &[8u32, 0, 1, 2][..]), (1, &[8, 1, 2]), (1, &[0, 2])] {
        builder.push(item, text).unwrap();
    }
    let index = builder.build(Build::Fast).unwrap();
    let starts = [false, true];
    let openings = [Some(8), None];
    let spans = Spans::new(&index).starting_with(&starts);
    assert!(spans.opened_by(&[None, Some(7)]).is_err(), "7 does not occur");
    let spans = spans.opened_by(&openings).unwrap();
    let collect = Every::new(9, |_: &Spans<'_>, span: &Hypothesis<'_, _>| {
        Some(if span.depth() == 2 { 1.0 } else { 0.25 })
    });
    let scorer = TableScorer::new(Table::new(1, Rule::Add), Some(9));
    let search = HostSearch::new(spans, scorer, width(99));
    let mut search = HostSearch { max_levels: 2, ..search }.collecting(collect);
    let hits = search.run(&[0, 1]).unwrap();
    let told = |hits: &[Hit]| hits.iter().map(|hit| (hit.item, hit.score)).collect::<Vec<_>>();
    // Titles begin with 0, 01 and 1, 12; spans with 1 alone, 12 among them, which both items hold.
    assert_eq!(told(&hits[0]), [(0, 1.25), (1, 1.25)]);
    assert!(hits[0].iter().all(|hit| hit.tokens[0] != 8), "what opens belongs to no hit");
    assert_eq!(told(&hits[1]), [(0, 1.25), (1, 1.25)]);
    assert_eq!(hits[1][0].tokens, [1, 2]);
}

#[test]
fn a_wide_beam_weighs_every_span_there_is() {
    let titles = [vec![0u32, 1, 0, 1], vec![1, 0], vec![2]];
    let entries: Vec<_> = titles.into_iter().zip(0..).collect();
    let stream = Stream::build(&entries);
    let count = |stream: &&Stream, span: &Hypothesis<'_, _>| {
        // Spans in fewer places say more.
        Some(1.0 / stream.below(span.state()).len() as f32)
    };
    let scorer = TableScorer::new(Table::new(1, Rule::Add), Some(Stream::TOKENS));
    let search = HostSearch::new(&stream, scorer, width(99));
    assert!(search.by_rows, "a wide alphabet asks for rows");
    let mut search = HostSearch { max_levels: 2, ..search }.collecting(Every::new(9, count));
    let hits = search.run(&[0, 1]).unwrap();
    // Title 0 holds 0 (in 3 places), 1 (in 3), 01 (in 2), 10 (in 2), 1 and its end (alone).
    let sum = 1.0 / 3.0 + 1.0 / 3.0 + 0.5 + 0.5 + 1.0;
    assert!((hits[0][0].score - sum).abs() < 1e-6 && hits[0][0].item == 0);
    // Title 1 holds 0, 1, 10 and 0 with its end; title 2 holds 2 and its end.
    assert!((hits[0][1].score - 13.0 / 6.0).abs() < 1e-6 && hits[0][1].item == 1);
    assert_eq!((hits[0][2].item, hits[0][2].score), (2, 2.0));
    assert_eq!(pairs(&hits[0]), pairs(&hits[1]), "weights do not ask the scorer");
}
