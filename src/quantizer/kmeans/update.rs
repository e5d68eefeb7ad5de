//! Centroids move to the means of their members; empty ones are refilled by splitting the widest cluster.
//!
//! The same bytes on any number of threads: every cluster sums its members in order.

use rayon::prelude::*;

use super::distance::squared_distance;

/// One cluster after the update.
pub(super) struct Cluster {
    pub(super) members: Vec<u32>,
    pub(super) mean: Vec<f32>,
    /// Sum of squared distances of the members to the mean.
    distortion: f64,
}

impl Cluster {
    pub(super) fn new(points: &[f32], dim: usize, members: Vec<u32>) -> Self {
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
pub(super) fn update(
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

#[cfg(test)]
mod tests {
    use super::super::distance::nearest;
    use super::*;

    #[test]
    fn empty_clusters_are_refilled_from_the_widest() {
        // Two far groups and one dead centroid: the pair at 10 and 14 is the widest cluster.
        let points = [0.0, 1.0, 10.0, 14.0];
        let mut centroids = vec![0.5, 12.0, 500.0];
        let codes = nearest(&points, 1, &centroids);
        let (distortion, repaired) = update(&points, 1, &codes, &mut centroids);
        assert!(repaired);
        assert_eq!(distortion, 0.5);
        centroids.sort_by(f32::total_cmp);
        assert_eq!(centroids, [0.5, 10.0, 14.0]);
    }
}
