//! The nearest items by inner product, all items looked at.

use trieval_kernels::ops::{dots, dots4};
use trieval_kernels::top::Top;

use super::Vectors;

/// Rows whose scores are taken at once; they stay in the cache until they are looked at.
const BLOCK: usize = 256;
/// Width of vectors from which four queries at once are faster than one after the other.
const FOUR_FROM: usize = 128;

/// The `depth` items with the highest inner product with `query`, `[dim]`, best first, none of `exclude` (ascending): all
/// items are looked at.
pub fn exact(vectors: &Vectors, query: &[f32], depth: usize, exclude: &[u32]) -> Vec<(u32, f32)> {
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
) -> Vec<Vec<(u32, f32)>> {
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
    use trieval_kernels::ops::dot;
    use trieval_kernels::top::top;

    use super::*;

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
