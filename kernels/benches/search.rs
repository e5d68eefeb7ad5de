//! Time of the beam search itself: the scorer copies from a table, so that what is left is the
//! index, the pool and the bookkeeping. A batch of two requests with 50 beams, and what a filter, a
//! guide and rows add to it.
//!
//! Uniform random codes, 256 per level, 4 levels. `TRIEVAL_BENCH_ITEMS` sets the items (1 000 000).

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroU32;

use criterion::{Criterion, criterion_group, criterion_main};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trieval_kernels::beam::{
    BestBelow, Filter, Filtered, Frontier, HostSearch, Scorer, Search, SearchError,
};
use trieval_kernels::index::SidIndex;

const LEVELS: usize = 4;
const CODES: usize = 256;
const BEAM: NonZeroU32 = NonZeroU32::new(50).unwrap();
/// Items that a filter leaves out, or that a guide knows, per request.
const KNOWN: usize = 200;

/// A table `[slots, codes]` in place of a model.
struct Table(Vec<f32>);

impl Table {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        Self((0..256 * CODES).map(|_| -rng.random::<f32>() * 9.0).collect())
    }

    fn row(&self, frontier: &Frontier, slot: usize) -> &[f32] {
        let row = (slot * 31 + frontier.level() * 7) % 256;
        &self.0[row * CODES..][..CODES]
    }
}

impl Scorer<()> for &Table {
    type Error = Infallible;

    fn start(&mut self, _: &[()]) -> Result<(), Infallible> {
        Ok(())
    }

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<(), Infallible> {
        for slot in 0..frontier.beams().len() {
            let row = self.row(frontier, slot);
            for at in frontier.children(slot) {
                scores[at] = row[frontier.tokens()[at] as usize];
            }
        }
        Ok(())
    }

    fn width(&self, _: usize) -> Option<usize> {
        Some(CODES)
    }

    fn rows(&mut self, frontier: &Frontier, rows: &mut [f32]) -> Result<(), Infallible> {
        for (slot, row) in rows.chunks_exact_mut(CODES).enumerate() {
            row.copy_from_slice(self.row(frontier, slot));
        }
        Ok(())
    }
}

/// Random paths, each once.
fn index(n_items: usize) -> Option<SidIndex> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut paths: Vec<[u32; LEVELS]> =
        (0..n_items).map(|_| std::array::from_fn(|_| rng.random_range(0..CODES as u32))).collect();
    paths.sort_unstable();
    paths.dedup();
    SidIndex::build(paths.as_flattened(), &[CODES as u32; LEVELS]).ok()
}

fn search(criterion: &mut Criterion) {
    let n_items = std::env::var("TRIEVAL_BENCH_ITEMS").ok().and_then(|n| n.parse().ok());
    let n_items = n_items.unwrap_or(1_000_000);
    let Some(index) = index(n_items) else { return };
    let table = Table::new();
    let prompts = [(), ()];
    let mut group = criterion.benchmark_group(format!("search/{n_items}"));
    group.bench_function("plain", |b| {
        let mut search = HostSearch::new(&index, &table, BEAM);
        b.iter(|| black_box(search.run(&prompts).map(|hits| hits.len())));
    });
    let filtered = |filters: &[Filter<'_>]| {
        let mut search = HostSearch::new(Filtered::new(&index), &table, BEAM);
        search.search(&prompts, filters).map(|hits| hits.len())
    };
    group.bench_function("no-filter", |b| b.iter(|| black_box(filtered(&[]))));
    // What an unfiltered search finds first, as a history would be.
    let found = HostSearch::new(&index, &table, NonZeroU32::MIN.saturating_add(KNOWN as u32 - 1))
        .run(&prompts);
    let Ok(found) = found else { return };
    let items: Vec<Vec<u32>> =
        found.iter().map(|hits| hits.iter().map(|hit| hit.item).collect()).collect();
    let without: Vec<Filter<'_>> = items.iter().map(|items| Filter::Without(items)).collect();
    let only: Vec<Filter<'_>> = items.iter().map(|items| Filter::Only(items)).collect();
    group.bench_function("without-200", |b| b.iter(|| black_box(filtered(&without))));
    group.bench_function("only-200", |b| b.iter(|| black_box(filtered(&only))));
    group.bench_function("rows", |b| {
        let mut search = HostSearch::new(&index, &table, BEAM);
        search.by_rows = true;
        b.iter(|| black_box(search.run(&prompts).map(|hits| hits.len())));
    });
    let scored: Vec<Vec<(u32, f32)>> =
        items.iter().map(|items| items.iter().map(|&item| (item, 1.0)).collect()).collect();
    let scored: Vec<&[(u32, f32)]> = scored.iter().map(Vec::as_slice).collect();
    group.bench_function("guided-200", |b| {
        b.iter(|| {
            let guide = BestBelow::new(&index, &scored, 0.0);
            let mut search = HostSearch::new(&index, &table, BEAM).guided(guide);
            let hits: Result<_, SearchError<Infallible>> = search.run(&prompts);
            black_box(hits.map(|hits| hits.len()))
        });
    });
    group.finish();
}

criterion_group!(benches, search);
criterion_main!(benches);
