//! What a small decoder says over a few titles, and what it is worth, against brute force.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use trieval_kernels::index::fm::{Build, FmBuilder};
use trieval_kernels::ops::{Threads, log_sum_exp};

use super::said::{Key, Said, say};
use super::settings::SpanDecodeSettings;
use super::vote::Votes;
use super::weight::Weigh;
use super::{SpanRetriever, SpanTokenizer, Spans};
use crate::identifier::spans::settings::SpanSettings;
use crate::identifier::spans::{SpanTexts, Text, TextsWriter, View};
use crate::model::Tokenizer;
use crate::model::config::tests::small;
use crate::model::decoder::tests::lively;
use crate::model::inference::FrozenDecoder;
use crate::progress::Context;

pub(crate) const TITLES: [&str; 6] =
    ["red oak table", "blue oak sofa", "red sofa", "oak table oak", "lamp", ""];
const BRANDS: [&str; 6] = ["acme", "", "acme red", "", "", ""];

pub(crate) struct Shop {
    pub(crate) spans: Arc<Spans>,
    decoder: Arc<FrozenDecoder>,
    prompt: Vec<u32>,
}

impl Shop {
    pub(crate) fn new(tokens: u32) -> Self {
        let texts = TITLES.iter().chain(&BRANDS).copied().cycle().take(48);
        let tokenizer = Tokenizer::train_bpe(texts, 320, &Context::silent()).unwrap();
        let first = tokenizer.len() as u32;
        let alphabet = first + 3;
        let settings: SpanSettings =
            toml::from_str(&format!("tokens = {tokens}\nfields = [\"brand\"]")).unwrap();
        let words = SpanTokenizer::new(&tokenizer, &settings);
        let mut writer = TextsWriter::default();
        let mut builder = FmBuilder::new(alphabet, TITLES.len() as u32).unwrap();
        for (item, texts) in (0..).zip(TITLES.iter().zip(&BRANDS)) {
            let texts = [(0, texts.0, first + 1), (1, texts.1, first + 2)];
            let texts = texts.map(|(field, text, mode)| {
                let pieces = words.pieces(text).unwrap();
                if !pieces.is_empty() {
                    let own = pieces.iter().map(|piece| piece.token);
                    builder.push(item, &[mode].into_iter().chain(own).collect::<Vec<_>>()).unwrap();
                }
                Text { field, pieces }
            });
            writer.push(&texts);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.bin");
        writer.write(&path).unwrap();
        let texts = SpanTexts::open(&path, alphabet, 2).unwrap();
        let starts = texts.word_starts(alphabet);
        let views = settings.views().into_iter().zip((first..).map(Some)).collect();
        let index = builder.build(Build::Compact).unwrap();
        let spans = Spans { settings, views, texts, index, starts, tokenizer: words };
        let decoder = lively(small(alphabet as usize)).freeze(Threads::One).unwrap();
        Self { spans: Arc::new(spans), decoder: Arc::new(decoder), prompt: vec![3, 1, 4] }
    }

    fn say(&self, settings: &SpanDecodeSettings, query: &str) -> Said {
        let query = self.spans.tokenizer.pieces(query).unwrap();
        say(&self.decoder, &self.spans, settings, &self.prompt, &query).unwrap()
    }

    /// Log-probability of a span in a view, each token behind a prompt of its own.
    fn log_p(&self, view: usize, tokens: &[u32]) -> f32 {
        let mode = self.spans.views[view].1.unwrap();
        let mut read: Vec<u32> = self.prompt.iter().copied().chain([mode]).collect();
        let mut sum = 0.0;
        for token in tokens {
            let hidden = self.decoder.prefill(&read).unwrap();
            let width = self.decoder.config().vocab_size;
            let row = self.decoder.logits(hidden.last_hidden(), 0..width).unwrap();
            sum += row[*token as usize] - log_sum_exp(&row);
            read.push(*token);
        }
        sum
    }

    /// Texts of an item: field, tokens, and which of them begin a word.
    fn texts(&self, item: u32) -> Vec<(u32, Vec<u32>, Vec<bool>)> {
        let texts = &self.spans.texts;
        let text = |text| {
            let pieces: Vec<_> = texts.pieces(text).collect();
            let tokens = pieces.iter().map(|piece| piece.token).collect();
            let begins = pieces.iter().map(|piece| piece.begins_word).collect();
            (texts.field(text), tokens, begins)
        };
        texts.of(item).map(text).collect()
    }

    /// Every span of a view of at most `longest` tokens, with how often it stands where it may.
    fn all(&self, view: usize, longest: usize) -> BTreeMap<Vec<u32>, u64> {
        let mut all = BTreeMap::new();
        for item in 0..TITLES.len() as u32 {
            for (field, tokens, begins) in self.texts(item) {
                for from in 0..tokens.len() {
                    let may = match &self.spans.views[view].0 {
                        View::Spans => begins[from],
                        View::Title => field == 0 && from == 0,
                        View::Field(_) => field == 1 && from == 0,
                    };
                    for to in from + 1..=tokens.len().min(from + longest) {
                        if may {
                            *all.entry(tokens[from..to].to_vec()).or_default() += 1;
                        }
                    }
                }
            }
        }
        all
    }
}

/// A beam that keeps everything says all there is, as sure as the decoder is of it.
#[test]
fn all_spans_are_said_with_their_probabilities_and_counts() {
    let shop = Shop::new(3);
    let settings = SpanDecodeSettings { beam: 1_000, ..SpanDecodeSettings::default() };
    let said = shop.say(&settings, "");
    for view in 0..3 {
        let expected = shop.all(view, 3);
        let own: Vec<&Key> = said.keys.iter().filter(|key| key.view == view).collect();
        let found: BTreeSet<&Vec<u32>> = own.iter().map(|key| &key.tokens).collect();
        assert_eq!(found, expected.keys().collect(), "view {view}");
        assert_eq!(own.len(), expected.len(), "none twice");
        for key in own {
            assert_eq!(key.rows.count(), expected[&key.tokens], "{:?}", key.tokens);
            assert!((key.log_p - shop.log_p(view, &key.tokens)).abs() < 1e-3);
        }
    }
    // The likeliest first tokens begin words, best first.
    assert!(said.first.iter().all(|(token, _)| shop.spans.starts[*token as usize]));
    assert!(said.first.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    let (token, log_p) = said.first[0];
    assert!((log_p - shop.log_p(0, &[token])).abs() < 1e-3);
}

#[test]
fn a_narrow_beam_says_the_best_and_runs_of_the_query_are_heard_beside_it() {
    let shop = Shop::new(4);
    let settings = SpanDecodeSettings { beam: 2, query_words: 2, ..SpanDecodeSettings::default() };
    let silent = SpanDecodeSettings { query_words: 0, ..settings.clone() };
    let (own, both) = (shop.say(&silent, ""), shop.say(&settings, "red oak lamp green"));
    assert_eq!(own.keys[..], both.keys[..own.keys.len()]);
    let tokens = |text: &str| -> Vec<u32> {
        shop.spans.tokenizer.pieces(text).unwrap().iter().map(|piece| piece.token).collect()
    };
    // "oak lamp" and "green" stand in no title.
    for (text, stands) in [
        ("red", true),
        ("red oak", true),
        ("oak", true),
        ("lamp", true),
        ("oak lamp", false),
        ("green", false),
        ("red oak lamp", false),
    ] {
        let key = both.keys.iter().find(|key| key.view == 0 && key.tokens == tokens(text));
        assert_eq!(key.is_some(), stands, "{text}");
        if let Some(key) = key {
            assert!((key.log_p - shop.log_p(0, &key.tokens)).abs() < 1e-3, "{text}");
        }
    }
    let distinct: BTreeSet<_> = both.keys.iter().map(|key| (key.view, &key.tokens)).collect();
    assert_eq!(distinct.len(), both.keys.len(), "none twice");
}

/// The same, said with probabilities that are worth something over so few texts.
fn loudly(mut said: Said, seed: u64) -> Said {
    let loud = |number: usize| -0.01 - ((number as u64 * 7919 + seed) % 97) as f32 / 40.0;
    said.keys.iter_mut().enumerate().for_each(|(number, key)| key.log_p = loud(number));
    said.first.iter_mut().enumerate().for_each(|(number, first)| first.1 = loud(number + 13));
    said
}

/// The same by the words of its definition: all places of all spans, the strongest first.
fn score(shop: &Shop, settings: &SpanDecodeSettings, said: &Said, item: u32) -> f64 {
    let weigh = Weigh::new(settings, shop.spans.texts.n_tokens() as u64);
    let texts = shop.texts(item);
    let mut keys: Vec<(f64, usize, usize)> = (said.keys.iter().enumerate())
        .map(|(at, key)| {
            (weigh.span(key.log_p, key.tokens.len(), key.rows.count()), key.tokens.len(), at)
        })
        .filter(|(weight, _, _)| *weight > 0.0)
        .collect();
    keys.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
    let mut free: Vec<Vec<Option<u32>>> =
        texts.iter().map(|(_, tokens, _)| tokens.iter().copied().map(Some).collect()).collect();
    let (mut sum, mut strongest, mut said_tokens) = (0.0, 0.0f64, BTreeSet::new());
    for (weight, length, at) in keys {
        let key = &said.keys[at];
        let wanted: Vec<Option<u32>> = key.tokens.iter().copied().map(Some).collect();
        let places = texts.iter().enumerate().flat_map(|(text, (field, tokens, _))| {
            let from = match shop.spans.views[key.view].0 {
                View::Spans => 0..(tokens.len() + 1).saturating_sub(length),
                View::Title => 0..usize::from(*field == 0 && tokens.len() >= length),
                View::Field(_) => 0..usize::from(*field == 1 && tokens.len() >= length),
            };
            from.map(move |from| (text, from))
        });
        let place =
            places.into_iter().find(|(text, from)| free[*text][*from..*from + length] == wanted);
        let Some((text, from)) = place else { continue };
        free[text][from..from + length].fill(None);
        let fresh = key.tokens.iter().filter(|token| !said_tokens.contains(*token)).count();
        let share = fresh as f64 / length as f64;
        let worth = (1.0 - settings.repetition + settings.repetition * share) * weight;
        said_tokens.extend(key.tokens.iter().copied());
        sum += worth;
        strongest = strongest.max(worth);
    }
    let left: BTreeSet<u32> = texts.iter().flat_map(|(_, tokens, _)| tokens.clone()).collect();
    for token in left.difference(&said_tokens) {
        let Some((_, log_p)) = said.first.iter().find(|(one, _)| one == token) else { continue };
        let count = shop.spans.index.find(&[*token]).unwrap().count();
        sum += settings.unigram_weight * weigh.ratio(*log_p, 1, count);
    }
    (1.0 - settings.strongest) * sum + settings.strongest * strongest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn items_are_scored_as_the_definition_says(
        beam in 1u32..30,
        query_words in 0u32..3,
        repetition in 0.0f64..1.0,
        strongest in 0.0f64..1.0,
        smoothing in 0.0f64..9.0,
        unigrams in 0u32..9,
        exclude in proptest::collection::btree_set(0u32..6, 0..3),
        seed: u64,
    ) {
        let shop = Shop::new(3);
        let settings = SpanDecodeSettings {
            beam, query_words, repetition, strongest, smoothing, unigrams, ..Default::default()
        };
        let said = loudly(shop.say(&settings, "oak table"), seed % 1_000);
        let exclude: Vec<u32> = exclude.into_iter().collect();
        let votes = Votes::new(&shop.spans, &settings, &said);
        let found = votes.items(9, &exclude);
        prop_assert!(found.iter().all(|(item, _)| !exclude.contains(item)));
        prop_assert!(exclude.len() == 3 || !found.is_empty() || smoothing > 0.0);
        prop_assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        let weigh = Weigh::new(&settings, shop.spans.texts.n_tokens() as u64);
        for item in 0..TITLES.len() as u32 {
            let expected = score(&shop, &settings, &said, item);
            prop_assert!((votes.score(item) - expected).abs() < 1e-6 * expected.max(1.0));
            // Whoever holds a span that is worth something is found.
            let holds = said.keys.iter().any(|key| {
                weigh.span(key.log_p, key.tokens.len(), key.rows.count()) > 0.0
                    && shop.spans.index.items(key.rows).any(|one| one == item)
            });
            let is_found = found.iter().any(|(one, _)| *one == item);
            prop_assert_eq!(is_found, holds && !exclude.contains(&item), "item {}", item);
        }
    }
}

#[test]
fn frequent_spans_vote_for_what_others_propose_and_few_are_looked_at() {
    let shop = Shop::new(2);
    let settings = SpanDecodeSettings { beam: 1_000, ..SpanDecodeSettings::default() };
    let said = loudly(shop.say(&settings, ""), 1);
    let all = Votes::new(&shop.spans, &settings, &said).items(9, &[]);
    // Of "lamp" there is one; what occurs twice or more proposes nothing any more.
    let rare = SpanDecodeSettings { frequent: 1, ..settings.clone() };
    let found = Votes::new(&shop.spans, &rare, &said).items(9, &[]);
    assert!(!found.is_empty() && found.len() <= all.len());
    for (item, score) in &found {
        assert_eq!(all.iter().find(|(one, _)| one == item).map(|one| one.1), Some(*score));
    }
    let few = SpanDecodeSettings { candidates: 2, ..settings };
    assert_eq!(Votes::new(&shop.spans, &few, &said).items(9, &[]).len(), 2);
}

#[test]
fn evidence_names_the_words_of_the_text() {
    let shop = Shop::new(4);
    let settings = SpanDecodeSettings { beam: 40, query_words: 2, ..SpanDecodeSettings::default() };
    let retriever = SpanRetriever::new(shop.decoder.clone(), shop.spans.clone(), &settings);
    let said = loudly(retriever.say(&shop.prompt, Some("oak table")).unwrap(), 1);
    let evidence = retriever.evidence(&said, &[0, 5]);
    assert!(evidence[1].is_empty(), "an item without a title has none");
    assert!(!evidence[0].is_empty());
    assert!(evidence[0].windows(2).all(|pair| pair[0].worth >= pair[1].worth));
    for one in &evidence[0] {
        let text = if one.field == "title" { TITLES[0] } else { BRANDS[0] };
        assert!(!text[one.bytes.clone()].trim().is_empty(), "{one:?}");
        assert!(["spans", "title", "brand"].contains(&one.view.as_str()));
    }
}
