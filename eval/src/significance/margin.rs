//! Non-inferiority: whether a system was shown to lose less than a margin stated beforehand. Knows resampled differences.

use super::bootstrap::one_sided_bounds;

/// What a test against a margin came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonInferiority {
    /// The loss is below the margin, with the confidence asked for.
    NonInferior,
    /// The loss is above the margin, with the confidence asked for.
    Inferior,
    /// Neither was shown.
    Inconclusive,
}

impl NonInferiority {
    /// True, false, or none where neither was shown.
    pub fn shown(self) -> Option<bool> {
        match self {
            Self::NonInferior => Some(true),
            Self::Inferior => Some(false),
            Self::Inconclusive => None,
        }
    }
}

/// Decides by the one-sided bootstrap bounds of the gain (better minus worse, in the metric's good direction): non-inferior
/// where its lower bound is above `−margin`, inferior where its upper bound is below. Each bound holds with `confidence` on
/// its own, as is usual for non-inferiority; no correction for many comparisons is made.
pub fn non_inferiority(gains: &[f64], margin: f64, confidence: f64) -> NonInferiority {
    match one_sided_bounds(gains, confidence) {
        Some((lower, _)) if lower > -margin => NonInferiority::NonInferior,
        Some((_, upper)) if upper < -margin => NonInferiority::Inferior,
        _ => NonInferiority::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_one_sided() {
        // Gains −0.10, −0.099, …, 0: 95 % of them lie above −0.095 and below −0.005.
        let gains: Vec<f64> = (0..=100).map(|i| f64::from(i) / 1_000.0 - 0.1).collect();
        let verdict = |margin| non_inferiority(&gains, margin, 0.95);
        assert_eq!(verdict(0.096), NonInferiority::NonInferior);
        assert_eq!(verdict(0.094), NonInferiority::Inconclusive);
        assert_eq!(verdict(0.006), NonInferiority::Inconclusive);
        assert_eq!(verdict(0.004), NonInferiority::Inferior);
        assert_eq!(non_inferiority(&[f64::NAN], 0.1, 0.95).shown(), None);
        assert_eq!(verdict(0.004).shown(), Some(false));
    }
}
