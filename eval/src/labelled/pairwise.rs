//! Pairwise accuracy for one pair of grades: whether items of the higher grade are scored above those of the lower one of the
//! same request. Knows no other grade.

use crate::metric::Pooled;

use super::predictions::{Predictions, Row};

/// Share of the (higher, lower) pairs of items of one request that are scored in the right order, ties counting half; pooled
/// over all pairs of all requests.
pub(super) struct PairwiseAccuracy {
    /// `[request]`: (pairs in order, pairs).
    requests: Vec<(f64, f64)>,
}

impl PairwiseAccuracy {
    pub(super) fn new(predictions: &Predictions, higher: f64, lower: f64) -> Self {
        let mut requests = vec![(0.0, 0.0); predictions.requests().len()];
        for rows in predictions.rows().chunk_by(|left, right| left.request == right.request) {
            requests[rows[0].request as usize] = count(rows, higher, lower);
        }
        Self { requests }
    }
}

/// Pairs in order, and pairs, of one request: `n log n` for n rows.
fn count(rows: &[Row], higher: f64, lower: f64) -> (f64, f64) {
    let scores = |grade: f64| -> Vec<f64> {
        rows.iter().filter(|row| row.grade == grade).map(|row| row.score).collect()
    };
    let (above, mut below) = (scores(higher), scores(lower));
    below.sort_unstable_by(f64::total_cmp);
    let in_order: f64 = above
        .iter()
        .map(|&score| {
            let n_less = below.partition_point(|&other| other < score);
            let n_up_to = below.partition_point(|&other| other <= score);
            (n_less + n_up_to) as f64 / 2.0
        })
        .sum();
    (in_order, (above.len() * below.len()) as f64)
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
        let accuracy = PairwiseAccuracy::new(&predictions, 2.0, 1.0);
        assert_eq!(accuracy.value(&[1, 1, 1]), Some(1.5 / 3.0));
        assert_eq!(accuracy.value(&[2, 0, 9]), Some(0.75));
        assert_eq!(accuracy.value(&[0, 0, 1]), None);
        assert_eq!(PairwiseAccuracy::new(&predictions, 2.0, 0.0).value(&[1, 1, 1]), Some(0.0));
    }
}
