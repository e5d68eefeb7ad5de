//! Time to build the semantic-ID index, and what it adds to a step of a wide search: enumerate the
//! children of all beams, gather their scores, advance the states that survive.
//!
//! Uniform random codes, 2048 per level, 8 levels, 2 x 70 beams, as in STATIC (arXiv 2602.22647).
//! `TRIEVAL_BENCH_ITEMS` sets the items; the default of 1 000 000 keeps a run short.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trieval_kernels::index::{SidIndex, SidState};

const LEVELS: usize = 8;
const CODES: u32 = 2048;
const BEAMS: usize = 140;

fn items() -> usize {
    std::env::var("TRIEVAL_BENCH_ITEMS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}

/// Random rows; with eight levels of 2048 codes two are never the same.
fn codes(n_items: usize) -> Vec<u16> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    (0..n_items * LEVELS).map(|_| rng.random_range(0..CODES as u16)).collect()
}

fn index(criterion: &mut Criterion) {
    let n_items = items();
    let codes = codes(n_items);
    let sizes = [CODES; LEVELS];
    let mut group = criterion.benchmark_group("sid-index");
    group.sample_size(10);
    let build = || SidIndex::build(&codes, &sizes).map(|index| index.bytes());
    group.bench_function(format!("build/{n_items}"), |b| b.iter(build));
    let Ok(index) = SidIndex::build(&codes, &sizes) else { return };
    println!("bytes per item: {:.2}", index.bytes() as f64 / n_items as f64);

    // Beams at every depth, on the paths of random items.
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let states_at = |depth: usize, rng: &mut ChaCha8Rng| -> Vec<SidState> {
        let path = |item: usize| codes[item * LEVELS..][..depth].iter().map(|&c| u32::from(c));
        (0..BEAMS)
            .filter_map(|_| index.prefix(&path(rng.random_range(0..n_items)).collect::<Vec<_>>()))
            .collect()
    };
    let log_probs: Vec<f32> = (0..BEAMS * CODES as usize).map(|i| -(i as f32)).collect();
    group.sample_size(50);
    for depth in 0..LEVELS {
        // Fresh states every time, so that their rows are not already in the cache.
        let many: Vec<Vec<SidState>> = (0..64).map(|_| states_at(depth, &mut rng)).collect();
        let mut turn = 0;
        let (mut children, mut gathered) = (Vec::new(), Vec::new());
        group.bench_function(format!("step/{n_items}/depth-{depth}"), |b| {
            b.iter_batched(
                || {
                    turn = (turn + 1) % many.len();
                    &many[turn]
                },
                |states| {
                    children.clear();
                    gathered.clear();
                    for (beam, &state) in states.iter().enumerate() {
                        let start = children.len();
                        index.children(state, &mut children);
                        let row = &log_probs[beam * CODES as usize..][..CODES as usize];
                        gathered.extend(children[start..].iter().map(|&c| row[c as usize]));
                        black_box(index.child(state, children[start]));
                    }
                    black_box(gathered.len())
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, index);
criterion_main!(benches);
