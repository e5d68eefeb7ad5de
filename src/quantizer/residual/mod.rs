//! Residual k-means (RQ-k-means): `r_0 = x`, `c_l = nearest(r_l)`, `r_(l+1) = r_l - centroid_l[c_l]`.

mod balance;
mod distance;
mod kind;
mod kmeans;

use crate::error::{Error, Result};
use crate::identifier::{Centroids, Identifiers, Made};
use crate::progress::Context;
use crate::quantizer::settings::ResidualKMeansSettings;
use crate::seed::Seed;
use crate::vectors::Vectors;
use balance::balanced;
use distance::nearest;
use kmeans::{Clusters, cluster, mean_squared_length};

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
    let level_codes = settings.level_codes();
    let most = level_codes.iter().copied().max().unwrap_or(0);
    if most as usize > vectors.len() {
        ctx.warn(format!(
            "{most} codes of a level for {} items: most codes will stay unused; lower `codes`",
            vectors.len()
        ));
    }
    let mut residuals = vectors.data.clone();
    let mut centroids = Centroids { dim: vectors.dim, levels: Vec::new() };
    let mut lengths = Vec::new();
    let mut columns = Vec::new();
    for (level, &codes) in level_codes.iter().enumerate() {
        let label = format!("codes of level {}", level + 1);
        let seed = seed.purpose("residual-k-means").index(level as u64);
        let wanted = Clusters {
            codes: codes as usize,
            iterations: settings.iterations,
            balanced: settings.is_balanced(level),
        };
        let found = cluster(&residuals, vectors.dim, &wanted, seed, (ctx, &label))?;
        let codes = match wanted.balanced {
            true => balanced(&residuals, vectors.dim, &found)?,
            false => nearest(&residuals, vectors.dim, &found)?,
        };
        subtract(&mut residuals, vectors.dim, &found, &codes);
        columns.push(codes);
        lengths.push(mean_squared_length(&residuals, vectors.dim));
        centroids.levels.push(found);
    }
    let levels = centroids.levels.iter().map(|level| (level.len() / vectors.dim) as u32).collect();
    let made = Made { kind: "residual-k-means".into(), centroids, residuals: lengths };
    let naming = (&settings.naming, Some(vectors.data.as_slice()));
    Identifiers::named(rows(&columns), levels, made, catalogue, naming)
}

/// Nearest codes `[n, levels without dedup]` of vectors, for instance of new items, as [`fit`] assigned them; where levels are
/// balanced, [`fit`] may have given an item another code than its nearest.
///
/// # Errors
/// [`Error::Failed`] when the vectors have another length than those the codes were made from.
pub fn assign(identifiers: &Identifiers, vectors: &Vectors) -> Result<Vec<u32>> {
    let centroids = &identifiers.centroids;
    if vectors.dim != centroids.dim {
        return Err(Error::Failed(format!(
            "vectors of {} numbers cannot be assigned to codes made from vectors of {}",
            vectors.dim, centroids.dim
        )));
    }
    let mut residuals = vectors.data.clone();
    let mut columns = Vec::new();
    for level in &centroids.levels {
        let codes = nearest(&residuals, centroids.dim, level)?;
        subtract(&mut residuals, centroids.dim, level, &codes);
        columns.push(codes);
    }
    Ok(rows(&columns))
}

/// Subtracts the centroids of codes `[n]` from the residuals.
fn subtract(residuals: &mut [f32], dim: usize, centroids: &[f32], codes: &[u32]) {
    for (residual, &code) in residuals.chunks_exact_mut(dim).zip(codes) {
        let at = code as usize * dim;
        for (x, c) in residual.iter_mut().zip(&centroids[at..at + dim]) {
            *x -= c;
        }
    }
}

fn rows(columns: &[Vec<u32>]) -> Vec<u32> {
    let n = columns.first().map_or(0, Vec::len);
    (0..n).flat_map(|item| columns.iter().map(move |column| column[item])).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::identifier::settings::NamingSettings;
    use crate::quantizer::settings::Balanced;

    fn random(items: usize, dim: usize) -> Vectors {
        let mut rng = Seed::new(9).rng();
        let data = (0..items * dim).map(|_| rng.random_range(-1.0f32..1.0)).collect();
        Vectors::new(dim, data, "test").unwrap()
    }

    fn settings(levels: u32, codes: u32) -> ResidualKMeansSettings {
        ResidualKMeansSettings {
            vectors: "v".into(),
            levels,
            codes,
            codes_of_levels: None,
            balanced: None,
            iterations: 25,
            naming: NamingSettings::default(),
            seed: None,
        }
    }

    #[test]
    fn residuals_shrink_and_paths_are_unique() {
        let vectors = random(600, 12);
        let ctx = Context::silent();
        let ids = fit(&settings(3, 8), &vectors, "c", Seed::new(1), &ctx).unwrap();
        let residuals: Vec<f64> =
            ids.diagnostics.levels.iter().filter_map(|l| l.residual).collect();
        assert_eq!(residuals.len(), 3);
        let start = mean_squared_length(&vectors.data, vectors.dim);
        assert!(start > residuals[0] && residuals[0] > residuals[1] && residuals[1] > residuals[2]);
        assert!(ids.dedup, "600 items on 512 paths must collide");
        let index = ids.index().unwrap();
        for item in 0..600 {
            assert_eq!(index.find(ids.codes_of(item).unwrap()), Some(item as u32));
        }
        assert_eq!(ids, fit(&settings(3, 8), &vectors, "c", Seed::new(1), &ctx).unwrap());
    }

    #[test]
    fn assigning_the_vectors_again_gives_their_codes() {
        let vectors = random(700, 5);
        let ids = fit(&settings(2, 16), &vectors, "c", Seed::new(2), &Context::silent()).unwrap();
        let assigned = assign(&ids, &vectors).unwrap();
        for (item, codes) in assigned.chunks_exact(2).enumerate() {
            assert_eq!(codes, &ids.codes_of(item).unwrap()[..2]);
        }
        assert!(assign(&ids, &random(3, 4)).is_err(), "another length of vectors");
    }

    #[test]
    fn levels_may_have_codes_of_their_own_and_as_many_items_for_each() {
        let vectors = random(640, 6);
        let of = |balanced| {
            let own = ResidualKMeansSettings {
                codes_of_levels: Some(vec![16, 4, 8]),
                balanced,
                ..settings(3, 64)
            };
            fit(&own, &vectors, "c", Seed::new(4), &Context::silent()).unwrap()
        };
        let free = of(None);
        assert_eq!(free.levels[..3], [16, 4, 8]);
        let usage = |ids: &Identifiers, level: usize| {
            let usage = &ids.diagnostics.levels[level].usage;
            (usage[0], usage[usage.len() - 1])
        };
        let all = of(Some(Balanced::All));
        assert_eq!(
            [usage(&all, 0), usage(&all, 1), usage(&all, 2)],
            [(40, 40), (160, 160), (80, 80)]
        );
        let last = of(Some(Balanced::Last));
        assert_eq!((usage(&last, 0), usage(&last, 2)), (usage(&free, 0), (80, 80)));
        // What it costs: a little of the fit.
        let left = |ids: &Identifiers| ids.diagnostics.levels[2].residual.unwrap();
        assert!(left(&all) < 1.25 * left(&free), "{} {}", left(&all), left(&free));
    }

    #[test]
    fn equal_vectors_are_told_apart_by_the_dedup_level() {
        let vectors = Vectors::new(1, vec![1.0, 5.0, 1.0, 1.0], "test").unwrap();
        let ids = fit(&settings(1, 2), &vectors, "c", Seed::new(3), &Context::silent()).unwrap();
        assert_eq!(ids.levels, [2, 3]);
        let last = |item: usize| ids.codes_of(item).unwrap()[1];
        assert_eq!([last(0), last(1), last(2), last(3)], [0, 0, 1, 2]);
        assert_eq!(ids.diagnostics.collision_rate, 0.5);
    }
}
