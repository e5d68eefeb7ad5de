//! Time of a training step and of a beam request on a small decoder; run with
//! `cargo bench --bench decoder`, threads by `RAYON_NUM_THREADS`. Set `CANDLE_NUM_THREADS=1` as well: candle's
//! own pool waits in a spin loop for its additions and doubles the CPU time of a step on a busy machine.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use trieval::model::config::DecoderConfig;
use trieval::model::settings::ScratchSettings;
use trieval::model::{BeamCache, Decoder};
use trieval::seed::Seed;
use trieval_kernels::ops::{AdamW, Segments, Threads, adamw_step, cross_entropy_rows, log_sum_exp};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;
const SEQ: usize = 16;
const ROWS: usize = 4;
const VOCAB: usize = 2_200;
const BEAMS: usize = 50;

fn decoder() -> trieval::Result<Decoder> {
    let settings = ScratchSettings {
        identifier: "sid".into(),
        vocabulary: 2_000,
        layers: 3,
        hidden: 128,
        heads: 4,
        kv_heads: None,
        head_dim: None,
        ffn: Some(352),
        prompt_tokens: 64,
        history_items: 1,
    };
    let config = DecoderConfig::from_scratch(&settings, ROWS, VOCAB, 0, 1)?;
    Decoder::init(config, Seed::new(1))
}

fn tokens(n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| i.wrapping_mul(2_654_435_761) % VOCAB as u32).collect()
}

/// CPU time of this process so far, all threads; 0 where `/proc` does not tell. On a busy machine it
/// is the figure to compare.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Median and least of a few timings in milliseconds, after a warm-up.
fn report(
    what: &str,
    repeats: usize,
    mut work: impl FnMut() -> trieval::Result<()>,
) -> trieval::Result<()> {
    for _ in 0..3 {
        work()?;
    }
    let mut times = Vec::new();
    let cpu = cpu_seconds();
    for _ in 0..repeats {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let cpu = (cpu_seconds() - cpu) / repeats as f64 * 1e3;
    let (median, least) = (times[repeats / 2], times[0]);
    println!("{what}: median {median:.2} ms, least {least:.2} ms, CPU {cpu:.2} ms");
    Ok(())
}

fn main() -> trieval::Result<()> {
    let decoder = decoder()?;
    println!(
        "{} parameters, {} threads",
        decoder.config().parameter_count(),
        rayon::current_num_threads()
    );
    let ids = Tensor::from_vec(tokens(BATCH * SEQ), BATCH * SEQ, &Device::Cpu)?;
    let segments = Segments::uniform(BATCH, SEQ);
    let tails = Segments::uniform(BATCH, ROWS);
    let n = BATCH * ROWS;
    let targets = Tensor::from_vec(tokens(n), n, &Device::Cpu)?;
    let weights = Tensor::ones(n, DType::F32, &Device::Cpu)?;
    let mut moments: Vec<_> = decoder
        .params()
        .values()
        .map(|v| (vec![0f32; v.elem_count()], vec![0f32; v.elem_count()]))
        .collect();
    let mut step = 0;
    for (name, tails) in [("tails", &tails), ("all rows", &segments)] {
        let all = tails.tokens() != n;
        report(
            &format!("training step, {BATCH} x {SEQ} tokens, last layer on {name}"),
            30,
            || {
                step += 1;
                let mut hidden = decoder.hidden_tails(&ids, &segments, tails)?;
                if all {
                    hidden = hidden
                        .reshape((BATCH, SEQ, ()))?
                        .narrow(1, SEQ - ROWS, ROWS)?
                        .reshape((n, ()))?;
                }
                let loss = cross_entropy_rows(&hidden, decoder.head(), &targets, &weights)?;
                let gradients = loss.backward()?;
                let settings = AdamW {
                    learning_rate: 1e-3,
                    beta1: 0.9,
                    beta2: 0.99,
                    epsilon: 1e-8,
                    weight_decay: 0.01,
                    step,
                    gradient_scale: 1.0 / n as f64,
                };
                for (var, (m, v)) in decoder.params().values().zip(&mut moments) {
                    if let Some(gradient) = gradients.get(var) {
                        adamw_step(var, gradient, m, v, &settings)?;
                    }
                }
                Ok(())
            },
        )?;
    }
    report("forward only, tails", 30, || {
        decoder.hidden_tails(&ids, &segments, &tails)?;
        Ok(())
    })?;
    let frozen = decoder.freeze(Threads::One)?;
    let prompt_ids = tokens(32);
    let (parents, next) = (vec![0u32; BEAMS], tokens(BEAMS));
    let vocab = decoder.config().vocab_size;
    for range in [0..vocab, 2_005..2_069] {
        let what = format!(
            "request: prompt 32, {BEAMS} beams, 3 more tokens, one thread, logits of {}",
            range.len()
        );
        report(&what, 50, || {
            let prompt = frozen.prefill(&prompt_ids)?;
            let mut beams = BeamCache::new();
            let mut total = 0f32;
            let mut hidden = prompt.last_hidden().to_vec();
            for _ in 0..3 {
                let logits = frozen.logits(&hidden, range.clone())?;
                total += logits.chunks(range.len()).map(log_sum_exp).sum::<f32>();
                hidden = frozen.extend(&prompt, &mut beams, &parents, &next)?;
            }
            let logits = frozen.logits(&hidden, range.clone())?;
            total += logits.chunks(range.len()).map(log_sum_exp).sum::<f32>();
            std::hint::black_box(total);
            Ok(())
        })?;
    }
    report("prefill of 32 tokens alone, one thread", 50, || {
        frozen.prefill(&prompt_ids)?;
        Ok(())
    })
}
