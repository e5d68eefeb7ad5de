//! Where clusters begin: at points that k-means++ chooses of a sample, or at random ones where these are better.

use std::borrow::Cow;

use rand::Rng;
use rand::seq::index;
use rayon::prelude::*;

use super::distance::{nearest, squared_distance};
use super::points::Points;
use super::update::update;
use crate::seed::Seed;

/// Points that seeding looks at: per code, and at least.
const SEEDING_POINTS_PER_CODE: usize = 16;
const SEEDING_POINTS: usize = 1 << 14;

/// Iterations on a sample after which beginnings are compared.
const TRIAL_ITERATIONS: u32 = 3;

/// A random sample of points in their order, or all if there are no more than `most`.
pub(in crate::quantizer) fn sample(points: &dyn Points, most: usize, seed: Seed) -> Cow<'_, [f32]> {
    let n = points.count();
    if n <= most {
        return points.all();
    }
    let mut rows = index::sample(&mut seed.rng(), n, most).into_vec();
    rows.sort_unstable();
    Cow::Owned(points.some(&rows))
}

/// k-means++ (Arthur and Vassilvitskii 2007) on a sample: every next centroid is a point drawn with
/// probability proportional to its squared distance to the nearest centroid so far.
pub(in crate::quantizer) fn seed_centroids(
    points: &dyn Points,
    dim: usize,
    codes: usize,
    seed: Seed,
) -> Vec<f32> {
    let most = SEEDING_POINTS.max(codes * SEEDING_POINTS_PER_CODE);
    let points = sample(points, most, seed.purpose("sample"));
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

/// Centroids to begin at: those of k-means++ or points drawn at random, whichever leave less over of a sample after a few
/// iterations on another. `settle` has the last word on centroids that moved.
///
/// k-means++ finds clumps that random points miss. Where points have none, as what levels leave over of vectors has none, it
/// spends centroids on points far out, and random ones end at a smaller error. With too few points for each code to say so,
/// k-means++ it is.
pub(super) fn beginning(
    points: &dyn Points,
    dim: usize,
    codes: usize,
    seed: Seed,
    settle: impl Fn(&mut [f32]),
) -> Vec<f32> {
    let spread = seed_centroids(points, dim, codes, seed);
    let n = points.count();
    if n < codes * SEEDING_POINTS_PER_CODE {
        return spread;
    }
    let rows = index::sample(&mut seed.purpose("random").rng(), n, codes).into_vec();
    let random = points.some(&rows);
    let most = SEEDING_POINTS.max(codes * SEEDING_POINTS_PER_CODE);
    let [tried, judged] = ["tried", "judged"].map(|name| sample(points, most, seed.purpose(name)));
    // What a trial moved is not what is begun at: a sample is not all.
    let errors = [&spread, &random].map(|start| {
        let mut centroids = start.clone();
        for _ in 0..TRIAL_ITERATIONS {
            let codes_of_tried = nearest(&tried, dim, &centroids);
            update(&tried, dim, &codes_of_tried, &mut centroids);
            settle(&mut centroids);
        }
        let left = |(point, code): (&[f32], u32)| {
            f64::from(squared_distance(point, &centroids[code as usize * dim..][..dim]))
        };
        let codes_of_judged = nearest(&judged, dim, &centroids);
        judged.chunks_exact(dim).zip(codes_of_judged).map(left).sum::<f64>()
    });
    if errors[1] < errors[0] { random } else { spread }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::points::Table;
    use super::*;

    #[test]
    fn large_inputs_are_sampled_in_order() {
        let points: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let table = Table { points: &points, dim: 1 };
        let drawn = sample(&table, 100, Seed::new(1));
        assert_eq!(drawn.len(), 100);
        assert!(drawn.is_sorted_by(|a, b| a < b));
        assert_eq!(*sample(&table, 1000, Seed::new(1)), points);
    }

    fn drawn(n: usize, dim: usize) -> Vec<f32> {
        let mut rng = Seed::new(4).rng();
        // Sums of uniform numbers: no clumps, and few points far out.
        (0..n * dim).map(|_| (0..6).map(|_| rng.random_range(-1.0f32..1.0)).sum()).collect()
    }

    fn error(points: &[f32], dim: usize, centroids: &[f32]) -> f64 {
        let of = |(point, code): (&[f32], u32)| {
            f64::from(squared_distance(point, &centroids[code as usize * dim..][..dim]))
        };
        points.chunks_exact(dim).zip(nearest(points, dim, centroids)).map(of).sum()
    }

    #[test]
    fn the_better_of_two_beginnings_is_taken() {
        let (dim, codes) = (8, 32);
        let begin =
            |points: &[f32]| beginning(&Table { points, dim }, dim, codes, Seed::new(2), |_| {});
        // 32 clumps of very different sizes.
        let noise = drawn(3_200, dim);
        let centers = drawn(codes, dim);
        let clump = |at: usize| (at % 97) % codes.min(1 + at % 40);
        let clumped: Vec<f32> = (0..3_200)
            .flat_map(|at| {
                let center = &centers[clump(at) * dim..][..dim];
                let own = &noise[at * dim..][..dim];
                center.iter().zip(own).map(|(c, x)| 30.0 * c + 0.1 * x).collect::<Vec<f32>>()
            })
            .collect();
        let least: f64 = noise.iter().map(|x| f64::from(0.1 * x).powi(2)).sum();
        assert!(error(&clumped, dim, &begin(&clumped)) < 3.0 * least);
        // Where there are none, either may be the better one: it is what is left over after as many iterations that decides.
        let (dim, codes) = (32, 32);
        let noise = drawn(1_600, dim);
        let table = Table { points: &noise, dim };
        let trial = |start: &[f32]| {
            let mut centroids = start.to_vec();
            for _ in 0..TRIAL_ITERATIONS {
                update(&noise, dim, &nearest(&noise, dim, &centroids), &mut centroids);
            }
            error(&noise, dim, &centroids)
        };
        let mut n_random = 0;
        for seed in (0..10).map(Seed::new) {
            let spread = seed_centroids(&table, dim, codes, seed);
            let begun = beginning(&table, dim, codes, seed, |_| {});
            assert!(begun == spread || trial(&begun) < trial(&spread));
            n_random += usize::from(begun != spread);
            let is_own = |row: &[f32]| noise.chunks_exact(dim).any(|own| own == row);
            assert!(begun.chunks_exact(dim).all(is_own));
        }
        assert!((1..10).contains(&n_random), "{n_random}");
        // Too few points for a trial.
        let few = &noise[..codes * dim * 3];
        assert_eq!(
            beginning(&Table { points: few, dim }, dim, codes, Seed::new(2), |_| {}),
            seed_centroids(&Table { points: few, dim }, dim, codes, Seed::new(2))
        );
    }
}
