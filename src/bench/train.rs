//! How long a training step takes, and how much memory: the one training loop on a decoder of a given
//! shape and random tokens.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::DType;
use serde::Serialize;
use trieval_kernels::gpu;

use super::batch::{Random, Shape};
use super::process;
use crate::error::{Error, Result};
use crate::model::config::DecoderConfig;
use crate::model::decoder::Decoder;
use crate::model::lora::AdapterSpec;
use crate::model::settings::{LoraSettings, ScratchSettings};
use crate::progress::Context;
use crate::seed::Seed;
use crate::train::course::settings::{OptimizerSettings, TrainDevice};
use crate::train::engine::{LoopSettings, train};
use crate::train::track::Tracker;
use crate::train::world::World;

/// Steps that are run first and not counted.
const WARM_UP: u32 = 3;

/// What is measured. Examples are `batch` prompts of `prompt` random tokens, each with an answer of `target`
/// tokens and `negatives` rejected ones.
#[derive(Debug, Clone)]
pub struct TrainBench {
    /// Layers of the decoder.
    pub layers: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Attention heads.
    pub heads: u32,
    /// Key-value heads; as many as heads where none are given.
    pub kv_heads: Option<u32>,
    /// Width of a head; width / heads where none is given.
    pub head_dim: Option<u32>,
    /// Width of the feed-forward.
    pub ffn: u32,
    /// Tokens of the vocabulary; head and embedding are tied.
    pub vocab: u32,
    /// Examples per step.
    pub batch: u32,
    /// Tokens of a prompt; 0 is a row of `target` tokens, each of which predicts the next.
    pub prompt: u32,
    /// Tokens of an answer, at least 1.
    pub target: u32,
    /// Rejected answers of a prompt; with any, the loss is DPO's.
    pub negatives: u32,
    /// Threads.
    pub threads: u32,
    /// Type of frozen weights, and of activations on a GPU; `f32` where all weights train on the CPU.
    pub dtype: DType,
    /// What computes.
    pub device: TrainDevice,
    /// Rank of an adapter beside frozen weights; 0 trains all weights.
    pub lora: u32,
    /// Whether layers are computed again in the backward pass.
    pub recompute: bool,
    /// Steps that are measured.
    pub steps: u32,
}

/// What was measured; times are medians over the steps.
#[derive(Debug, Clone, Serialize)]
pub struct TrainFigures {
    /// Wall time of a step: examples, forward, backward, clipping, AdamW, log.
    pub ms_per_step: f64,
    /// Processor time of a step, all threads together.
    pub cpu_ms_per_step: Option<f64>,
    /// Examples per second of wall time.
    pub examples_per_s: f64,
    /// Input tokens per second of wall time.
    pub tokens_per_s: f64,
    /// Largest resident memory less that before the decoder existed; on a GPU, the most that tensors held there.
    pub peak_bytes: Option<u64>,
    /// Parameters of the decoder, and of the adapter.
    pub parameters: u64,
    /// Those of them that train.
    pub trained_parameters: u64,
    /// Loss of the last step.
    pub loss: f64,
}

impl TrainBench {
    /// Runs the steps on a pool of its own.
    ///
    /// # Errors
    /// [`Error::Usage`] when the shape makes no decoder; as [`train`] otherwise.
    pub fn run(&self, ctx: &Context) -> Result<TrainFigures> {
        let (is_gpu, dtype) = (self.device == TrainDevice::Cuda, self.dtype);
        if self.lora == 0 && !is_gpu && dtype != DType::F32 {
            return Err(Error::Usage(format!(
                "--dtype {} is the type of frozen weights: give --lora, or train all weights in f32",
                dtype.as_str()
            )));
        }
        if is_gpu && dtype == DType::F16 {
            return Err(Error::Usage("--dtype f16: a GPU computes in f32 or bf16 here".into()));
        }
        if self.target == 0 {
            return Err(Error::Usage("--target 0: an answer needs at least one token".into()));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads as usize).build();
        let pool = pool.map_err(|e| Error::Failed(format!("no thread pool: {e}")))?;
        pool.install(|| self.measure(ctx))
    }

    fn measure(&self, ctx: &Context) -> Result<TrainFigures> {
        let device = self.device.open()?;
        process::forget_peak();
        let before = process::resident_bytes();
        let precision = if device.is_cpu() { DType::F32 } else { self.dtype };
        let decoder = self.decoder()?.on(&device, precision)?.recomputing(self.recompute);
        gpu::forget_peak(&device);
        let trained_parameters = decoder.trained().vars().map(|var| var.elem_count() as u64).sum();
        let all = decoder.config().parameter_count();
        let adapter = if self.lora > 0 { trained_parameters } else { 0 };

        let (mut wall, mut cpu, mut loss, mut tokens) = (vec![], vec![], 0.0, vec![]);
        let mut last = (Instant::now(), process::cpu_ms());
        let mut objective = Random {
            decoder: &decoder,
            shape: Shape {
                vocab: self.vocab,
                batch: self.batch,
                prompt: self.prompt,
                target: self.target,
                negatives: self.negatives,
            },
            seed: Seed::new(5).purpose("bench"),
            finished: Box::new(|record| {
                let now = (Instant::now(), process::cpu_ms());
                wall.push(now.0.duration_since(last.0).as_secs_f64() * 1e3);
                cpu.extend(now.1.zip(last.1).map(|(now, last)| now - last));
                tokens.push(record.tokens_per_s);
                loss = record.loss;
                last = now;
            }),
        };
        let steps = WARM_UP + self.steps;
        let settings = LoopSettings {
            label: "bench".into(),
            optimizer: OptimizerSettings::default(),
            epochs: f64::from(steps),
            batch: self.batch,
            accumulate: 1,
            average: None,
            checkpoint_steps: u32::MAX,
            memory_limit: None,
            tracker: Tracker::default(),
        };
        let folder =
            tempfile::tempdir().map_err(|e| Error::unwritable(std::env::temp_dir(), &e))?;
        let (seed, world) = (Seed::new(17), World::single());
        train(decoder.trained(), &mut objective, &settings, world, seed, folder.path(), ctx)?;
        drop(objective);
        let skip = WARM_UP as usize;
        let ms = median(&wall[skip..]);
        Ok(TrainFigures {
            ms_per_step: ms,
            cpu_ms_per_step: (cpu.len() == wall.len()).then(|| median(&cpu[skip..])),
            examples_per_s: f64::from(self.batch) * 1e3 / ms,
            tokens_per_s: median(&tokens[skip..]),
            peak_bytes: gpu::peak_bytes(&device).or_else(|| {
                let (peak, before) = process::peak_bytes().zip(before)?;
                Some(peak.saturating_sub(before))
            }),
            parameters: all as u64 + adapter,
            trained_parameters,
            loss,
        })
    }

    fn decoder(&self) -> Result<Decoder> {
        let usage = |error: Error| Error::Usage(format!("this shape makes no decoder: {error}"));
        let settings = ScratchSettings {
            identifier: None,
            identifiers: None,
            init: None,
            rows: None,
            vocabulary: self.vocab,
            layers: self.layers,
            hidden: self.width,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            ffn: Some(self.ffn),
            prompt_tokens: self.prompt.max(1),
            history_items: 1,
            seed: None,
        };
        let vocab = self.vocab as usize;
        let config = DecoderConfig::from_scratch(&settings, self.target as usize, vocab, 0, 0);
        let config = config.map_err(usage)?;
        let seed = Seed::new(17).purpose("bench weights");
        let decoder = Decoder::init(config.clone(), seed)?;
        if self.lora == 0 {
            return Ok(decoder);
        }
        let weights = decoder.weights()?.into_iter();
        let weights = weights.map(|(name, weight)| Ok((name, weight.to_dtype(self.dtype)?)));
        let weights = weights.collect::<Result<BTreeMap<_, _>>>()?;
        let settings = LoraSettings { rank: self.lora, ..LoraSettings::default() };
        let spec = AdapterSpec { settings, first_new_token: vocab };
        Decoder::adapted(config, weights, spec, seed)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tiny() -> TrainBench {
        TrainBench {
            layers: 2,
            width: 16,
            heads: 2,
            kv_heads: Some(1),
            head_dim: None,
            ffn: 24,
            vocab: 40,
            batch: 4,
            prompt: 5,
            target: 3,
            negatives: 0,
            threads: 1,
            dtype: DType::F32,
            device: TrainDevice::Cpu,
            lora: 0,
            recompute: false,
            steps: 2,
        }
    }

    #[test]
    fn every_kind_of_step_is_measured() {
        let ctx = Context::silent();
        let near = |loss: f64, expected: f64| assert!((loss - expected).abs() < 0.2, "{loss}");
        let plain = tiny().run(&ctx).unwrap();
        near(plain.loss, 40f64.ln());
        assert!(plain.ms_per_step > 0.0 && plain.tokens_per_s > 0.0);
        // Two layers of norms, q and k norms, q, k, v, o, gate, up, down; tied embedding and last norm.
        let layer = 2 * 16 + 2 * 8 + 2 * 16 * 16 + 2 * 8 * 16 + 3 * 16 * 24;
        assert_eq!(plain.parameters, 2 * layer + 40 * 16 + 16);
        assert_eq!(plain.trained_parameters, plain.parameters);
        let rows = TrainBench { prompt: 0, ..tiny() };
        near(rows.run(&ctx).unwrap().loss, 40f64.ln());
        let pairs = TrainBench { negatives: 3, ..tiny() };
        near(pairs.run(&ctx).unwrap().loss, 2f64.ln());
        let adapted = TrainBench { lora: 4, dtype: DType::BF16, ..tiny() }.run(&ctx).unwrap();
        near(adapted.loss, 40f64.ln());
        assert!(adapted.trained_parameters < plain.parameters);
        assert_eq!(adapted.parameters, plain.parameters + adapted.trained_parameters);
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let told = |bench: TrainBench| bench.run(&Context::silent()).unwrap_err().to_string();
        let text = told(TrainBench { dtype: DType::BF16, ..tiny() });
        assert!(text.contains("--dtype bf16 is the type of frozen weights"), "{text}");
        let text = told(TrainBench { heads: 3, ..tiny() });
        assert!(text.contains("heads = 3 does not divide hidden = 16"), "{text}");
        assert!(told(TrainBench { target: 0, ..tiny() }).contains("--target 0"));
    }
}
