//! Time of a beam request on one thread, the peer of `benches/peers/request.py`: a prompt of 64 tokens, 50
//! beams, 4 tokens, with the logits of the whole vocabulary or of one level's 256 tokens.
//! Run with `cargo bench --bench request`; vocabularies by `TRIEVAL_BENCH_VOCAB=1024,32000`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Instant;

use trieval::model::config::DecoderConfig;
use trieval::model::settings::ScratchSettings;
use trieval::model::{BeamCache, Decoder};
use trieval::seed::Seed;
use trieval_kernels::ops::{Threads, log_sum_exp};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROMPT: usize = 64;
const BEAMS: usize = 50;
const TOKENS: usize = 4;
const LEVEL: usize = 256;
const REPEATS: usize = 15;

fn decoder(vocab: usize) -> trieval::Result<Decoder> {
    let settings = ScratchSettings {
        identifier: Some("sid".into()),
        identifiers: None,
        init: None,
        rows: None,
        vocabulary: 2_000,
        layers: 6,
        hidden: 256,
        heads: 4,
        kv_heads: None,
        head_dim: None,
        ffn: Some(768),
        prompt_tokens: PROMPT as u32,
        history_items: 1,
        seed: None,
    };
    let config = DecoderConfig::from_scratch(&settings, TOKENS, vocab, 0, 1)?;
    Decoder::init(config, Seed::new(1))
}

/// CPU time of this process so far, in milliseconds; 0 where `/proc` does not tell.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|t| t.parse::<f64>().ok()).unwrap_or_default() / 1e6
}

/// The best `BEAMS` of `(score, parent, column)`, best first: a threshold that rises keeps the list short.
fn best(logits: &[f32], width: usize, scores: &[f32]) -> Vec<(f32, u32, u32)> {
    let better = |a: &(f32, u32, u32), b: &(f32, u32, u32)| b.0.total_cmp(&a.0);
    let mut kept: Vec<(f32, u32, u32)> = Vec::with_capacity(4 * BEAMS);
    let mut threshold = f32::NEG_INFINITY;
    for (parent, (row, before)) in logits.chunks_exact(width).zip(scores).enumerate() {
        let offset = before - log_sum_exp(row);
        for (column, logit) in row.iter().enumerate() {
            if logit + offset > threshold {
                kept.push((logit + offset, parent as u32, column as u32));
                if kept.len() == 4 * BEAMS {
                    kept.select_nth_unstable_by(BEAMS - 1, better);
                    kept.truncate(BEAMS);
                    threshold = kept[BEAMS - 1].0;
                }
            }
        }
    }
    kept.sort_unstable_by(better);
    kept.truncate(BEAMS);
    kept
}

fn main() -> trieval::Result<()> {
    let wanted = std::env::var("TRIEVAL_BENCH_VOCAB");
    let wanted = wanted.as_deref().unwrap_or("1024,32000,151000");
    for vocab in wanted.split(',').filter_map(|vocab| vocab.trim().parse::<usize>().ok()) {
        let frozen = decoder(vocab)?.freeze(Threads::One)?;
        let prompt: Vec<u32> = (0..PROMPT).map(|i| (i * 7919 % vocab) as u32).collect();
        for range in [0..vocab, vocab - LEVEL..vocab] {
            let mut times = Vec::new();
            for _ in 0..REPEATS + 3 {
                let (start, cpu) = (Instant::now(), cpu_ms());
                let cache = frozen.prefill(&prompt)?;
                let mut beams = BeamCache::new();
                let mut hidden = cache.last_hidden().to_vec();
                let mut scores = vec![0f32];
                for step in 0..TOKENS {
                    let logits = frozen.logits(&hidden, range.clone())?;
                    let best = best(&logits, range.len(), &scores);
                    scores = best.iter().map(|b| b.0).collect();
                    if step + 1 < TOKENS {
                        let parents: Vec<u32> = best.iter().map(|b| b.1).collect();
                        let next: Vec<u32> =
                            best.iter().map(|b| b.2 + range.start as u32).collect();
                        hidden = frozen.extend(&cache, &mut beams, &parents, &next)?;
                    }
                }
                std::hint::black_box(scores);
                times.push((start.elapsed().as_secs_f64() * 1e3, cpu_ms() - cpu));
            }
            times.drain(..3);
            times.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut cpu: Vec<f64> = times.iter().map(|t| t.1).collect();
            cpu.sort_by(f64::total_cmp);
            println!(
                "vocabulary {vocab}, logits of {}: median {:.1} ms, CPU {:.1} ms",
                range.len(),
                times[REPEATS / 2].0,
                cpu[REPEATS / 2]
            );
        }
    }
    Ok(())
}
