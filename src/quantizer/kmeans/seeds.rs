//! Where clusters begin: k-means++ on a sample of the points.

use rand::Rng;
use rand::seq::index;
use rayon::prelude::*;

use super::distance::squared_distance;
use crate::seed::Seed;

/// Points that seeding looks at: per code, and at least.
const SEEDING_POINTS_PER_CODE: usize = 16;
const SEEDING_POINTS: usize = 1 << 14;

/// A random sample of rows in their order, or `None` if there are no more than `most`.
pub(in crate::quantizer) fn sample(
    points: &[f32],
    dim: usize,
    most: usize,
    seed: Seed,
) -> Option<Vec<f32>> {
    let n = points.len() / dim;
    if n <= most {
        return None;
    }
    let mut rows = index::sample(&mut seed.rng(), n, most).into_vec();
    rows.sort_unstable();
    Some(rows.iter().flat_map(|&row| &points[row * dim..(row + 1) * dim]).copied().collect())
}

/// k-means++ (Arthur and Vassilvitskii 2007) on a sample: every next centroid is a point drawn with
/// probability proportional to its squared distance to the nearest centroid so far.
pub(in crate::quantizer) fn seed_centroids(
    points: &[f32],
    dim: usize,
    codes: usize,
    seed: Seed,
) -> Vec<f32> {
    let most = SEEDING_POINTS.max(codes * SEEDING_POINTS_PER_CODE);
    let sample = sample(points, dim, most, seed.purpose("sample"));
    let points = sample.as_deref().unwrap_or(points);
    let n = points.len() / dim;
    let mut rng = seed.rng();
    let mut centroids = Vec::with_capacity(codes * dim);
    let mut distances = vec![f32::INFINITY; n];
    let mut chosen = rng.random_range(0..n);
    loop {
        let centroid = &points[chosen * dim..(chosen + 1) * dim];
        centroids.extend_from_slice(centroid);
        if centroids.len() == codes * dim {
            return centroids;
        }
        distances.par_iter_mut().zip(points.par_chunks_exact(dim)).with_min_len(1024).for_each(
            |(distance, point)| *distance = distance.min(squared_distance(point, centroid)),
        );
        let total: f64 = distances.iter().map(|&d| f64::from(d)).sum();
        let mut left = rng.random::<f64>() * total;
        let drawn = distances.iter().position(|&d| {
            left -= f64::from(d);
            d > 0.0 && left < 0.0
        });
        // Rounding can leave a sliver at the end; without any distance every point is a centroid.
        chosen = drawn.or_else(|| distances.iter().rposition(|&d| d > 0.0)).unwrap_or(0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn large_inputs_are_sampled_in_order() {
        let points: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let drawn = sample(&points, 1, 100, Seed::new(1)).unwrap();
        assert_eq!(drawn.len(), 100);
        assert!(drawn.is_sorted_by(|a, b| a < b));
        assert!(sample(&points, 1, 1000, Seed::new(1)).is_none());
    }
}
