//! Arguments of `bench quantizer`.

use std::path::PathBuf;

use clap::Args;

use crate::bench::QuantizerBench;
use crate::quantizer::settings::ResidualKMeansSettings;

/// Arguments of `bench quantizer`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trieval bench quantizer --items 1000000 --dim 64 --threads 2\n  \
    trieval bench quantizer --vectors items.npy --levels 3 --codes 1024 --json"
)]
pub struct BenchQuantizerArgs {
    /// Vectors: a `.npy` or `.safetensors` file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["items", "dim"])]
    pub vectors: Option<PathBuf>,
    /// Simulated vectors, where no file is given: a mixture of √N Gaussians, scaled to unit length.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub items: u32,
    /// Numbers of a simulated vector.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub dim: u32,
    /// Levels.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub levels: u32,
    /// Codes per level.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub codes: u32,
    /// Most iterations per level.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub iterations: u32,
    /// Vectors per iteration (mini-batch k-means).
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=16_777_216))]
    pub batch: Option<u32>,
    /// Threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: u32,
    /// Seed of simulated vectors and of the first centroids.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    pub json: bool,
}

impl BenchQuantizerArgs {
    /// What they ask for.
    pub fn bench(&self) -> QuantizerBench {
        QuantizerBench {
            vectors: self.vectors.clone(),
            items: self.items,
            dim: self.dim,
            settings: ResidualKMeansSettings {
                fit: None,
                first: None,
                naming: Default::default(),
                vectors: String::new(),
                levels: self.levels,
                codes: self.codes,
                codes_of_levels: None,
                balanced: None,
                balance_by: None,
                normalize: None,
                batch: self.batch,
                iterations: self.iterations,
                seed: None,
            },
            threads: self.threads,
            seed: self.seed,
        }
    }
}
