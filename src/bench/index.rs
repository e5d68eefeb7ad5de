//! What an index of item vectors finds, how fast, and how large it is, beside the exact search that systems use.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::Rng;
use rand::seq::SliceRandom;
use serde::Serialize;

use super::clumps::{clumps, to_unit_length};
use crate::error::{Error, Result};
use crate::model::decoder::normal;
use crate::progress::Context;
use crate::ranker::harness::Comparison;
use crate::ranker::nearest::hnsw::{HnswIndex, Query, build, compare};
use crate::ranker::settings::HnswSettings;
use crate::seed::Seed;
use crate::vectors::{Vectors, norm};

/// Items that a query asks for.
const DEPTH: usize = 10;
/// Length of the noise in a simulated query over that of its item.
const QUERY_NOISE: f64 = 0.5;
/// The same for queries that are held-out rows of a file.
const HELD_OUT_NOISE: f64 = 0.3;

/// Where the vectors come from.
#[derive(Debug, Clone)]
pub enum ItemVectors {
    /// A mixture of `√items` Gaussians (`bench::clumps`). A query is an item, drawn uniformly, with noise of half its length,
    /// scaled to unit length.
    Simulated {
        /// Number of items.
        items: u32,
        /// Numbers per vector.
        dim: u32,
    },
    /// A `.npy` or `.safetensors` file. Without queries, rows are held out, drawn uniformly, and get noise of three tenths of
    /// their length.
    Files {
        /// Item vectors.
        items: PathBuf,
        /// Query vectors, the first of which are asked.
        queries: Option<PathBuf>,
    },
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct IndexBench {
    /// The vectors.
    pub vectors: ItemVectors,
    /// Most queries.
    pub queries: u32,
    /// The index.
    pub settings: HnswSettings,
    /// Seed of everything drawn.
    pub seed: u64,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct IndexFigures {
    /// Vectors in the index.
    pub items: usize,
    /// Numbers per vector.
    pub dim: usize,
    /// Seconds from vectors to files, on one thread.
    pub build_seconds: f64,
    /// Bytes of the files, which hold the vectors too.
    pub bytes: u64,
    /// Both searches on the same queries, on one thread.
    #[serde(flatten)]
    pub search: Comparison,
}

impl IndexBench {
    /// Builds the index in a temporary folder, opens it as a system does and asks it.
    ///
    /// # Errors
    /// [`Error::Data`] for files that cannot be used, [`Error::Usage`] for numbers that do not fit each other, otherwise as
    /// [`build`] and [`compare`].
    pub fn run(&self, ctx: &Context) -> Result<IndexFigures> {
        let HnswSettings { connectivity, expansion_add, expansion_search, .. } = self.settings;
        if expansion_add < connectivity {
            return Err(Error::Usage(format!(
                "--expansion-add {expansion_add} finds too few candidates for --connectivity {connectivity}"
            )));
        }
        let seed = Seed::new(self.seed).purpose("bench index");
        let (vectors, queries) = match &self.vectors {
            ItemVectors::Simulated { items, dim } => {
                self.simulated(*items as usize, *dim as usize, seed)?
            }
            ItemVectors::Files { items, queries } => self.read(items, queries.as_deref(), seed)?,
        };
        let folder =
            tempfile::tempdir().map_err(|e| Error::unwritable(std::env::temp_dir(), &e))?;
        let started = Instant::now();
        let bytes = build(&vectors, &self.settings, seed, folder.path(), ctx)?;
        let build_seconds = started.elapsed().as_secs_f64();
        let index = HnswIndex::load(folder.path(), &vectors, expansion_search)?;
        let search = compare(&index, &vectors, &queries, DEPTH, ctx)?;
        Ok(IndexFigures { items: vectors.len(), dim: vectors.dim, build_seconds, bytes, search })
    }

    fn simulated(&self, items: usize, dim: usize, seed: Seed) -> Result<(Vectors, Vec<Query>)> {
        let vectors = clumps(items, dim, seed)?;
        let of_query = seed.purpose("query");
        let query = |number: u32| {
            let seed = of_query.index(u64::from(number));
            let item = seed.purpose("item").rng().random_range(0..items);
            let mut vector = perturbed(&vectors.data[item * dim..][..dim], QUERY_NOISE, seed);
            to_unit_length(&mut vector);
            Query { vector, exclude: Vec::new() }
        };
        let queries = (0..self.queries).map(query).collect();
        Ok((vectors, queries))
    }

    fn read(
        &self,
        path: &Path,
        queries: Option<&Path>,
        seed: Seed,
    ) -> Result<(Vectors, Vec<Query>)> {
        let vectors = Vectors::read(path, None)?;
        let most = self.queries as usize;
        let query = |vector: Vec<f32>| Query { vector, exclude: Vec::new() };
        if let Some(queries) = queries {
            let given = Vectors::read(queries, None)?;
            if given.dim != vectors.dim {
                let (got, expected) = (given.dim, vectors.dim);
                let message = format!("queries have {got} numbers, items have {expected}");
                return Err(
                    Error::data(queries, message).with_help("encode both with the same model")
                );
            }
            let asked = given.rows().take(most).map(|row| query(row.to_vec())).collect();
            return Ok((vectors, asked));
        }
        if most >= vectors.len() {
            return Err(Error::Usage(format!(
                "--queries {most} would hold out all {} vectors: ask fewer, or give --query-vectors",
                vectors.len()
            )));
        }
        let mut order: Vec<usize> = (0..vectors.len()).collect();
        order.shuffle(&mut seed.purpose("held out").rng());
        let held_out = order.split_off(order.len() - most);
        // The others in their order.
        order.sort_unstable();
        let dim = vectors.dim;
        let row = |item: usize| &vectors.data[item * dim..][..dim];
        let of_query = seed.purpose("query");
        let asked = held_out
            .iter()
            .map(|&item| query(perturbed(row(item), HELD_OUT_NOISE, of_query.index(item as u64))));
        let asked = asked.collect();
        let kept: Vec<f32> = order.iter().flat_map(|&item| row(item)).copied().collect();
        Ok((Vectors::new(dim, kept, path)?, asked))
    }
}

/// `row` with normal noise of `share` of its length.
fn perturbed(row: &[f32], share: f64, seed: Seed) -> Vec<f32> {
    let scale = share * norm(row) / (row.len() as f64).sqrt();
    row.iter().zip(normal(row.len(), scale, seed)).map(|(x, noise)| x + noise).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bench(vectors: ItemVectors, queries: u32) -> IndexBench {
        IndexBench { vectors, queries, settings: HnswSettings::default(), seed: 3 }
    }

    fn told(bench: &IndexBench) -> String {
        bench.run(&Context::silent()).unwrap_err().to_string()
    }

    #[test]
    fn simulated_vectors_are_indexed_and_searched() {
        let simulated = bench(ItemVectors::Simulated { items: 2_000, dim: 16 }, 50);
        let figures = simulated.run(&Context::silent()).unwrap();
        assert_eq!((figures.items, figures.dim, figures.search.requests), (2_000, 16, 50));
        assert!(figures.search.recall_at_10 >= 0.95, "{figures:?}");
        assert!(figures.bytes > 2_000 * 16 * 4 && figures.build_seconds > 0.0);
        let (vectors, queries) = simulated.simulated(2_000, 16, Seed::new(1)).unwrap();
        assert!(vectors.rows().all(|row| (norm(row) - 1.0).abs() < 1e-5));
        assert!(queries.iter().all(|query| (norm(&query.vector) - 1.0).abs() < 1e-5));
        let (again, _) = simulated.simulated(2_000, 16, Seed::new(1)).unwrap();
        assert_eq!(vectors, again);
    }

    #[test]
    fn files_are_indexed_and_searched() {
        let folder = tempfile::tempdir().unwrap();
        let (items, queries) = (folder.path().join("items.npy"), folder.path().join("q.npy"));
        let made = bench(ItemVectors::Simulated { items: 500, dim: 8 }, 40);
        let (vectors, asked) = made.simulated(500, 8, Seed::new(1)).unwrap();
        vectors.write(&items).unwrap();
        let numbers: Vec<f32> = asked.into_iter().flat_map(|query| query.vector).collect();
        Vectors::new(8, numbers, "queries").unwrap().write(&queries).unwrap();
        let from = |queries: Option<&PathBuf>, n: u32| {
            bench(ItemVectors::Files { items: items.clone(), queries: queries.cloned() }, n)
        };
        let figures = from(Some(&queries), 30).run(&Context::silent()).unwrap();
        assert_eq!((figures.items, figures.search.requests), (500, 30));
        let figures = from(None, 30).run(&Context::silent()).unwrap();
        assert_eq!((figures.items, figures.search.requests), (470, 30));
        assert!(told(&from(None, 500)).contains("would hold out all 500 vectors"));
        Vectors::new(4, vec![0.5; 80], "queries").unwrap().write(&queries).unwrap();
        assert!(told(&from(Some(&queries), 30)).contains("queries have 4 numbers, items have 8"));
        let mut odd = made;
        odd.settings.expansion_add = 3;
        assert!(told(&odd).contains("--expansion-add 3 finds too few"));
    }
}
