//! Examination from a click model, where nobody recorded how positions came about.
//!
//! Every pair of query and item is of one of a few classes of relevance `r`; how likely each class is
//! depends on where the pair stands as a rule, since a shop puts higher what it takes for better. So
//! the difference between positions *of one pair* tells `theta`, and that between pairs does not. A
//! relevance of its own for every pair, as the first such models had, is told by two or three
//! impressions and takes the bias with it: measured on simulated logs it misses the exponent by 0.1 to
//! 0.3 whatever it is shrunk by.
//!
//! Step E: how likely a pair is of each class, from `P(clicks) = prod (theta r)^c (1 - theta r)^(n - c)`.
//! Step M: classes by the mean over pairs; `theta_k = c_k / sum of (n_k - c_k) r / (1 - theta_k r)`, where
//! the likelihood is stationary, half of the way (in logarithms) each time.

use super::patterns::{Pattern, Patterns};

/// Classes of relevance: probabilities of a click at the first position.
const CLASSES: [f64; 12] = [0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95];
/// Most rounds.
const ROUNDS: usize = 1_000;
/// Change of a logarithm below which it has settled.
const SETTLED: f64 = 1e-5;
/// Most that a position is examined, relative to the first.
const MOST: f64 = 1.05;

/// `theta` of every position, `[positions]`, that of the first being 1; 0 at a position without clicks.
pub(super) fn free(patterns: &Patterns, exponent: f64) -> Vec<f64> {
    let clicks = patterns.clicks_by_position();
    let stands: Vec<usize> = patterns.all.iter().map(stands).collect();
    let n_places = stands.iter().max().map_or(0, |most| most + 1);
    let mut theta: Vec<f64> = (1..=clicks.len())
        .map(|position| (position as f64).powf(-exponent.clamp(0.0, 5.0)).min(MOST))
        .collect();
    let mut classes = vec![[1.0 / CLASSES.len() as f64; CLASSES.len()]; n_places];
    for _ in 0..ROUNDS {
        let mut expected = vec![0.0; theta.len()];
        let mut found = vec![[f64::MIN_POSITIVE; CLASSES.len()]; n_places];
        let misses: Vec<[f64; CLASSES.len()]> =
            theta.iter().map(|theta| CLASSES.map(|class| (1.0 - theta * class).ln())).collect();
        for (pattern, &stands) in patterns.all.iter().zip(&stands) {
            let share = shares(pattern, &classes[stands], &misses);
            for (sum, share) in found[stands].iter_mut().zip(&share) {
                *sum += pattern.pairs * share;
            }
            for place in &pattern.places {
                let at = usize::from(place.position) - 1;
                let missed = f64::from(place.shown - place.clicks);
                let odds = share.iter().zip(CLASSES);
                let odds: f64 =
                    odds.map(|(share, class)| share * class / (1.0 - theta[at] * class)).sum();
                expected[at] += pattern.pairs * missed * odds;
            }
        }
        for (classes, found) in classes.iter_mut().zip(&found) {
            let total: f64 = found.iter().sum();
            *classes = found.map(|one| one / total);
        }
        let mut moved: f64 = 0.0;
        for (at, theta) in theta.iter_mut().enumerate().skip(1) {
            if clicks[at] > 0.0 && expected[at] > 0.0 {
                let next = (*theta * clicks[at] / expected[at]).sqrt().min(MOST);
                moved = moved.max((next / *theta).ln().abs());
                *theta = next;
            }
        }
        if moved < SETTLED {
            break;
        }
    }
    let silent = theta.iter_mut().zip(&clicks).filter(|(_, clicks)| **clicks == 0.0);
    silent.for_each(|(theta, _)| *theta = 0.0);
    theta
}

/// The exponent of `theta = a · position^-eta` by least squares over logarithms, weighted by clicks: the
/// variance of the logarithm of a count is about one over it.
pub(super) fn exponent(patterns: &Patterns, theta: &[f64]) -> f64 {
    let clicks = patterns.clicks_by_position();
    let points = (0..theta.len()).filter(|&at| clicks[at] > 0.0);
    let points: Vec<[f64; 3]> =
        points.map(|at| [clicks[at], ((at + 1) as f64).ln(), theta[at].ln()]).collect();
    let total: f64 = points.iter().map(|[weight, ..]| weight).sum();
    let mean = |axis: usize| points.iter().map(|point| point[0] * point[axis]).sum::<f64>() / total;
    let (x, y) = (mean(1), mean(2));
    let along: f64 = points.iter().map(|[weight, a, b]| weight * (a - x) * (b - y)).sum();
    let spread: f64 = points.iter().map(|[weight, a, _]| weight * (a - x) * (a - x)).sum();
    if spread > 0.0 { -along / spread } else { 0.0 }
}

/// Where a pair stands as a rule: the mean logarithm of its position, in halves of a doubling.
fn stands(pattern: &Pattern) -> usize {
    let (mut sum, mut shown) = (0.0, 0.0);
    for place in &pattern.places {
        sum += f64::from(place.shown) * f64::from(place.position).log2();
        shown += f64::from(place.shown);
    }
    (2.0 * sum / shown).round() as usize
}

/// How likely a pair is of each class.
fn shares(
    pattern: &Pattern,
    classes: &[f64; CLASSES.len()],
    misses: &[[f64; CLASSES.len()]],
) -> [f64; CLASSES.len()] {
    let clicks = pattern.clicks();
    let mut log = [0.0; CLASSES.len()];
    for (log, (share, class)) in log.iter_mut().zip(classes.iter().zip(CLASSES)) {
        *log = share.ln() + clicks * class.ln();
    }
    for place in &pattern.places {
        let missed = f64::from(place.shown - place.clicks);
        let misses = &misses[usize::from(place.position) - 1];
        log.iter_mut().zip(misses).for_each(|(log, miss)| *log += missed * miss);
    }
    let most = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let odds = log.map(|log| (log - most).exp());
    let total: f64 = odds.iter().sum();
    odds.map(|one| one / total)
}
