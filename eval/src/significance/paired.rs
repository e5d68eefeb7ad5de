//! Tests and measures of paired differences that need no draws: Student's paired t, Wilcoxon's signed ranks, Cohen's d, and
//! counts of wins. Knows one value per request, of one pair of systems.

use super::distributions::{normal_two_sided, student_two_sided};

/// Share of the largest absolute difference below which a standard deviation is rounding, and a difference a tie.
const ROUNDING: f64 = 1e-12;

/// Most differences, zeros included, for which the distribution of the signed-rank sum is counted out where no two are of
/// equal size and none is 0; and the most for which it is in every case.
const MOST_EXACT: (usize, usize) = (50, 13);

/// Requests by who was better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wins {
    /// Requests with a positive difference.
    pub wins: u64,
    /// Requests whose difference is 0 up to rounding.
    pub ties: u64,
    /// Requests with a negative difference.
    pub losses: u64,
}

/// Two-sided p value of Student's paired t test: the mean difference against its standard error, n − 1 degrees of freedom.
/// Differences that are all alike give 0, or 1 where they are 0; fewer than two give 1.
pub fn t_p_value(differences: &[f64]) -> f64 {
    let Some((mean, deviation)) = moments(differences) else {
        return 1.0;
    };
    if deviation == 0.0 {
        return if mean == 0.0 { 1.0 } else { 0.0 };
    }
    let n_differences = differences.len() as f64;
    student_two_sided(mean / deviation * n_differences.sqrt(), n_differences - 1.0)
}

/// Two-sided p value of Wilcoxon's signed-rank test. Differences of 0 are dropped (Wilcoxon's rule), equal sizes share their
/// mean rank. Exact up to 50 differences where none is 0 and no two are of equal size, and up to 13 in every case; beyond,
/// the normal approximation with the variance corrected for ties and without continuity correction. These are the defaults
/// of SciPy 1.17. 1 where every difference is 0.
pub fn wilcoxon_p_value(differences: &[f64]) -> f64 {
    let mut sizes: Vec<(f64, bool)> =
        differences.iter().filter(|&&one| one != 0.0).map(|one| (one.abs(), *one > 0.0)).collect();
    if sizes.is_empty() {
        return 1.0;
    }
    sizes.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
    // Doubled, mean ranks are whole numbers.
    let mut doubled_ranks: Vec<u64> = Vec::with_capacity(sizes.len());
    let mut doubled_positive = 0_u64;
    let mut tie_term = 0.0;
    for tied in sizes.chunk_by(|left, right| left.0 == right.0) {
        let first = doubled_ranks.len() as u64 + 1;
        let n_tied = tied.len() as u64;
        let doubled = 2 * first + n_tied - 1;
        doubled_ranks.extend(tied.iter().map(|_| doubled));
        doubled_positive += doubled * tied.iter().filter(|one| one.1).count() as u64;
        let t = n_tied as f64;
        tie_term += t * t * t - t;
    }
    let (most_plain, most) = MOST_EXACT;
    let plain = tie_term == 0.0 && sizes.len() == differences.len();
    if differences.len() <= most || (plain && differences.len() <= most_plain) {
        return exact_signed_rank(&doubled_ranks, doubled_positive);
    }
    let n = sizes.len() as f64;
    let mean = n * (n + 1.0) / 4.0;
    let deviation = ((n * (n + 1.0) * (2.0 * n + 1.0) - tie_term / 2.0) / 24.0).sqrt();
    normal_two_sided((doubled_positive as f64 / 2.0 - mean) / deviation)
}

/// Twice the smaller tail of the sum of the ranks whose sign is positive, every sign being as likely; at most 1.
fn exact_signed_rank(doubled_ranks: &[u64], doubled_positive: u64) -> f64 {
    let total: u64 = doubled_ranks.iter().sum();
    // `[sum]` → number of sign patterns; at most 2^50, which a float holds exactly.
    let mut n_patterns = vec![0.0_f64; total as usize + 1];
    n_patterns[0] = 1.0;
    let mut reached = 0_usize;
    for &rank in doubled_ranks {
        let rank = rank as usize;
        for sum in (0..=reached).rev() {
            n_patterns[sum + rank] += n_patterns[sum];
        }
        reached += rank;
    }
    let smaller_tail = doubled_positive.min(total - doubled_positive) as usize;
    let in_tail: f64 = n_patterns[..=smaller_tail].iter().sum();
    let all: f64 = n_patterns.iter().sum();
    (2.0 * in_tail / all).min(1.0)
}

/// Cohen's d of paired differences: their mean over their standard deviation (n − 1). 0 where all differences are 0; none
/// where they are all alike but not 0, as the effect has no finite size, and for fewer than two.
pub fn cohens_d(differences: &[f64]) -> Option<f64> {
    let (mean, deviation) = moments(differences)?;
    match deviation == 0.0 {
        true => (mean == 0.0).then_some(0.0),
        false => Some(mean / deviation),
    }
}

/// Requests by the sign of their difference.
pub fn count_wins(differences: &[f64]) -> Wins {
    let mut wins = Wins::default();
    for &difference in differences {
        // Values are of the order of 1, so differences that rounding makes are far below this.
        match difference {
            _ if difference.abs() <= ROUNDING => wins.ties += 1,
            _ if difference > 0.0 => wins.wins += 1,
            _ => wins.losses += 1,
        }
    }
    wins
}

/// Mean and standard deviation (n − 1), a deviation made of rounding being 0; none for fewer than two values.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let n_values = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n_values;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (n_values - 1.0)).sqrt();
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    Some((mean, if deviation <= ROUNDING * largest { 0.0 } else { deviation }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tail of all 2^n sign patterns of the mean ranks, counted one by one.
    fn brute_force(differences: &[f64]) -> f64 {
        let kept: Vec<f64> = differences.iter().copied().filter(|one| *one != 0.0).collect();
        let rank = |of: f64| {
            let below = kept.iter().filter(|one| one.abs() < of.abs()).count() as f64;
            let equal = kept.iter().filter(|one| one.abs() == of.abs()).count() as f64;
            below + (equal + 1.0) / 2.0
        };
        let ranks: Vec<f64> = kept.iter().map(|&one| rank(one)).collect();
        let observed: f64 =
            kept.iter().zip(&ranks).filter(|(one, _)| **one > 0.0).map(|(_, rank)| rank).sum();
        let n_patterns = 1_usize << kept.len();
        let (mut below, mut above) = (0, 0);
        for pattern in 0..n_patterns {
            let sum: f64 = ranks
                .iter()
                .enumerate()
                .filter(|(i, _)| pattern >> i & 1 == 1)
                .map(|(_, r)| r)
                .sum();
            below += usize::from(sum <= observed);
            above += usize::from(sum >= observed);
        }
        (2.0 * below.min(above) as f64 / n_patterns as f64).min(1.0)
    }

    proptest! {
        #[test]
        fn signed_ranks_equal_brute_force(
            whole in prop::collection::vec(-6_i32..=6, 1..=10),
        ) {
            let differences: Vec<f64> = whole.iter().map(|&one| f64::from(one) / 4.0).collect();
            let (got, expected) = (wilcoxon_p_value(&differences), brute_force(&differences));
            prop_assert!((got - expected).abs() < 1e-12, "{got} instead of {expected}");
        }

        #[test]
        fn tests_do_not_care_for_the_order_of_systems(
            differences in prop::collection::vec(-1.0_f64..1.0, 2..80),
        ) {
            let swapped: Vec<f64> = differences.iter().map(|one| -one).collect();
            prop_assert!((t_p_value(&differences) - t_p_value(&swapped)).abs() < 1e-12);
            let (one, other) = (wilcoxon_p_value(&differences), wilcoxon_p_value(&swapped));
            prop_assert!((one - other).abs() < 1e-12 && (0.0..=1.0).contains(&one));
        }
    }

    #[test]
    fn the_normal_approximation_meets_the_exact_test() {
        let differences: Vec<f64> =
            (1..=50).map(|i| f64::from(i) * if i % 3 == 0 { -1.0 } else { 1.01 }).collect();
        let exact = wilcoxon_p_value(&differences);
        let mut longer = differences.clone();
        longer.push(1e-9);
        let approximate = wilcoxon_p_value(&longer);
        assert!(
            (exact - approximate).abs() < 0.01 && exact != approximate,
            "{exact} {approximate}"
        );
    }

    #[test]
    fn differences_without_spread_have_no_finite_size() {
        assert_eq!(
            (cohens_d(&[0.0; 4]), t_p_value(&[0.0; 4]), wilcoxon_p_value(&[0.0; 4])),
            (Some(0.0), 1.0, 1.0)
        );
        // 0.1 added to values of other sizes: the differences vary in their last bits only.
        let shifted: Vec<f64> =
            (0..9).map(|i| (f64::from(i) / 7.0 + 0.1) - f64::from(i) / 7.0).collect();
        assert_eq!((cohens_d(&shifted), t_p_value(&shifted)), (None, 0.0));
        assert_eq!((cohens_d(&[0.5]), t_p_value(&[0.5]), wilcoxon_p_value(&[])), (None, 1.0, 1.0));
        // Mean 2, deviation 1.
        assert_eq!(cohens_d(&[1.0, 2.0, 3.0]), Some(2.0));
    }

    #[test]
    fn wins_are_counted_up_to_rounding() {
        let wins = count_wins(&[0.3 - 0.1 - 0.2, 0.0, 0.5, -0.1, 1e-9]);
        assert_eq!(wins, Wins { wins: 2, ties: 2, losses: 1 });
    }
}
