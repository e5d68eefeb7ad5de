//! Figures of the order of scores: area under the ROC curve, over all rows or per user, and average precision (PR-AUC). Rows
//! are sorted once; a resample counts them anew. Whole numbers are counted, so no order of summation matters. Knows no
//! threshold beyond the labels.

use crate::metric::Pooled;

use super::predictions::{Predictions, Row};

/// Area under the ROC curve: the share of (positive, negative) pairs of rows in which the positive has the higher score, ties
/// counting half (Hanley and McNeil 1982). Undefined where one class is missing.
pub(super) struct Auc(Sorted);

/// AUC within every user, averaged. Users with one class are left out.
pub(super) struct UserAuc {
    /// One per user.
    users: Vec<Sorted>,
    /// `[user]` requests.
    requests: Vec<Vec<u32>>,
    weight: UserWeight,
}

/// Average precision over all rows: `Σ (R_n − R_{n−1}) P_n` over the thresholds, rows of one score together.
pub(super) struct PrAuc(Sorted);

/// How much a user counts in the per-user AUC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum UserWeight {
    /// By its rows.
    #[default]
    Impressions,
    /// All users alike. In a resample a user counts by the mean multiplicity of its requests.
    Users,
}

/// Users by whether the per-user AUC knows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserCounts {
    /// Users with both classes.
    pub used: usize,
    /// Users left out because all their rows are of one class.
    pub one_class: usize,
}

/// How many users have both classes.
pub fn user_counts(predictions: &Predictions) -> UserCounts {
    let once = vec![1; predictions.requests().len()];
    let users = UserAuc::new(predictions, UserWeight::Users).users;
    let used = users.iter().filter(|user| user.auc(&once).is_some()).count();
    UserCounts { used, one_class: users.len() - used }
}

/// Rows by falling score.
struct Sorted {
    /// (request, whether positive).
    rows: Vec<(u32, bool)>,
    /// Ends of stretches of equal score.
    ends: Vec<u32>,
}

impl Sorted {
    fn new(mut rows: Vec<Row>) -> Self {
        // No score is NaN, and −0 equals 0, so that `partial_cmp` always decides.
        rows.sort_by(|left, right| {
            right.score.partial_cmp(&left.score).unwrap_or(std::cmp::Ordering::Equal)
        });
        let mut ends = Vec::new();
        let mut end = 0;
        for tied in rows.chunk_by(|left, right| left.score == right.score) {
            end += tied.len() as u32;
            ends.push(end);
        }
        Self { rows: rows.iter().map(|row| (row.request, row.positive)).collect(), ends }
    }

    /// (positives, negatives) of every stretch of equal score, best first.
    fn stretches<'a>(&'a self, times: &'a [u32]) -> impl Iterator<Item = (u64, u64)> + 'a {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let mut counts = [0_u64; 2];
            for &(request, positive) in &self.rows[start..end as usize] {
                counts[usize::from(positive)] += u64::from(times[request as usize]);
            }
            start = end as usize;
            (counts[1], counts[0])
        })
    }

    fn auc(&self, times: &[u32]) -> Option<f64> {
        let (mut positives, mut negatives, mut doubled) = (0_u64, 0_u64, 0_u128);
        for (of_positive, of_negative) in self.stretches(times) {
            doubled += u128::from(of_negative) * u128::from(2 * positives + of_positive);
            positives += of_positive;
            negatives += of_negative;
        }
        let pairs = u128::from(positives) * u128::from(negatives);
        (pairs > 0).then(|| doubled as f64 / (2.0 * pairs as f64))
    }

    fn average_precision(&self, times: &[u32]) -> Option<f64> {
        let (mut positives, mut seen, mut sum) = (0_u64, 0_u64, 0.0);
        for (of_positive, of_negative) in self.stretches(times) {
            positives += of_positive;
            seen += of_positive + of_negative;
            if of_positive > 0 {
                sum += of_positive as f64 * positives as f64 / seen as f64;
            }
        }
        (positives > 0).then(|| sum / positives as f64)
    }
}

impl Auc {
    pub(super) fn new(predictions: &Predictions) -> Self {
        Self(Sorted::new(predictions.rows().to_vec()))
    }
}

impl PrAuc {
    pub(super) fn new(predictions: &Predictions) -> Self {
        Self(Sorted::new(predictions.rows().to_vec()))
    }
}

impl UserAuc {
    pub(super) fn new(predictions: &Predictions, weight: UserWeight) -> Self {
        let user_of = predictions.users();
        let mut rows = predictions.rows().to_vec();
        rows.sort_by_key(|row| user_of[row.request as usize]);
        let same_user = |left: &Row, right: &Row| {
            user_of[left.request as usize] == user_of[right.request as usize]
        };
        let (mut users, mut requests) = (Vec::new(), Vec::new());
        for of_user in rows.chunk_by(same_user) {
            let mut own: Vec<u32> = of_user.iter().map(|row| row.request).collect();
            own.dedup();
            requests.push(own);
            users.push(Sorted::new(of_user.to_vec()));
        }
        Self { users, requests, weight }
    }
}

impl Pooled for Auc {
    fn value(&self, times: &[u32]) -> Option<f64> {
        self.0.auc(times)
    }
}

impl Pooled for PrAuc {
    fn value(&self, times: &[u32]) -> Option<f64> {
        self.0.average_precision(times)
    }
}

impl Pooled for UserAuc {
    fn value(&self, times: &[u32]) -> Option<f64> {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (user, requests) in self.users.iter().zip(&self.requests) {
            let Some(auc) = user.auc(times) else { continue };
            let total = |numbers: &mut dyn Iterator<Item = u32>| -> f64 {
                numbers.map(|request| f64::from(times[request as usize])).sum()
            };
            let weight = match self.weight {
                UserWeight::Impressions => total(&mut user.rows.iter().map(|row| row.0)),
                UserWeight::Users => total(&mut requests.iter().copied()) / requests.len() as f64,
            };
            sum += weight * auc;
            weights += weight;
        }
        (weights > 0.0).then(|| sum / weights)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn predictions(rows: &[(u8, i8, bool)], times: &[u32], users: u8) -> Predictions {
        let mut builder = Predictions::builder("x");
        for (index, &(request, score, positive)) in rows.iter().enumerate() {
            for copy in 0..times.get(request as usize).copied().unwrap_or(1) {
                // A copy of a request is another request of the same user.
                let id = format!("{request}-{copy}");
                let grade = f64::from(u8::from(positive));
                builder.push(&id, &index.to_string(), grade, f64::from(score)).unwrap();
                builder.set_user(&id, &(request % users).to_string());
            }
        }
        builder.finish(1.0).unwrap()
    }

    fn brute_force(rows: &[(f64, bool)]) -> Option<f64> {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (score, _) in rows.iter().filter(|row| row.1) {
            for (other, _) in rows.iter().filter(|row| !row.1) {
                pairs += 1.0;
                sum += if score > other {
                    1.0
                } else if score == other {
                    0.5
                } else {
                    0.0
                };
            }
        }
        (pairs > 0.0).then(|| sum / pairs)
    }

    proptest! {
        #[test]
        fn auc_equals_counting_pairs(
            rows in prop::collection::vec((0_u8..4, -3_i8..3, any::<bool>()), 1..40),
        ) {
            let all = predictions(&rows, &[], 3);
            let plain: Vec<(f64, bool)> = rows.iter().map(|row| (f64::from(row.1), row.2)).collect();
            let got = Auc::new(&all).value(&vec![1; all.requests().len()]);
            match (got, brute_force(&plain)) {
                (Some(got), Some(expected)) => prop_assert!((got - expected).abs() < 1e-12),
                (got, expected) => prop_assert_eq!(got, expected),
            }
        }

        #[test]
        fn a_resample_equals_the_rows_written_out(
            rows in prop::collection::vec((0_u8..4, -3_i8..3, any::<bool>()), 1..30),
            times in prop::collection::vec(0_u32..4, 4),
        ) {
            let once = predictions(&rows, &[1; 4], 3);
            let drawn: Vec<u32> = once
                .requests()
                .iter()
                .map(|id| times[id.split('-').next().unwrap().parse::<usize>().unwrap()])
                .collect();
            if rows.iter().any(|row| times[row.0 as usize] > 0) {
                let written = predictions(&rows, &times, 3);
                let ones = vec![1; written.requests().len()];
                let pairs: [(Option<f64>, Option<f64>); 3] = [
                    (Auc::new(&once).value(&drawn), Auc::new(&written).value(&ones)),
                    (PrAuc::new(&once).value(&drawn), PrAuc::new(&written).value(&ones)),
                    (
                        UserAuc::new(&once, UserWeight::Impressions).value(&drawn),
                        UserAuc::new(&written, UserWeight::Impressions).value(&ones),
                    ),
                ];
                for (got, expected) in pairs {
                    match (got, expected) {
                        (Some(got), Some(expected)) => prop_assert!((got - expected).abs() < 1e-12),
                        (got, expected) => prop_assert_eq!(got, expected),
                    }
                }
            }
        }
    }

    #[test]
    fn users_are_weighted_as_told() {
        // User 0: one pair in order; user 1: 2 of 4 rows' pairs in order; user 2: one class.
        let rows = [
            (0, 2, true),
            (0, 1, false),
            (1, 1, true),
            (1, 3, false),
            (1, 4, true),
            (1, 0, false),
            (2, 1, true),
        ];
        let predictions = predictions(&rows, &[], 3);
        let value = |weight| UserAuc::new(&predictions, weight).value(&[1; 3]).unwrap();
        assert!((value(UserWeight::Users) - (1.0 + 0.75) / 2.0).abs() < 1e-12);
        assert!((value(UserWeight::Impressions) - (2.0 + 4.0 * 0.75) / 6.0).abs() < 1e-12);
        assert_eq!(user_counts(&predictions), UserCounts { used: 2, one_class: 1 });
        // Drawn three times, a user of one request counts three times.
        let drawn = UserAuc::new(&predictions, UserWeight::Users).value(&[3, 1, 1]).unwrap();
        assert!((drawn - (3.0 + 0.75) / 4.0).abs() < 1e-12);
    }
}
