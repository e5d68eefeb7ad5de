//! What one list says about one request, made comparable with another list. Knows no item, no other
//! list and no weight.

use super::settings::{FusionMethod, Normalization};

/// `[rank]` contributions of scores that fall, before weights. Refused where a score is infinite
/// and scores matter, with its place counted from 0.
pub(super) fn contributions(
    scores: &[f32],
    method: FusionMethod,
    normalize: Normalization,
    k: f64,
) -> Result<Vec<f64>, usize> {
    if method == FusionMethod::Rrf {
        return Ok((1..=scores.len()).map(|rank| 1.0 / (k + rank as f64)).collect());
    }
    if let Some(place) = scores.iter().position(|score| !score.is_finite()) {
        return Err(place);
    }
    let scores: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
    Ok(match normalize {
        Normalization::MinMax => min_max(&scores),
        Normalization::ZScore => z_score(&scores),
    })
}

/// From 0 to 1; all 1 where all are equal. Scores fall, so the first is the highest.
fn min_max(scores: &[f64]) -> Vec<f64> {
    let (Some(&highest), Some(&lowest)) = (scores.first(), scores.last()) else {
        return Vec::new();
    };
    if highest == lowest {
        return vec![1.0; scores.len()];
    }
    scores.iter().map(|score| (score - lowest) / (highest - lowest)).collect()
}

/// Mean 0 and (population) variance 1; all 0 where all are equal.
fn z_score(scores: &[f64]) -> Vec<f64> {
    if scores.first() == scores.last() {
        return vec![0.0; scores.len()];
    }
    let n_scores = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n_scores;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / n_scores;
    scores.iter().map(|score| (score - mean) / variance.sqrt()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(
        scores: &[f32],
        method: FusionMethod,
        normalize: Normalization,
    ) -> Result<Vec<f64>, usize> {
        contributions(scores, method, normalize, 60.0)
    }

    #[test]
    fn contributions_by_hand() {
        let scores = [4.0, 2.0, 1.0, 1.0];
        let rrf = of(&scores, FusionMethod::Rrf, Normalization::MinMax).unwrap();
        assert_eq!(rrf, [1.0 / 61.0, 1.0 / 62.0, 1.0 / 63.0, 1.0 / 64.0]);
        let min_max = of(&scores, FusionMethod::CombSum, Normalization::MinMax).unwrap();
        assert_eq!(min_max, [1.0, 1.0 / 3.0, 0.0, 0.0]);
        // Mean 2, variance (4 + 0 + 1 + 1) / 4.
        let z_score = of(&scores, FusionMethod::CombMnz, Normalization::ZScore).unwrap();
        let unit = 1.5_f64.sqrt();
        assert_eq!(z_score, [2.0 / unit, 0.0, -1.0 / unit, -1.0 / unit]);
    }

    #[test]
    fn equal_scores_and_infinite_ones() {
        let equal = [7.5, 7.5];
        assert_eq!(of(&equal, FusionMethod::CombSum, Normalization::MinMax).unwrap(), [1.0; 2]);
        assert_eq!(of(&equal, FusionMethod::CombSum, Normalization::ZScore).unwrap(), [0.0; 2]);
        assert!(of(&[], FusionMethod::CombSum, Normalization::ZScore).unwrap().is_empty());
        let infinite = [f32::INFINITY, 7.5];
        assert_eq!(of(&infinite, FusionMethod::Rrf, Normalization::MinMax).unwrap().len(), 2);
        assert_eq!(of(&infinite, FusionMethod::CombSum, Normalization::MinMax), Err(0));
    }
}
