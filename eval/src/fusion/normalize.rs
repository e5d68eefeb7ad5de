//! What one run says about one request, made comparable with another run. Knows no other run and no weight.

use super::settings::{FusionMethod, Normalization};
use crate::error::{Error, Result};
use crate::run::Ranking;

/// `[rank]` contributions of a ranking, before weights. Refused where a score is infinite and scores matter.
pub(super) fn contributions(
    run: &str,
    ranking: Ranking<'_>,
    method: FusionMethod,
    normalize: Normalization,
    k: f64,
) -> Result<Vec<f64>> {
    if method == FusionMethod::Rrf {
        return Ok((1..=ranking.len()).map(|rank| 1.0 / (k + rank as f64)).collect());
    }
    let scores: Vec<f64> = ranking.items().map(|(_, score)| f64::from(score)).collect();
    if let Some((item, score)) = ranking.items().find(|(_, score)| !score.is_finite()) {
        return Err(Error::Run {
            run: run.to_owned(),
            what: format!(
                "the score of item {item} for request {} is {score}, which cannot be normalized; use `rrf`, or finite scores",
                ranking.request()
            ),
        });
    }
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
    use crate::run::Run;

    fn of(
        scores: &[(&str, f32)],
        method: FusionMethod,
        normalize: Normalization,
    ) -> Result<Vec<f64>> {
        let mut builder = Run::builder("sys");
        builder.push_list("q", scores.iter().copied()).unwrap();
        let run = builder.finish().unwrap();
        contributions("sys", run.get("q").unwrap(), method, normalize, 60.0)
    }

    #[test]
    fn contributions_by_hand() {
        let scores = [("a", 4.0), ("b", 1.0), ("c", 2.0), ("d", 1.0)];
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
        let equal = [("a", 7.5), ("b", 7.5)];
        assert_eq!(of(&equal, FusionMethod::CombSum, Normalization::MinMax).unwrap(), [1.0; 2]);
        assert_eq!(of(&equal, FusionMethod::CombSum, Normalization::ZScore).unwrap(), [0.0; 2]);
        assert!(of(&[], FusionMethod::CombSum, Normalization::ZScore).unwrap().is_empty());
        let infinite = [("a", f32::INFINITY), ("b", 7.5)];
        assert_eq!(of(&infinite, FusionMethod::Rrf, Normalization::MinMax).unwrap().len(), 2);
        let message =
            of(&infinite, FusionMethod::CombSum, Normalization::MinMax).unwrap_err().to_string();
        assert!(message.contains("item a for request q is inf"), "{message}");
    }
}
