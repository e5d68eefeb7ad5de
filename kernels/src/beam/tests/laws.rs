//! The laws, generic over engine and constraint, and the table of who must keep them.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cases::{Case, Entry, Paths, Stream, Tree, items, many_children, prefixes, state_of};
use super::device::{DeviceSearch, RowGuide};
use super::table::{Table, TableScorer};
use super::*;
use crate::index::SidIndex;
use crate::index::fm::Placed;

/// How to search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) table: Table,
    pub(super) beam: usize,
    pub(super) max_levels: usize,
    /// Bonus of what is above no scored item, and whether a bonus stays in the score.
    pub(super) guide: Option<(f32, bool)>,
}

/// One request.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) prompt: u32,
    /// Whether these items are the only ones, or left out.
    pub(super) filter: Option<(bool, Vec<u32>)>,
    /// What the guide knows.
    pub(super) scored: Vec<(u32, f32)>,
}

impl Asked {
    pub(super) fn filter(&self) -> Filter<'_> {
        match &self.filter {
            None => Filter::All,
            Some((true, items)) => Filter::Only(items),
            Some((false, items)) => Filter::Without(items),
        }
    }
}

type Outcome = Result<Vec<Vec<Hit>>, SearchError<Infallible>>;

/// A way to search, made for one constraint and one batch.
trait Engine {
    fn make<'a, C: Case>(
        constraint: &'a C,
        setup: &Setup,
        asked: &[Asked],
    ) -> Box<dyn Search<u32, Error = SearchError<Infallible>> + 'a>;
}

/// The host, with or without rows.
struct Host<const BY_ROWS: bool>;
/// The device stub.
struct Device;

impl<const BY_ROWS: bool> Engine for Host<BY_ROWS> {
    fn make<'a, C: Case>(
        constraint: &'a C,
        setup: &Setup,
        asked: &[Asked],
    ) -> Box<dyn Search<u32, Error = SearchError<Infallible>> + 'a> {
        let scorer = TableScorer::new(setup.table, BY_ROWS.then_some(C::TOKENS));
        let mut search = HostSearch::new(Filtered::new(constraint), scorer, width(setup.beam));
        search.rule = setup.table.rule;
        search.max_levels = setup.max_levels;
        search.by_rows = BY_ROWS;
        let Some((otherwise, stays)) = setup.guide else { return Box::new(search) };
        let scored: Vec<_> = asked.iter().map(|one| one.scored.as_slice()).collect();
        let mut guide = BestBelow::new(constraint, &scored, otherwise);
        guide.stays = stays;
        Box::new(search.guided(guide))
    }
}

impl Engine for Device {
    fn make<'a, C: Case>(
        constraint: &'a C,
        setup: &Setup,
        asked: &[Asked],
    ) -> Box<dyn Search<u32, Error = SearchError<Infallible>> + 'a> {
        Box::new(DeviceSearch {
            index: constraint.upload(),
            table: setup.table,
            width: C::TOKENS,
            beam: setup.beam,
            max_levels: setup.max_levels,
            guide: setup.guide.map(|(otherwise, stays)| {
                let scored = asked.iter().map(|one| one.scored.clone()).collect();
                RowGuide { scored, otherwise, stays }
            }),
        })
    }
}

fn run<E: Engine, C: Case>(constraint: &C, setup: &Setup, asked: &[Asked]) -> Outcome {
    let prompts: Vec<u32> = asked.iter().map(|one| one.prompt).collect();
    let filters: Vec<Filter<'_>> = asked.iter().map(Asked::filter).collect();
    E::make(constraint, setup, asked).search(&prompts, &filters)
}

fn rules() -> impl Strategy<Value = Rule> {
    prop_oneof![Just(Rule::Add), Just(Rule::Replace), Just(Rule::Multiply)]
}

fn setups() -> impl Strategy<Value = Setup> {
    let guide = (prop_oneof![Just(f32::NEG_INFINITY), Just(-1.5)], any::<bool>());
    let max_levels = prop_oneof![3 => Just(usize::MAX), 1 => 0usize..4];
    let guide = proptest::option::of(guide);
    let faults = (any::<bool>(), any::<bool>());
    (any::<u64>(), rules(), faults, 1usize..20, max_levels, guide).prop_map(
        |(seed, rule, (has_holes, is_coarse), beam, max_levels, guide)| {
            let table = Table { has_holes, is_coarse, ..Table::new(seed, rule) };
            Setup { table, beam, max_levels, guide }
        },
    )
}

/// Three requests that know of some items below a bound.
fn requests(bound: u32) -> impl Strategy<Value = Vec<Asked>> {
    let some = bound as usize * 2 / 3;
    let some_items = || vec(0..bound, 0..some);
    let filter = proptest::option::of((any::<bool>(), some_items()));
    let scored = proptest::collection::btree_map(0..bound, 0u8..8, 0..some);
    let asked = (filter, scored).prop_map(|(filter, scored)| {
        let scored = scored.into_iter().map(|(item, score)| (item, f32::from(score) / 2.0));
        Asked { prompt: 0, filter, scored: scored.collect() }
    });
    vec(asked, 3).prop_map(|mut all| {
        (0..).zip(&mut all).for_each(|(prompt, asked)| asked.prompt = prompt);
        all
    })
}

const CASES: u32 = 200;

fn config() -> ProptestConfig {
    ProptestConfig::with_cases(CASES)
}

/// Any width, rule, guide and filter: what the plain search over whole paths returns; and a batch
/// answers as each request alone.
fn equals_the_reference<E: Engine, C: Case>() {
    equals_the_reference_on::<E, C>(CASES, C::entries(), 30);
}

/// The same with so many candidates that pools cut and what is below their bar is passed over.
fn passes_over_only_what_cannot_be_kept<E: Engine>() {
    equals_the_reference_on::<E, SidIndex>(24, many_children(), 1_500);
}

fn equals_the_reference_on<E: Engine, C: Case>(
    cases: u32,
    entries: impl Strategy<Value = Vec<Entry>>,
    bound: u32,
) {
    let config = ProptestConfig::with_cases(cases);
    proptest!(config, |(entries in entries, setup in setups(), asked in requests(bound))| {
        let (constraint, paths) = (C::build(&entries), C::paths(&entries));
        let hits = run::<E, C>(&constraint, &setup, &asked).unwrap();
        prop_assert_eq!(hits.len(), asked.len());
        for (hits, asked) in hits.iter().zip(&asked) {
            prop_assert_eq!(hits, &reference::hits(&paths, &setup, asked));
            let alone = run::<E, C>(&constraint, &setup, std::slice::from_ref(asked)).unwrap();
            prop_assert_eq!(&alone[0], hits);
        }
    });
}

/// A beam that holds everything finds every item by its best sequence, and scores add up.
fn a_full_beam_equals_scoring_every_item<E: Engine, C: Case>() {
    proptest!(config(), |(entries in C::entries(), seed: u64, rule in rules())| {
        let (constraint, paths) = (C::build(&entries), C::paths(&entries));
        let table = Table::new(seed, rule);
        let beam = prefixes(&paths).len();
        let setup = Setup { table, beam, max_levels: usize::MAX, guide: None };
        let hits = run::<E, C>(&constraint, &setup, &[Asked::default()]).unwrap();
        let mut expected: BTreeMap<u32, f32> = BTreeMap::new();
        for (path, items) in &paths {
            let own = (1..=path.len()).map(|n| table.of(0, &path[..n]));
            let score = own.fold(rule.start(), |score, own| rule.combine(score, own));
            for item in items {
                let best = expected.entry(*item).or_insert(score);
                *best = best.max(score);
            }
        }
        prop_assert!(hits[0].is_sorted_by(|a, b| a.score >= b.score));
        let found: BTreeMap<u32, f32> = pairs(&hits[0]).into_iter().collect();
        prop_assert_eq!(found.len(), hits[0].len(), "no item twice");
        prop_assert_eq!(found, expected);
        for hit in &hits[0] {
            prop_assert!(paths[&hit.tokens].contains(&hit.item), "reached through the index");
            let sum = hit.token_scores.iter().fold(rule.start(), |s, own| rule.combine(s, *own));
            prop_assert_eq!(sum, hit.score);
        }
    });
}

/// The entries with an allowed item, renumbered, and the old numbers.
fn filtered_entries(entries: &[Entry], filter: Filter<'_>) -> (Vec<Entry>, Vec<u32>) {
    let paths: Paths = entries.iter().map(|(_, item)| (vec![*item], vec![*item])).collect();
    let kept: Vec<u32> = reference::allowed(&paths, filter).into_values().flatten().collect();
    let number = |item: &u32| Some(kept.binary_search(item).ok()? as u32);
    let entries = entries.iter().filter_map(|(path, item)| Some((path.clone(), number(item)?)));
    (entries.collect(), kept)
}

/// A filter finds what an index of the allowed items alone finds, with the same beam.
fn a_filter_equals_a_filtered_catalogue<E: Engine, C: Case>() {
    proptest!(config(), |(entries in C::entries(), setup in setups(), asked in requests(30))| {
        let setup = Setup { guide: None, ..setup };
        let hits = run::<E, C>(&C::build(&entries), &setup, &asked).unwrap();
        for (hits, asked) in hits.into_iter().zip(asked) {
            let (kept, numbers) = filtered_entries(&entries, asked.filter());
            if kept.is_empty() {
                prop_assert_eq!(hits, []);
                continue;
            }
            let open = Asked { filter: None, ..asked };
            let mut alone = run::<E, C>(&C::build(&kept), &setup, &[open]).unwrap().remove(0);
            alone.iter_mut().for_each(|hit| hit.item = numbers[hit.item as usize]);
            prop_assert_eq!(hits, alone);
        }
    });
}

/// No beam dies of a filter: with a score for everything there are as many hits as the beam holds
/// leaves, or as are allowed.
fn no_beam_dies_of_a_filter<E: Engine, C: Case>() {
    proptest!(config(), |(
        entries in C::entries(), seed: u64, beam in 1usize..9, asked in requests(30),
    )| {
        let (constraint, paths) = (C::build(&entries), C::paths(&entries));
        let table = Table::new(seed, Rule::Add);
        let setup = Setup { table, beam, max_levels: usize::MAX, guide: None };
        let hits = run::<E, C>(&constraint, &setup, &asked).unwrap();
        for (hits, asked) in hits.iter().zip(&asked) {
            let mut used: Vec<&Vec<u32>> = hits.iter().map(|hit| &hit.tokens).collect();
            used.dedup();
            let allowed = reference::allowed(&paths, asked.filter());
            if C::DISJOINT {
                prop_assert_eq!(used.len(), beam.min(allowed.len()));
            }
            prop_assert_eq!(hits.is_empty(), allowed.is_empty());
            prop_assert!(hits.iter().all(|hit| items(&allowed).contains(&hit.item)));
        }
    });
}

/// A score that is not a number is an error with its place, and only where it is legal.
fn what_is_not_a_number_is_an_error<E: Engine, C: Case>() {
    proptest!(config(), |(
        entries in C::entries(), seed: u64, rule in rules(), beam in 1usize..9,
        prompt in 0u32..3, level in 0usize..3, token in 0..C::TOKENS as u32,
    )| {
        let (constraint, paths) = (C::build(&entries), C::paths(&entries));
        let asked: Vec<Asked> =
            (0..3).map(|prompt| Asked { prompt, ..Asked::default() }).collect();
        let sound = Table::new(seed, rule);
        let setup = Setup { table: sound, beam, max_levels: usize::MAX, guide: None };
        // The beams that will be asked at the poisoned level.
        let kept = reference::levels(&paths, &setup, &asked[prompt as usize]);
        let parents = match level.checked_sub(1) {
            None => vec![Vec::new()],
            Some(before) => {
                kept.get(before).into_iter().flatten().map(|kept| kept.path.clone()).collect()
            }
        };
        let prefixes = prefixes(&paths);
        let is_met = parents.iter().any(|parent| {
            parent.len() == level && prefixes.contains(&[&parent[..], &[token]].concat())
        });
        let table = Table { poison: Some((prompt, level, token)), ..sound };
        let outcome = run::<E, C>(&constraint, &Setup { table, ..setup }, &asked);
        match outcome {
            Ok(hits) => {
                prop_assert!(!is_met);
                prop_assert_eq!(hits, run::<E, C>(&constraint, &setup, &asked).unwrap());
            }
            Err(SearchError::NotANumber { request, level: at, token: which }) => {
                prop_assert!(is_met);
                prop_assert_eq!((request, at, which), (prompt as usize, level, token));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    });
}

/// Items of a state, as the case says in which order.
fn listed<C: Case>(items: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut items: Vec<u32> = items.into_iter().collect();
    if !C::IN_ORDER {
        items.sort_unstable();
    }
    items
}

/// What filters, guides and rows build on: ranges in the order of the children, paths towards
/// places, items of a range; and the best of a row as through the children.
fn the_constraint_keeps_its_own_law<C: Case>() {
    proptest!(config(), |(entries in C::entries(), seed: u64, k in 1usize..6)| {
        let (constraint, paths) = (C::build(&entries), C::paths(&entries));
        let mut tokens = Vec::new();
        for prefix in prefixes(&paths) {
            let state = state_of(&constraint, 0, &prefix);
            let below = constraint.below(state);
            let under = paths.iter().filter(|(path, _)| path.starts_with(&prefix));
            let under: Vec<u32> = under.flat_map(|(_, items)| items).copied().collect();
            prop_assert_eq!(below.len(), under.len());
            prop_assert_eq!(listed::<C>(constraint.items(state)), listed::<C>(under));
            prop_assert_eq!(constraint.is_leaf(state), paths.contains_key(&prefix));
            tokens.clear();
            constraint.children(state, &mut tokens);
            let is_next = |next: &&Vec<u32>| {
                next.len() == prefix.len() + 1 && next.starts_with(&prefix)
            };
            let all = prefixes(&paths);
            let expected: Vec<u32> = all.iter().filter(is_next).map(|p| p[prefix.len()]).collect();
            prop_assert_eq!(&tokens, &expected);
            for token in 0..C::TOKENS as u32 + 1 {
                prop_assert_eq!(constraint.child(state, token).is_some(), tokens.contains(&token));
            }
            let mut end = below.start;
            for &token in &tokens {
                let child = constraint.below(constraint.child(state, token).unwrap());
                prop_assert!(end <= child.start && child.start < child.end);
                prop_assert!(child.end <= below.end);
                for place in child.clone() {
                    prop_assert_eq!(constraint.toward(state, place), Some(token));
                }
                end = child.end;
            }
            // Two scores that differ may join their parent's to the same: ties must be those.
            let table = Table { has_holes: true, ..Table::new(seed, Rule::Add) };
            let sound: Vec<f32> =
                (0..C::TOKENS as u32).map(|t| table.of(0, &[&prefix[..], &[t]].concat())).collect();
            let joins = [(Rule::Add, -1e8), (Rule::Replace, 1.0), (Rule::Multiply, 1e-44)];
            for (rule, parent) in joins {
                let mut own = sound.clone();
                let floor = rule.combine(parent, own[0]);
                let floor = if seed % 2 == 0 { f32::NEG_INFINITY } else { floor };
                for poison in [false, true] {
                    if poison {
                        own[(seed % C::TOKENS as u64) as usize] = f32::NAN;
                    }
                    let row = Row { own: &own, parent, rule, floor };
                    let (mut ours, mut listed) = (Vec::new(), Vec::new());
                    constraint.best(state, &row, k, &mut ours);
                    row.best(tokens.iter().copied(), k, &mut listed);
                    let bits = |list: &[(u32, f32)]| -> Vec<(u32, u32)> {
                        let mut bits: Vec<_> = list.iter().map(|p| (p.0, p.1.to_bits())).collect();
                        bits.sort_unstable();
                        bits
                    };
                    prop_assert_eq!(bits(&ours), bits(&listed));
                }
            }
        }
        let root = constraint.root(0);
        let mut spelled = Paths::new();
        for item in items(&paths) {
            let mut places = Vec::new();
            constraint.places_of(item, &mut places);
            if C::IN_ORDER {
                let holds = |place: &u32| places.contains(place);
                let expected: Vec<bool> = constraint.items(root).map(|one| one == item).collect();
                let found: Vec<bool> = constraint.below(root).map(|place| holds(&place)).collect();
                prop_assert_eq!(found, expected);
            }
            for place in places {
                let (mut state, mut path) = (root, Vec::new());
                while let Some(token) = constraint.toward(state, place) {
                    state = constraint.child(state, token).unwrap();
                    path.push(token);
                }
                spelled.entry(path).or_default().push(item);
            }
        }
        let mut named = paths.clone();
        named.values_mut().for_each(|items| items.sort_unstable());
        prop_assert_eq!(spelled, named);
        let mut places = Vec::new();
        constraint.places_of(1_000, &mut places);
        prop_assert!(places.is_empty());
    });
}

/// Under a filter the sequences are those with an allowed item, whoever asks for what.
fn a_filtered_constraint_is_that_of_the_allowed<C: Case>() {
    proptest!(config(), |(entries in C::entries(), asked in requests(30))| {
        let (inner, paths) = (C::build(&entries), C::paths(&entries));
        let filters: Vec<Filter<'_>> = asked.iter().map(Asked::filter).collect();
        let mut constraint = Filtered::new(&inner);
        constraint.set(&filters);
        for (request, filter) in filters.iter().enumerate() {
            let allowed = reference::allowed(&paths, *filter);
            let prefixes = prefixes(&allowed);
            for prefix in &prefixes {
                let state = state_of(&constraint, request, prefix);
                let under = allowed.iter().filter(|(path, _)| path.starts_with(prefix));
                let under: Vec<u32> = under.flat_map(|(_, items)| items).copied().collect();
                prop_assert_eq!(listed::<C>(constraint.items(state)), listed::<C>(under));
                let mut tokens = Vec::new();
                constraint.children(state, &mut tokens);
                let all = 0..C::TOKENS as u32;
                let is_legal =
                    |token: &u32| prefixes.contains(&[&prefix[..], &[*token]].concat());
                prop_assert_eq!(&tokens, &all.clone().filter(is_legal).collect::<Vec<_>>());
                for token in all {
                    let child = constraint.child(state, token);
                    prop_assert_eq!(child.is_some(), is_legal(&token));
                }
            }
        }
    });
}

macro_rules! laws {
    ($($name:ident: $engine:ty, $case:ty;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn equals_the_reference() {
                super::equals_the_reference::<$engine, $case>();
            }

            #[test]
            fn a_full_beam_equals_scoring_every_item() {
                super::a_full_beam_equals_scoring_every_item::<$engine, $case>();
            }

            #[test]
            fn a_filter_equals_a_filtered_catalogue() {
                super::a_filter_equals_a_filtered_catalogue::<$engine, $case>();
            }

            #[test]
            fn no_beam_dies_of_a_filter() {
                super::no_beam_dies_of_a_filter::<$engine, $case>();
            }

            #[test]
            fn what_is_not_a_number_is_an_error() {
                super::what_is_not_a_number_is_an_error::<$engine, $case>();
            }
        }
    )*};
}

laws! {
    host_sid: Host<false>, SidIndex;
    host_tree: Host<false>, Tree;
    host_stream: Host<false>, Stream;
    host_spans: Host<false>, Placed<'static>;
    rows_sid: Host<true>, SidIndex;
    rows_tree: Host<true>, Tree;
    rows_stream: Host<true>, Stream;
    rows_spans: Host<true>, Placed<'static>;
    device_sid: Device, SidIndex;
    device_tree: Device, Tree;
    device_stream: Device, Stream;
    device_spans: Device, Placed<'static>;
}

#[test]
fn pools_that_overflow_keep_the_best() {
    passes_over_only_what_cannot_be_kept::<Host<false>>();
    passes_over_only_what_cannot_be_kept::<Host<true>>();
    passes_over_only_what_cannot_be_kept::<Device>();
}

#[test]
fn filtered_constraints_are_those_of_the_allowed() {
    a_filtered_constraint_is_that_of_the_allowed::<SidIndex>();
    a_filtered_constraint_is_that_of_the_allowed::<Tree>();
    a_filtered_constraint_is_that_of_the_allowed::<Stream>();
    a_filtered_constraint_is_that_of_the_allowed::<Placed<'static>>();
}

#[test]
fn constraints_keep_their_own_law() {
    the_constraint_keeps_its_own_law::<SidIndex>();
    the_constraint_keeps_its_own_law::<Tree>();
    the_constraint_keeps_its_own_law::<Stream>();
    the_constraint_keeps_its_own_law::<Placed<'static>>();
}
