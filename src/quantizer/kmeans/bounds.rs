//! Nearest centroids from iteration to iteration, without looking at points whose nearest cannot have changed (Hamerly 2010).
//!
//! Of each point two bounds are kept: it is no farther from its own centroid than the one, and no nearer to any other than
//! the other. Centroids that move loosen the bounds by as much. The codes are those that a look at all points would give:
//! bounds allow for what rounding can do to a distance.

use rayon::prelude::*;
use trieval_kernels::ops::least;

use super::distance::{BLOCK, costs, product, products, squared_distance, squared_norm};

/// Error of a squared distance by inner products, in units of the squared sum of both lengths: some hundred roundings.
const ROUNDING: f64 = 1e-5;

/// What is known of the points under the centroids they were last compared with.
#[derive(Default)]
pub(super) struct Bounds {
    centroids: Vec<f32>,
    /// Length of each point.
    lengths: Vec<f32>,
    points: Vec<Known>,
}

/// What is known of a point.
#[derive(Debug, Clone, Copy)]
struct Known {
    code: u32,
    /// Its distance to its centroid is not larger.
    upper: f32,
    /// Its distance to any other is not smaller.
    lower: f32,
}

/// How far centroids have moved, and how far each is from the others.
struct Moves {
    of: Vec<f32>,
    largest: f32,
    /// The largest of all but the one that moved most, and which that is.
    next: f32,
    farthest: u32,
    /// Half the distance of each centroid to its nearest neighbor, or less.
    half_gaps: Vec<f32>,
}

impl Bounds {
    /// Codes `[n]` of the points, always the same ones, under centroids of which the last call saw earlier places.
    pub(super) fn nearest(&mut self, points: &[f32], dim: usize, centroids: &[f32]) -> Vec<u32> {
        let longest =
            centroids.chunks_exact(dim).map(squared_norm).fold(0.0, f64::max).sqrt() as f32;
        let moves =
            (!self.points.is_empty()).then(|| Moves::new(&self.centroids, centroids, dim, longest));
        if moves.is_none() {
            let length = |point: &[f32]| squared_norm(point).sqrt() as f32;
            self.lengths = points.par_chunks_exact(dim).map(length).collect();
            self.points =
                vec![Known { code: 0, upper: f32::INFINITY, lower: 0.0 }; self.lengths.len()];
        }
        let costs = costs(dim, centroids, &vec![0.0; centroids.len() / dim]);
        self.points
            .par_chunks_mut(BLOCK)
            .zip(self.lengths.par_chunks(BLOCK))
            .zip(points.par_chunks(BLOCK * dim))
            .for_each_init(Scratch::default, |scratch, ((known, lengths), points)| {
                let space = Space { dim, centroids, costs: &costs, longest };
                scratch.look(&space, moves.as_ref(), known, lengths, points);
            });
        self.centroids.clear();
        self.centroids.extend_from_slice(centroids);
        self.points.iter().map(|known| known.code).collect()
    }
}

impl Moves {
    fn new(before: &[f32], after: &[f32], dim: usize, longest: f32) -> Self {
        let both = before.chunks_exact(dim).zip(after.chunks_exact(dim));
        // A little more than it was.
        let of: Vec<f32> = both.map(|(a, b)| squared_distance(a, b).sqrt() * 1.0001).collect();
        let (mut largest, mut next, mut farthest) = (0.0, 0.0, 0);
        for (code, &moved) in (0u32..).zip(&of) {
            if moved > largest {
                (next, largest, farthest) = (largest, moved, code);
            } else if moved > next {
                next = moved;
            }
        }
        Self { of, largest, next, farthest, half_gaps: half_gaps(after, dim, longest) }
    }
}

/// Half of what lies between each centroid and its nearest neighbor, or less.
fn half_gaps(centroids: &[f32], dim: usize, longest: f32) -> Vec<f32> {
    let costs = costs(dim, centroids, &vec![0.0; centroids.len() / dim]);
    let blocks = products(centroids, dim, centroids, |rows, products| {
        let gap = |(own, row): (f32, &[f32])| {
            // The nearest of all is the centroid itself.
            let squared = 2.0 * (own + least(&costs, row).next) - slack(longest, longest);
            0.5 * squared.max(0.0).sqrt()
        };
        let owns = costs[rows].iter().copied();
        owns.zip(products.chunks_exact(costs.len())).map(gap).collect::<Vec<f32>>()
    });
    blocks.concat()
}

/// What rounding can do to the squared distance of a point and a centroid of given lengths.
fn slack(point: f32, centroid: f32) -> f32 {
    let sum = f64::from(point) + f64::from(centroid);
    (ROUNDING * sum * sum) as f32
}

/// What points are compared with.
struct Space<'a> {
    dim: usize,
    centroids: &'a [f32],
    /// Half the squared length of each centroid.
    costs: &'a [f32],
    /// Length of the longest centroid.
    longest: f32,
}

/// Memory of one thread: points that must be looked at, and their products.
#[derive(Default)]
struct Scratch {
    rows: Vec<usize>,
    points: Vec<f32>,
    products: Vec<f32>,
}

impl Scratch {
    fn look(
        &mut self,
        space: &Space<'_>,
        moves: Option<&Moves>,
        known: &mut [Known],
        lengths: &[f32],
        points: &[f32],
    ) {
        let &Space { dim, centroids, costs, longest } = space;
        self.rows.clear();
        self.points.clear();
        for (at, (known, point)) in known.iter_mut().zip(points.chunks_exact(dim)).enumerate() {
            if !moves.is_some_and(|moves| known.holds(moves, space, point, lengths[at])) {
                self.rows.push(at);
                self.points.extend_from_slice(point);
            }
        }
        if self.rows.is_empty() {
            return;
        }
        let products = product(&self.points, dim, centroids, &mut self.products);
        for (&at, row) in self.rows.iter().zip(products.chunks_exact(costs.len())) {
            let found = least(costs, row);
            let own = 0.5 * lengths[at] * lengths[at];
            let slack = slack(lengths[at], longest);
            known[at] = Known {
                code: found.at,
                upper: (2.0 * (own + found.value) + slack).max(0.0).sqrt(),
                lower: (2.0 * (own + found.next) - slack).max(0.0).sqrt(),
            };
        }
    }
}

impl Known {
    /// Whether the code is the nearest still, by bounds that follow the centroids.
    fn holds(&mut self, moves: &Moves, space: &Space<'_>, point: &[f32], length: f32) -> bool {
        let own = moves.of[self.code as usize];
        let others = if self.code == moves.farthest { moves.next } else { moves.largest };
        self.upper = (self.upper + own) * (1.0 + f32::EPSILON);
        self.lower = (self.lower - others).max(0.0);
        let slack = slack(length, space.longest);
        let other = self.lower.max(moves.half_gaps[self.code as usize]);
        // Not only nearer, but nearer by more than rounding could turn about.
        let holds = |upper: f32| upper * upper + 2.0 * slack < other * other;
        if holds(self.upper) {
            return true;
        }
        let centroid = &space.centroids[self.code as usize * space.dim..][..space.dim];
        self.upper = (squared_distance(point, centroid) + slack).sqrt();
        holds(self.upper)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::super::distance::nearest;
    use super::*;
    use crate::seed::Seed;

    /// Clumps, some of them of equal points, and centroids that wander, jump and fall together.
    #[test]
    fn codes_are_those_that_a_look_at_all_points_gives() {
        for (n, dim, codes) in [(700, 3, 5), (1_500, 17, 40), (300, 1, 2), (90, 4, 1)] {
            let mut rng = Seed::new(n as u64).rng();
            let centers: Vec<f32> = (0..20 * dim).map(|_| rng.random_range(-5.0..5.0)).collect();
            let points: Vec<f32> = (0..n)
                .flat_map(|i| {
                    let width = if i % 3 == 0 { 0.0 } else { 0.5 };
                    let center = &centers[i % 20 * dim..][..dim];
                    center
                        .iter()
                        .map(|x| x + width * rng.random_range(-1.0f32..1.0))
                        .collect::<Vec<_>>()
                })
                .collect();
            let mut centroids = points[..codes * dim].to_vec();
            let mut bounds = Bounds::default();
            for round in 0..30 {
                let found = bounds.nearest(&points, dim, &centroids);
                assert_eq!(found, nearest(&points, dim, &centroids), "{n} points, round {round}");
                let step = if round % 7 == 6 { 3.0 } else { 0.05 };
                centroids.iter_mut().for_each(|x| *x += step * rng.random_range(-1.0f32..1.0));
                if round % 5 == 4 {
                    let first = centroids[..dim].to_vec();
                    centroids[(codes - 1) * dim..].copy_from_slice(&first);
                }
            }
        }
    }
}
