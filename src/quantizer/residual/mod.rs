//! Residual k-means (RQ-k-means): `r_0 = x`, `c_l = nearest(r_l)`, `r_(l+1) = r_l - centroid_l[c_l]`.
//!
//! Where residuals are normalised, a level clusters their directions by cosine, and a code's centroid is its direction times
//! the mean length that its members have along it: the one length that leaves least over. So a vector is the sum of its
//! centroids in any case, and no level leaves more over than it found.
//!
//! Levels are fitted on a sample, and what they leave over is made anew where it is looked at (`left`): beside the codes
//! nothing grows with the items. Levels that are balanced are the exception: what they share out lies in memory.

mod first;
mod kind;
mod left;

use super::kmeans::{Clusters, Points, cluster, codes_of};
use super::levels::{nearest_by, rows, warn_of_few};
use crate::error::Result;
use crate::identifier::{Centroids, Compared, Identifiers, Made};
use crate::progress::Context;
use crate::quantizer::cold::Items;
use crate::quantizer::settings::{FirstSettings, ResidualKMeansSettings};
use crate::seed::Seed;
use crate::vectors::Vectors;
use left::{Left, LeftPoints};

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
    let dim = vectors.dim;
    let (mut centroids, mut columns): (Vec<Vec<f32>>, Vec<Vec<u32>>) = (Vec::new(), Vec::new());
    let mut lengths = Vec::new();
    let mut first = None;
    let of = settings.first.as_ref().and_then(FirstSettings::value);
    if let Some((of, values)) = of.zip(items.values.as_ref()) {
        let given = first::codes(of, values)?;
        let n_values = given.first.values.len();
        ctx.say(format!("{n_values} values of {} are the first codes", given.first.of));
        centroids.push(first::means(&given.codes, n_values, vectors));
        columns.push(given.codes);
        lengths.push(
            Left { vectors, levels: &centroids, columns: &columns }.mean_squared_length(ctx)?,
        );
        first = Some(given.first);
    }
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
        let left = Left { vectors, levels: &centroids, columns: &columns };
        let points = LeftPoints { left, directions: by_direction };
        let mut found = cluster(&points, dim, &wanted, seed, (ctx, &label))?;
        let nearest = |found: &[f32]| {
            left.codes(ctx, |residuals| nearest_by(compared, dim, found, residuals))
        };
        let mut codes = match wanted.balance {
            None => nearest(&found)?,
            // A code has room or not, whatever part of the items is looked at: all of them lie in memory.
            Some(_) => codes_of(&points.all(), dim, &found, wanted.balance),
        };
        if by_direction {
            found = with_lengths(&found, &left, &codes, ctx)?;
            if wanted.balance.is_none() {
                // Of directions that were rounded with their lengths, as new items are assigned.
                codes = nearest(&found)?;
            }
        }
        centroids.push(found);
        columns.push(codes);
        lengths.push(
            Left { vectors, levels: &centroids, columns: &columns }.mean_squared_length(ctx)?,
        );
    }
    let levels = centroids.iter().map(|level| (level.len() / dim) as u32).collect();
    let centroids = Centroids { dim, levels: centroids, compared, first, ..Centroids::default() };
    let made = Made { kind: "residual-k-means".into(), centroids, residuals: lengths };
    let codes = rows(&columns);
    drop(columns);
    Identifiers::named(codes, levels, made, catalogue, (&settings.naming, Some(&*vectors.data)))
}

/// Centroids of given directions, each as long as its members are along it, on average.
///
/// # Errors
/// An interrupt.
fn with_lengths(units: &[f32], left: &Left<'_>, codes: &[u32], ctx: &Context) -> Result<Vec<f32>> {
    let dim = left.vectors.dim;
    let n_codes = units.len() / dim;
    let (mut sums, mut counts) = (vec![0_f64; n_codes], vec![0_u32; n_codes]);
    left.each(ctx, |items, residuals| {
        for (residual, &code) in residuals.chunks_exact(dim).zip(&codes[items]) {
            let unit = &units[code as usize * dim..][..dim];
            let along = residual.iter().zip(unit).map(|(x, u)| f64::from(*x) * f64::from(*u));
            sums[code as usize] += along.sum::<f64>();
            counts[code as usize] += 1;
        }
    })?;
    let usual = left.mean_squared_length(ctx)?.sqrt();
    let lengths = sums.iter().zip(&counts).map(|(sum, &count)| match count {
        0 => usual,
        count => (sum / f64::from(count)).max(LEAST_LENGTH * usual),
    });
    let scaled = units.chunks_exact(dim).zip(lengths);
    Ok(scaled
        .flat_map(|(unit, length)| unit.iter().map(move |u| (f64::from(*u) * length) as f32))
        .collect())
}

#[cfg(test)]
mod tests;
