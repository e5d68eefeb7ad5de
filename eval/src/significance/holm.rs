//! Holm's step-down correction for testing many hypotheses at once (Holm 1979). Holds under any dependence between tests.

/// `[test]` adjusted p values, in the order given: with the values ascending, the i-th (from 0) of m becomes the largest of
/// `(m − j) p_j` over j ≤ i, at most 1. A test is significant at level α where its adjusted value is at most α.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (index, &test) in order.iter().enumerate() {
        let factor = (p_values.len() - index) as f64;
        largest = largest.max(factor * p_values[test]).min(1.0);
        adjusted[test] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_by_hand() {
        let adjusted = holm(&[0.04, 0.01, 0.03, 0.5]);
        // 4 × .01, 3 × .03, then 2 × .04 = .08 is lifted to .09.
        for (got, expected) in adjusted.iter().zip([0.09, 0.04, 0.09, 0.5]) {
            assert!((got - expected).abs() < 1e-12, "{got} instead of {expected}");
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
    }
}
