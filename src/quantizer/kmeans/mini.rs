//! k-means over a batch of points at a time (Sculley 2010): for more points than an iteration should look at.
//!
//! A centroid is the mean of all points that ever were its members, each counted as often as it was drawn.

use rand::seq::index;

use super::distance::{nearest, squared_distance};
use super::points::Points;
use super::seeds::beginning;
use super::update::Cluster;
use crate::error::Result;
use crate::progress::Context;
use crate::seed::Seed;

/// Iterations after which centroids without a member since then move to points that are badly served.
const REVIVE_EVERY: u32 = 8;

/// Centroids `[codes, dim]` after `iterations` batches; `settle` has the last word on those that moved.
///
/// # Errors
/// An interrupt.
pub(super) fn mini_batches(
    points: &dyn Points,
    dim: usize,
    (codes, batch, iterations): (usize, usize, u32),
    seed: Seed,
    (ctx, label): (&Context, &str),
    settle: impl Fn(&mut [f32]),
) -> Result<Vec<f32>> {
    let n = points.count();
    let mut centroids = beginning(points, dim, codes, seed.purpose("seeding"), &settle);
    let mut counts = vec![0_u64; codes];
    let mut met = vec![false; codes];
    let mut bar = ctx.bar(label, iterations.into(), "iteration");
    for iteration in 0..iterations {
        ctx.check_interrupt()?;
        let mut rng = seed.purpose("batches").index(iteration.into()).rng();
        let mut rows = index::sample(&mut rng, n, batch.min(n)).into_vec();
        rows.sort_unstable();
        let drawn = points.some(&rows);
        let codes_of_drawn = nearest(&drawn, dim, &centroids);
        let mut members = vec![Vec::new(); codes];
        for (point, &code) in (0u32..).zip(&codes_of_drawn) {
            members[code as usize].push(point);
        }
        for (code, members) in members.into_iter().enumerate().filter(|(_, all)| !all.is_empty()) {
            let cluster = Cluster::new(&drawn, dim, members);
            counts[code] += cluster.members.len() as u64;
            met[code] = true;
            let share = cluster.members.len() as f32 / counts[code] as f32;
            let centroid = &mut centroids[code * dim..][..dim];
            for (x, mean) in centroid.iter_mut().zip(&cluster.mean) {
                *x += share * (mean - *x);
            }
        }
        // The last iterations only settle what there is.
        if (iteration + 1).is_multiple_of(REVIVE_EVERY) && iteration + REVIVE_EVERY < iterations {
            revive(&drawn, dim, &codes_of_drawn, &mut centroids, &mut counts, &met);
            met.fill(false);
        }
        settle(&mut centroids);
        bar.advance(1);
    }
    Ok(centroids)
}

/// Moves centroids without a member onto the points that lie farthest from theirs.
fn revive(
    drawn: &[f32],
    dim: usize,
    codes_of_drawn: &[u32],
    centroids: &mut [f32],
    counts: &mut [u64],
    met: &[bool],
) {
    let row = |of: &[f32], at: usize| of[at * dim..][..dim].to_vec();
    let distance = |(at, &code): (usize, &u32)| {
        (squared_distance(&row(drawn, at), &row(centroids, code as usize)), at)
    };
    let mut far: Vec<(f32, usize)> = codes_of_drawn.iter().enumerate().map(distance).collect();
    far.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut far = far.into_iter().filter(|(distance, _)| *distance > 0.0);
    for code in (0..met.len()).filter(|&code| !met[code]) {
        let Some((_, at)) = far.next() else { break };
        centroids[code * dim..][..dim].copy_from_slice(&row(drawn, at));
        counts[code] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_without_a_member_move_to_the_points_farthest_from_theirs() {
        let drawn = [0.0, 1.0, 9.0, 5.0];
        let mut centroids = vec![0.0, 77.0, 88.0, 5.0];
        let (mut counts, met) = ([7, 1, 2, 3], [true, false, false, true]);
        revive(&drawn, 1, &[0, 0, 3, 3], &mut centroids, &mut counts, &met);
        assert_eq!(centroids, [0.0, 9.0, 1.0, 5.0]);
        assert_eq!(counts, [7, 0, 0, 3]);
        // Where every point is a centroid, nothing is badly served.
        let mut exact = vec![0.0, 1.0, 9.0, 5.0, 77.0];
        let met = [true, true, true, true, false];
        revive(&drawn, 1, &[0, 1, 2, 3], &mut exact, &mut [1; 5], &met);
        assert_eq!(exact[4], 77.0);
    }
}
