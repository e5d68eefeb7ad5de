//! Everything an index of spans answers, against brute force over its texts; and its file.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::sort::Limits;
use super::*;
use crate::beam::{Constraint, Places, Row, Rule};
use crate::index::IndexError;

const BUILDS: [Build; 2] = [Build::Compact, Build::Fast];

/// Texts and their items, and how many tokens and items there may be.
#[derive(Debug, Clone)]
struct Texts {
    alphabet: u32,
    n_items: u32,
    texts: Vec<(u32, Vec<u32>)>,
}

impl Texts {
    fn builder(&self) -> FmBuilder {
        let mut builder = FmBuilder::new(self.alphabet, self.n_items).unwrap();
        self.texts.iter().for_each(|(item, text)| builder.push(*item, text).unwrap());
        builder
    }

    fn is_empty(&self) -> bool {
        self.texts.iter().all(|(_, text)| text.is_empty())
    }

    /// The item of each occurrence of a span, and the token behind it, if its text goes on.
    fn occurrences(&self, span: &[u32]) -> Vec<(u32, Option<u32>)> {
        let mut found = Vec::new();
        for (item, text) in self.texts.iter().filter(|(_, text)| !text.is_empty()) {
            for start in 0..=text.len() {
                if text[start..].starts_with(span) {
                    found.push((*item, text.get(start + span.len()).copied()));
                }
            }
        }
        found
    }

    /// Some spans that occur, the empty one first, and some that do not.
    fn spans(&self) -> Vec<Vec<u32>> {
        let mut spans = vec![Vec::new()];
        for (number, (_, text)) in self.texts.iter().enumerate().take(40) {
            for start in (0..text.len()).step_by(1 + text.len() / 5) {
                let end = text.len().min(start + 1 + number % 4);
                spans.push(text[start..end].to_vec());
                spans.push(text[start..].to_vec());
                spans.push([&text[start..end], &[number as u32 % self.alphabet]].concat());
            }
        }
        spans.sort();
        spans.dedup();
        spans
    }
}

fn texts() -> impl Strategy<Value = Texts> {
    let alphabet = prop_oneof![Just(1u32), 2u32..6, Just(300u32), Just(150_000u32)];
    (alphabet, 1u32..40).prop_flat_map(|(alphabet, n_items)| {
        let token =
            prop_oneof![0..alphabet.min(3), (alphabet - alphabet.min(3))..alphabet, 0..alphabet];
        let run = (token.clone(), 1usize..60).prop_map(|(token, n)| vec![token; n]);
        let long = proptest::collection::vec(token.clone(), 30..90);
        let text = prop_oneof![
            1 => Just(Vec::new()), 8 => proptest::collection::vec(token, 1..9), 1 => run, 1 => long
        ];
        let repeated =
            (text, proptest::collection::vec(0..n_items, 1..4)).prop_map(|(text, items)| {
                items.into_iter().map(|item| (item, text.clone())).collect::<Vec<_>>()
            });
        let texts = proptest::collection::vec(repeated, 1..25);
        texts.prop_map(move |texts| Texts { alphabet, n_items, texts: texts.concat() })
    })
}

/// Whatever is asked of rows.
fn check(index: &FmIndex, texts: &Texts) {
    let n_texts = texts.texts.iter().filter(|(_, text)| !text.is_empty()).count() as u64;
    let n_tokens: usize = texts.texts.iter().map(|(_, text)| text.len()).sum();
    assert_eq!((index.n_texts(), index.n_tokens()), (n_texts, n_tokens as u64));
    assert_eq!((index.alphabet(), index.n_items()), (texts.alphabet, texts.n_items));
    for span in texts.spans() {
        let expected = texts.occurrences(&span);
        let Some(rows) = index.find(&span) else {
            assert!(expected.is_empty(), "{span:?} was not found");
            continue;
        };
        assert_eq!(rows.count(), expected.len() as u64, "{span:?}");
        let mut items: Vec<u32> = index.items(rows).collect();
        items.sort_unstable();
        let mut named: Vec<u32> = expected.iter().map(|(item, _)| *item).collect();
        named.sort_unstable();
        assert_eq!(items, named, "{span:?}");
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for token in expected.iter().filter_map(|(_, next)| *next) {
            *counts.entry(token).or_default() += 1;
        }
        assert_eq!(index.ends(rows), rows.count() - counts.values().sum::<u64>());
        let mut found = Vec::new();
        index.continuations(rows, &mut found);
        let listed: Vec<(u32, u64)> =
            found.iter().map(|next| (next.token, next.rows.count())).collect();
        assert_eq!(listed, counts.clone().into_iter().collect::<Vec<_>>(), "{span:?}");
        for next in found {
            assert_eq!(index.extend(rows, next.token), Some(next.rows));
        }
        for token in [0, 1, 2, texts.alphabet - 1, texts.alphabet, u32::MAX] {
            assert_eq!(index.extend(rows, token).is_some(), counts.contains_key(&token));
        }
    }
    for item in 0..texts.n_items + 1 {
        let own = texts.texts.iter().filter(|(one, text)| *one == item && !text.is_empty());
        let own: Vec<Vec<u32>> = own.map(|(_, text)| text.clone()).collect();
        let found: Vec<Vec<u32>> = index.texts_of(item).map(|text| index.text(text).0).collect();
        assert_eq!(found, own, "texts of item {item}");
    }
}

/// The best tokens by trying, whatever the scores: those that listing the children finds.
fn check_best(index: &FmIndex, texts: &Texts, seed: u64) {
    let width = texts.alphabet as usize + 2;
    let starts: Vec<bool> = (0..texts.alphabet).map(|token| token % 3 != 1).collect();
    let spans = Spans::new(index);
    let all = [spans, spans.starting_with(&starts), spans.closed_by(texts.alphabet).unwrap()];
    for (number, span) in texts.spans().iter().enumerate().take(6) {
        let hash = |token: usize| {
            (seed ^ (number as u64) << 32 ^ token as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
        };
        // Few distinct scores, so that ties straddle the bar.
        let mut own: Vec<f32> = (0..width).map(|token| -((hash(token) % 7) as f32)).collect();
        let mut rows = vec![own.clone()];
        own.iter_mut()
            .enumerate()
            .filter(|(token, _)| hash(*token) % 3 == 0)
            .for_each(|(_, score)| *score = f32::NEG_INFINITY);
        rows.push(own.clone());
        let some_token = span.last().copied().unwrap_or(0) as usize;
        own[some_token] = f32::NAN;
        rows.push(own.clone());
        rows.push(own[..some_token / 2].to_vec());
        for spans in all {
            let walk = |state, token: &u32| spans.child(state, *token);
            let Some(state) = span.iter().try_fold(spans.root(0), walk) else { continue };
            let mut tokens = Vec::new();
            spans.children(state, &mut tokens);
            for own in &rows {
                for (rule, parent, floor) in [
                    (Rule::Add, 0.0, f32::NEG_INFINITY),
                    (Rule::Add, -1e8, f32::NEG_INFINITY),
                    (Rule::Replace, 0.0, -3.0),
                    (Rule::Multiply, f32::INFINITY, f32::NEG_INFINITY),
                ] {
                    let row = Row { own, parent, rule, floor };
                    for k in [0, 3, 40] {
                        let sorted = |mut list: Vec<(u32, f32)>| {
                            list.sort_by_key(|one| one.0);
                            list.into_iter().map(|(t, s)| (t, s.to_bits())).collect::<Vec<_>>()
                        };
                        let (mut ours, mut listed) = (Vec::new(), Vec::new());
                        spans.best(state, &row, k, &mut ours);
                        row.best(tokens.iter().copied(), k, &mut listed);
                        let listed = sorted(listed);
                        assert_eq!(sorted(ours), listed, "{span:?} {rule:?} {k}");
                        if let Some(tried) = spans.tried(state, &row, k) {
                            assert_eq!(sorted(tried), listed, "{span:?} {rule:?} {k} tried");
                        }
                    }
                }
            }
        }
    }
}

fn file_of(index: &FmIndex) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.write(&mut bytes).unwrap();
    bytes
}

fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn answers_equal_brute_force(texts in texts(), seed: u64) {
        for build in BUILDS {
            let made = texts.builder().build(build);
            if texts.is_empty() {
                prop_assert!(matches!(made, Err(IndexError::NoTokens)));
                continue;
            }
            let index = FmIndex::read(&file_of(&made.unwrap())).unwrap();
            prop_assert_eq!(index.kind(), build);
            check(&index, &texts);
            check_best(&index, &texts, seed);
        }
    }

    #[test]
    fn any_number_of_threads_and_any_width_of_rows_give_the_same_bytes(texts in texts()) {
        prop_assume!(!texts.is_empty());
        for build in BUILDS {
            let alone = on_threads(1, || file_of(&texts.builder().build(build).unwrap()));
            for n in [2, 3, 8] {
                let many = on_threads(n, || file_of(&texts.builder().build(build).unwrap()));
                prop_assert_eq!(&many, &alone);
            }
            let wide = texts.builder().build_as::<u64>(build, Limits::default()).unwrap();
            prop_assert_eq!(file_of(&wide), alone);
        }
    }

    /// What filters and guides build on: the places of a span lie in those of each shorter one, in
    /// the order of the children, and an item's places are those that a walk towards them spells.
    #[test]
    fn places_nest(texts in texts(), with_end: bool) {
        prop_assume!(!texts.is_empty());
        for build in BUILDS {
            let index = texts.builder().build(build).unwrap();
            let spans = Spans::new(&index);
            let spans = if with_end { spans.closed_by(texts.alphabet).unwrap() } else { spans };
            let placed = Placed::new(spans).unwrap();
            let root = placed.root(0);
            prop_assert_eq!(placed.below(root), 0..index.n_tokens() as u32);
            let mut items = vec![None; index.n_tokens() as usize];
            for item in 0..texts.n_items {
                let mut places = Vec::new();
                placed.places_of(item, &mut places);
                for place in places {
                    prop_assert_eq!(items[place as usize].replace(item), None, "two have {}", place);
                }
            }
            prop_assert!(items.iter().all(Option::is_some));
            let mut last = Vec::new();
            for (place, item) in (0u32..).zip(&items) {
                let (mut state, mut span) = (root, Vec::new());
                while let Some(token) = placed.toward(state, place) {
                    state = placed.child(state, token).unwrap();
                    prop_assert!(placed.below(state).contains(&place));
                    span.push(token);
                }
                let n = span.len() - usize::from(state.is_closed());
                prop_assert_eq!(state.is_closed(), with_end);
                let own = texts.texts.iter().filter(|(one, _)| Some(*one) == *item);
                prop_assert!(own.into_iter().any(|(_, text)| text.ends_with(&span[..n])));
                // Ascending, where what ends comes behind what goes on.
                let key: Vec<u32> = span[..n].iter().copied().chain([u32::MAX]).collect();
                prop_assert!(last <= key);
                last = key;
            }
            for span in texts.spans() {
                let walk = |state, token: &u32| placed.child(state, *token);
                let Some(state) = span.iter().try_fold(root, walk) else { continue };
                let below = placed.below(state);
                let mut named: Vec<u32> =
                    below.map(|place| items[place as usize].unwrap()).collect();
                let mut found: Vec<u32> = placed.items(state).collect();
                named.sort_unstable();
                found.sort_unstable();
                prop_assert_eq!(found, named);
            }
        }
    }
}

/// As many texts as a test takes with a wide alphabet: large ranges, so that tokens are tried.
fn many_texts() -> Texts {
    let hash = |i: u64| {
        (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i >> 7).wrapping_mul(0xd6e8_feb8_6659_fd93)
    };
    let token = |i: u64| ((hash(i) >> 44) * (hash(i ^ 99) >> 44) / (1 << 27)) as u32 % 150_000;
    let text = |t: u64| (0..3 + hash(t) % 20).map(|i| token(100 * t + i)).collect();
    let texts = (0..6_000).map(|t| (t as u32 / 3, text(t))).collect();
    Texts { alphabet: 150_000, n_items: 2_000, texts }
}

#[test]
fn wide_alphabets_and_large_ranges() {
    let texts = many_texts();
    for build in BUILDS {
        let index = on_threads(3, || texts.builder().build(build).unwrap());
        assert_eq!(index.layout().marks.is_some(), build == Build::Compact);
        check(&index, &texts);
        check_best(&index, &texts, 5);
        let spans = Spans::new(&index);
        let own: Vec<f32> = (0..150_000).map(|token| -((token % 977) as f32)).collect();
        let row = Row { own: &own, parent: 0.0, rule: Rule::Add, floor: f32::NEG_INFINITY };
        assert!(spans.tried(spans.root(0), &row, 30).is_some(), "a wide range is tried");
    }
}

#[test]
fn what_cannot_be_indexed_is_refused_by_name() {
    let message = |made: Result<(), IndexError>| made.unwrap_err().to_string();
    let new = |alphabet, items| FmBuilder::new(alphabet, items).map(|_| ());
    assert!(message(new(0, 1)).contains("1 to 1048576 tokens, got 0"));
    assert!(message(new(1 << 21, 1)).contains("got 2097152"));
    assert!(message(new(1, 0)).contains("at least one item"));
    let mut builder = FmBuilder::new(10, 3).unwrap();
    assert!(message(builder.push(3, &[1])).contains("item 3, but there are 3 items"));
    let expected = "item 2: token 10 at place 1 of its text is not below 10";
    assert_eq!(message(builder.push(2, &[1, 10])), expected);
    builder.push(1, &[]).unwrap();
    assert_eq!(builder.n_tokens(), 0);
    assert!(message(builder.build(Build::Fast).map(|_| ())).contains("at least one token"));
    let mut builder = FmBuilder::new(10, 3).unwrap();
    builder.push(1, &[4, 5]).unwrap();
    let index = builder.build(Build::Compact).unwrap();
    assert!(message(Spans::new(&index).closed_by(4).map(|_| ())).contains("token 4 cannot close"));
}

fn sample(build: Build) -> (Texts, Vec<u8>) {
    let text = |item: u32| (0..20).map(|i| (item * i + i * i) % 11).collect();
    let texts = (0..9).map(|item| (item, text(item))).chain([(3, vec![1, 2])]).collect();
    let texts = Texts { alphabet: 20, n_items: 9, texts };
    let bytes = file_of(&texts.builder().build(build).unwrap());
    (texts, bytes)
}

#[test]
fn a_file_comes_back_from_a_map() {
    for build in BUILDS {
        let (texts, bytes) = sample(build);
        let name = format!("trieval-fm-{build:?}-{}.idx", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let index = FmIndex::open(&path).unwrap();
        check(&index, &texts);
        assert_eq!(file_of(&index), bytes);
        std::fs::remove_file(&path).unwrap();
    }
    let missing = FmIndex::open(std::path::Path::new("/nonexistent/fm.idx")).map(|_| ());
    assert!(missing.unwrap_err().to_string().starts_with("/nonexistent/fm.idx: cannot be read"));
}

#[test]
fn every_flipped_byte_and_every_truncation_is_refused() {
    for build in BUILDS {
        let (_, bytes) = sample(build);
        for i in 0..bytes.len() {
            for bit in [0x01, 0x10, 0xff] {
                let mut damaged = bytes.clone();
                damaged[i] ^= bit;
                assert!(FmIndex::read(&damaged).is_err(), "byte {i} flipped");
            }
            assert!(FmIndex::read(&bytes[..i]).is_err(), "cut at {i}");
        }
        assert!(FmIndex::read(&[&bytes[..], &[0]].concat()).is_err());
        let message = |bytes: &[u8]| FmIndex::read(bytes).map(|_| ()).unwrap_err().to_string();
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert!(message(&newer).contains("format 2 of an index of spans, but this program reads"));
        assert!(message(b"PK").contains("not an index of spans"));
        assert!(message(&bytes[..bytes.len() - 1]).contains("the header promises"));
    }
}

/// Whoever seals a changed image makes an index that may lie, and still neither stops nor hangs.
#[test]
fn a_forged_checksum_cannot_lead_outside() {
    for build in BUILDS {
        let (texts, bytes) = sample(build);
        let mut n_opened = 0;
        for i in 0..bytes.len() - 32 {
            for bit in [0x01, 0x10, 0x80] {
                let mut image = bytes[..bytes.len() - 32].to_vec();
                image[i] ^= bit;
                let checksum = *blake3::hash(&image).as_bytes();
                image.extend_from_slice(&checksum);
                let Ok(index) = FmIndex::read(&image) else { continue };
                n_opened += 1;
                for span in texts.spans() {
                    let Some(rows) = index.find(&span) else { continue };
                    assert!(index.items(rows).all(|item| item < index.n_items()));
                    index.continuations(rows, &mut Vec::new());
                }
                for text in 0..index.n_texts() {
                    assert!(index.text(text).0.len() as u64 <= index.n_tokens());
                }
                let placed = Placed::new(Spans::new(&index)).unwrap();
                (0..9).for_each(|item| placed.places_of(item, &mut Vec::new()));
            }
        }
        assert!(n_opened > 0, "items may be changed to others");
    }
}
