//! Codes with about equally many points by optimal transport with entropy (Cuturi 2013), as LC-Rec balances its last level.
//!
//! Sinkhorn's scaling of the codes is a *price* for each: a point takes the code whose half squared distance and price are
//! least together, and the prices are those under which the soft choices of all points fall on all codes alike. Only prices
//! are kept, never a matrix of points by codes.

use rayon::prelude::*;

use super::distance::{BLOCK, cheapest, costs, product, products};

/// How soft the choices are in the end, as a share of half the usual spread of costs between codes (LC-Rec's value).
const SOFTNESS: f32 = 0.003;

/// Softer choices that come before, so that prices find their size in few rounds.
const SOFTER: [f32; 4] = [0.3, 0.1, 0.03, 0.01];

/// Rounds of scaling at each softness.
const ROUNDS: u32 = 10;

/// Choices this many times less likely than the best do not count: beyond what an `f32` can tell from 0.
const FAINT: f32 = 80.0;

/// Parts of the points whose choices are summed one by one: fixed, so that sums do not depend on the number of threads.
const PARTS: usize = 64;

/// Brings `prices [codes]` to where the soft choices of `points [n, dim]` fall evenly on `centroids [codes, dim]`. Prices of
/// centroids that have moved a little since are a good start; without any, they are found from nothing.
pub(super) fn find_prices(points: &[f32], dim: usize, centroids: &[f32], prices: &mut Vec<f32>) {
    let spread = half_spread(points, dim, centroids);
    if prices.is_empty() {
        prices.resize(centroids.len() / dim, 0.0);
        for softness in SOFTER {
            move_prices(points, dim, centroids, prices, softness * spread);
        }
    }
    move_prices(points, dim, centroids, prices, SOFTNESS * spread);
}

/// Some rounds of Sinkhorn's scaling.
fn move_prices(points: &[f32], dim: usize, centroids: &[f32], prices: &mut [f32], softness: f32) {
    if softness == 0.0 {
        return;
    }
    let n_codes = prices.len();
    let part = (points.len() / dim).div_ceil(PARTS) * dim;
    for _ in 0..ROUNDS {
        let costs = costs(dim, centroids, prices);
        let parts: Vec<Vec<f64>> = points
            .par_chunks(part)
            .map(|points| {
                let mut sums = vec![0_f64; n_codes];
                let (mut row, mut buffer) = (vec![0_f32; n_codes], Vec::new());
                for block in points.chunks(BLOCK * dim) {
                    for products in
                        product(block, dim, centroids, &mut buffer).chunks_exact(n_codes)
                    {
                        add_choice(products, &costs, softness, &mut row, &mut sums);
                    }
                }
                sums
            })
            .collect();
        let share = (points.len() / dim) as f64 / n_codes as f64;
        for (code, price) in prices.iter_mut().enumerate() {
            let got: f64 = parts.iter().map(|sums| sums[code]).sum();
            *price += softness * (got / share).max(f64::from(f32::MIN_POSITIVE)).ln() as f32;
        }
        // Only differences matter.
        let mean = prices.iter().map(|&price| f64::from(price)).sum::<f64>() / n_codes as f64;
        prices.iter_mut().for_each(|price| *price -= mean as f32);
    }
}

/// Codes `[n]` of the points of one small batch, about equally many each.
pub(in crate::quantizer) fn in_batch(points: &[f32], dim: usize, centroids: &[f32]) -> Vec<u32> {
    let mut prices = Vec::new();
    find_prices(points, dim, centroids, &mut prices);
    cheapest(points, dim, centroids, &prices)
}

/// Adds one point's soft choice of a code to the sums.
fn add_choice(products: &[f32], costs: &[f32], softness: f32, row: &mut [f32], sums: &mut [f64]) {
    let mut best = f32::NEG_INFINITY;
    for (score, (product, cost)) in row.iter_mut().zip(products.iter().zip(costs)) {
        *score = (product - cost) / softness;
        best = best.max(*score);
    }
    let mut total = 0_f64;
    for score in row.iter_mut() {
        let below = *score - best;
        *score = if below < -FAINT { 0.0 } else { below.exp() };
        total += f64::from(*score);
    }
    for (sum, score) in sums.iter_mut().zip(row.iter()).filter(|(_, score)| **score > 0.0) {
        *sum += f64::from(*score) / total;
    }
}

/// Half of what lies between the dearest and the cheapest code of a point, on average over the points.
fn half_spread(points: &[f32], dim: usize, centroids: &[f32]) -> f32 {
    let costs = costs(dim, centroids, &vec![0.0; centroids.len() / dim]);
    let blocks = products(points, dim, centroids, |_, products| {
        let spread = |row: &[f32]| {
            let all = row.iter().zip(&costs).map(|(product, cost)| cost - product);
            let (least, most) = all
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), one| {
                    (least.min(one), most.max(one))
                });
            f64::from(most - least)
        };
        products.chunks_exact(costs.len()).map(spread).sum::<f64>()
    });
    (0.5 * blocks.iter().sum::<f64>() / (points.len() / dim).max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::super::distance::{nearest, squared_distance};
    use super::*;
    use crate::seed::Seed;

    fn usage(codes: &[u32], n_codes: usize) -> Vec<usize> {
        (0..n_codes as u32).map(|code| codes.iter().filter(|&&one| one == code).count()).collect()
    }

    fn draw(n: usize, seed: u64, power: i32) -> Vec<f32> {
        let mut rng = Seed::new(seed).rng();
        (0..n).map(|_| rng.random::<f32>().powi(power)).collect()
    }

    #[test]
    fn crowds_are_spread_and_the_cost_is_little_more_than_needed() {
        // Points crowd at the origin, centroids do not.
        let (points, centroids) = (draw(4_000 * 3, 1, 3), draw(16 * 3, 2, 1));
        let free = usage(&nearest(&points, 3, &centroids), 16);
        let even = in_batch(&points, 3, &centroids);
        let counts = usage(&even, 16);
        let most = |counts: &[usize]| counts.iter().max().copied().unwrap_or(0);
        assert!(most(&free) > 3 * 250, "{free:?}");
        assert!(most(&counts) < 300 && counts.iter().all(|&count| count > 200), "{counts:?}");
        // Beside the capacity's way, which moves points one by one.
        let cost = |codes: &[u32]| -> f64 {
            let one = |(point, &code): (&[f32], &u32)| {
                f64::from(squared_distance(point, &centroids[code as usize * 3..][..3]))
            };
            points.chunks_exact(3).zip(codes).map(one).sum()
        };
        let capacity = super::super::balance::balanced(&points, 3, &centroids);
        assert!(cost(&even) < 1.02 * cost(&capacity), "{} {}", cost(&even), cost(&capacity));
    }

    /// Prices against Sinkhorn's algorithm as it is written down: a whole matrix, scaled by rows and columns.
    #[test]
    fn prices_are_those_of_the_scaled_matrix() {
        let (points, centroids) = (draw(40 * 2, 3, 1), draw(5 * 2, 4, 1));
        let mut prices = vec![0.0; 5];
        let softness = 0.05 * half_spread(&points, 2, &centroids);
        move_prices(&points, 2, &centroids, &mut prices, softness);
        let softness = f64::from(softness);
        let mut matrix: Vec<Vec<f64>> = points
            .chunks_exact(2)
            .map(|point| {
                let cost = |c: &[f32]| 0.5 * f64::from(squared_distance(point, c));
                let least = centroids.chunks_exact(2).map(cost).fold(f64::INFINITY, f64::min);
                centroids.chunks_exact(2).map(|c| ((least - cost(c)) / softness).exp()).collect()
            })
            .collect();
        let mut scaling = [0.0; 5];
        for _ in 0..ROUNDS {
            for row in &mut matrix {
                let total: f64 = row.iter().sum();
                row.iter_mut().for_each(|x| *x /= total);
            }
            for code in 0..5 {
                let got = matrix.iter().map(|row| row[code]).sum::<f64>() / (40.0 / 5.0);
                let got = got.max(f64::from(f32::MIN_POSITIVE));
                matrix.iter_mut().for_each(|row| row[code] /= got);
                scaling[code] += softness * got.ln();
            }
        }
        let mean = scaling.iter().sum::<f64>() / 5.0;
        for (price, scaling) in prices.iter().zip(scaling) {
            let expected = scaling - mean;
            assert!((f64::from(*price) - expected).abs() < 1e-3 * softness.max(expected.abs()));
        }
    }

    #[test]
    fn equal_points_and_equal_centroids_have_no_prices_to_find() {
        assert_eq!(in_batch(&[1.0; 6], 1, &[2.0, 2.0]), [0; 6]);
    }
}
