//! Nearest items by inner product, exactly or by an index: any encoder of requests over the vectors of all items.

pub mod hnsw;
mod kind;
pub mod settings;

use std::path::Path;

use rayon::prelude::*;
use trieval_kernels::ops::{dot, dots, dots4};

use self::hnsw::{HnswIndex, Query, compare};
use super::harness::{Approximate, Comparison, Output, Rank, Retrieve, Scored};
use super::slate::Slate;
use super::top::Top;
use crate::corpus::{Ask, Heard, Request};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::vectors::{Encoded, Vectors};

/// Rows whose scores are taken at once; they stay in the cache until they are looked at.
const BLOCK: usize = 256;
/// Width of vectors from which four queries at once are faster than one after the other.
const FOUR_FROM: usize = 128;

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

/// The `depth` items with the highest inner product with `query`, `[dim]`, best first, none of `exclude` (ascending): all
/// items are looked at.
pub fn exact(vectors: &Vectors, query: &[f32], depth: usize, exclude: &[u32]) -> Vec<Scored> {
    let mut top = Top::new(depth, exclude);
    for (first, rows) in blocks(vectors) {
        offer(first, rows, query, &mut top);
    }
    top.finish()
}

/// [`exact`] for many queries, with what each excludes: a block of items stays in the cache until
/// all have seen it, and wide vectors are compared with four queries at once.
pub fn exact_all(
    vectors: &Vectors,
    queries: &[Vec<f32>],
    depth: usize,
    exclude: &[Vec<u32>],
) -> Vec<Vec<Scored>> {
    let mut tops: Vec<Top<'_>> = exclude.iter().map(|exclude| Top::new(depth, exclude)).collect();
    let mut scores = [[0f32; 4]; BLOCK];
    for (first, rows) in blocks(vectors) {
        let scores = &mut scores[..rows.len() / vectors.dim];
        let (fours, rest) =
            if vectors.dim < FOUR_FROM { (&[][..], queries) } else { queries.as_chunks::<4>() };
        let (of_fours, of_rest) = tops.split_at_mut(4 * fours.len());
        for (queries, tops) in fours.iter().zip(of_fours.chunks_exact_mut(4)) {
            dots4(rows, vectors.dim, queries.each_ref().map(Vec::as_slice), scores);
            for (item, scores) in (first..).zip(&*scores) {
                for (top, score) in tops.iter_mut().zip(scores) {
                    top.offer(item, *score);
                }
            }
        }
        for (query, top) in rest.iter().zip(of_rest) {
            offer(first, rows, query, top);
        }
    }
    tops.into_iter().map(Top::finish).collect()
}

/// Blocks of rows, each with the number of its first item.
fn blocks(vectors: &Vectors) -> impl Iterator<Item = (u32, &[f32])> {
    (0u32..).step_by(BLOCK).zip(vectors.data.chunks(BLOCK * vectors.dim))
}

/// Offers the items of a block, `[rows, dim]`, by their product with one query.
fn offer(first: u32, rows: &[f32], query: &[f32], top: &mut Top<'_>) {
    let mut scores = [0f32; BLOCK];
    let scores = &mut scores[..rows.len() / query.len()];
    dots(rows, query.len(), query, scores);
    for (item, score) in (first..).zip(scores) {
        top.offer(item, *score);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ranker::top::top;
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

    /// Blocks that are full, begun and of one row, dimensions beside the lanes of the products.
    #[test]
    fn blocks_give_the_products_of_single_rows() {
        for (items, dim) in [(1, 1), (255, 3), (256, 16), (257, 17), (1_025, 40), (300, 130)] {
            let number = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 7.0;
            let data: Vec<f32> = (0..items * dim).map(number).collect();
            let vectors = Vectors::new(dim, data, "test").unwrap();
            let query: Vec<f32> = (0..dim).map(|i| number(i + 11)).collect();
            let one_by_one = (0..).zip(vectors.rows().map(|row| dot(row, &query)));
            assert_eq!(exact(&vectors, &query, 30, &[2, 200]), top(one_by_one, 30, &[2, 200]));
            // Queries together are queries alone, bit by bit: groups of four, and what is left of
            // them.
            for n_queries in [0, 1, 4, 7] {
                let query = |q: usize| (0..dim).map(|i| number(i * 7 + q * 29)).collect();
                let queries: Vec<Vec<f32>> = (0..n_queries).map(query).collect();
                let exclude: Vec<Vec<u32>> = (0..n_queries as u32).map(|q| vec![q, 90]).collect();
                let alone = queries.iter().zip(&exclude);
                let alone: Vec<_> = alone.map(|(q, not)| exact(&vectors, q, 30, not)).collect();
                assert_eq!(exact_all(&vectors, &queries, 30, &exclude), alone);
            }
        }
    }
}
