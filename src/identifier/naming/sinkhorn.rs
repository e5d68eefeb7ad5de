//! Last codes by Sinkhorn's algorithm among items that share a path, round by round (LC-Rec, arXiv 2311.09049).

use rayon::prelude::*;

use super::Residuals;
use super::crowd::groups;

/// Weight of entropy.
const EPSILON: f64 = 0.003;
/// Scalings of rows and columns.
const ITERATIONS: usize = 50;
/// Rounds, in each of which the items that collide are assigned anew.
const ROUNDS: usize = 20;

/// Gives items that share a path other last codes; how many got another in the end.
pub(super) fn spread(
    codes: &mut [u32],
    n_levels: usize,
    n_codes: usize,
    residuals: &Residuals<'_>,
) -> usize {
    let before: Vec<u32> = codes.chunks_exact(n_levels).map(|path| path[n_levels - 1]).collect();
    for _ in 0..ROUNDS {
        let groups = groups(codes, n_levels);
        let chosen: Vec<Vec<u32>> = groups
            .par_iter()
            .map(|group| {
                let distances = group.iter().map(|&item| residuals.distances(item)).collect();
                assign(distances, n_codes)
            })
            .collect();
        let mut is_changed = false;
        for (&item, &code) in groups.iter().flatten().zip(chosen.iter().flatten()) {
            let last = &mut codes[(item as usize + 1) * n_levels - 1];
            is_changed |= *last != code;
            *last = code;
        }
        if !is_changed {
            break;
        }
    }
    let paths = codes.chunks_exact(n_levels).zip(&before);
    paths.filter(|(path, before)| path[n_levels - 1] != **before).count()
}

/// The code of most mass for each item, where every code gets the same mass.
fn assign(distances: Vec<Vec<f64>>, n_codes: usize) -> Vec<u32> {
    let all = || distances.iter().flatten().copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let middle = (low + high) / 2.0;
    // Distances become -1 to 1, so that the weight of entropy means the same for all.
    let amplitude = ((high - middle) * (1.0 + 1e-5)).max(f64::MIN_POSITIVE);
    let mut mass = distances;
    for value in mass.iter_mut().flatten() {
        *value = (-(*value - middle) / amplitude / EPSILON).exp();
    }
    let n_items = mass.len() as f64;
    for _ in 0..ITERATIONS {
        for row in &mut mass {
            let sum: f64 = row.iter().sum::<f64>() * n_items;
            row.iter_mut().for_each(|value| *value /= sum);
        }
        let mut sums = vec![0.0; n_codes];
        for row in &mass {
            row.iter().zip(&mut sums).for_each(|(value, sum)| *sum += value);
        }
        for row in &mut mass {
            // A code that no item can reach has no mass to share.
            let columns = row.iter_mut().zip(&sums).filter(|(_, sum)| **sum > 0.0);
            columns.for_each(|(value, sum)| *value /= sum * n_codes as f64);
        }
    }
    let best = |row: &Vec<f64>| {
        let first = (0u32, f64::NEG_INFINITY);
        let best = |best: (u32, f64), (code, value): (u32, &f64)| {
            if *value > best.1 { (code, *value) } else { best }
        };
        (0..).zip(row).fold(first, best).0
    };
    mass.iter().map(best).collect()
}
