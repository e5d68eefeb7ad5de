//! Residual k-means (RQ-k-means): `r_0 = x`, `c_l = nearest(r_l)`, `r_(l+1) = r_l - centroid_l[c_l]`.
//!
//! Where residuals are normalised, a level clusters their directions by cosine, and a code's centroid is its direction times
//! the mean length that its members have along it: the one length that leaves least over. So a vector is the sum of its
//! centroids in any case, and no level leaves more over than it found.

mod first;
mod kind;

use std::borrow::Cow;

use super::kmeans::{Clusters, cluster, codes_of, directions};
use super::levels::{mean_squared_length, nearest_of, rows, subtract, warn_of_few};
use crate::error::Result;
use crate::identifier::{Centroids, Compared, Identifiers, Made};
use crate::progress::Context;
use crate::quantizer::cold::Items;
use crate::quantizer::settings::{FirstSettings, ResidualKMeansSettings};
use crate::seed::Seed;
use crate::vectors::Vectors;

/// The least length of a centroid as a share of the usual one: a direction must not get lost.
const LEAST_LENGTH: f64 = 1e-6;

/// Quantises the vectors of a catalogue; row `i` belongs to item `i`.
///
/// `catalogue` is the hash of the item ids, kept so that identifiers are never used with other
/// items. The same seed gives the same identifiers on any number of threads.
///
/// # Errors
/// An interrupt, or a failed tensor operation.
pub fn fit(
    settings: &ResidualKMeansSettings,
    vectors: &Vectors,
    catalogue: &str,
    seed: Seed,
    ctx: &Context,
) -> Result<Identifiers> {
    fit_items(settings, &Items::of(vectors), catalogue, seed, ctx)
}

/// The same of items whose first codes may be given by their values.
pub(super) fn fit_items(
    settings: &ResidualKMeansSettings,
    items: &Items<'_>,
    catalogue: &str,
    seed: Seed,
    ctx: &Context,
) -> Result<Identifiers> {
    let vectors: &Vectors = &items.vectors;
    let level_codes = settings.level_codes();
    let most = level_codes.iter().copied().max().unwrap_or(0);
    warn_of_few(vectors.len(), most as usize, "level", ctx);
    let by_direction = settings.normalize.unwrap_or(false);
    let compared = if by_direction { Compared::Direction } else { Compared::Distance };
    let mut residuals = vectors.data.clone();
    let mut centroids = Centroids { dim: vectors.dim, compared, ..Centroids::default() };
    let mut lengths = Vec::new();
    let mut columns = Vec::new();
    let of = settings.first.as_ref().and_then(FirstSettings::value);
    if let Some((of, values)) = of.zip(items.values.as_ref()) {
        let given = first::codes(of, values)?;
        let means = first::means(&given.codes, given.first.values.len(), vectors);
        subtract(&mut residuals, vectors.dim, &means, &given.codes);
        ctx.say(format!(
            "{} values of {} are the first codes",
            given.first.values.len(),
            given.first.of
        ));
        lengths.push(mean_squared_length(&residuals, vectors.dim));
        columns.push(given.codes);
        centroids.levels.push(means);
        centroids.first = Some(given.first);
    }
    let n_given = columns.len();
    for (level, &codes) in level_codes.iter().enumerate() {
        let label = format!("codes of level {}", level + 1);
        let seed = seed.purpose("residual-k-means").index(level as u64);
        let wanted = Clusters {
            codes: codes as usize,
            iterations: settings.iterations,
            balance: settings.balance(level),
            batch: settings.batch,
            directions: by_direction,
        };
        let points = match by_direction {
            true => Cow::Owned(directions(&residuals, vectors.dim)),
            false => Cow::Borrowed(&residuals),
        };
        let found = cluster(&points, vectors.dim, &wanted, seed, (ctx, &label))?;
        let mut codes = codes_of(&points, vectors.dim, &found, wanted.balance);
        drop(points);
        centroids.levels.push(match by_direction {
            true => with_lengths(&found, vectors.dim, &residuals, &codes),
            false => found,
        });
        if by_direction && wanted.balance.is_none() {
            // Of directions that were rounded with their lengths, as new items are assigned.
            codes = nearest_of(&centroids, n_given + level, &residuals);
        }
        subtract(&mut residuals, vectors.dim, &centroids.levels[n_given + level], &codes);
        columns.push(codes);
        lengths.push(mean_squared_length(&residuals, vectors.dim));
    }
    let levels = centroids.levels.iter().map(|level| (level.len() / vectors.dim) as u32).collect();
    let made = Made { kind: "residual-k-means".into(), centroids, residuals: lengths };
    let naming = (&settings.naming, Some(vectors.data.as_slice()));
    Identifiers::named(rows(&columns), levels, made, catalogue, naming)
}

/// Centroids of given directions, each as long as its members are along it, on average.
fn with_lengths(units: &[f32], dim: usize, residuals: &[f32], codes: &[u32]) -> Vec<f32> {
    let n_codes = units.len() / dim;
    let (mut sums, mut counts) = (vec![0_f64; n_codes], vec![0_u32; n_codes]);
    for (residual, &code) in residuals.chunks_exact(dim).zip(codes) {
        let unit = &units[code as usize * dim..][..dim];
        let along = residual.iter().zip(unit).map(|(x, u)| f64::from(*x) * f64::from(*u));
        sums[code as usize] += along.sum::<f64>();
        counts[code as usize] += 1;
    }
    let usual = mean_squared_length(residuals, dim).sqrt();
    let lengths = sums.iter().zip(&counts).map(|(sum, &count)| match count {
        0 => usual,
        count => (sum / f64::from(count)).max(LEAST_LENGTH * usual),
    });
    let scaled = units.chunks_exact(dim).zip(lengths);
    scaled
        .flat_map(|(unit, length)| unit.iter().map(move |u| (f64::from(*u) * length) as f32))
        .collect()
}

#[cfg(test)]
mod tests;
