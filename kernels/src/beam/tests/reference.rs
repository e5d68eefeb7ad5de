//! A plain beam search over whole paths, and everything scored: what the engines are held against.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::cases::{Paths, prefixes};
use super::laws::{Asked, Setup};
use super::*;

/// A sequence that was kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) score: f32,
    pub(super) plain: f32,
    pub(super) path: Vec<u32>,
    /// Whether it was finished at an earlier level.
    pub(super) is_carried: bool,
}

/// The sequences with an allowed item, with those only.
pub(super) fn allowed(paths: &Paths, filter: Filter<'_>) -> Paths {
    let is_allowed = |item: &u32| match filter {
        Filter::All => true,
        Filter::Only(items) => items.contains(item),
        Filter::Without(items) => !items.contains(item),
    };
    let only = |items: &Vec<u32>| items.iter().copied().filter(is_allowed).collect::<Vec<_>>();
    let paths = paths.iter().map(|(path, items)| (path.clone(), only(items)));
    paths.filter(|(_, items)| !items.is_empty()).collect()
}

/// The best score of a scored item whose sequence begins with a prefix.
pub(super) fn bonus(paths: &Paths, scored: &[(u32, f32)], prefix: &[u32]) -> Option<f32> {
    let below = paths.iter().filter(|(path, _)| path.starts_with(prefix));
    let scores: BTreeMap<u32, f32> = scored.iter().copied().collect();
    below.flat_map(|(_, items)| items).filter_map(|i| scores.get(i)).copied().reduce(f32::max)
}

/// What is kept at every level: score descending, then parent rank, then token.
pub(super) fn levels(all: &Paths, setup: &Setup, asked: &Asked) -> Vec<Vec<Kept>> {
    let paths = allowed(all, asked.filter());
    let prefixes: BTreeSet<Vec<u32>> = prefixes(&paths);
    let bonus_of = |path: &[u32]| match setup.guide {
        Some((otherwise, _)) => bonus(all, &asked.scored, path).unwrap_or(otherwise),
        None => 0.0,
    };
    let start = setup.table.rule.start();
    let root = Kept { score: start, plain: start, path: Vec::new(), is_carried: false };
    let mut levels: Vec<Vec<Kept>> = Vec::new();
    for _ in 0..setup.max_levels {
        let first = vec![root.clone()];
        let beams = levels.last().unwrap_or(&first);
        if beams.iter().all(|kept| paths.contains_key(&kept.path)) {
            break;
        }
        let mut candidates: Vec<(usize, Kept)> = Vec::new();
        for (rank, beam) in beams.iter().enumerate() {
            if paths.contains_key(&beam.path) {
                candidates.push((rank, Kept { is_carried: true, ..beam.clone() }));
            }
            let is_next = |next: &&Vec<u32>| {
                next.len() == beam.path.len() + 1 && next.starts_with(&beam.path)
            };
            for next in prefixes.iter().filter(is_next) {
                let own = setup.table.of(asked.prompt, next);
                let plain = setup.table.rule.combine(beam.plain, own);
                let score = plain + bonus_of(next);
                let path = next.clone();
                candidates.push((rank, Kept { score, plain, path, is_carried: false }));
            }
        }
        candidates.retain(|(_, kept)| kept.score > f32::NEG_INFINITY);
        candidates.sort_by(|(p, a), (q, b)| {
            b.score.total_cmp(&a.score).then(p.cmp(q)).then_with(|| a.path.cmp(&b.path))
        });
        candidates.truncate(setup.beam);
        levels.push(candidates.into_iter().map(|(_, kept)| kept).collect());
    }
    levels
}

/// The hits of one request.
pub(super) fn hits(all: &Paths, setup: &Setup, asked: &Asked) -> Vec<Hit> {
    let paths = allowed(all, asked.filter());
    let mut finished = levels(all, setup, asked).pop().unwrap_or_default();
    finished.retain(|kept| paths.contains_key(&kept.path));
    if setup.guide.is_some_and(|(_, stays)| !stays) {
        finished.iter_mut().for_each(|kept| kept.score = kept.plain);
        finished.sort_by(|a, b| b.score.total_cmp(&a.score));
    }
    let mut known = HashSet::new();
    let mut hits = Vec::new();
    for Kept { score, path, .. } in finished {
        let own = |n| setup.table.of(asked.prompt, &path[..n]);
        let token_scores: Vec<f32> = (1..=path.len()).map(own).collect();
        for &item in &paths[&path] {
            if known.insert(item) {
                let (tokens, token_scores) = (path.clone(), token_scores.clone());
                hits.push(Hit { item, score, tokens, token_scores });
            }
        }
    }
    hits
}
