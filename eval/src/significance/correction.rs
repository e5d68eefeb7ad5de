//! Corrections for testing many hypotheses at once. Knows p values, nothing of the tests behind them.

use super::options::Correction;

impl Correction {
    /// `[test]` adjusted p values, in the order given: a test is significant at level α where its adjusted value is at
    /// most α.
    pub fn adjust(self, p_values: &[f64]) -> Vec<f64> {
        match self {
            Self::Holm => holm(p_values),
            Self::BenjaminiHochberg => benjamini_hochberg(p_values),
            Self::None => p_values.to_vec(),
        }
    }
}

/// `[test]` adjusted p values, in the order given: with the values ascending, the i-th (from 0) of m becomes the largest of
/// `(m − j) p_j` over j ≤ i, at most 1 (Holm 1979). Holds under any dependence between tests.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (index, &test) in ascending(p_values).iter().enumerate() {
        let factor = (p_values.len() - index) as f64;
        largest = largest.max(factor * p_values[test]).min(1.0);
        adjusted[test] = largest;
    }
    adjusted
}

/// `[test]` adjusted p values, in the order given: with the values ascending, the i-th (from 1) of m becomes the smallest of
/// `m p_j / j` over j ≥ i, at most 1 (Benjamini and Hochberg 1995).
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p_values.len()];
    let mut smallest = 1.0_f64;
    let n_tests = p_values.len() as f64;
    for (index, &test) in ascending(p_values).iter().enumerate().rev() {
        smallest = smallest.min(n_tests * p_values[test] / (index + 1) as f64);
        adjusted[test] = smallest;
    }
    adjusted
}

/// Positions of the values in ascending order.
fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(got: &[f64], expected: &[f64]) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got} instead of {expected}");
        }
    }

    #[test]
    fn holm_by_hand() {
        // 4 × .01, 3 × .03, then 2 × .04 = .08 is lifted to .09.
        assert_close(&holm(&[0.04, 0.01, 0.03, 0.5]), &[0.09, 0.04, 0.09, 0.5]);
        assert_close(&holm(&[]), &[]);
        assert_close(&holm(&[0.7, 0.6]), &[1.0, 1.0]);
    }

    #[test]
    fn benjamini_hochberg_by_hand() {
        // Ascending .01 .03 .04 .5 give .04, .06, .0533, .5; the second is lowered to the third.
        let third = 0.16 / 3.0;
        assert_close(&benjamini_hochberg(&[0.04, 0.01, 0.03, 0.5]), &[third, 0.04, third, 0.5]);
        assert_close(&benjamini_hochberg(&[]), &[]);
        assert_close(&benjamini_hochberg(&[0.9, 0.8]), &[0.9, 0.9]);
    }

    #[test]
    fn no_correction_changes_nothing() {
        assert_close(&Correction::None.adjust(&[0.3, 0.01]), &[0.3, 0.01]);
    }
}
