//! Nearest centroids and squared distances. Knows nothing of levels or of how centroids arise.

use std::ops::Range;

use rayon::prelude::*;
use trieval_kernels::ops::{MatMut, MatRef, Threads, least, matmul};

/// Points per matrix product: fixed, so that results do not depend on the number of threads.
pub(super) const BLOCK: usize = 256;

/// Number of the nearest centroid of every point, the smaller number where two are as near.
///
/// `points` `[n, dim]`, `centroids` `[codes, dim]`.
pub(in crate::quantizer) fn nearest(points: &[f32], dim: usize, centroids: &[f32]) -> Vec<u32> {
    cheapest(points, dim, centroids, &vec![0.0; centroids.len() / dim])
}

/// As [`nearest`], where code `k` costs `prices[k]` beside half the squared distance.
///
/// By `|x - c|^2 = |x|^2 - 2 x·c + |c|^2`, whose first term is the same for every centroid.
pub(super) fn cheapest(points: &[f32], dim: usize, centroids: &[f32], prices: &[f32]) -> Vec<u32> {
    let costs = costs(dim, centroids, prices);
    let blocks = products(points, dim, centroids, |_, products| {
        products.chunks_exact(costs.len()).map(|row| least(&costs, row).at).collect::<Vec<u32>>()
    });
    blocks.concat()
}

/// Half the squared length of each centroid and its price.
pub(super) fn costs(dim: usize, centroids: &[f32], prices: &[f32]) -> Vec<f32> {
    let cost = |(c, price): (&[f32], &f32)| 0.5 * squared_norm(c) as f32 + price;
    centroids.chunks_exact(dim).zip(prices).map(cost).collect()
}

/// What `look` makes of the inner products `[rows, codes]` of each block of points, in the order of the blocks.
pub(super) fn products<T: Send>(
    points: &[f32],
    dim: usize,
    centroids: &[f32],
    look: impl Fn(Range<usize>, &[f32]) -> T + Sync,
) -> Vec<T> {
    let look = |buffer: &mut Vec<f32>, (at, block): (usize, &[f32])| {
        let first = at * BLOCK;
        let rows = block.len() / dim;
        look(first..first + rows, product(block, dim, centroids, buffer))
    };
    points.par_chunks(BLOCK * dim).enumerate().map_init(Vec::new, look).collect()
}

/// The inner products `[rows, codes]` of one block of points; memory of the block before is used again.
pub(super) fn product<'b>(
    block: &[f32],
    dim: usize,
    centroids: &[f32],
    buffer: &'b mut Vec<f32>,
) -> &'b [f32] {
    let (rows, codes) = (block.len() / dim, centroids.len() / dim);
    let needed = rows * codes;
    if buffer.len() < needed {
        buffer.resize(needed, 0.0);
    }
    let block = MatRef::new(block, rows, dim);
    let centroids = MatRef::new(centroids, codes, dim).t();
    matmul(&mut MatMut::new(buffer, rows, codes), 0.0, 1.0, block, centroids, Threads::One);
    &buffer[..needed]
}

/// `|a - b|^2` in f32, summed in eight lanes so that it vectorises in a fixed order.
pub(in crate::quantizer) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 =
        a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| (x - y) * (x - y)).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for (lane, (x, y)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += (x - y) * (x - y);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// `|a|^2` in f64.
pub(in crate::quantizer) fn squared_norm(a: &[f32]) -> f64 {
    a.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// Vectors `[n, dim]` scaled to unit length; those of zeros stay so.
pub(in crate::quantizer) fn directions(vectors: &[f32], dim: usize) -> Vec<f32> {
    let mut scaled = vectors.to_vec();
    unit(&mut scaled, dim);
    scaled
}

/// Scales vectors `[n, dim]` to unit length; those of zeros stay so.
pub(in crate::quantizer) fn unit(vectors: &mut [f32], dim: usize) {
    vectors.par_chunks_exact_mut(dim).with_min_len(64).for_each(|vector| {
        let length = squared_norm(vector).sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        }
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::seed::Seed;

    #[test]
    fn finds_what_a_plain_scan_finds() {
        for (n, dim, codes) in [(1, 1, 1), (3, 7, 2), (1300, 19, 33)] {
            let mut rng = Seed::new(5).index(n as u64).rng();
            let mut draw = |count: usize| -> Vec<f32> {
                (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
            };
            let (points, centroids) = (draw(n * dim), draw(codes * dim));
            let found = nearest(&points, dim, &centroids);
            assert_eq!(found.len(), n);
            for (point, &code) in points.chunks_exact(dim).zip(&found) {
                let distance = |c: usize| -> f64 {
                    let centroid = &centroids[c * dim..(c + 1) * dim];
                    point.iter().zip(centroid).map(|(x, y)| f64::from(x - y).powi(2)).sum()
                };
                let least = (0..codes).map(distance).fold(f64::INFINITY, f64::min);
                assert!(distance(code as usize) <= least + 1e-5);
                let lanes = squared_distance(point, &centroids[..dim]);
                assert!((f64::from(lanes) - distance(0)).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn equal_centroids_go_to_the_first() {
        assert_eq!(nearest(&[1.0, 2.0], 1, &[3.0, 2.0, 2.0, 0.0]), [1, 1]);
    }
}
