//! Approximate nearest neighbors: a hierarchical navigable small world graph (HNSW, arXiv:1603.09320) over item vectors, by
//! inner product. The graph is that of the library `usearch`; files, checks, order of insertion, metric and the promise
//! of full lists are ours.
//!
//! The same vectors, settings and seed give the same bytes: items are inserted on one thread, in an order that the seed
//! draws (several threads would link what they meet, which depends on who is first), and distances are sums in a fixed
//! order. For serving: evaluation searches exactly unless a recipe asks for an index.

mod compare;
mod metric;
pub mod settings;
mod slots;
#[cfg(test)]
mod tests;

pub use compare::{Query, compare};

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use trieval_kernels::ops::dot;
use trieval_kernels::top::top;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use self::settings::HnswSettings;
use self::slots::Slots;
use super::exact;
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::ranker::Scored;
use crate::seed::Seed;
use crate::store::{map, read_description, write_atomic, write_json};
use crate::vectors::Vectors;

/// The graph with a copy of the vectors, in the library's own format.
pub const INDEX_FILE: &str = "index.usearch";
/// What the graph was built for and with.
pub const DESCRIPTION_FILE: &str = "index.json";
/// Version of [`Description`].
const FORMAT: u32 = 1;
const KIND: &str = "hnsw";
const METRIC: &str = "inner-product";
/// Items inserted between two looks at the interrupt flag.
const CHUNK: usize = 256;
const REBUILD: &str = "delete this folder and run the recipe again: the index will be built anew";

/// Content of [`DESCRIPTION_FILE`].
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    format: u32,
    kind: String,
    /// Version of the library that built the graph.
    usearch: String,
    metric: String,
    dim: usize,
    items: usize,
    connectivity: u32,
    expansion_add: u32,
    /// Content hash of the vectors, [`Vectors::hash`].
    vectors: String,
    /// Size of [`INDEX_FILE`] and its BLAKE3: the library trusts what it reads.
    bytes: u64,
    blake3: String,
}

/// An index that is searched. Its file is mapped: pages are loaded when they are first touched.
pub struct HnswIndex {
    graph: Index,
    items: usize,
    /// Searches at a time: each takes working memory of the library that was set aside when the index was opened.
    slots: Slots,
}

/// Builds the index of `vectors` and writes [`INDEX_FILE`] and [`DESCRIPTION_FILE`] to `folder`. Returns the bytes of both.
///
/// # Errors
/// [`Error::Interrupted`] when the user asked to stop, [`Error::Environment`] when the disk refuses, [`Error::Failed`] when
/// the library does.
pub fn build(
    vectors: &Vectors,
    settings: &HnswSettings,
    seed: Seed,
    folder: &Path,
    ctx: &Context,
) -> Result<u64> {
    let mut graph = open(vectors.dim, settings)?;
    metric::by_inner_product(&mut graph, vectors.dim);
    graph.reserve_capacity_and_threads(vectors.len(), 1).map_err(|e| failed(&e))?;
    // Catalogues are often sorted; a graph that met one category after the other is worse.
    let mut order: Vec<u32> = (0..vectors.len() as u32).collect();
    order.shuffle(&mut seed.purpose("hnsw").rng());
    let mut bar = ctx.bar("index items", order.len() as u64, "item");
    for items in order.chunks(CHUNK) {
        ctx.check_interrupt()?;
        for &item in items {
            graph.add(u64::from(item), vectors.row(item as usize)).map_err(|e| failed(&e))?;
        }
        bar.advance(items.len() as u64);
    }
    drop(bar);
    let mut bytes = vec![0; graph.serialized_length()];
    graph.save_to_buffer(&mut bytes).map_err(|e| failed(&e))?;
    drop(graph);
    let path = folder.join(INDEX_FILE);
    write_atomic(&path, |out| out.write_all(&bytes).map_err(|e| Error::unwritable(&path, &e)))?;
    let description = Description {
        format: FORMAT,
        kind: KIND.into(),
        usearch: usearch::version().into(),
        metric: METRIC.into(),
        dim: vectors.dim,
        items: vectors.len(),
        connectivity: settings.connectivity,
        expansion_add: settings.expansion_add,
        vectors: vectors.hash(),
        bytes: bytes.len() as u64,
        blake3: blake3::hash(&bytes).to_hex().to_string(),
    };
    write_json(&folder.join(DESCRIPTION_FILE), &description)?;
    let sizes = files(folder).into_iter().map(|path| {
        path.metadata().map(|file| file.len()).map_err(|e| Error::unreadable(&path, &e))
    });
    sizes.sum()
}

/// What [`build`] writes to `folder`.
pub fn files(folder: &Path) -> [PathBuf; 2] {
    [INDEX_FILE, DESCRIPTION_FILE].map(|name| folder.join(name))
}

impl HnswIndex {
    /// Opens what [`build`] wrote to `folder` for `vectors`; searches keep `expansion` candidates.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing, damaged, truncated or of another format, or when the index was built for other
    /// vectors (both hashes are named).
    pub fn load(folder: &Path, vectors: &Vectors, expansion: u32) -> Result<Self> {
        let description = Description::read(folder)?;
        description.compare(folder, vectors)?;
        let path = folder.join(INDEX_FILE);
        description.verify(&path)?;
        let settings = HnswSettings {
            connectivity: description.connectivity,
            expansion_add: description.expansion_add,
            expansion_search: expansion,
            seed: None,
        };
        let mut graph = open(vectors.dim, &settings)?;
        let threads = rayon::current_num_threads();
        graph.reserve_capacity_and_threads(vectors.len(), threads).map_err(|e| failed(&e))?;
        let unusable = |e: &dyn Display| Error::data(&path, format!("not an index: {e}"));
        let name = path.to_str().ok_or_else(|| unusable(&"its path is not UTF-8"))?;
        graph.view(name).map_err(|e| unusable(&e).with_help(REBUILD))?;
        let (found, dim) = (graph.size(), graph.dimensions());
        if (found, dim) != (vectors.len(), vectors.dim) {
            let message = format!(
                "holds {found} vectors of {dim} numbers, expected {} of {}",
                vectors.len(),
                vectors.dim
            );
            return Err(Error::data(&path, message).with_help(REBUILD));
        }
        graph.change_expansion_search(expansion as usize);
        // Viewing a file sets the library's own metric.
        metric::by_inner_product(&mut graph, vectors.dim);
        Ok(Self { graph, items: vectors.len(), slots: Slots::new(threads) })
    }

    /// The `depth` items near `query`, `[dim]`, by their inner product with it, best first, none of `exclude` (ascending).
    /// As many items as exact search gives; `vectors` are those that the index was opened for. Any number of threads may
    /// ask.
    ///
    /// # Errors
    /// [`Error::Failed`] when the library fails, as for a query of another dimension.
    pub fn search(
        &self,
        vectors: &Vectors,
        query: &[f32],
        depth: usize,
        exclude: &[u32],
    ) -> Result<Vec<Scored>> {
        let excluded = exclude.chunk_by(|a, b| a == b).filter(|one| self.holds(one[0])).count();
        let wanted = depth.min(self.items - excluded);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        // As many more as may have to be left out, so that the list is full without them.
        let found = self.slots.with(|| self.graph.search(query, wanted + excluded));
        let keys = found.map_err(|e| failed(&e))?.keys;
        let items = keys.into_iter().filter_map(|key| u32::try_from(key).ok());
        let items = items.filter(|item| self.holds(*item));
        let list =
            top(items.map(|item| (item, dot(vectors.row(item as usize), query))), wanted, exclude);
        // Items that no link leads to are rare, but a list must not be short for their sake.
        if list.len() < wanted {
            return Ok(exact(vectors, query, depth, exclude));
        }
        Ok(list)
    }

    fn holds(&self, item: u32) -> bool {
        (item as usize) < self.items
    }
}

impl Description {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION_FILE);
        let file: Self = read_description(&path, "an index", FORMAT)
            .map_err(|error| error.with_help(REBUILD))?;
        if (file.kind.as_str(), file.metric.as_str()) != (KIND, METRIC) {
            let (kind, metric) = (file.kind, file.metric);
            let message = format!("describes {kind} by {metric}, expected {KIND} by {METRIC}");
            return Err(Error::data(&path, message).with_help(REBUILD));
        }
        Ok(file)
    }

    /// Refuses vectors that the index was not built for.
    fn compare(&self, folder: &Path, vectors: &Vectors) -> Result<()> {
        let hash = vectors.hash();
        if self.vectors == hash && (self.items, self.dim) == (vectors.len(), vectors.dim) {
            return Ok(());
        }
        let message = format!(
            "the index was built for other vectors: for {} of {} numbers with hash {}, got {} of {} with hash {hash}",
            self.items,
            self.dim,
            self.vectors,
            vectors.len(),
            vectors.dim
        );
        Err(Error::data(folder.join(DESCRIPTION_FILE), message).with_help(REBUILD))
    }

    /// Refuses a file that is not, bit by bit, the one that was written.
    fn verify(&self, path: &Path) -> Result<()> {
        let fault = |message: String| Error::data(path, message).with_help(REBUILD);
        let bytes = map(path)?;
        if bytes.len() as u64 != self.bytes {
            let (expected, got) = (self.bytes, bytes.len());
            return Err(fault(format!("truncated: expected {expected} bytes, got {got}")));
        }
        if blake3::hash(&bytes).to_hex().as_str() != self.blake3 {
            return Err(fault("altered: the content does not match its checksum".into()));
        }
        Ok(())
    }
}

/// An empty graph over vectors of `dim` numbers.
fn open(dim: usize, settings: &HnswSettings) -> Result<Index> {
    let options = IndexOptions {
        dimensions: dim,
        metric: MetricKind::IP,
        quantization: ScalarKind::F32,
        connectivity: settings.connectivity as usize,
        expansion_add: settings.expansion_add as usize,
        expansion_search: settings.expansion_search as usize,
        multi: false,
    };
    Index::new(&options).map_err(|e| failed(&e))
}

fn failed(cause: &dyn Display) -> Error {
    Error::Failed(format!("nearest-neighbor index: {cause}"))
}
