//! k-means: k-means++ seeding, Lloyd's iterations, empty clusters refilled by splitting.
//!
//! The same bytes for the same seed on any number of threads: points are assigned on their own and
//! every cluster sums its members in order. Knows nothing of levels.

use rand::Rng;
use rand::seq::index;
use rayon::prelude::*;

use super::balance::balanced;
use super::distance::{nearest, squared_distance, squared_norm};
use crate::error::Result;
use crate::progress::Context;
use crate::seed::Seed;

/// More points per code than this do not move centroids by more than the noise of the sample (the
/// bound that faiss uses too), so that the cost stays linear in codes for any catalogue.
const TRAINING_POINTS_PER_CODE: usize = 256;

/// Points that seeding looks at: per code, and at least.
const SEEDING_POINTS_PER_CODE: usize = 16;
const SEEDING_POINTS: usize = 1 << 14;

/// Lloyd stops when an iteration lowers the distortion by less than this share of it.
const LEAST_GAIN: f64 = 1e-5;

/// What is asked of [`cluster`].
pub(super) struct Clusters {
    pub(super) codes: usize,
    /// Most iterations.
    pub(super) iterations: u32,
    /// Whether clusters are to have equally many members.
    pub(super) balanced: bool,
}

/// Centroids `[codes, dim]` of points `[n, dim]`.
///
/// With fewer distinct points than codes, the codes left over repeat an earlier centroid and never
/// win a point. `label` names the progress display.
///
/// # Errors
/// An interrupt, or a failed tensor operation.
pub(super) fn cluster(
    points: &[f32],
    dim: usize,
    wanted: &Clusters,
    seed: Seed,
    (ctx, label): (&Context, &str),
) -> Result<Vec<f32>> {
    let &Clusters { codes, iterations, .. } = wanted;
    let sample = sample(points, dim, codes * TRAINING_POINTS_PER_CODE, seed.purpose("training"));
    let points = sample.as_deref().unwrap_or(points);
    let mut centroids = seed_centroids(points, dim, codes, seed.purpose("seeding"));
    let mut bar = ctx.bar(label, iterations.into(), "iteration");
    let (mut last_codes, mut last_distortion) = (Vec::new(), f64::INFINITY);
    for _ in 0..iterations {
        ctx.check_interrupt()?;
        let codes_of_points = match wanted.balanced {
            true => balanced(points, dim, &centroids)?,
            false => nearest(points, dim, &centroids)?,
        };
        if codes_of_points == last_codes {
            break;
        }
        let (distortion, repaired) = update(points, dim, &codes_of_points, &mut centroids);
        bar.advance(1);
        bar.message(format!("distortion {:.5}", distortion / (points.len() / dim) as f64));
        let gain = last_distortion - distortion;
        if !repaired && gain <= LEAST_GAIN * distortion {
            break;
        }
        // A repair moves centroids: what the next iteration finds is new by construction.
        last_codes = if repaired { Vec::new() } else { codes_of_points };
        last_distortion = distortion;
    }
    Ok(centroids)
}

/// A random sample of rows in their order, or `None` if there are no more than `most`.
fn sample(points: &[f32], dim: usize, most: usize, seed: Seed) -> Option<Vec<f32>> {
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
fn seed_centroids(points: &[f32], dim: usize, codes: usize, seed: Seed) -> Vec<f32> {
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

/// One cluster after the update.
struct Cluster {
    members: Vec<u32>,
    mean: Vec<f32>,
    /// Sum of squared distances of the members to the mean.
    distortion: f64,
}

impl Cluster {
    fn new(points: &[f32], dim: usize, members: Vec<u32>) -> Self {
        let mut sums = vec![0f64; dim];
        for &member in &members {
            for (sum, &x) in sums.iter_mut().zip(row(points, dim, member)) {
                *sum += f64::from(x);
            }
        }
        let n = members.len().max(1) as f64;
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / n) as f32).collect();
        let distance = |&member: &u32| f64::from(squared_distance(row(points, dim, member), &mean));
        let distortion = members.iter().map(distance).sum();
        Self { members, mean, distortion }
    }

    /// Splits off the members that are nearer to the farthest member than to the mean; `None` if
    /// the members cannot be told apart.
    fn split(&self, points: &[f32], dim: usize) -> Option<(Self, Self)> {
        let distance = |&member: &u32| squared_distance(row(points, dim, member), &self.mean);
        let mut farthest: (f32, Option<u32>) = (0.0, None);
        for member in &self.members {
            if distance(member) > farthest.0 {
                farthest = (distance(member), Some(*member));
            }
        }
        let seed = row(points, dim, farthest.1?);
        let (near, far): (Vec<u32>, Vec<u32>) = self.members.iter().partition(|member| {
            distance(member) <= squared_distance(row(points, dim, **member), seed)
        });
        let both = !near.is_empty() && !far.is_empty();
        both.then(|| (Self::new(points, dim, near), Self::new(points, dim, far)))
    }
}

fn row(points: &[f32], dim: usize, row: u32) -> &[f32] {
    &points[row as usize * dim..(row as usize + 1) * dim]
}

/// Moves centroids to the means of their members, and empty ones into the cluster with the largest
/// distortion, which is split. Returns the distortion and whether anything was split.
fn update(
    points: &[f32],
    dim: usize,
    codes_of_points: &[u32],
    centroids: &mut [f32],
) -> (f64, bool) {
    let mut members = vec![Vec::new(); centroids.len() / dim];
    for (point, &code) in (0u32..).zip(codes_of_points) {
        members[code as usize].push(point);
    }
    let mut clusters: Vec<Cluster> =
        members.into_par_iter().map(|members| Cluster::new(points, dim, members)).collect();
    let mut repaired = false;
    for empty in 0..clusters.len() {
        if !clusters[empty].members.is_empty() {
            continue;
        }
        let mut largest = (0.0, None);
        for (code, cluster) in clusters.iter().enumerate() {
            if cluster.distortion > largest.0 {
                largest = (cluster.distortion, Some(code));
            }
        }
        let Some(code) = largest.1 else { break };
        let Some((near, far)) = clusters[code].split(points, dim) else { break };
        clusters[code] = near;
        clusters[empty] = far;
        repaired = true;
    }
    for (centroid, cluster) in centroids.chunks_exact_mut(dim).zip(&clusters) {
        if !cluster.members.is_empty() {
            centroid.copy_from_slice(&cluster.mean);
        }
    }
    (clusters.iter().map(|cluster| cluster.distortion).sum(), repaired)
}

/// Mean squared length of vectors `[n, dim]`.
pub(super) fn mean_squared_length(vectors: &[f32], dim: usize) -> f64 {
    vectors.chunks_exact(dim).map(squared_norm).sum::<f64>() / (vectors.len() / dim).max(1) as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn quiet(points: &[f32], dim: usize, codes: usize, seed: u64) -> Vec<f32> {
        let wanted = Clusters { codes, iterations: 50, balanced: false };
        cluster(points, dim, &wanted, Seed::new(seed), (&Context::silent(), "test")).unwrap()
    }

    /// Points around `centers` well apart on a grid, `each` per center.
    fn blobs(centers: usize, each: usize) -> Vec<f32> {
        let mut rng = Seed::new(3).rng();
        (0..centers * each)
            .flat_map(|i| [(i % centers % 5) as f32 * 20.0, (i % centers / 5) as f32 * 20.0])
            .map(|x| x + rng.random_range(-1.0f32..1.0))
            .collect()
    }

    #[test]
    fn separate_blobs_get_a_code_each() {
        let points = blobs(20, 40);
        for seed in 0..8 {
            let centroids = quiet(&points, 2, 20, seed);
            let codes = nearest(&points, 2, &centroids).unwrap();
            for i in 0..800 {
                for j in 0..i {
                    assert_eq!(codes[i] == codes[j], i % 20 == j % 20, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn empty_clusters_are_refilled_from_the_widest() {
        // Two far groups and one dead centroid: the pair at 10 and 14 is the widest cluster.
        let points = [0.0, 1.0, 10.0, 14.0];
        let mut centroids = vec![0.5, 12.0, 500.0];
        let codes = nearest(&points, 1, &centroids).unwrap();
        let (distortion, repaired) = update(&points, 1, &codes, &mut centroids);
        assert!(repaired);
        assert_eq!(distortion, 0.5);
        centroids.sort_by(f32::total_cmp);
        assert_eq!(centroids, [0.5, 10.0, 14.0]);
    }

    #[test]
    fn fewer_points_than_codes_leave_codes_unused() {
        let points = [1.0, 1.0, 2.0, 1.0];
        let centroids = quiet(&points, 1, 5, 0);
        assert_eq!(centroids.len(), 5);
        let codes = nearest(&points, 1, &centroids).unwrap();
        assert!(codes[0] == codes[1] && codes[0] == codes[3] && codes[0] != codes[2]);
        for (point, &code) in points.iter().zip(&codes) {
            assert_eq!(centroids[code as usize], *point);
        }
    }

    #[test]
    fn the_same_bytes_on_one_and_on_three_threads() {
        let mut rng = Seed::new(11).rng();
        let points: Vec<f32> = (0..3000 * 6).map(|_| rng.random::<f32>()).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| quiet(&points, 6, 9, 4))
        };
        let one = on(1);
        assert_eq!(one, on(3));
        assert_ne!(one, quiet(&points, 6, 9, 5), "the seed matters");
    }

    #[test]
    fn large_inputs_are_sampled_in_order() {
        let points: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let drawn = sample(&points, 1, 100, Seed::new(1)).unwrap();
        assert_eq!(drawn.len(), 100);
        assert!(drawn.is_sorted_by(|a, b| a < b));
        assert!(sample(&points, 1, 1000, Seed::new(1)).is_none());
    }
}
