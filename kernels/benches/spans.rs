//! The index of spans: time and memory of a build, bytes, extensions, distinct continuations, the
//! best of a row, and items of rows, with one thread but for the build.
//!
//! Titles of 12 tokens, drawn by Zipf's law from an alphabet of 50,000. `TRIEVAL_BENCH_TOKENS` sets
//! the tokens (1,000,000). The index is written and measured in a mapped file, as it is used.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trieval_kernels::beam::{Constraint, Row, Rule};
use trieval_kernels::index::fm::{Build, FmBuilder, FmIndex, Rows, SpanState, Spans};

const ALPHABET: u32 = 50_000;
const TITLE: usize = 12;
/// Spans whose extensions are measured.
const SPANS: usize = 200_000;

fn tokens() -> usize {
    std::env::var("TRIEVAL_BENCH_TOKENS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}

/// Draws tokens: the one of rank r with a weight of 1 / r.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new() -> Self {
        let weights = (1..=ALPHABET).scan(0.0, |sum, rank| {
            *sum += 1.0 / f64::from(rank);
            Some(*sum)
        });
        Self(weights.collect())
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let at = rng.random::<f64>() * self.0[self.0.len() - 1];
        let rank = self.0.partition_point(|&sum| sum <= at) as u32;
        // Ranks are spread over the alphabet, as in a vocabulary.
        (rank.wrapping_mul(7_919) % ALPHABET).min(ALPHABET - 1)
    }
}

/// Bytes of memory: now, or the most since [`forget_peak`].
fn memory(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn seconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64())
}

/// Seconds that this thread has been on a core: other work on the machine does not count.
fn busy() -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = spent.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    spent.unwrap_or(f64::NAN) / 1e9
}

/// Seconds that all threads have been on a core.
fn busy_all() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Times per second on a core, over rounds of at least half a second, of which the middle one
/// counts.
fn rate(mut work: impl FnMut() -> usize) -> f64 {
    let mut rates: Vec<f64> = (0..3)
        .map(|_| {
            let (start, mut done) = (busy(), 0);
            while busy() - start < 0.5 {
                // Asking for the time is slow.
                done += (0..64).map(|_| work()).sum::<usize>();
            }
            done as f64 / (busy() - start)
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[1]
}

fn builder(n_tokens: usize) -> Result<FmBuilder, Box<dyn Error>> {
    let zipf = Zipf::new();
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let n_items = n_tokens / TITLE;
    let mut builder = FmBuilder::new(ALPHABET, n_items as u32)?;
    let mut title = [0; TITLE];
    for item in 0..n_items {
        title.fill_with(|| zipf.draw(&mut rng));
        builder.push(item as u32, &title)?;
    }
    Ok(builder)
}

fn measure(build: Build, n_tokens: usize) -> Result<(), Box<dyn Error>> {
    let before = memory("VmRSS:");
    let builder = builder(n_tokens)?;
    let n_tokens = builder.n_tokens() as f64;
    forget_peak();
    let busy = busy_all();
    let (index, built) = seconds(|| builder.build(build));
    let busy = busy_all() - busy;
    let index = index?;
    let peak = memory("VmHWM:").saturating_sub(before) as f64;
    let packed = n_tokens * 16.0 / 8.0;
    println!("{build:?}, {n_tokens} tokens, {} threads", rayon::current_num_threads());
    println!("  build             {built:.2} s, {busy:.2} s on cores");
    println!(
        "  peak of the build {:.2} bytes a token (the builder's texts included)",
        peak / n_tokens
    );
    println!("  bytes             {:.3} of the packed tokens", index.bytes() as f64 / packed);
    let path = std::env::temp_dir().join(format!("trieval-spans-{}.idx", std::process::id()));
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
    index.write(&mut file)?;
    file.into_inner()?.sync_all()?;
    drop(index);
    let (index, opened) = seconds(|| FmIndex::open(&path));
    std::fs::remove_file(&path)?;
    println!("  open              {opened:.2} s");
    queries(&index?)
}

fn queries(index: &FmIndex) -> Result<(), Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    // Spans of 1 to 3 tokens of random titles, each with the token behind it.
    let mut steps: Vec<(Rows, u32)> = Vec::with_capacity(SPANS);
    while steps.len() < SPANS {
        let (text, _) = index.text(rng.random_range(0..index.n_texts()));
        let start = rng.random_range(0..TITLE - 4);
        let n = rng.random_range(1..4);
        let rows = index.find(&text[start..start + n]).ok_or("a span of a text is not found")?;
        steps.push((rows, text[start + n]));
    }
    let mut at = 0;
    let mut next = |n: usize| {
        at = (at + 1) % (n - 1);
        at
    };
    let extensions = rate(|| {
        let (rows, token) = steps[next(SPANS)];
        usize::from(black_box(index.extend(rows, token)).is_some())
    });
    println!("  extensions        {extensions:.3e} a second");
    let mut out = Vec::new();
    for (name, counts) in [("rare", 1..64), ("common", 1_000..1_000_000)] {
        let some: Vec<Rows> = steps.iter().map(|step| step.0).collect();
        let mut some: Vec<Rows> =
            some.into_iter().filter(|r| counts.contains(&r.count())).collect();
        some.truncate(500);
        if some.len() < 2 {
            continue;
        }
        let mut n_spans = 0;
        let listed = rate(|| {
            out.clear();
            index.continuations(some[next(some.len())], &mut out);
            n_spans += 1;
            black_box(out.len())
        });
        println!("  continuations     {listed:.3e} a second behind {name} spans");
    }
    best(index, &steps, &mut rng);
    let n_rows = index.n_tokens();
    let items =
        rate(|| (0..64).map(|_| index.item(rng.random_range(0..n_rows))).map(black_box).count());
    println!("  items             {items:.3e} a second of random rows");
    let wide = steps.iter().map(|step| step.0).filter(|rows| rows.count() > 1_000);
    if let Some(rows) = wide.into_iter().next() {
        let mut items = index.items(rows);
        let in_order = rate(|| match items.next() {
            Some(item) => usize::from(black_box(item) < u32::MAX),
            None => {
                items = index.items(rows);
                0
            }
        });
        println!("  items             {in_order:.3e} a second in order");
    }
    Ok(())
}

/// The best 20 tokens of a row of scores, behind the empty span and behind common ones.
fn best(index: &FmIndex, steps: &[(Rows, u32)], rng: &mut ChaCha8Rng) {
    let spans = Spans::new(index);
    let scores: Vec<f32> = (0..ALPHABET).map(|_| -rng.random::<f32>() * 20.0).collect();
    let row = Row { own: &scores, parent: 0.0, rule: Rule::Add, floor: f32::NEG_INFINITY };
    let root = spans.root(0);
    let behind: Vec<SpanState> =
        steps.iter().take(2_000).filter_map(|step| spans.child(root, step.1)).collect();
    let mut at = 0;
    let mut out = Vec::new();
    let mut time = |name: &str, states: &[SpanState]| {
        let rate = rate(|| {
            at = (at + 1) % states.len();
            out.clear();
            spans.best(states[at], &row, 20, &mut out);
            black_box(out.len());
            1
        });
        println!("  best 20 of a row  {:.0} µs behind {name}", 1e6 / rate);
    };
    time("the empty span", &[root]);
    time("one token", &behind);
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` and `cargo test` pass flags that mean nothing here.
    let n_tokens = tokens();
    measure(Build::Compact, n_tokens)?;
    measure(Build::Fast, n_tokens)
}
