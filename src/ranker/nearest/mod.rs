//! Nearest items by inner product, exactly or by an index: any encoder of requests over the vectors of all items.

pub mod hnsw;
mod kind;
pub mod settings;

pub use kind::vector_files;

use std::path::Path;

use rayon::prelude::*;
use trieval_kernels::ops::dot;

use self::hnsw::{HnswIndex, Query, compare};
use super::harness::{Approximate, Comparison, Output, Rank, Retrieve, Scored};
use super::slate::Slate;
use crate::corpus::{Ask, Heard, Request};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::vectors::{Encoded, Vectors, exact, exact_all};

/// Nearest neighbors of a request's vector.
pub struct Nearest {
    items: Encoded,
    /// Searched instead of all vectors, where there is one.
    index: Option<HnswIndex>,
}

impl Nearest {
    /// Searches all item vectors exactly with what their encoder makes of a request.
    pub fn new(items: Encoded) -> Self {
        Self { items, index: None }
    }

    /// The same over the index in `folder`, whose searches keep `expansion` candidates.
    ///
    /// # Errors
    /// As [`HnswIndex::load`], for one of other vectors too.
    pub fn with_index(self, folder: &Path, expansion: u32) -> Result<Self> {
        let index = HnswIndex::load(folder, &self.items.vectors, expansion)?;
        Ok(Self { index: Some(index), ..self })
    }

    /// The vector of what is asked, `[dim]`.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn vector(&self, ask: &Ask) -> Result<Vec<f32>> {
        self.items.encoder.vector(ask, &self.items.vectors)
    }

    /// The vectors of all items.
    pub fn vectors(&self) -> &Vectors {
        &self.items.vectors
    }

    /// What is searched instead of all vectors.
    pub fn index(&self) -> Option<&HnswIndex> {
        self.index.as_ref()
    }
}

impl Retrieve for Nearest {
    fn hears(&self, ask: &Ask) -> Heard {
        Heard::query_or_history(ask)
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let query = self.vector(ask)?;
        match &self.index {
            Some(index) => index.search(&self.items.vectors, &query, depth, exclude),
            None => Ok(exact(&self.items.vectors, &query, depth, exclude)),
        }
    }

    /// Without an index, queries are compared with an item together; an index is walked query by
    /// query.
    fn retrieve_all(
        &self,
        asks: &[&Ask],
        depth: usize,
        exclude: &[Vec<u32>],
    ) -> Result<Vec<Vec<Scored>>> {
        let vectors = &self.items.vectors;
        let queries = asks.par_iter().map(|ask| self.vector(ask));
        let queries = queries.collect::<Result<Vec<_>>>()?;
        if let Some(index) = &self.index {
            let asked = queries.par_iter().zip(exclude);
            return asked.map(|(query, not)| index.search(vectors, query, depth, not)).collect();
        }
        let share = queries.len().div_ceil(rayon::current_num_threads()).max(1);
        let lists = queries.par_chunks(share).zip(exclude.par_chunks(share));
        Ok(lists.flat_map_iter(|(queries, not)| exact_all(vectors, queries, depth, not)).collect())
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        Some(self)
    }

    fn as_approximate(&self) -> Option<&dyn Approximate> {
        self.index.as_ref().map(|_| self as &dyn Approximate)
    }
}

impl Approximate for Nearest {
    fn compare_with_exact(
        &self,
        requests: &[&Request],
        depth: usize,
        excludes_history: bool,
        ctx: &Context,
    ) -> Result<Comparison> {
        let index = self.index.as_ref();
        let index = index.ok_or_else(|| Error::Failed("no index is searched".into()))?;
        let mut bar = ctx.bar("compare with exact search", requests.len() as u64, "request");
        let query = |request: &&Request| {
            ctx.check_interrupt()?;
            bar.advance(1);
            let exclude = request.ask.excluded(excludes_history);
            Ok(Query { vector: self.vector(&request.ask)?, exclude })
        };
        let queries = requests.iter().map(query).collect::<Result<Vec<_>>>()?;
        drop(bar);
        compare(index, &self.items.vectors, &queries, depth, ctx)
    }
}

impl Rank for Nearest {
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
        let query = self.items.encoder.vector(slate.ask, &self.items.vectors)?;
        let score = |&item: &u32| dot(self.items.vectors.row(item as usize), &query);
        Ok(vec![Output::score(slate.items().iter().map(score).collect())])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::vectors::RequestEncoder;

    struct Fixed(Vec<f32>);

    impl RequestEncoder for Fixed {
        fn vector(&self, _ask: &Ask, _items: &Vectors) -> Result<Vec<f32>> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn items_are_ranked_by_inner_product() {
        let vectors =
            Vectors::new(2, vec![1.0, 0.0, 0.0, 2.0, -1.0, -1.0, 3.0, 3.0], "test").unwrap();
        let nearest = Nearest::new(Encoded::new(Fixed(vec![1.0, -0.5]), vectors));
        let ask = Ask { query: Some("q".into()), ..Ask::default() };
        let all = nearest.retrieve(&ask, 9, &[]).unwrap();
        assert_eq!(all, [(3, 1.5), (0, 1.0), (2, -0.5), (1, -1.0)]);
        assert_eq!(nearest.retrieve(&ask, 1, &[3]).unwrap(), [(0, 1.0)]);
        let outputs = nearest.outputs(&Slate::new(&ask, vec![1, 3])).unwrap();
        assert_eq!(outputs, [Output::score(vec![-1.0, 1.5])]);
    }
}
