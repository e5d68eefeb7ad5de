//! Examination from pairs whose position was drawn.
//!
//! Given how often a pair was clicked in all, `C`, its clicks fall on its positions in proportion to
//! `n_k theta_k`, whatever is wanted of it: `r(query, item)` drops out. What is maximised is
//! `sum over pairs of sum_k c_k log(theta_k / sum_j n_j theta_j)`, the likelihood of a conditional
//! Poisson regression. It needs of the clicks their mean alone, so that it is consistent for clicks
//! that are 0 or 1, and for pairs shown twice as for pairs shown often.

use super::patterns::Patterns;

/// Rounds of the fixed point; a few dozen are enough.
const ROUNDS: usize = 500;
/// Change of a logarithm below which it has settled.
const SETTLED: f64 = 1e-9;
/// Exponents beyond which no page is read.
const MOST_EXPONENT: f64 = 20.0;

/// `theta = position^-exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Law {
    pub(super) exponent: f64,
    /// Standard error.
    pub(super) error: f64,
}

/// The exponent of most likelihood, by Newton's method on a concave function; none where all
/// exponents are as likely.
pub(super) fn law(patterns: &Patterns) -> Option<Law> {
    let mut exponent = 1.0;
    let mut curvature = 0.0;
    for _ in 0..ROUNDS {
        let (mut slope, mut bend) = (0.0, 0.0);
        for pattern in &patterns.all {
            let clicks = pattern.clicks();
            if clicks == 0.0 {
                continue;
            }
            let (mut total, mut first, mut second, mut found) = (0.0, 0.0, 0.0, 0.0);
            for place in &pattern.places {
                let log = f64::from(place.position).ln();
                let weight = f64::from(place.shown) * (-exponent * log).exp();
                total += weight;
                first += weight * log;
                second += weight * log * log;
                found += f64::from(place.clicks) * log;
            }
            let mean = first / total;
            slope += pattern.pairs * (clicks * mean - found);
            bend += pattern.pairs * clicks * (second / total - mean * mean).max(0.0);
        }
        curvature = bend;
        if bend <= 0.0 || !bend.is_finite() {
            return None;
        }
        // At most 1 at a time: far from the top the curve is flatter than it looks from there.
        let step = (slope / bend).clamp(-1.0, 1.0);
        exponent += step;
        if exponent.abs() > MOST_EXPONENT {
            return None;
        }
        if step.abs() < SETTLED {
            break;
        }
    }
    Some(Law { exponent, error: curvature.sqrt().recip() })
}

/// `theta` of every position without any law, `[positions]`, up to a factor for each of its
/// [`components`]: `theta_k = c_k / sum over pairs of C n_k / sum_j n_j theta_j`, until it settles. 0 at
/// a position without clicks.
pub(super) fn free(patterns: &Patterns, exponent: f64) -> Vec<f64> {
    let clicks = patterns.clicks_by_position();
    let mut theta: Vec<f64> =
        (1..=clicks.len()).map(|position| (position as f64).powf(-exponent)).collect();
    for _ in 0..ROUNDS {
        let mut expected = vec![0.0; theta.len()];
        for pattern in &patterns.all {
            let total: f64 = pattern
                .places
                .iter()
                .map(|one| f64::from(one.shown) * theta[usize::from(one.position) - 1])
                .sum();
            if total <= 0.0 {
                continue;
            }
            let share = pattern.pairs * pattern.clicks() / total;
            for place in &pattern.places {
                expected[usize::from(place.position) - 1] += share * f64::from(place.shown);
            }
        }
        let next: Vec<f64> = clicks
            .iter()
            .zip(&expected)
            .map(|(clicks, expected)| if *clicks > 0.0 { clicks / expected } else { 0.0 })
            .collect();
        let moved = next.iter().zip(&theta).filter(|(next, _)| **next > 0.0);
        let moved = moved.map(|(next, last)| (next / last).ln().abs()).fold(0.0, f64::max);
        theta = next;
        if moved < SETTLED {
            break;
        }
    }
    theta
}

/// Which positions are joined by pairs that were clicked: each position's group, numbered from 0.
pub(super) fn components(patterns: &Patterns) -> Vec<usize> {
    let mut group: Vec<usize> = (0..patterns.n_positions()).collect();
    for pattern in patterns.all.iter().filter(|pattern| pattern.clicks() > 0.0) {
        let mut places = pattern.places.iter().map(|one| usize::from(one.position) - 1);
        let Some(first) = places.next() else { continue };
        let mut lowest = root(&group, first);
        for place in places {
            let other = root(&group, place);
            let (low, high) = (lowest.min(other), lowest.max(other));
            group[high] = low;
            lowest = low;
        }
    }
    (0..group.len()).map(|place| root(&group, place)).collect()
}

/// The lowest position of a group.
fn root(group: &[usize], mut place: usize) -> usize {
    while group[place] != place {
        place = group[place];
    }
    place
}
