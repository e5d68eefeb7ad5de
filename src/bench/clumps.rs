//! Vectors that crowd around centers, as those of items do.

use rand::Rng;
use rayon::prelude::*;

use crate::error::Result;
use crate::model::decoder::normal;
use crate::seed::Seed;
use crate::vectors::{Vectors, norm};

/// Length of the noise of a vector over that of its center.
const SPREAD: f64 = 1.0;

/// A mixture of `√items` Gaussians in equal parts: center and noise are normal with the same variance in every direction
/// (`SPREAD` = 1), their sum is scaled to unit length.
pub(super) fn clumps(items: usize, dim: usize, seed: Seed) -> Result<Vectors> {
    let n_centers = (items as f64).sqrt().ceil() as usize;
    let centers = normal(n_centers * dim, 1.0, seed.purpose("centers"));
    let of_item = seed.purpose("item");
    let mut data = vec![0f32; items * dim];
    // Every item has a seed of its own, so that threads do not matter.
    data.par_chunks_exact_mut(dim).enumerate().for_each(|(item, row)| {
        let seed = of_item.index(item as u64);
        let center = seed.purpose("center").rng().random_range(0..n_centers);
        let center = &centers[center * dim..][..dim];
        let noise = normal(dim, SPREAD, seed);
        row.iter_mut().zip(center).zip(noise).for_each(|((x, c), noise)| *x = c + noise);
        to_unit_length(row);
    });
    Vectors::new(dim, data, "simulated vectors")
}

/// Scales a vector to unit length; one of zeros stays so.
pub(super) fn to_unit_length(row: &mut [f32]) {
    let length = norm(row);
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}
