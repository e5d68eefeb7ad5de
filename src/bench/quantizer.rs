//! What residual k-means takes, and how much of the vectors it leaves over.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::clumps::clumps;
use super::process;
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::quantizer::fit;
use crate::quantizer::settings::ResidualKMeansSettings;
use crate::seed::Seed;
use crate::vectors::Vectors;

/// What is measured.
#[derive(Debug, Clone)]
pub struct QuantizerBench {
    /// A `.npy` or `.safetensors` file; without one, clumps are simulated.
    pub vectors: Option<PathBuf>,
    /// Simulated vectors.
    pub items: u32,
    /// Numbers of a simulated vector.
    pub dim: u32,
    /// How they are quantised.
    pub settings: ResidualKMeansSettings,
    /// Threads.
    pub threads: u32,
    /// Seed of all that is drawn.
    pub seed: u64,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct QuantizerFigures {
    /// Vectors.
    pub rows: usize,
    /// Numbers per vector.
    pub dim: usize,
    /// Seconds from vectors to the codes of all of them.
    pub seconds: f64,
    /// Processor time, all threads together.
    pub cpu_seconds: Option<f64>,
    /// Peak of resident memory meanwhile, the vectors included, and pages of their file that lie in memory.
    pub peak_bytes: Option<u64>,
    /// The same without mapped files, which the system takes back where memory is short.
    pub own_peak_bytes: Option<u64>,
    /// Mean squared length of the vectors, and of what each level leaves over.
    pub errors: Vec<f64>,
}

impl QuantizerBench {
    /// Quantises the vectors.
    ///
    /// # Errors
    /// [`Error::Data`] for a file that cannot be used, otherwise as [`fit`].
    pub fn run(&self, ctx: &Context) -> Result<QuantizerFigures> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads as usize).build();
        let pool = pool.map_err(|e| Error::Failed(format!("no thread pool: {e}")))?;
        pool.install(|| self.measure(ctx))
    }

    fn measure(&self, ctx: &Context) -> Result<QuantizerFigures> {
        let seed = Seed::new(self.seed).purpose("bench quantizer");
        let vectors = match &self.vectors {
            Some(path) => Vectors::map(path, None)?,
            None => clumps(self.items as usize, self.dim as usize, seed)?,
        };
        process::forget_peak();
        let (started, cpu) = (Instant::now(), process::cpu_ms());
        let (identifiers, own_peak_bytes) =
            process::own_peak(|| fit(&self.settings, &vectors, "", seed, ctx));
        let identifiers = identifiers?;
        let seconds = started.elapsed().as_secs_f64();
        let cpu_seconds = process::cpu_ms().zip(cpu).map(|(after, before)| (after - before) / 1e3);
        let peak_bytes = process::peak_bytes();
        let squares: f64 = vectors.data.iter().map(|x| f64::from(*x).powi(2)).sum();
        let levels = identifiers.diagnostics.levels.iter().filter_map(|level| level.residual);
        let errors = [squares / vectors.len() as f64].into_iter().chain(levels).collect();
        let (rows, dim) = (vectors.len(), vectors.dim);
        Ok(QuantizerFigures { rows, dim, seconds, cpu_seconds, peak_bytes, own_peak_bytes, errors })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn simulated_vectors_and_those_of_a_file_are_quantised() {
        let text = "vectors = \"\"\nlevels = 2\ncodes = 16\niterations = 10";
        let settings: ResidualKMeansSettings = toml::from_str(text).unwrap();
        let simulated =
            QuantizerBench { vectors: None, items: 500, dim: 8, settings, threads: 2, seed: 3 };
        let figures = simulated.run(&Context::silent()).unwrap();
        assert_eq!((figures.rows, figures.dim, figures.errors.len()), (500, 8, 3));
        assert!((figures.errors[0] - 1.0).abs() < 1e-5);
        assert!(figures.errors[2] < figures.errors[1] && figures.errors[1] < 0.9);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.npy");
        Vectors::new(2, vec![0.0, 1.0, 2.0, 3.0], "test").unwrap().write(&path).unwrap();
        let mut of_file = QuantizerBench { vectors: Some(path), ..simulated };
        of_file.settings.codes = 2;
        let figures = of_file.run(&Context::silent()).unwrap();
        assert_eq!((figures.rows, figures.errors[0], figures.errors[1]), (2, 7.0, 0.0));
    }
}
