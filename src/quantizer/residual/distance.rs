//! Nearest centroids and squared distances. Knows nothing of levels or of how centroids arise.

use candle_core::{Device, Storage, Tensor};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Points per matrix product: fixed, so that results do not depend on the number of threads.
const BLOCK: usize = 512;

/// Number of the nearest centroid of every point, the smaller number where two are as near.
///
/// `points` `[n, dim]`, `centroids` `[codes, dim]`. By `|x - c|^2 = |x|^2 - 2 x·c + |c|^2`, whose
/// first term is the same for every centroid; the products run as matrix blocks.
pub(super) fn nearest(points: &[f32], dim: usize, centroids: &[f32]) -> Result<Vec<u32>> {
    cheapest(points, dim, centroids, &vec![0.0; centroids.len() / dim])
}

/// As [`nearest`], where code `k` costs `prices[k]` beside half the squared distance.
pub(super) fn cheapest(
    points: &[f32],
    dim: usize,
    centroids: &[f32],
    prices: &[f32],
) -> Result<Vec<u32>> {
    let n_codes = centroids.len() / dim;
    let cost = |(c, price): (&[f32], &f32)| 0.5 * squared_norm(c) as f32 + price;
    let half_norms: Vec<f32> = centroids.chunks_exact(dim).zip(prices).map(cost).collect();
    let transposed = Tensor::from_slice(centroids, (n_codes, dim), &Device::Cpu)?.t()?;
    let transposed = transposed.contiguous()?;
    let blocks: Vec<Vec<u32>> = points
        .par_chunks(BLOCK * dim)
        .map(|block| {
            let rows = block.len() / dim;
            let products =
                Tensor::from_slice(block, (rows, dim), &Device::Cpu)?.matmul(&transposed)?;
            let (storage, layout) = products.storage_and_layout();
            let Storage::Cpu(storage) = &*storage else {
                return Err(Error::Failed("a product on the CPU left the CPU".into()));
            };
            let products = &storage.as_slice::<f32>()?[layout.start_offset()..];
            Ok(products.chunks_exact(n_codes).take(rows).map(|r| best(r, &half_norms)).collect())
        })
        .collect::<Result<_>>()?;
    Ok(blocks.concat())
}

/// Index of the smallest `|c|^2 / 2 - x·c`, prices included.
fn best(products: &[f32], half_norms: &[f32]) -> u32 {
    let mut best = (f32::INFINITY, 0);
    for (code, (product, half_norm)) in (0u32..).zip(products.iter().zip(half_norms)) {
        let distance = half_norm - product;
        if distance < best.0 {
            best = (distance, code);
        }
    }
    best.1
}

/// `|a - b|^2` in f32, summed in eight lanes so that it vectorises in a fixed order.
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
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
pub(super) fn squared_norm(a: &[f32]) -> f64 {
    a.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
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
            let found = nearest(&points, dim, &centroids).unwrap();
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
        assert_eq!(nearest(&[1.0, 2.0], 1, &[3.0, 2.0, 2.0, 0.0]).unwrap(), [1, 1]);
    }
}
