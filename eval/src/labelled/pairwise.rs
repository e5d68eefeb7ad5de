//! Pairwise accuracy: whether items of a higher grade, or level of grades, are scored above lower ones of the same request.

use crate::metric::Pooled;

use super::predictions::{Predictions, Row};

/// Most levels that grades can be divided into, beside the lowest.
pub(super) const MOST_LEVELS: usize = 4;

/// Which two items of a request form a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PairOrder {
    /// Any two of different grades.
    Grades,
    /// One of each of two grades.
    Two {
        /// The grade that should score higher.
        higher: f64,
        /// The grade that should score lower.
        lower: f64,
    },
    /// Any two of different levels. A level begins at its grade; rising, infinite where there are fewer.
    Levels([f64; MOST_LEVELS]),
}

impl PairOrder {
    /// What the order is by; none for an item that forms no pair.
    fn rank(&self, grade: f64) -> Option<f64> {
        match self {
            Self::Grades => Some(grade),
            Self::Two { higher, lower } => (grade == *higher || grade == *lower).then_some(grade),
            Self::Levels(from) => Some(from.iter().filter(|&&from| grade >= from).count() as f64),
        }
    }
}

/// Share of the (higher, lower) pairs of items of one request that are scored in the right order, ties counting half; pooled
/// over all pairs of all requests.
pub(super) struct PairwiseAccuracy {
    /// `[request]`: (pairs in order, pairs).
    requests: Vec<(f64, f64)>,
}

impl PairwiseAccuracy {
    pub(super) fn new(predictions: &Predictions, order: PairOrder) -> Self {
        let mut requests = vec![(0.0, 0.0); predictions.requests().len()];
        for rows in predictions.rows().chunk_by(|left, right| left.request == right.request) {
            requests[rows[0].request as usize] = count(rows, order);
        }
        Self { requests }
    }
}

/// Pairs in order, and pairs, of one request: `n log n` for n rows and every rank.
fn count(rows: &[Row], order: PairOrder) -> (f64, f64) {
    let mut ranked: Vec<(f64, f64)> =
        rows.iter().filter_map(|row| Some((order.rank(row.grade)?, row.score))).collect();
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut in_order, mut pairs) = (0.0, 0.0);
    let mut below: Vec<f64> = Vec::with_capacity(ranked.len());
    for above in ranked.chunk_by(|left, right| left.0 == right.0) {
        below.sort_unstable_by(f64::total_cmp);
        for &(_, score) in above {
            let n_less = below.partition_point(|&other| other < score);
            let n_up_to = below.partition_point(|&other| other <= score);
            in_order += (n_less + n_up_to) as f64 / 2.0;
        }
        pairs += (above.len() * below.len()) as f64;
        below.extend(above.iter().map(|one| one.1));
    }
    (in_order, pairs)
}

impl Pooled for PairwiseAccuracy {
    fn value(&self, times: &[u32]) -> Option<f64> {
        let (mut in_order, mut pairs) = (0.0, 0.0);
        for (of_request, &times) in self.requests.iter().zip(times) {
            in_order += f64::from(times) * of_request.0;
            pairs += f64::from(times) * of_request.1;
        }
        (pairs > 0.0).then(|| in_order / pairs)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_within_requests_and_of_the_two_grades() {
        let mut builder = Predictions::builder("x");
        for (request, item, grade, score) in [
            ("a", "1", 2.0, 0.9),
            ("a", "2", 1.0, 0.9),
            ("a", "3", 1.0, 0.1),
            ("a", "4", 0.0, 5.0),
            ("b", "1", 2.0, 0.2),
            ("b", "2", 1.0, 0.3),
            ("c", "1", 2.0, 0.0),
        ] {
            builder.push(request, item, grade, score).unwrap();
        }
        let predictions = builder.finish(1.0).unwrap();
        let two =
            |higher, lower| PairwiseAccuracy::new(&predictions, PairOrder::Two { higher, lower });
        let accuracy = two(2.0, 1.0);
        assert_eq!(accuracy.value(&[1, 1, 1]), Some(1.5 / 3.0));
        assert_eq!(accuracy.value(&[2, 0, 9]), Some(0.75));
        assert_eq!(accuracy.value(&[0, 0, 1]), None);
        assert_eq!(two(2.0, 0.0).value(&[1, 1, 1]), Some(0.0));
        // a: 2 over 0, 1 over 0 (twice) are wrong, 2 over 1 counts 1.5 of 2; b: wrong.
        let any = PairwiseAccuracy::new(&predictions, PairOrder::Grades);
        assert_eq!(any.value(&[1, 1, 1]), Some(1.5 / 6.0));
        // Grades 1 and 2 are one level: only those over 0 are left.
        let inf = f64::INFINITY;
        let levels = PairOrder::Levels([1.0, inf, inf, inf]);
        assert_eq!(PairwiseAccuracy::new(&predictions, levels).value(&[1, 1, 1]), Some(0.0));
    }

    #[test]
    fn counting_equals_looking_at_every_pair() {
        let inf = f64::INFINITY;
        let orders = [
            PairOrder::Grades,
            PairOrder::Two { higher: 2.0, lower: 0.0 },
            PairOrder::Levels([0.5, 1.75, inf, inf]),
        ];
        for seed in 0..200u32 {
            let mut state = seed.wrapping_mul(2_654_435_761) | 1;
            let mut draw = |n: u32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from((state >> 16) % n)
            };
            let rows: Vec<Row> = (0..1 + seed % 12)
                .map(|item| {
                    let (grade, score) = (draw(6) / 2.0, draw(5));
                    Row { request: 0, item, grade, positive: false, score }
                })
                .collect();
            for order in orders {
                let (mut in_order, mut pairs) = (0.0, 0.0);
                for (left, right) in rows.iter().flat_map(|a| rows.iter().map(move |b| (a, b))) {
                    let (Some(a), Some(b)) = (order.rank(left.grade), order.rank(right.grade))
                    else {
                        continue;
                    };
                    if a > b {
                        pairs += 1.0;
                        in_order += match left.score.total_cmp(&right.score) {
                            std::cmp::Ordering::Greater => 1.0,
                            std::cmp::Ordering::Equal => 0.5,
                            std::cmp::Ordering::Less => 0.0,
                        };
                    }
                }
                assert_eq!(count(&rows, order), (in_order, pairs), "{seed} {order:?}");
            }
        }
    }
}
