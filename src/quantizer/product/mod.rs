//! Product quantization (Jégou, Douze and Schmid 2011), by default with a learned rotation (OPQ: Ge, He, Ke and Sun 2013).
//!
//! A vector is turned by an orthogonal matrix and cut into parts, each of which is clustered by itself. The centroids of a
//! part are turned back and stored as whole vectors: what a vector is made of is then the sum of its centroids, as it is
//! with residual k-means, and whoever reads identifiers needs to know nothing of parts or rotations.

mod kind;
mod rotation;
pub(super) mod settings;

use std::ops::Range;

use trieval_kernels::ops::{MatRef, Threads, matmul_new};

use super::kmeans::{
    Clusters, TRAINING_POINTS_PER_CODE, Table, lloyd, one_iteration, sample, seed_centroids,
};
use super::levels::{mean_squared_length, nearest_of, rows, subtract, warn_of_few};
use crate::error::Result;
use crate::identifier::{Centroids, Identifiers, Made};
use crate::progress::Context;
use crate::seed::Seed;
use crate::vectors::Vectors;
use rotation::Rotation;
use settings::ProductSettings;

/// Quantises the vectors of a catalogue; row `i` belongs to item `i`, and vectors have as many numbers as there are parts, or
/// more.
///
/// # Errors
/// An interrupt.
pub(super) fn fit(
    settings: &ProductSettings,
    vectors: &Vectors,
    catalogue: &str,
    seed: Seed,
    ctx: &Context,
) -> Result<Identifiers> {
    let (dim, codes) = (vectors.dim, settings.codes as usize);
    warn_of_few(vectors.len(), codes, "part", ctx);
    let seed = seed.purpose("product-quantization");
    let most = codes * TRAINING_POINTS_PER_CODE;
    let all = Table { points: &vectors.data, dim };
    let points = &*sample(&all, most, seed.purpose("training"));
    let mut parts = Parts::new(points, dim, settings, seed)?;
    if settings.rotation {
        parts.learn(points, settings.iterations, ctx)?;
    }
    parts.settle(points, settings.iterations, ctx)?;
    let mut levels: Vec<Vec<f32>> = (0..parts.ranges.len()).map(|part| parts.whole(part)).collect();
    let centroids = Centroids { dim, levels: levels.clone(), ..Centroids::default() };
    // The part that separates items most comes first. Parts do not overlap, so that their order changes no code.
    let mut columns: Vec<(f64, usize, Vec<u32>)> = Vec::new();
    let mut residuals = vectors.data.to_vec();
    for (part, centroids_of_part) in centroids.levels.iter().enumerate() {
        let codes = nearest_of(&centroids, part, &residuals);
        subtract(&mut residuals, dim, centroids_of_part, &codes);
        columns.push((
            separation(&parts.centroids[part], parts.ranges[part].len(), &codes),
            part,
            codes,
        ));
    }
    columns.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut residuals = vectors.data.to_vec();
    let (mut lengths, mut ordered, mut codes) = (Vec::new(), Vec::new(), Vec::new());
    for (_, part, column) in columns {
        let level = std::mem::take(&mut levels[part]);
        subtract(&mut residuals, dim, &level, &column);
        lengths.push(mean_squared_length(&residuals, dim));
        ordered.push(level);
        codes.push(column);
    }
    let centroids = Centroids { dim, levels: ordered, ..Centroids::default() };
    let made = Made { kind: "product-quantization".into(), centroids, residuals: lengths };
    let naming = (&settings.naming, Some(&*vectors.data));
    let levels = vec![settings.codes; codes.len()];
    Identifiers::named(rows(&codes), levels, made, catalogue, naming)
}

/// Variance of the centroids of a part, each as often as it is used.
fn separation(centroids: &[f32], width: usize, codes: &[u32]) -> f64 {
    let mut counts = vec![0_u32; centroids.len() / width];
    codes.iter().for_each(|&code| counts[code as usize] += 1);
    let n = codes.len().max(1) as f64;
    (0..width)
        .map(|at| {
            let values = || centroids.chunks_exact(width).map(|c| f64::from(c[at])).zip(&counts);
            let mean = values().map(|(x, &count)| x * f64::from(count)).sum::<f64>() / n;
            values().map(|(x, &count)| (x - mean).powi(2) * f64::from(count)).sum::<f64>() / n
        })
        .sum()
}

/// A rotation, and the clusters of each part of what it turns.
struct Parts {
    dim: usize,
    rotation: Rotation,
    /// Numbers of the turned vector that form each part.
    ranges: Vec<Range<usize>>,
    /// Of each part, `[codes, its width]`.
    centroids: Vec<Vec<f32>>,
}

impl Parts {
    /// Seeds under a first rotation: a random one where it is to be learned, so that no part begins with all the variance.
    fn new(points: &[f32], dim: usize, settings: &ProductSettings, seed: Seed) -> Result<Self> {
        let rotation = match settings.rotation {
            true => Rotation::random(dim, seed.purpose("rotation"))?,
            false => Rotation::none(dim),
        };
        let ranges = ranges(dim, settings.parts as usize);
        let turned = rotation.turn(points);
        let seeds = |(part, range): (usize, &Range<usize>)| {
            let seed = seed.purpose("seeding").index(part as u64);
            seed_centroids(
                &Table { points: &cut(&turned, dim, range), dim: range.len() },
                range.len(),
                settings.codes as usize,
                seed,
            )
        };
        let centroids = ranges.iter().enumerate().map(seeds).collect();
        Ok(Self { dim, rotation, ranges, centroids })
    }

    /// Rounds of: points take their nearest centroids and centroids the means of their members, then the rotation becomes the
    /// one that brings the points nearest to their centroids (the orthogonal Procrustes problem).
    fn learn(&mut self, points: &[f32], rounds: u32, ctx: &Context) -> Result<()> {
        let mut bar = ctx.bar("rotation", rounds.into(), "round");
        for _ in 0..rounds {
            ctx.check_interrupt()?;
            let turned = self.rotation.turn(points);
            let mut reached = vec![0.0; points.len()];
            let mut distortion = 0.0;
            for (range, centroids) in self.ranges.iter().zip(&mut self.centroids) {
                let width = range.len();
                let part = cut(&turned, self.dim, range);
                let (codes, of_part) = one_iteration(&part, width, centroids);
                distortion += of_part;
                for (row, code) in reached.chunks_exact_mut(self.dim).zip(codes) {
                    row[range.clone()]
                        .copy_from_slice(&centroids[code as usize * width..][..width]);
                }
            }
            let n = points.len() / self.dim;
            let meeting = matmul_new(
                MatRef::new(points, n, self.dim).t(),
                MatRef::new(&reached, n, self.dim),
                Threads::Pool,
            );
            self.rotation.toward(&meeting)?;
            bar.advance(1);
            bar.message(format!("distortion {:.5}", distortion / n as f64));
        }
        Ok(())
    }

    /// Clusters each part under the rotation as it is.
    fn settle(&mut self, points: &[f32], iterations: u32, ctx: &Context) -> Result<()> {
        let turned = self.rotation.turn(points);
        for (part, (range, centroids)) in self.ranges.iter().zip(&mut self.centroids).enumerate() {
            let wanted = Clusters { iterations, ..Clusters::default() };
            let label = format!("codes of part {}", part + 1);
            lloyd(&cut(&turned, self.dim, range), range.len(), &wanted, centroids, (ctx, &label))?;
        }
        Ok(())
    }

    /// Centroids of a part in the space of the vectors, `[codes, dim]`.
    fn whole(&self, part: usize) -> Vec<f32> {
        let range = &self.ranges[part];
        let mut padded = vec![0.0; self.centroids[part].len() / range.len() * self.dim];
        let rows = self.centroids[part].chunks_exact(range.len());
        for (row, centroid) in padded.chunks_exact_mut(self.dim).zip(rows) {
            row[range.clone()].copy_from_slice(centroid);
        }
        self.rotation.turn_back(&padded)
    }
}

/// Parts as wide as each other, or by one number wider.
fn ranges(dim: usize, parts: usize) -> Vec<Range<usize>> {
    let mut start = 0;
    (0..parts)
        .map(|part| {
            let end = start + dim / parts + usize::from(part < dim % parts);
            std::mem::replace(&mut start, end)..end
        })
        .collect()
}

/// Some numbers of each vector, `[n, width]`.
fn cut(vectors: &[f32], dim: usize, range: &Range<usize>) -> Vec<f32> {
    vectors.chunks_exact(dim).flat_map(|row| &row[range.clone()]).copied().collect()
}

#[cfg(test)]
mod tests;
