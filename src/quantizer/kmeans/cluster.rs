//! Lloyd's iterations from the better of two beginnings, and the codes of points under centroids.
//!
//! The same bytes for the same seed on any number of threads: points are assigned on their own and
//! every cluster sums its members in order.

use super::balance::balanced;
use super::bounds::Bounds;
use super::distance::{cheapest, nearest, unit};
use super::mini::mini_batches;
use super::points::{Points, Table};
use super::seeds::{beginning, sample};
use super::sinkhorn::find_prices;
use super::update::update;
use crate::error::Result;
use crate::progress::Context;
use crate::quantizer::settings::BalanceBy;
use crate::seed::Seed;

/// More points per code than this do not move centroids by more than the noise of the sample (the
/// bound that faiss uses too), so that the cost stays linear in codes for any catalogue.
pub(in crate::quantizer) const TRAINING_POINTS_PER_CODE: usize = 256;

/// Lloyd stops when an iteration changes the distortion by less than this share of it. Where codes get equally many points it
/// may rise on the way, above all from the first codes.
const LEAST_GAIN: f64 = 1e-5;

/// What is asked of [`cluster`].
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::quantizer) struct Clusters {
    pub(in crate::quantizer) codes: usize,
    /// Most iterations.
    pub(in crate::quantizer) iterations: u32,
    /// How clusters come to have equally many members, where they are to.
    pub(in crate::quantizer) balance: Option<BalanceBy>,
    /// Points per iteration, drawn from all; without it every iteration looks at all of a sample.
    pub(in crate::quantizer) batch: Option<u32>,
    /// Whether points are directions: centroids have unit length then, so that the nearest is that of the largest cosine.
    pub(in crate::quantizer) directions: bool,
}

/// Centroids `[codes, dim]` of points `[n, dim]`.
///
/// With fewer distinct points than codes, the codes left over repeat an earlier centroid and never
/// win a point. `label` names the progress display.
///
/// # Errors
/// An interrupt.
pub(in crate::quantizer) fn cluster(
    points: &dyn Points,
    dim: usize,
    wanted: &Clusters,
    seed: Seed,
    (ctx, label): (&Context, &str),
) -> Result<Vec<f32>> {
    let &Clusters { codes, iterations, batch, .. } = wanted;
    let settle = |moved: &mut [f32]| {
        if wanted.directions {
            unit(moved, dim);
        }
    };
    if let Some(batch) = batch {
        let batch = batch as usize;
        return mini_batches(points, dim, (codes, batch, iterations), seed, (ctx, label), settle);
    }
    let points = sample(points, codes * TRAINING_POINTS_PER_CODE, seed.purpose("training"));
    let table = Table { points: &points, dim };
    let mut centroids = beginning(&table, dim, codes, seed.purpose("seeding"), settle);
    lloyd(&points, dim, wanted, &mut centroids, (ctx, label))?;
    Ok(centroids)
}

/// Lloyd's iterations over all points, from centroids that are there; as many codes as these.
///
/// # Errors
/// An interrupt.
pub(in crate::quantizer) fn lloyd(
    points: &[f32],
    dim: usize,
    wanted: &Clusters,
    centroids: &mut [f32],
    (ctx, label): (&Context, &str),
) -> Result<()> {
    let mut bar = ctx.bar(label, wanted.iterations.into(), "iteration");
    let (mut last_codes, mut last_distortion) = (Vec::new(), f64::INFINITY);
    let mut dealer = Dealer::new(wanted.balance);
    for _ in 0..wanted.iterations {
        ctx.check_interrupt()?;
        let codes_of_points = dealer.codes(points, dim, centroids);
        if codes_of_points == last_codes {
            break;
        }
        let (distortion, repaired) = update(points, dim, &codes_of_points, centroids);
        if wanted.directions {
            unit(centroids, dim);
        }
        bar.advance(1);
        bar.message(format!("distortion {:.5}", distortion / (points.len() / dim) as f64));
        let gain = last_distortion - distortion;
        if !repaired && gain.abs() <= LEAST_GAIN * distortion {
            break;
        }
        // A repair moves centroids: what the next iteration finds is new by construction.
        last_codes = if repaired { Vec::new() } else { codes_of_points };
        last_distortion = distortion;
    }
    Ok(())
}

/// One iteration: the codes of the points, which then move their centroids, and what these leave over.
pub(in crate::quantizer) fn one_iteration(
    points: &[f32],
    dim: usize,
    centroids: &mut [f32],
) -> (Vec<u32>, f64) {
    let codes = nearest(points, dim, centroids);
    let (distortion, _) = update(points, dim, &codes, centroids);
    (codes, distortion)
}

/// Codes `[n]` of points under centroids: of each its nearest, or as evenly as asked.
pub(in crate::quantizer) fn codes_of(
    points: &[f32],
    dim: usize,
    centroids: &[f32],
    balance: Option<BalanceBy>,
) -> Vec<u32> {
    match balance {
        None => nearest(points, dim, centroids),
        Some(_) => Dealer::new(balance).codes(points, dim, centroids),
    }
}

/// Gives points their codes, iteration by iteration.
struct Dealer {
    balance: Option<BalanceBy>,
    /// What is known of points that take their nearest code.
    bounds: Bounds,
    /// Of each code, where codes have prices: those of the last iteration are near those of the next.
    prices: Vec<f32>,
}

impl Dealer {
    fn new(balance: Option<BalanceBy>) -> Self {
        Self { balance, bounds: Bounds::default(), prices: Vec::new() }
    }

    fn codes(&mut self, points: &[f32], dim: usize, centroids: &[f32]) -> Vec<u32> {
        match self.balance {
            None => self.bounds.nearest(points, dim, centroids),
            Some(BalanceBy::Capacity) => balanced(points, dim, centroids),
            Some(BalanceBy::Sinkhorn) => {
                find_prices(points, dim, centroids, &mut self.prices);
                cheapest(points, dim, centroids, &self.prices)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::Rng;

    use super::super::distance::{directions, squared_norm};
    use super::*;

    fn of(points: &[f32], dim: usize, wanted: &Clusters, seed: u64) -> Vec<f32> {
        let table = Table { points, dim };
        cluster(&table, dim, wanted, Seed::new(seed), (&Context::silent(), "test")).unwrap()
    }

    fn quiet(points: &[f32], dim: usize, codes: usize, seed: u64) -> Vec<f32> {
        of(points, dim, &Clusters { codes, iterations: 50, ..Clusters::default() }, seed)
    }

    /// Points around `centers` well apart on a grid, `each` per center.
    fn blobs(centers: usize, each: usize) -> Vec<f32> {
        let mut rng = Seed::new(3).rng();
        (0..centers * each)
            .flat_map(|i| [(i % centers % 5) as f32 * 20.0, (i % centers / 5) as f32 * 20.0])
            .map(|x| x + rng.random_range(-1.0f32..1.0))
            .collect()
    }

    fn uniform(n: usize, dim: usize) -> Vec<f32> {
        let mut rng = Seed::new(11).rng();
        (0..n * dim).map(|_| rng.random::<f32>()).collect()
    }

    #[test]
    fn separate_blobs_get_a_code_each_from_all_points_and_from_batches() {
        let points = blobs(20, 40);
        for batch in [None, Some(200)] {
            let wanted = Clusters { codes: 20, iterations: 50, batch, ..Clusters::default() };
            for seed in 0..8 {
                let centroids = of(&points, 2, &wanted, seed);
                let codes = nearest(&points, 2, &centroids);
                for i in 0..800 {
                    for j in 0..i {
                        assert_eq!(codes[i] == codes[j], i % 20 == j % 20, "seed {seed}");
                    }
                }
            }
        }
    }

    #[test]
    fn batches_come_near_to_what_all_points_give() {
        let points = uniform(4_000, 4);
        let error = |centroids: &[f32]| -> f64 {
            let codes = nearest(&points, 4, centroids);
            let of = |(point, code): (&[f32], u32)| {
                let centroid = &centroids[code as usize * 4..][..4];
                f64::from(super::super::distance::squared_distance(point, centroid))
            };
            points.chunks_exact(4).zip(codes).map(of).sum()
        };
        let all = Clusters { codes: 32, iterations: 40, ..Clusters::default() };
        let (all, few) =
            (of(&points, 4, &all, 1), of(&points, 4, &Clusters { batch: Some(400), ..all }, 1));
        assert!(error(&few) < 1.1 * error(&all), "{} {}", error(&few), error(&all));
        assert_ne!(all, few);
    }

    #[test]
    fn directions_give_centroids_of_unit_length() {
        let points: Vec<f32> = uniform(500, 3).iter().map(|x| x - 0.5).collect();
        let points = directions(&points, 3);
        for batch in [None, Some(100)] {
            let wanted =
                Clusters { codes: 6, iterations: 30, batch, directions: true, balance: None };
            for centroid in of(&points, 3, &wanted, 2).chunks_exact(3) {
                assert!((squared_norm(centroid) - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn fewer_points_than_codes_leave_codes_unused() {
        let points = [1.0, 1.0, 2.0, 1.0];
        let centroids = quiet(&points, 1, 5, 0);
        assert_eq!(centroids.len(), 5);
        let codes = nearest(&points, 1, &centroids);
        assert!(codes[0] == codes[1] && codes[0] == codes[3] && codes[0] != codes[2]);
        for (point, &code) in points.iter().zip(&codes) {
            assert_eq!(centroids[code as usize], *point);
        }
    }

    #[test]
    fn the_same_bytes_on_one_and_on_three_threads() {
        let points = uniform(3_000, 6);
        let ways = [
            Clusters::default(),
            Clusters { batch: Some(500), ..Clusters::default() },
            Clusters { directions: true, ..Clusters::default() },
            Clusters { balance: Some(BalanceBy::Capacity), ..Clusters::default() },
            Clusters { balance: Some(BalanceBy::Sinkhorn), ..Clusters::default() },
        ];
        for way in ways {
            let wanted = Clusters { codes: 9, iterations: 50, ..way };
            let on = |threads: usize, seed| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| of(&points, 6, &wanted, seed))
            };
            let one = on(1, 4);
            assert_eq!(one, on(3, 4), "{wanted:?}");
            assert_ne!(one, on(3, 5), "the seed matters");
        }
    }
}
