//! Retrieval on small random decoders against teacher forcing of every item.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;
use trieval_kernels::ops::Threads;

use super::*;
use crate::model::Decoder;
use crate::model::config::tests::small;
use crate::model::decoder::tests::lively;
use crate::seed::Seed;

const WORDS: u32 = 20;
const LEVELS: [u32; 3] = [5, 4, 3];

/// A catalogue with some full and some nearly empty branches, and a decoder that speaks it.
struct Fixture {
    decoder: Decoder,
    items: ItemTokens,
    codes: Vec<u32>,
    n_items: usize,
    prompts: Vec<Vec<u32>>,
}

impl Fixture {
    fn new(seed: u64, n_items: usize) -> Self {
        let mut rng = Seed::new(seed).rng();
        let mut paths: Vec<[u32; 3]> = (0..5)
            .flat_map(|a| (0..4).flat_map(move |b| (0..3).map(move |c| [a, b, c])))
            // The last first-level code has a single item.
            .filter(|path| path[0] < 4 || *path == [4, 2, 1])
            .collect();
        paths.shuffle(&mut rng);
        paths.retain({
            let mut kept = 0;
            move |path| {
                kept += usize::from(path[0] < 4);
                path[0] == 4 || kept < n_items
            }
        });
        assert_eq!(paths.len(), n_items);
        let codes = paths.concat();
        let items = ItemTokens::new(&codes, &LEVELS, WORDS);
        let vocab = WORDS + LEVELS.iter().sum::<u32>();
        let decoder = lively(small(vocab as usize));
        let prompts = (0..4)
            .map(|_| (0..rng.random_range(1..9)).map(|_| rng.random_range(0..WORDS)).collect())
            .collect();
        Self { decoder, items, codes, n_items, prompts }
    }

    /// The same where the last code of the second level is not spelled.
    fn without_a_code(seed: u64, n_items: usize, is_mean: bool) -> Self {
        let fixture = Self::new(seed, n_items);
        let silence = Silence { level: 1, code: LEVELS[1] - 1, is_mean };
        Self { items: fixture.items.clone().without(silence), ..fixture }
    }

    fn retriever(&self, beam: u32, normalizer: Normalizer) -> Retriever {
        let index = SidIndex::build(&self.codes, &LEVELS).unwrap();
        let settings = DecodeSettings { beam, normalizer };
        let decoder = self.decoder.freeze(Threads::One).unwrap();
        Retriever::new(decoder.into(), index, self.items.clone(), &settings)
    }

    /// Log-probability of each of `tokens` behind `prompt`, by one forward pass of the training
    /// decoder per token.
    fn forced(&self, prompt: &[u32], tokens: &[u32]) -> Vec<f32> {
        let all = [prompt, &tokens[..tokens.len() - 1]].concat();
        let ids = Tensor::from_slice(&all, (1, all.len()), &Device::Cpu).unwrap();
        let hidden = self.decoder.hidden(&ids).unwrap().squeeze(0).unwrap();
        let rows = hidden.narrow(0, prompt.len() - 1, tokens.len()).unwrap();
        let numbers: Vec<u32> = (0..tokens.len() as u32).collect();
        self.decoder.log_probs_at(&rows, &numbers, tokens).unwrap().to_vec1().unwrap()
    }

    /// Every item with its score, best first, under the full vocabulary.
    fn brute_force(&self, prompt: &[u32]) -> Vec<(u32, f32)> {
        let score = |item| self.forced(prompt, self.items.tokens(item)).iter().sum();
        let mut list: Vec<(u32, f32)> =
            (0..self.n_items as u32).map(|item| (item, score(item))).collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1));
        list
    }

    /// The same, where each token is normalised over the legal continuations of its prefix.
    fn brute_force_slice(&self, prompt: &[u32]) -> BTreeMap<u32, f32> {
        let score = |item: u32| {
            let tokens = self.items.tokens(item);
            (0..tokens.len())
                .map(|level| {
                    let siblings: BTreeSet<u32> = (0..self.n_items as u32)
                        .map(|other| self.items.tokens(other))
                        .filter(|other| other[..level] == tokens[..level])
                        .map(|other| other[level])
                        .collect();
                    let last = |token| {
                        let path = [&tokens[..level], &[token]].concat();
                        *self.forced(prompt, &path).last().unwrap()
                    };
                    let mass: f32 = siblings.into_iter().map(|token| last(token).exp()).sum();
                    last(tokens[level]) - mass.ln()
                })
                .sum::<f32>()
        };
        (0..self.n_items as u32).map(|item| (item, score(item))).collect()
    }

    /// A plain beam search: at each level the `beam` best prefixes, by teacher forcing.
    fn plain_search(&self, prompt: &[u32], beam: usize) -> Vec<u32> {
        let mut kept: Vec<Vec<u32>> = vec![Vec::new()];
        for level in 0..LEVELS.len() {
            let next: BTreeSet<Vec<u32>> = (0..self.n_items as u32)
                .map(|item| self.items.tokens(item))
                .filter(|tokens| kept.iter().any(|prefix| tokens.starts_with(prefix)))
                .map(|tokens| tokens[..=level].to_vec())
                .collect();
            let mut scored: Vec<(f32, Vec<u32>)> = next
                .into_iter()
                .map(|path| (self.forced(prompt, &path).iter().sum(), path))
                .collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            scored.truncate(beam);
            kept = scored.into_iter().map(|(_, path)| path).collect();
        }
        let item_of = |path: &Vec<u32>| {
            (0..self.n_items as u32).find(|&item| self.items.tokens(item) == path).unwrap()
        };
        kept.iter().map(item_of).collect()
    }
}

#[test]
fn a_beam_as_wide_as_the_catalogue_equals_scoring_every_item() {
    for seed in 0..3 {
        let fixture = Fixture::new(seed, 30);
        let retriever = fixture.retriever(64, Normalizer::Exact);
        for prompt in &fixture.prompts {
            let hits = retriever.retrieve(prompt, Filter::All).unwrap();
            let expected = fixture.brute_force(prompt);
            let found: Vec<u32> = hits.iter().map(|hit| hit.item).collect();
            let wanted: Vec<u32> = expected.iter().map(|(item, _)| *item).collect();
            // Every item, each once, in the order of brute force.
            assert_eq!(found, wanted);
            for (hit, (_, score)) in hits.iter().zip(&expected) {
                assert!((hit.score - score).abs() < 1e-4, "{} {score}", hit.score);
            }
        }
    }
}

#[test]
fn teacher_forced_scores_of_returned_beams_equal_decode_scores() {
    let fixture = Fixture::new(7, 40);
    for beam in [1, 3, 10] {
        let retriever = fixture.retriever(beam, Normalizer::Exact);
        for prompt in &fixture.prompts {
            let hits = retriever.retrieve(prompt, Filter::All).unwrap();
            assert_eq!(hits.len(), beam as usize);
            for hit in &hits {
                let forced = fixture.forced(prompt, fixture.items.tokens(hit.item));
                for (ours, theirs) in hit.token_scores.iter().zip(&forced) {
                    assert!((ours - theirs).abs() < 1e-4, "{ours} {theirs}");
                }
                assert!((hit.score - forced.iter().sum::<f32>()).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn a_narrow_beam_equals_a_plain_beam_search() {
    let fixture = Fixture::new(8, 45);
    for beam in [1, 2, 5, 17] {
        let retriever = fixture.retriever(beam, Normalizer::Exact);
        for prompt in &fixture.prompts {
            let hits = retriever.retrieve(prompt, Filter::All).unwrap();
            let found: Vec<u32> = hits.iter().map(|hit| hit.item).collect();
            assert_eq!(found, fixture.plain_search(prompt, beam as usize), "beam {beam}");
        }
    }
}

#[test]
fn the_slice_normalizer_sums_to_one_over_legal_children() {
    let fixture = Fixture::new(9, 30);
    let retriever = fixture.retriever(64, Normalizer::Slice);
    for prompt in &fixture.prompts {
        let hits = retriever.retrieve(prompt, Filter::All).unwrap();
        assert_eq!(hits.len(), 30);
        // Below every prefix, the children's probabilities sum to one.
        for level in 0..LEVELS.len() {
            let mut mass: BTreeMap<&[u32], BTreeMap<u32, f32>> = BTreeMap::new();
            for hit in &hits {
                let children = mass.entry(&hit.tokens[..level]).or_default();
                children.insert(hit.tokens[level], hit.token_scores[level].exp());
            }
            for (prefix, children) in mass {
                let sum: f32 = children.values().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{prefix:?}: {sum}");
            }
        }
        let expected = fixture.brute_force_slice(prompt);
        for hit in &hits {
            assert!((hit.score - expected[&hit.item]).abs() < 1e-4, "{}", hit.item);
        }
    }
    // A single legal child costs nothing.
    let lonely = fixture.codes.chunks(3).position(|path| path[0] == 4).unwrap() as u32;
    let hits = retriever.retrieve(&fixture.prompts[0], Filter::All).unwrap();
    let hit = hits.iter().find(|hit| hit.item == lonely).unwrap();
    assert!(hit.token_scores[1].abs() < 1e-6 && hit.token_scores[2].abs() < 1e-6);
}

#[test]
fn a_beam_wider_than_the_catalogue_returns_the_catalogue() {
    let fixture = Fixture::new(2, 12);
    let retriever = fixture.retriever(512, Normalizer::Exact);
    let hits = retriever.retrieve(&fixture.prompts[0], Filter::All).unwrap();
    let unique: BTreeSet<u32> = hits.iter().map(|hit| hit.item).collect();
    assert_eq!((unique.len(), hits.len()), (12, 12));
    assert!(
        retriever.retrieve(&[1; 10_000], Filter::All).is_err(),
        "longer than the decoder knows"
    );
}

#[test]
fn a_batch_answers_as_each_prompt_alone() {
    let fixture = Fixture::new(5, 40);
    let prompts: Vec<&[u32]> = fixture.prompts.iter().map(Vec::as_slice).collect();
    let filters = [Filter::Without(&[0, 7, 9]), Filter::All, Filter::Only(&[3, 1, 30])];
    for normalizer in [Normalizer::Exact, Normalizer::Slice] {
        let retriever = fixture.retriever(6, normalizer);
        let all = retriever.retrieve_all(&prompts, &filters).unwrap();
        assert_eq!(all.len(), prompts.len());
        for (number, hits) in all.iter().enumerate() {
            let filter = filters.get(number).copied().unwrap_or_default();
            assert_eq!(*hits, retriever.retrieve(prompts[number], filter).unwrap());
        }
        assert_eq!(all[2].len(), 3);
    }
}

/// Excluded items take no place in the beam: as many others come in as the beam holds.
#[test]
fn what_is_left_out_costs_no_places() {
    let fixture = Fixture::new(6, 40);
    let (narrow, wide) =
        (fixture.retriever(5, Normalizer::Exact), fixture.retriever(64, Normalizer::Exact));
    for prompt in &fixture.prompts {
        let best: Vec<u32> =
            wide.retrieve(prompt, Filter::All).unwrap()[..20].iter().map(|hit| hit.item).collect();
        let rest = narrow.retrieve(prompt, Filter::Without(&best)).unwrap();
        assert_eq!(rest.len(), 5);
        assert!(rest.iter().all(|hit| !best.contains(&hit.item)));
        // With a beam for everything, exactly the others in their order; fewer rows per product may
        // round in the last bit.
        let others = wide.retrieve(prompt, Filter::Without(&best)).unwrap();
        let all = wide.retrieve(prompt, Filter::All).unwrap();
        assert_eq!(others.len(), 20);
        for (other, hit) in others.iter().zip(&all[20..]) {
            assert_eq!(other.item, hit.item);
            assert!((other.score - hit.score).abs() < 1e-4, "{} {}", other.score, hit.score);
        }
    }
}

#[test]
fn paths_of_different_lengths_score_as_all_items_do_by_sum_and_by_mean() {
    for (seed, is_mean) in [(3, false), (4, true), (5, false), (6, true)] {
        let fixture = Fixture::without_a_code(seed, 31, is_mean);
        let lengths: BTreeSet<usize> = (0..31).map(|i| fixture.items.tokens(i).len()).collect();
        assert_eq!(lengths, BTreeSet::from([2, 3]));
        let length = |item: u32| match is_mean {
            true => fixture.items.tokens(item).len() as f32,
            false => 1.0,
        };
        for (exact, normalizer) in [(true, Normalizer::Exact), (false, Normalizer::Slice)] {
            let retriever = fixture.retriever(31, normalizer);
            for prompt in &fixture.prompts {
                let mut expected: Vec<(u32, f32)> = match exact {
                    true => fixture.brute_force(prompt),
                    false => fixture.brute_force_slice(prompt).into_iter().collect(),
                };
                expected.iter_mut().for_each(|(item, score)| *score /= length(*item));
                expected.sort_by(|a, b| b.1.total_cmp(&a.1));
                let hits = retriever.retrieve(prompt, Filter::All).unwrap();
                assert_eq!(hits.len(), 31);
                for (hit, (item, score)) in hits.iter().zip(&expected) {
                    assert!((hit.score - score).abs() < 1e-4, "{hit:?} {item} {score}");
                }
                let found: BTreeSet<u32> = hits.iter().map(|hit| hit.item).collect();
                assert_eq!(found.len(), 31);
                for pair in hits.windows(2) {
                    assert!(pair[0].score >= pair[1].score);
                }
                let of = |item: u32| expected.iter().find(|one| one.0 == item).unwrap().1;
                assert!(hits.iter().all(|hit| (of(hit.item) - hit.score).abs() < 1e-4));
                // What is left out is never found, and takes no place.
                let without = [expected[0].0, expected[7].0];
                let rest = retriever.retrieve(prompt, Filter::Without(&without)).unwrap();
                assert_eq!(rest.len(), 29);
                assert!(rest.iter().all(|hit| !without.contains(&hit.item)));
            }
        }
    }
}
