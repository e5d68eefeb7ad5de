//! Codes with equally many items: what is too many for a code moves to the nearest code that has room.

use super::distance::{cheapest, nearest, squared_distance};

/// Codes `[n]` of points `[n, dim]`, none for more than `⌈n / codes⌉` points. Of a crowded code those points move first
/// that lose least.
///
/// Points are not moved in chains (from a full code into the next, and from there on), so the sum of squared distances is not
/// the least; iterations that move the centroids to their members make up for that.
pub(super) fn balanced(points: &[f32], dim: usize, centroids: &[f32]) -> Vec<u32> {
    let mut codes = nearest(points, dim, centroids);
    let n_codes = centroids.len() / dim;
    let most = codes.len().div_ceil(n_codes);
    let mut counts = vec![0_usize; n_codes];
    codes.iter().for_each(|&code| counts[code as usize] += 1);
    let distance = |point: usize, code: u32| {
        let code = code as usize;
        squared_distance(&points[point * dim..][..dim], &centroids[code * dim..][..dim])
    };
    // Each round moves at least the first of its candidates, and most rounds nearly all that must.
    while counts.iter().any(|&count| count > most) {
        let crowded: Vec<usize> =
            (0..codes.len()).filter(|&point| counts[codes[point] as usize] > most).collect();
        let rows: Vec<f32> =
            crowded.iter().flat_map(|&at| &points[at * dim..(at + 1) * dim]).copied().collect();
        let price = |&count: &usize| if count < most { 0.0 } else { f32::INFINITY };
        let prices: Vec<f32> = counts.iter().map(price).collect();
        let targets = cheapest(&rows, dim, centroids, &prices);
        let mut moves: Vec<(f32, usize, u32)> = crowded
            .iter()
            .zip(targets)
            .map(|(&at, to)| (distance(at, to) - distance(at, codes[at]), at, to))
            .collect();
        moves.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, at, to) in moves {
            let from = codes[at] as usize;
            if counts[from] > most && counts[to as usize] < most {
                counts[from] -= 1;
                counts[to as usize] += 1;
                codes[at] = to;
            }
        }
    }
    codes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::seed::Seed;

    fn counts(codes: &[u32], n_codes: usize) -> Vec<usize> {
        (0..n_codes as u32).map(|code| codes.iter().filter(|&&one| one == code).count()).collect()
    }

    #[test]
    fn those_move_that_lose_least() {
        // Five points at the first centroid, one at the second; each may have three.
        let points = [0.0, 0.1, 0.2, 0.3, 0.4, 1.0];
        assert_eq!(balanced(&points, 1, &[0.2, 1.0]), [0, 0, 0, 1, 1, 1]);
        // The nearest code with room, not the nearest of all: the second is full.
        let points = [0.0, 0.1, 0.2, 0.9, 1.0, 5.0];
        assert_eq!(balanced(&points, 1, &[0.1, 0.95, 3.0]), [0, 0, 2, 1, 1, 2]);
    }

    #[test]
    fn no_code_has_more_than_its_share_even_of_equal_points() {
        for n_points in [1, 5, 7, 64] {
            let points = vec![1.0; n_points];
            let codes = balanced(&points, 1, &[1.0, 2.0, 9.0]);
            let most = counts(&codes, 3).into_iter().max().unwrap();
            assert_eq!(most, n_points.div_ceil(3));
        }
    }

    #[test]
    fn crowds_are_shared_the_same_way_on_one_and_on_three_threads() {
        let mut rng = Seed::new(8).rng();
        let points: Vec<f32> = (0..2_000 * 3).map(|_| rng.random::<f32>().powi(3)).collect();
        let centroids: Vec<f32> = (0..7 * 3).map(|_| rng.random()).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| balanced(&points, 3, &centroids))
        };
        assert_eq!(on(1), on(3));
        let counts = counts(&on(1), 7);
        assert!(counts.iter().all(|&count| count <= 286), "{counts:?}");
    }
}
